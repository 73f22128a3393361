import { existsSync } from 'node:fs'
import { findExecutable } from './servers-process.js'

const macApps = ['/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome']

/** The system's Chromium or Chrome; throws with a sentence that says how to get it. */
export function findBrowser (): string {
  return macApps.find((app) => existsSync(app)) ?? findExecutable('chromium', 'chromium-browser', 'google-chrome')
}
