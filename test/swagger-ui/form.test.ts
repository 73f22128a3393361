import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import formbody from '@fastify/formbody'
import { sessionPlugin } from 'fastify-openapi-session'
import { Type } from '@sinclair/typebox'
import { openChromium } from '../support/browser.js'
import { Account, account, quiet } from './docs-api.js'
import { docsApp, type DocsOptions, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

declare module 'fastify-openapi-session' {
  interface SessionSchemas {
    encoded: typeof Account
    multipart: typeof Account
    referred: typeof Account
    list: typeof Account
    bare: typeof Account
  }
}

const everything = Type.Object({
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

const form = 'application/x-www-form-urlencoded'

/** A login of every kind, each of a session of its own, so that one page shows all of them. */
const logins = {
  account: { body: everything },
  encoded: { body: Type.Object({ name: Type.String(), password: Type.String() }), consumes: [form] },
  multipart: { body: { content: { 'multipart/form-data': { schema: { type: 'object', properties: { name: { type: 'string' } } } } } } },
  referred: { body: { $ref: 'Login#' }, consumes: [form, 'application/json'] },
  list: { body: Type.Array(Type.String()) },
  bare: {
    params: Type.Object({ tenant: Type.String() }),
    querystring: Type.Object({ page: Type.Optional(Type.Integer()), q: Type.String() }),
    headers: Type.Object({ 'x-desk': Type.String({ description: 'Where you sit' }), 'x-floor': Type.Optional(Type.String()) })
  }
} as const

type Scheme = keyof typeof logins
const schemes = Object.keys(logins) as Scheme[]
const operations = (scheme: Scheme) => ({ login: `${scheme}Login`, status: `${scheme}Status`, logout: `${scheme}Logout` })

/** The operations of a session; whatever its login takes, it signs in, and all of them answer 204. */
function routes (app: FastifyInstance, scheme: Scheme): void {
  const { login, status, logout } = operations(scheme)
  const security = [{ [scheme]: [] }]
  app.post(scheme === 'bare' ? '/:tenant/login' : `/${scheme}`, { schema: { operationId: login, security: [{}, ...security], ...logins[scheme] } }, async (request, reply) => {
    request[scheme].start({ user: 'ada', roles: [] })
    return reply.code(204).send()
  })
  app.get(`/${scheme}`, { config: quiet, schema: { operationId: status, security } }, async (_request, reply) => reply.code(204).send())
  app.post(`/${scheme}/end`, { schema: { operationId: logout, security } }, async (request, reply) => {
    request[scheme].destroy()
    return reply.code(204).send()
  })
}

const options: DocsOptions = {
  plugins: async (app) => {
    await app.register(formbody)
    app.addContentTypeParser('multipart/form-data', { parseAs: 'string' }, (_request, body, done) => { done(null, { raw: body }) })
    app.addSchema({ $id: 'Name', type: 'string', title: 'The name' })
    app.addSchema({ $id: 'Word', type: 'string', title: 'The word', format: 'password' })
    const properties = { name: { $ref: 'Name#' }, word: { allOf: [{ $ref: 'Word#' }], description: 'Known to you' } }
    app.addSchema({ $id: 'Login', allOf: [{ type: 'object', required: ['name'], properties }] })
    for (const scheme of schemes.filter((scheme) => scheme !== 'account')) {
      await app.register(sessionPlugin, { ...account, schema: Account, scheme, cookie: { name: `__Host-${scheme}` }, openapi: operations(scheme) })
    }
  },
  session: { openapi: operations('account') },
  routes: (app) => { for (const scheme of schemes) routes(app, scheme) }
}

t.test('the form is made from the login operation', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(end.name, async (t) => {
      const { url, seen } = await docsApp(t, { ...end, ...options })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      for (const scheme of schemes) await docs.says('Signed out', scheme)
      await each(t, docs, async (scheme) => {
        await docs.button('Sign in', scheme).click()
        await docs.says('Signed in', scheme)
        return seen.findLast(({ method, status }) => method === 'POST' && status === 204)
      })
    })
  }
})

/** Fills in every form; `submit` presses its "Sign in" and resolves the request that the server got. */
async function each (t: Test, docs: DocsPage, submit: (scheme: Scheme) => Promise<{ url: string, body: unknown, headers: object } | undefined>): Promise<void> {
  await t.test('every kind of field', async (t) => {
    t.equal(await docs.field('seen').count(), 0)
    t.equal(await docs.field('secret').getAttribute('type'), 'password')
    t.equal(await docs.field('email').getAttribute('type'), 'email')
    const completions = await docs.form().locator('input').evaluateAll((inputs) => inputs.map((input) => `${input.getAttribute('name')}: ${input.getAttribute('autocomplete')}`))
    t.match(completions, ['login: username', 'email: username', 'secret: current-password', 'pin: off'], 'what password managers go by')
    t.match(await docs.form().innerText(), /As on your badge/)
    const required = await docs.form().locator(':required').evaluateAll((inputs) => inputs.map((input) => input.getAttribute('name')))
    t.strictSame(required, ['login', 'secret', 'pin', 'office'])

    await docs.button('Sign in').click()
    t.equal(await docs.page.evaluate('document.querySelector("[name=login]").matches(":user-invalid")'), true, 'the browser asks for what is missing')
    await docs.field('Your name').fill('very-private')
    await docs.field('secret').fill('1e3')
    await docs.field('Number').fill('42')
    await docs.field('office').selectOption('south')
    await docs.field('device').fill('{"kind": "phone"}')
    await docs.field('note').fill('hi')
    t.strictSame((await submit('account'))?.body, {
      login: 'very-private', secret: '1e3', pin: 42, office: 'south', remember: true, loud: false, device: { kind: 'phone' }, note: 'hi'
    })
  })

  await t.test('what is typed leaves the page with the request, and nothing is left of it', async (t) => {
    t.equal(await docs.form().locator('dl').count(), 0, '204 tells nothing to show')
    await docs.button('Sign out').click()
    await docs.says('Signed out')
    for (const label of ['Your name', 'secret']) t.equal(await docs.field(label).inputValue(), '', label)
    t.strictSame(await docs.storage(), {})
    t.notMatch(await docs.page.content(), /very-private/)
  })

  await t.test('form-encoded, to the letter', async (t) => {
    await docs.field('name', 'encoded').fill('a&b=c d+é')
    await docs.field('password', 'encoded').fill('1e3')
    const login = await submit('encoded')
    t.match(login?.headers, { 'content-type': /^application\/x-www-form-urlencoded/ })
    t.strictSame({ ...login?.body as object }, { name: 'a&b=c d+é', password: '1e3' })
  })

  await t.test('multipart', async (t) => {
    await docs.field('name', 'multipart').fill('ada')
    t.match((await submit('multipart'))?.body, { raw: /name="name"\r\n\r\nada\r\n/ })
  })

  await t.test('JSON is preferred, references are followed', async (t) => {
    t.equal(await docs.field('The word', 'referred').getAttribute('type'), 'password')
    await docs.field('The name', 'referred').fill('ada')
    t.strictSame((await submit('referred'))?.body, { name: 'ada' })
  })

  await t.test('a body that is not an object, and text that is not JSON', async (t) => {
    await docs.field('Body (JSON)', 'list').fill('["ada"')
    await docs.button('Sign in', 'list').click()
    await docs.warns('Body (JSON) is not JSON.', 'list')
    await docs.field('Body (JSON)', 'list').fill('["ada", "secret"]')
    t.strictSame((await submit('list'))?.body, ['ada', 'secret'])
  })

  await t.test('no body, and the parameters that the operation needs: in the path, the query and the headers', async (t) => {
    const names = await docs.form('bare').locator('input').evaluateAll((inputs) => inputs.map((input) => input.getAttribute('name')))
    t.strictSame(names.sort(), ['q', 'tenant', 'x-desk'])
    t.match(await docs.form('bare').innerText(), /Where you sit/)
    await docs.field('tenant', 'bare').fill('a/b')
    await docs.field('q', 'bare').fill('x')
    await docs.field('x-desk', 'bare').fill('by the window')
    t.match(await submit('bare'), { url: '/a%2Fb/login?q=x', body: null, headers: { 'x-desk': 'by the window' } })
  })
}
