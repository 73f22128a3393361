import t from 'tap'
import { openChromium } from '../support/browser.js'
import { ada, api, endSession, grace, twoSessions } from './docs-api.js'
import { docsApp, type DocsOptions, ends, inBrowser } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const answer = async (): Promise<object> => ({ ok: true })

/** Beside the session: a bearer token, a key in a header, and a cookie that is no session. */
const otherSchemes: DocsOptions = {
  document: {
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        key: { type: 'apiKey', in: 'header', name: 'X-Key' },
        crumb: { type: 'apiKey', in: 'cookie', name: 'crumb' }
      }
    }
  },
  session: {
    verifiers: {
      bearer: ({ headers }) => headers.authorization === 'Bearer good',
      key: ({ headers }) => headers['x-key'] === 'k1',
      crumb: ({ headers }) => /crumb=c1/.test(headers.cookie ?? '')
    }
  },
  routes: async (app) => {
    await app.register(api, { prefix: '/api' })
    app.get('/either', { schema: { operationId: 'either', security: [{ account: [] }, { bearer: [] }] } }, answer)
    app.get('/both', { schema: { operationId: 'both', security: [{ account: [], key: [] }] } }, answer)
    app.get('/crumb', { schema: { operationId: 'crumb', security: [{ crumb: [] }] } }, answer)
    app.post('/leave', { schema: { operationId: 'leave', security: [{ key: [], account: [] }] } }, endSession)
  }
}

t.test('several schemes in one dialog', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(`two sessions are two people: ${end.name}`, async (t) => {
      const { url, calls } = await docsApp(t, { ...end, ...twoSessions({ login: 'staffLogin', status: 'staffStatus', logout: 'staffLogout' }) })
      const docs = await DocsPage.open(t, browser, url)
      await docs.pressLock('stock')
      await docs.says('Signed out', 'staff')
      t.equal(await docs.form('account').count(), 0, 'a lock shows the schemes of its operation only')
      await docs.closeDialog()

      await docs.openDialog()
      await docs.says('Signed out', 'account')
      const ids = await docs.page.evaluate<string[]>('[...document.querySelectorAll("dialog [id]")].map(({ id }) => id)')
      t.ok(ids.length > 4)
      t.equal(new Set(ids).size, ids.length, 'no id twice')
      await docs.enter(ada, 'staff')
      await docs.field('password', 'staff').press('Enter')
      await docs.says('Signed in', 'staff')
      await docs.says('Signed out', 'account')
      await docs.enter(grace, 'account')
      t.match(await docs.form('staff').innerText(), /ada/)
      await docs.button('Sign in', 'account').click()
      await docs.says('Signed in', 'account')
      t.match(await docs.form('staff').innerText(), /ada/)
      t.match(await docs.form('account').innerText(), /grace/)
      await docs.button('Sign out', 'staff').click()
      await docs.says('Signed out', 'staff')
      await docs.says('Signed in', 'account')
      await docs.closeDialog()
      for (const operation of ['stock', 'both']) await docs.lock(operation, 'unlocked')
      await docs.lock('orders', 'locked')
      t.equal(calls('/api/logout').length, 0)
      t.equal(calls('/staff/logout').length, 1)
      t.equal(await docs.run('both'), '401')
    })

    await t.test(`tokens and keys keep their boxes, and go along where the session's operations ask for them: ${end.name}`, async (t) => {
      const session = { ...otherSchemes.session, openapi: { login: 'login', status: 'status', logout: 'leave' } }
      const { url, calls } = await docsApp(t, { ...end, ...otherSchemes, session })
      const docs = await DocsPage.open(t, browser, url)
      const bearer = docs.dialog.locator('form', { hasText: 'bearer' })
      await docs.openDialog()
      await bearer.locator('input').fill('good')
      await bearer.getByText('Authorize').click()
      await docs.form('crumb').getByText('Name: crumb').waitFor()
      await docs.closeDialog()
      await docs.lock('either', 'locked')
      for (const operation of ['both', 'orders']) await docs.lock(operation, 'unlocked')
      t.equal(await docs.run('either'), '200')
      t.notMatch(calls('/either').at(-1)?.cookie, /./)

      await docs.signIn(grace)
      await docs.openDialog()
      await docs.button('Sign out').click()
      await docs.warns('The security scheme "key" is not satisfied.')
      await docs.says('Signed in')
      await docs.form('key').locator('input').fill('k1')
      await docs.button('Authorize', 'key').click()
      await bearer.getByText('Logout').click()
      await docs.says('Signed in')
      await docs.closeDialog()
      for (const operation of ['either', 'both']) await docs.lock(operation, 'locked')
      t.equal(await docs.run('both'), '200')
      t.equal(calls('/both').at(-1)?.headers['x-key'], 'k1')

      await docs.openDialog()
      await docs.button('Sign out', 'account').click()
      await docs.says('Signed out')
      t.strictSame(calls('/leave').map(({ headers }) => headers['x-key']), [undefined, 'k1'])
    })

    await t.test(`persistAuthorization remembers the others, never a session: ${end.name}`, async (t) => {
      // Without __Host-, a script can write a cookie of the name: Swagger UI would do so on its own.
      const session = { ...otherSchemes.session, cookie: { name: 'sid' } }
      const ui = { uiConfig: { persistAuthorization: true, plugins: [inBrowser('(system) => { globalThis.system = system; return {} }')] } }
      const { url, calls } = await docsApp(t, { ...end, ...otherSchemes, session, ui })
      const context = await browser.newContext()
      t.teardown(() => context.close())
      // Pasted into the box that Swagger UI would show without the plugin, before there was one.
      const pasted = { account: { name: 'account', schema: { type: 'apiKey', in: 'cookie', name: '__Host-session' }, value: 'pasted' } }
      await context.addInitScript(`localStorage.authorized ??= ${JSON.stringify(JSON.stringify(pasted))}`)
      const docs = await DocsPage.open(t, context, url)
      await docs.lock('orders', 'unlocked')
      t.strictSame(await docs.storage(), { authorized: '{}' })
      await docs.page.evaluate(`{
        const { authActions, specSelectors } = system.getSystem()
        authActions.authorize({ account: { name: 'account', schema: specSelectors.securityDefinitions().get('account'), value: 'entered' } })
      }`)
      await docs.lock('orders', 'unlocked')
      t.equal(await docs.page.evaluate('document.cookie'), '')

      await docs.signIn(grace)
      t.match(calls('/api/login'), [{ cookie: undefined, status: 200 }])
      await docs.openDialog()
      await docs.form('key').locator('input').fill('k1')
      await docs.button('Authorize', 'key').click()
      await docs.closeDialog()
      await docs.lock('both', 'locked')
      t.strictSame(Object.keys(JSON.parse((await docs.storage())['authorized'] ?? '')), ['key'])
      t.equal(await docs.page.evaluate('document.cookie'), '')

      await docs.page.reload()
      await docs.lock('both', 'locked')
      await docs.openDialog()
      await docs.button('Sign out', 'account').click()
      await docs.says('Signed out')
      await docs.closeDialog()
      t.strictSame(Object.keys(JSON.parse((await docs.storage())['authorized'] ?? '')), ['key'])
      t.notMatch(JSON.stringify(await docs.storage()), new RegExp(`pasted|${grace.username}|${grace.password}`))
    })
  }
})
