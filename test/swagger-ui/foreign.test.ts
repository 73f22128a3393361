import t, { type Test } from 'tap'
import cors from '@fastify/cors'
import Fastify from 'fastify'
import { openChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp, ends, listening, type DocsOptions } from './docs-app.js'
import { DocsPage } from './docs-page.js'

/** Documentation whose document is not the app's own, as with `?url=` and `queryConfigEnabled`. */
async function showing (t: Test, end: DocsOptions, change: (document: any) => void) {
  return await docsApp(t, {
    ...end,
    ui: {
      transformSpecification (document) {
        change(document)
        return document
      }
    }
  })
}

/** A server of another origin that lets every page read everything, and keeps the headers that it receives. */
async function listener (t: Test) {
  const app = Fastify({ forceCloseConnections: true })
  const heard: Array<Readonly<Record<string, unknown>>> = []
  app.addHook('onRequest', async ({ headers }) => { heard.push(headers) })
  await app.register(cors, { origin: true, credentials: true })
  app.get('/api/me', async () => ({ user: 'anybody' }))
  t.teardown(() => app.close())
  return { heard, url: await listening(app) }
}

/** Documents in which a part of a session is something else than what it should be. */
const malformed: Array<(document: any) => void> = [
  ({ paths, components }) => {
    paths['/api/null'] = null
    paths['/api/orders'].get['x-required-roles'] = [null]
    paths['/api/news'].get['x-required-roles'] = 'admin'
    components.securitySchemes.nothing = { type: 'apiKey', in: 'cookie', name: 'nothing', 'x-session': null }
    components.securitySchemes.nameless = { type: 'apiKey', in: 'cookie', name: {}, 'x-session': {} }
    const { post } = paths['/api/login']
    post.parameters = 5
    const { schema } = post.requestBody.content['application/json']
    Object.assign(schema, { required: 5, oneOf: {}, anyOf: 7, allOf: 'x' })
    Object.assign(schema.properties.username, { title: {}, description: [{}], anyOf: 5 })
    // An input of a form stands in place of the form's method of that name.
    schema.properties.contains = { type: 'string' }
  },
  ({ paths, components }) => {
    const fan = Array.from({ length: 12 }, () => ({ $ref: '#/components/schemas/Fan' }))
    components.schemas = { ...components.schemas, Fan: { properties: { username: { type: 'string' }, password: { $ref: '#/%E0%A4%A' } }, allOf: fan } }
    paths['/api/login'].post.requestBody.content['application/json'].schema = { $ref: '#/components/schemas/Fan' }
  },
  ({ paths }) => {
    paths['/api/logout'].post.security = [{ account: 'admin' }, 5]
    paths['/api/news'].get.security = { account: [] }
  },
  ({ paths, components }) => {
    const { account } = components.securitySchemes
    paths['/api/orders'].get.security = [{ account: [{ toString: 1 }] }]
    paths['/api/login'].post.requestBody.content['application/json'].schema.properties.kind = { enum: [{ toString: 1 }] }
    paths['/api/report'] = { post: { operationId: 'broken', parameters: [{ name: {}, in: 'query', required: true }], responses: {} } }
    components.securitySchemes.other = { ...account, 'x-session': { login: 'broken' } }
  }
]

t.test('documents that others wrote, and browsers that others set up', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(`nothing but a GET is sent without a click: ${end.name}`, async (t) => {
      const { url, calls } = await showing(t, end, ({ components }) => {
        components.securitySchemes.account['x-session'] = { login: 'login', status: 'logout' }
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.says('This page cannot ask whether you are signed in')
      await docs.enter(grace)
      await docs.button('Sign in').click()
      await docs.says('Signed in')
      t.same(calls('/api').map((call) => call.url), ['/api/login'])
    })

    await t.test(`the address of a server that is not http becomes no link and runs nothing: ${end.name}`, async (t) => {
      for (const server of ['javascript://x/%0Aopener.name=1//', 'http://[bad']) {
        const { url } = await showing(t, end, (document) => {
          document.servers = [{ url: server }]
          document.components.securitySchemes.account['x-session'] = { login: 'news' }
        })
        const docs = await DocsPage.open(t, browser, url)
        await docs.openDialog()
        await docs.says('This page cannot ask whether you are signed in')
        t.equal(await docs.form().getByRole('link', { name: 'Sign in' }).count(), 0, server)
      }
    })

    await t.test(`a part that is not what it should be takes nothing else away: ${end.name}`, async (t) => {
      for (const change of malformed) {
        const { url } = await showing(t, end, change)
        const docs = await DocsPage.open(t, browser, url)
        await docs.openDialog()
        await docs.says('Signed out')
        t.notMatch(await docs.dialog.innerText(), 'Could not render')
        await docs.form().locator('[name=username]').fill(grace.username)
        await docs.form().locator('[name=password]').fill(grace.password)
        await docs.button('Sign in').click()
        await docs.says('Signed in')
        t.equal(await docs.state().innerText(), 'Signed in', String(change))
        await docs.closeDialog()
        await docs.lock('logout', 'locked')
        await docs.pressLock('orders')
        await docs.says('Signed in')
        await docs.closeDialog()
      }
    })

    await t.test(`a session with the name of a member that every object has is a session like any other: ${end.name}`, async (t) => {
      const { url } = await showing(t, end, ({ paths, components }) => {
        const { account } = components.securitySchemes
        components.securitySchemes.toLocaleString = { ...account, 'x-session': { login: 'login', logout: 'logout' } }
        paths['/api/report'].get.security = [{ toLocaleString: ['admin'] }, { account: [] }]
        // In OpenAPI 3.0, the roles are in an extension, which counts instead.
        delete paths['/api/report'].get['x-required-roles']
        paths['/api/open'].get.security = [{}, { account: [] }]
        paths['/api/news'].get.security = [{ account: [] }]
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.signIn(grace)
      for (const operation of ['open', 'news']) t.equal(await docs.run(operation), '200')
      await docs.openDialog()
      await docs.says('This page cannot ask whether you are signed in', 'toLocaleString')
      await docs.enter(grace, 'toLocaleString')
      await docs.button('Sign in', 'toLocaleString').click()
      await docs.says('Signed in', 'toLocaleString')
      await docs.closeDialog()
      await docs.pressLock('report')
      await docs.says('Signed in', 'toLocaleString')
      t.match(await docs.form('toLocaleString').innerText(), /This operation needs the role “admin”/)
      await docs.closeDialog()
      await docs.pressLock('news')
      await docs.says('Signed in')
      t.equal(await docs.form('toLocaleString').count(), 0)
    })

    await t.test(`markup in a document runs no script: ${end.name}`, async (t) => {
      const script = (n: number): string => `"'><img src=x onerror="window.ran=${n}"><svg onload="window.ran=${n}"><script>window.ran=${n}</script><a href="javascript:window.ran=${n}">x</a>`
      const { url } = await showing(t, end, (document) => {
        const { account } = document.components.securitySchemes
        const { post } = document.paths['/api/login']
        const { schema } = post.requestBody.content['application/json']
        document.info.title += script(1)
        Object.assign(account, { description: script(2), name: `c${script(3)}`, 'x-more': script(4) })
        document.components.securitySchemes[`n${script(5)}`] = { ...account, 'x-session': { ...account['x-session'] } }
        Object.assign(post, { summary: script(6), description: script(7), tags: [script(8)] })
        Object.assign(schema.properties.username, { title: script(9), description: script(10), default: script(11) })
        schema.properties[script(12)] = { enum: [script(13)] }
        post.parameters = [{ name: script(14), in: 'query', required: true, description: script(15), schema: { type: 'string' } }]
        document.servers = [{ url: '/', description: script(16) }, { url: `/${script(17)}` }]
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.form().locator('[name=password]').waitFor()
      await docs.form().locator('[name=password]').press('Enter')
      const links = await docs.page.locator('a[href^="javascript:"]').count()
      t.same([await docs.page.evaluate('window.ran'), links], [undefined, 0])
    })

    await t.test(`each other origin is named before anything is typed: ${end.name}`, async (t) => {
      const { url } = await showing(t, end, ({ paths }) => {
        paths['/api/login'].post.servers = [{ url: 'http://login.example' }]
        paths['/api/logout'].post.servers = [{ url: 'http://logout.example' }]
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      const note = docs.form().getByText(/^Calls go to other origins/)
      t.match(await note.textContent(), /^Calls go to other origins, http:\/\/login\.example and http:\/\/logout\.example: the browser sends/)
    })

    await t.test(`an origin is named, too, if the operation needs parameters that only the reader knows: ${end.name}`, async (t) => {
      const { url } = await showing(t, end, ({ paths }) => {
        const { post } = paths['/api/login']
        delete paths['/api/login']
        const parameters = ['path', 'query', 'header'].map((place) => ({ name: `of-${place}`, in: place, required: true, schema: { type: 'string' } }))
        paths['/api/login/{of-path}'] = { parameters: [parameters[0]], post: { ...post, servers: [{ url: 'http://login.example' }], parameters: parameters.slice(1) } }
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.form().locator('[name=password]').waitFor()
      t.match(await docs.form().innerText(), /Calls go to another origin, http:\/\/login\.example:/)
    })

    await t.test(`credentials of other schemes are sent without a click to the page's own origin only: ${end.name}`, async (t) => {
      const { heard, url: elsewhere } = await listener(t)
      const secrets = [{ account: [], key: [], bearer: [], query: [] }]
      let servers: object[] = []
      let path = '/api/me'
      const { url, calls } = await docsApp(t, {
        ...end,
        plugins: async (app) => { app.get('/hop', { schema: { hide: true } }, async (_request, reply) => reply.redirect(`${elsewhere}/api/me`)) },
        document: {
          components: {
            securitySchemes: {
              bearer: { type: 'http', scheme: 'bearer' },
              key: { type: 'apiKey', in: 'header', name: 'X-Key' },
              query: { type: 'apiKey', in: 'query', name: 'key' }
            }
          }
        },
        ui: {
          uiConfig: { persistAuthorization: true },
          transformSpecification: (document: any) => {
            const me = document.paths['/api/me'].get
            return { ...document, paths: { ...document.paths, '/api/me': {}, [path]: { get: { ...me, security: secrets, servers } } } }
          }
        }
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.form('key').locator('input').fill('k-secret')
      await docs.button('Authorize', 'key').click()
      await docs.form('query').locator('input').fill('q-secret')
      await docs.button('Authorize', 'query').click()
      const bearer = docs.dialog.locator('form').filter({ hasText: 'bearer' })
      await bearer.locator('input').fill('b-secret')
      await bearer.getByText('Authorize').click()
      await docs.closeDialog()
      const asked = docs.page.waitForResponse((response) => response.url() === `${url}/api/me?key=q-secret`)
      await docs.page.reload()
      t.match(await (await asked).request().allHeaders(), { 'x-key': 'k-secret', authorization: 'Bearer b-secret' })
      await docs.lock('orders', 'unlocked')

      servers = [{ url: elsewhere }]
      await docs.page.reload()
      await docs.lock('orders', 'locked')
      const before = calls('/api/me').length
      t.equal(await docs.run('open'), '200')
      await docs.openDialog()
      await docs.says('Signed in')
      t.equal(calls('/api/me').length, before)
      t.ok(heard.length > 0)
      t.notMatch(JSON.stringify(heard), /secret|x-key|authorization/i)

      // A redirect of this origin would take a key along in its header.
      Object.assign(heard, { length: 0 })
      servers = []
      path = '/hop'
      await docs.page.reload()
      await docs.openDialog()
      await docs.says('Not known whether you are signed in')
      t.equal(calls('/hop').at(-1)?.headers['x-key'], 'k-secret')
      t.same(heard, [])
    })

    await t.test(`a browser that lets pages store nothing: ${end.name}`, async (t) => {
      const { url } = await docsApp(t, end)
      const context = await browser.newContext()
      t.teardown(() => context.close())
      await context.addInitScript("Object.defineProperty(globalThis, 'localStorage', { get () { throw new DOMException('denied', 'SecurityError') } })")
      const denied: string[] = []
      context.on('console', (message) => { if (message.text().includes('denied')) denied.push(message.text()) })
      const docs = await DocsPage.open(t, context, url)
      await docs.signIn(grace)
      await docs.lock('orders', 'locked')
      t.same(denied, [])
    })
  }
})
