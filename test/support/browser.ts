import { type Browser, chromium } from 'playwright-core'
import root from 'tap'
import { findBrowser } from './find-browser.js'

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

/** Milliseconds that a test waits for what the browser does: a busy machine takes its time. */
const PATIENCE = 240_000

/** Starts the system's Chromium, headless, with a new empty profile. */
async function launch (): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    // Chromium's sandbox refuses to start as root; for everyone else it stays on.
    chromiumSandbox: process.getuid?.() !== 0,
    args,
    // Playwright turns the cache off, and people's browsers have it on: whole pages come back out of it as they were.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    timeout: PATIENCE
  })
  root.teardown(() => browser.close())
  const { newContext } = browser
  browser.newContext = async (options) => {
    const context = await newContext.call(browser, options)
    context.setDefaultTimeout(PATIENCE)
    return context
  }
  return browser
}

let browser: Promise<Browser> | undefined

/** Returns the Chromium of this process. A test opens contexts of its own, which keep its cookies apart from those of others. */
export async function openChromium (): Promise<Browser> {
  browser ??= launch()
  return await browser
}
