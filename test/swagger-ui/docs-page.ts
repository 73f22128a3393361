import type { Test } from 'tap'
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** A reader in front of `/docs`: what they see and press. */
export class DocsPage {
  readonly page: Page

  constructor (page: Page) {
    this.page = page
  }

  /** Opens the documentation in a browser of its own, or in another tab of `context`. What the page throws fails the test. */
  static async open (t: Test, browser: Browser | BrowserContext, url: string, path = '/docs'): Promise<DocsPage> {
    const context = 'newContext' in browser ? await browser.newContext() : browser
    if (context !== browser) t.teardown(() => context.close())
    const page = await context.newPage()
    page.on('pageerror', (error) => t.fail(error.message))
    await page.goto(url + path)
    await page.locator('.opblock').first().waitFor()
    return new DocsPage(page)
  }

  /** Lets the page lose and gain the focus like a tab of a person's browser; Playwright tells every page that it has it. */
  async asTab (): Promise<this> {
    const devtools = await this.page.context().newCDPSession(this.page)
    await devtools.send('Emulation.setFocusEmulationEnabled', { enabled: false })
    return this
  }

  get dialog (): Locator {
    return this.page.getByRole('dialog', { name: 'Available authorizations' })
  }

  /** The form of one scheme in the dialog. */
  form (scheme = 'account'): Locator {
    return this.dialog.locator('form').filter({ has: this.page.locator('h4 code', { hasText: new RegExp(`^${scheme}$`) }) })
  }

  /** What the dialog says of a session. */
  state (scheme = 'account'): Locator {
    return this.form(scheme).getByRole('status')
  }

  field (label: string, scheme = 'account'): Locator {
    return this.form(scheme).getByLabel(label)
  }

  button (name: string, scheme = 'account'): Locator {
    return this.form(scheme).locator('button', { hasText: name })
  }

  async openDialog (): Promise<void> {
    await this.page.locator('.auth-wrapper .authorize').click()
    await this.dialog.waitFor()
  }

  async closeDialog (): Promise<void> {
    await this.dialog.getByRole('button', { name: 'Close' }).first().click()
    await this.dialog.waitFor({ state: 'detached' })
  }

  async enter ({ username, password }: Credentials, scheme = 'account'): Promise<void> {
    await this.field('username', scheme).fill(username)
    await this.field('password', scheme).fill(password)
  }

  async signIn (credentials: Credentials): Promise<void> {
    await this.openDialog()
    await this.enter(credentials)
    await this.button('Sign in').click()
    await this.says('Signed in')
    await this.closeDialog()
  }

  /** Waits until the dialog says `text` of the session. */
  async says (text: string, scheme = 'account'): Promise<void> {
    await this.state(scheme).and(this.page.getByText(text, { exact: true })).waitFor()
  }

  /** Waits until a reader who cannot see the locks is told. */
  async announces (text: string, scheme = 'account'): Promise<void> {
    await this.page.locator('.session-announcer').and(this.page.getByText(`${scheme}: ${text}`, { exact: true })).waitFor({ state: 'attached' })
  }

  /** Waits until the dialog reports an error. */
  async warns (text: string | RegExp, scheme = 'account'): Promise<void> {
    await this.form(scheme).getByRole('alert').getByText(text, { exact: true }).waitFor()
  }

  operation (operationId: string): Locator {
    return this.page.locator(`.opblock[id$="-${operationId}"]`)
  }

  /** Waits until the lock of an operation is closed, open, or open with the mark of a missing role. */
  async lock (operationId: string, state: 'locked' | 'unlocked' | 'unlocked: a role is missing'): Promise<void> {
    await this.operation(operationId).getByRole('button', { name: `authorization button ${state}`, exact: true }).waitFor()
  }

  async pressLock (operationId: string): Promise<void> {
    await this.operation(operationId).getByRole('button', { name: /authorization button/ }).click()
    await this.dialog.waitFor()
  }

  /** "Try it out" and "Execute"; the status code that the page shows then. */
  async run (operationId: string, parameters: Record<string, string> = {}): Promise<string> {
    const operation = this.operation(operationId)
    if (await operation.locator('.opblock-body').count() === 0) await operation.locator('.opblock-summary').first().click()
    const tryIt = operation.locator('.try-out__btn')
    await tryIt.waitFor()
    if (await tryIt.innerText() === 'Try it out') await tryIt.click()
    for (const [name, value] of Object.entries(parameters)) {
      await operation.locator(name === 'body' ? '.body-param__text' : `tr[data-param-name="${name}"] input`).fill(value)
    }
    const clear = operation.locator('.btn-clear')
    if (await clear.count() > 0) await clear.click()
    await operation.locator('.execute').click()
    return (await operation.locator('.live-responses-table tbody .response-col_status').first().innerText()).slice(0, 3)
  }

  /** The curl command of the last run. */
  async curl (operationId: string): Promise<string> {
    return this.operation(operationId).locator('.curl').first().innerText()
  }

  async storage (): Promise<Record<string, string>> {
    return this.page.evaluate('({ ...localStorage, ...sessionStorage })')
  }
}
