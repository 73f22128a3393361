import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import formbody from '@fastify/formbody'
import type { Browser } from 'playwright-core'
import { Type } from '@sinclair/typebox'
import { launchChromium } from '../support/browser.js'
import { endSession, quiet } from './docs-api.js'
import { docsApp, type DocsOptions } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const session = [{ account: [] }]

/** An API whose login takes whatever `schema` says; status and logout answer 204. */
function loginWith (schema: object, url = '/login') {
  return (app: FastifyInstance) => {
    app.addContentTypeParser('multipart/form-data', { parseAs: 'string' }, (_request, body, done) => { done(null, { raw: body }) })
    app.post(url, { schema: { operationId: 'login', security: [{}, ...session], ...schema } }, async (request, reply) => {
      request.account.start({ user: 'ada', roles: [] })
      return reply.code(204).send()
    })
    app.get('/me', { config: quiet, schema: { operationId: 'status', security: session } }, async (_request, reply) => reply.code(204).send())
    app.post('/logout', { schema: { operationId: 'logout', security: session } }, endSession)
  }
}

/** Opens the dialog of an API with this login. */
async function openForm (t: Test, browser: Browser, options: DocsOptions) {
  const running = await docsApp(t, options)
  const docs = await DocsPage.open(t, browser, running.url)
  await docs.openDialog()
  await docs.says('Signed out')
  /** Presses "Authorize"; the login request that the server got. */
  const submit = async () => {
    await docs.button('Authorize').click()
    await docs.says('Signed in')
    return running.calls('/').findLast(({ method, status }) => method === 'POST' && status === 204)
  }
  return { docs, submit, ...running }
}

t.test('the form is made from the body of the login operation', async (t) => {
  const browser = await launchChromium(t)

  await t.test('every kind of field', async (t) => {
    const body = Type.Object({
      login: Type.String({ title: 'Your name', description: 'As on your badge' }),
      email: Type.Optional(Type.String({ format: 'email' })),
      secret: Type.String(),
      pin: Type.Integer({ title: 'Number' }),
      office: Type.Union([Type.Literal('north'), Type.Literal('south')]),
      remember: Type.Boolean({ default: true }),
      loud: Type.Optional(Type.Boolean()),
      device: Type.Optional(Type.Object({ kind: Type.String() })),
      note: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      unused: Type.Optional(Type.Number()),
      seen: Type.Optional(Type.String({ readOnly: true }))
    })
    const { docs, submit } = await openForm(t, browser, { routes: loginWith({ body }) })
    t.equal(await docs.field('seen').count(), 0)
    t.equal(await docs.field('secret').getAttribute('type'), 'password')
    t.equal(await docs.field('email').getAttribute('type'), 'email')
    t.equal(await docs.field('Your name').getAttribute('autocomplete'), 'username')
    t.match(await docs.form().innerText(), /As on your badge/)
    const required = await docs.form().locator(':required').evaluateAll((inputs) => inputs.map((input) => input.getAttribute('name')))
    t.strictSame(required, ['login', 'secret', 'pin', 'office'])

    await docs.button('Authorize').click()
    t.equal(await docs.page.evaluate('document.querySelector("[name=login]").matches(":user-invalid")'), true, 'the browser asks for what is missing')
    await docs.field('Your name').fill('ada')
    await docs.field('secret').fill('1e3')
    await docs.field('Number').fill('42')
    await docs.field('office').selectOption('south')
    await docs.field('device').fill('{"kind": "phone"}')
    await docs.field('note').fill('hi')
    t.strictSame((await submit())?.body, {
      login: 'ada', secret: '1e3', pin: 42, office: 'south', remember: true, loud: false, device: { kind: 'phone' }, note: 'hi'
    })
  })

  await t.test('what is typed leaves the page with the request, and nothing is left of it', async (t) => {
    const { docs, submit } = await openForm(t, browser, { routes: loginWith({ body: Type.Object({ name: Type.String() }) }) })
    await docs.field('name').fill('very-private')
    await submit()
    t.equal(await docs.form().locator('dl').count(), 0, '204 tells nothing to show')
    await docs.button('Logout').click()
    await docs.says('Signed out')
    t.equal(await docs.field('name').inputValue(), '')
    t.strictSame(await docs.storage(), {})
    t.notMatch(await docs.page.content(), /very-private/)
  })

  await t.test('form-encoded, to the letter', async (t) => {
    const body = Type.Object({ name: Type.String(), password: Type.String() })
    const { docs, submit } = await openForm(t, browser, {
      plugins: async (app) => app.register(formbody),
      routes: loginWith({ body, consumes: ['application/x-www-form-urlencoded'] })
    })
    await docs.field('name').fill('a&b=c d+é')
    await docs.field('password').fill('1e3')
    const login = await submit()
    t.match(login?.headers['content-type'], /^application\/x-www-form-urlencoded/)
    t.strictSame({ ...login?.body as object }, { name: 'a&b=c d+é', password: '1e3' })
  })

  await t.test('multipart', async (t) => {
    const { docs, submit } = await openForm(t, browser, { routes: loginWith({ body: {
      content: { 'multipart/form-data': { schema: { type: 'object', properties: { name: { type: 'string' } } } } }
    } }) })
    await docs.field('name').fill('ada')
    t.match((await submit())?.body, { raw: /name="name"\r\n\r\nada\r\n/ })
  })

  await t.test('JSON is preferred, references are followed, in both versions', async (t) => {
    for (const openapi of ['3.0.3', '3.1.0'] as const) {
      const { docs, submit } = await openForm(t, browser, {
        openapi,
        plugins: async (app) => {
          await app.register(formbody)
          app.addSchema({ $id: 'Name', type: 'string', title: 'The name' })
          app.addSchema({ $id: 'Login', allOf: [{ type: 'object', required: ['name'], properties: { name: { $ref: 'Name#' } } }] })
        },
        routes: loginWith({ body: { $ref: 'Login#' }, consumes: ['application/x-www-form-urlencoded', 'application/json'] })
      })
      await docs.field('The name').fill('ada')
      t.strictSame((await submit())?.body, { name: 'ada' })
    }
  })

  await t.test('a body that is no object, and JSON that is none', async (t) => {
    const { docs, submit } = await openForm(t, browser, { routes: loginWith({ body: Type.Array(Type.String()) }) })
    await docs.field('Body (JSON)').fill('["ada"')
    await docs.button('Authorize').click()
    await docs.warns('Body (JSON) is not JSON.')
    await docs.field('Body (JSON)').fill('["ada", "secret"]')
    t.strictSame((await submit())?.body, ['ada', 'secret'])
  })

  await t.test('no body, and parameters that the operation needs', async (t) => {
    const querystring = Type.Object({ page: Type.Optional(Type.Integer()), q: Type.String() })
    const schema = { params: Type.Object({ tenant: Type.String() }), querystring }
    const { docs, submit } = await openForm(t, browser, { routes: loginWith(schema, '/t/:tenant/login') })
    await docs.field('tenant').fill('a/b')
    await docs.field('q').fill('x')
    t.match(await submit(), { url: '/t/a%2Fb/login?q=x', body: null })
  })

  await t.test("the server's refusal is told in words", async (t) => {
    const body = Type.Object({ name: Type.String({ minLength: 5 }) })
    const { docs } = await openForm(t, browser, { routes: loginWith({ body }) })
    await docs.field('name').fill('ada')
    await docs.button('Authorize').click()
    await docs.warns('body/name must NOT have fewer than 5 characters')
    t.equal(await docs.field('name').getAttribute('aria-invalid'), 'true')
  })
})
