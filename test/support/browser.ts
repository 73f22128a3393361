import { type Browser, chromium } from 'playwright-core'
import { findExecutable, type Scope } from './servers-process.js'

const macApp = '/Applications/Chromium.app/Contents/MacOS/Chromium'

/** Keeps the browser to the pages under test: no first-run page, no update checks, no calls home. */
const quiet = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'
]

/** The system's Chromium, headless, with a new empty profile; closed with the scope. */
export async function launchChromium (t: Scope): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: process.platform === 'darwin' ? macApp : findExecutable('chromium', 'chromium-browser', 'google-chrome'),
    // Chromium's sandbox refuses to start as root; for everyone else it stays on.
    chromiumSandbox: process.getuid?.() !== 0,
    args: quiet,
    timeout: 60_000
  })
  t.teardown(() => browser.close())
  return browser
}
