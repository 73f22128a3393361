import t from 'tap'
import { buildApp } from '../../example/app.js'
import { ada, grace, Visitor } from '../example/visitor.js'
import { openChromium } from '../support/browser.js'
import { listening } from './docs-app.js'
import { DocsPage } from './docs-page.js'

t.test('the documentation of the example', async (t) => {
  const browser = await openChromium()
  const app = await buildApp({ loginAttempts: 1000 })
  t.teardown(() => app.close())
  const url = await listening(app)

  await t.test('from the lock of an operation to its answer, and signed out from somewhere else', async (t) => {
    const docs = await DocsPage.open(t, browser, url)
    await docs.pressLock('listUsers')
    await docs.enter(grace, 'session')
    await docs.field('password', 'session').press('Enter')
    await docs.says('Signed in', 'session')
    t.match(await docs.form('session').innerText(), /Grace Hopper/)
    await docs.form('session').getByText('This operation needs the role “admin”, which you do not have.').waitFor()
    await docs.closeDialog()
    t.equal(await docs.run('listUsers'), '403')

    await docs.openDialog()
    await docs.button('Sign out', 'session').click()
    await docs.says('Signed out', 'session')
    await docs.enter(ada, 'session')
    await docs.button('Sign in', 'session').click()
    await docs.says('Signed in', 'session')
    await docs.closeDialog()
    await docs.lock('listUsers', 'locked')
    t.equal(await docs.run('listUsers'), '200')

    const phone = new Visitor(app)
    await phone.enter(ada)
    const sessions: Array<{ id: string, current: boolean }> = (await phone.json('GET', '/api/sessions')).json()
    for (const { id, current } of sessions) if (!current) await phone.json('DELETE', `/api/sessions/${id}`)
    t.equal(await docs.run('listSessions'), '401')
    await docs.lock('listSessions', 'unlocked')
  })

  await t.test('pages and documentation are one session', async (t) => {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const page = await context.newPage()
    await page.goto(`${url}/login`)
    await page.getByLabel('User name').fill(grace.username)
    await page.getByLabel('Password').fill(grace.password)
    await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('Welcome, Grace Hopper.').waitFor()
    const docs = await DocsPage.open(t, context, url)
    await docs.lock('listSessions', 'locked')
    await docs.openDialog()
    await docs.button('Sign out', 'session').click()
    await docs.says('Signed out', 'session')
    await page.goto(`${url}/`)
    await page.getByRole('link', { name: 'Sign in' }).first().waitFor()
    t.equal(await page.getByText('Grace').count(), 0)
  })
})
