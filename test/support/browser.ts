import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { findExecutable, type Scope } from './servers-process.js'

const macApps = ['/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome']

/** Keeps the browser to the pages under test: no first-run page, no update checks, no calls home. */
const quiet = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'
]

/** The system's Chromium or Chrome; throws with a sentence that says how to get it. */
export function findBrowser (): string {
  return macApps.find((app) => existsSync(app)) ?? findExecutable('chromium', 'chromium-browser', 'google-chrome')
}

/** The system's Chromium, headless, with a new empty profile; closed with the scope. */
export async function launchChromium (t: Scope): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    // Chromium's sandbox refuses to start as root; for everyone else it stays on.
    chromiumSandbox: process.getuid?.() !== 0,
    args: quiet,
    timeout: 60_000
  })
  t.teardown(() => browser.close())
  return browser
}
