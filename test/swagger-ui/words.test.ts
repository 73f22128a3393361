import t from 'tap'
import { Type } from '@sinclair/typebox'
import { openChromium } from '../support/browser.js'
import { endSession, quiet } from './docs-api.js'
import { docsApp, type DocsOptions, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

interface Refusal { readonly status?: number, readonly type?: string, readonly body: unknown, readonly said: string }

const markup = '<img src="/open" onerror="globalThis.owned = true"><b>Sorry</b>'
const json = 'application/json'

/** What a login answers to each name, and what the dialog makes of it. */
const refusals: Readonly<Record<string, Refusal>> = {
  fastify: { body: { statusCode: 401, error: 'Unauthorized', message: 'Nobody of this name.' }, said: 'Nobody of this name.' },
  'problem detail': { type: 'application/problem+json', body: { title: 'No tea', detail: 'The kettle is cold.' }, said: 'The kettle is cold.' },
  'problem title': { type: 'application/problem+json', body: { type: 'about:blank', title: 'No tea', status: 401 }, said: 'No tea' },
  oauth: { status: 400, body: { error: 'invalid_grant', error_description: 'The grant is spent.' }, said: 'The grant is spent.' },
  'oauth code': { status: 400, body: { error: 'invalid_grant' }, said: 'invalid_grant' },
  nested: { body: { error: { message: 'From within.' } }, said: 'From within.' },
  text: { type: 'text/plain', body: 'Not today.', said: 'Not today.' },
  page: { status: 502, type: 'text/html', body: '<h1>Bad gateway</h1>', said: 'The server responded with 502 Bad Gateway' },
  nothing: { status: 403, body: undefined, said: 'The server responded with 403 Forbidden' },
  markup: { body: { message: markup }, said: markup }
}

const options: DocsOptions = {
  routes: (app) => {
    const session = [{ account: [] }]
    const body = Type.Object({ name: Type.String({ minLength: 4 }) })
    app.post('/login', { schema: { operationId: 'login', security: [{}, ...session], body } }, async (request, reply) => {
      const { name } = request.body as { name: string }
      const refusal = refusals[name]
      if (refusal !== undefined) return reply.code(refusal.status ?? 401).type(refusal.type ?? json).send(refusal.body)
      request.account.start({ user: name, roles: [] })
      return {}
    })
    app.get('/me', { config: quiet, schema: { operationId: 'status', security: session } }, async () => ({
      name: markup, nested: { name: markup }, roles: [markup], [markup]: true
    }))
    app.post('/logout', { schema: { operationId: 'logout', security: session } }, endSession)
    app.get('/open', { schema: { operationId: 'open', security: [{ account: [`${markup} head`] }] } }, async () => ({}))
  },
  settings: { poll: 0 }
}

t.test("the server's words are shown, and as text: 3.2.2", async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(end.name, async (t) => {
      const { url } = await docsApp(t, { ...end, ...options })
      const docs = await DocsPage.open(t, browser, url)
      const noMarkup = async (where: string): Promise<void> => {
        t.equal(await docs.dialog.locator('img, b').count(), 0, where)
        t.equal(await docs.page.evaluate('globalThis.owned'), undefined, where)
      }
      await docs.openDialog()
      await docs.says('Signed out')
      for (const [name, { said }] of Object.entries(refusals)) {
        await docs.field('name').fill(name)
        await docs.button('Sign in').click()
        await docs.warns(said)
      }
      await noMarkup('a refusal')

      await docs.field('name').fill('ada')
      await docs.button('Sign in').click()
      await docs.warns('body/name must NOT have fewer than 4 characters')
      t.equal(await docs.field('name').getAttribute('aria-invalid'), 'true')

      await docs.field('name').fill('grace')
      await docs.button('Sign in').click()
      await docs.says('Signed in')
      const shown = JSON.stringify({ name: markup })
      t.equal(await docs.form().locator('dl').innerText(), ['name', markup, 'nested', shown, 'roles', markup, markup, 'true'].join('\n'))
      await noMarkup('the status')
      await docs.closeDialog()
      await docs.pressLock('open')
      await docs.form().getByText(`This operation needs the role “${markup} head”, which you do not have.`, { exact: true }).waitFor()
      await noMarkup('a role')
    })
  }
})
