/**
 * Takes the pictures of docs/swagger-ui.md, of the example signed in with its own accounts:
 * `npm run screenshots`
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { buildApp } from '../example/app.js'
import { findBrowser } from '../test/support/find-browser.js'

const grace = { username: 'grace', password: 'nanosecond-1952' }
const images = join(import.meta.dirname, '../docs/images')
const ada = { username: 'ada', password: 'difference-engine-1843' }
const view = { width: 900, height: 640 }

const app = await buildApp()
// The port is in the pictures: the one that the README names.
await app.listen({ port: 3000, host: 'localhost' })
const browser = await chromium.launch({ executablePath: findBrowser(), chromiumSandbox: process.getuid?.() !== 0 })
const page = await browser.newPage({ viewport: view, deviceScaleFactor: 1.5, colorScheme: 'light' })
mkdirSync(images, { recursive: true })
try {
  await page.goto('http://localhost:3000/docs')
  await lock('listSessions', 'unlocked')
  await tell()
} finally {
  await browser.close()
  await app.close()
}

/** Form, error, signed in, role missing, signed out. */
async function tell (): Promise<void> {
  const dialog = page.getByRole('dialog')
  await page.locator('.auth-wrapper .authorize').click()
  await dialog.getByText('Signed out', { exact: true }).waitFor()
  await shoot('form')

  await enter(page, { ...grace, password: 'a guess' })
  await page.keyboard.press('Enter')
  await dialog.getByText('Unknown user name or wrong password.').waitFor()
  await shoot('error')

  await enter(page, ada)
  await dialog.getByText('Sign in', { exact: true }).click()
  await dialog.getByText('Signed in', { exact: true }).waitFor()
  await shoot('signed-in')
  await signOut()

  await page.locator('.auth-wrapper .authorize').click()
  await enter(page, grace)
  await dialog.getByText('Sign in', { exact: true }).click()
  await dialog.getByText('Signed in', { exact: true }).waitFor()
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  // Tall enough for the operation whose lock was pressed, the last of the page, to be seen under the dialog.
  await page.setViewportSize({ ...view, height: 915 })
  await page.locator('[id$=-listUsers]').getByRole('button', { name: /authorization button/ }).click()
  await dialog.getByText(/which you do not have/).waitFor()
  await shoot('role-missing')
  await page.setViewportSize(view)

  await signOut()
  await page.locator('.auth-wrapper .authorize').scrollIntoViewIfNeeded()
  await page.mouse.click(5, 5)
  await page.mouse.move(5, 300)
  await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)')
  await shoot('signed-out')
}

async function signOut (): Promise<void> {
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Sign out', { exact: true }).click()
  await dialog.getByText('Signed out', { exact: true }).waitFor()
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  await lock('listSessions', 'unlocked')
}

async function enter (page: Page, { username, password }: typeof grace): Promise<void> {
  await page.getByLabel('username').fill(username)
  await page.getByLabel('password').fill(password)
}

async function lock (operationId: string, state: string): Promise<void> {
  await page.locator(`[id$=-${operationId}]`).getByRole('button', { name: `authorization button ${state}`, exact: true }).waitFor()
}

async function shoot (name: string): Promise<void> {
  await page.screenshot({ path: join(images, `${name}.png`), animations: 'disabled', caret: 'hide' })
}
