import { existsSync } from 'node:fs'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import { findExecutable, type Scope } from './servers-process.js'

const macApps = ['/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome']

/**
 * What Chromium leaves out. Of two lists it takes the last, so this one repeats the names of Playwright's own that matter for
 * these pages. New are the first two: the suggestions of the address bar are a page of their own, which costs each new
 * window as much processor time as Swagger UI does, and nobody types an address here.
 */
const disabledFeatures = [
  'WebUIOmniboxPopup', 'WebUIOmniboxAimPopup',
  'AimEnabled', 'AvoidCorsURLLoaderRestartOnRedirect', 'AvoidUnnecessaryBeforeUnloadCheckSync', 'BlockOriginHeaderModificationOnRedirect',
  'DestroyProfileOnBrowserClose', 'DialMediaRouteProvider', 'GlobalMediaControls', 'HttpsUpgrades', 'LensOverlay', 'MediaRouter',
  'NetworkTimeServiceQuerying', 'OptimizationHints', 'PaintHolding', 'ThirdPartyStoragePartitioning', 'Translate'
]

const args = [
  // Keeps the browser to the pages under test: no first-run page, no update checks, no calls home.
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  `--disable-features=${disabledFeatures.join()}`,
  // Playwright listens to errors, and each one would have V8 read the whole of Swagger UI again for its line numbers.
  '--js-flags=--no-enable-lazy-source-positions'
]

/** The system's Chromium or Chrome; throws with a sentence that says how to get it. */
export function findBrowser (): string {
  return macApps.find((app) => existsSync(app)) ?? findExecutable('chromium', 'chromium-browser', 'google-chrome')
}

/** The system's Chromium, headless, with a new empty profile; closed with the scope. */
export async function launchChromium (t: Scope, options: LaunchOptions = {}): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    // Chromium's sandbox refuses to start as root; for everyone else it stays on.
    chromiumSandbox: process.getuid?.() !== 0,
    args,
    timeout: 60_000,
    ...options
  })
  t.teardown(() => browser.close())
  return browser
}
