import fastifyFormbody from '@fastify/formbody'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { openChromium } from '../support/browser.js'
import { guarded, optional, plugin, sessionOf } from '../support/harness.js'
import type { Options } from './support.js'

/** What the server saw of one request that could have changed something. */
interface Seen { readonly method: string, readonly url: string, readonly site: string | undefined, readonly origin: string | undefined, readonly cookie: boolean, readonly status: number, readonly setCookie: boolean }

interface Shop {
  readonly app: FastifyInstance
  readonly port: number
  readonly seen: Seen[]
  /** Resolves with the next request to a path that was answered. */
  readonly next: (path: string) => Promise<Seen>
  readonly changes: () => number
}

const HOST = 'shop.localhost'

async function listen (t: Test, app: FastifyInstance): Promise<number> {
  t.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
  })
  return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
}

async function openShop (t: Test, options: Options): Promise<Shop> {
  const app = Fastify()
  const seen: Seen[] = []
  const waiting = new Map<string, (seen: Seen) => void>()
  let changes = 0
  await app.register(fastifyFormbody)
  await app.register(fastifyWebsocket)
  await app.register(plugin, { principal: (data) => data.userId, ...options })
  app.addHook('onResponse', async (request, reply) => {
    const { method, url, headers } = request
    const one: Seen = { method, url, site: headers['sec-fetch-site'] as string, origin: headers.origin, cookie: headers.cookie?.includes('__Host-session=') ?? false, status: reply.statusCode, setCookie: reply.hasHeader('set-cookie') }
    seen.push(one)
    waiting.get(url)?.(one)
  })
  app.get('/', { schema: optional }, async (_request, reply) => reply.type('text/html').send('<!doctype html><title>shop</title>'))
  app.post('/login', { schema: { security: [{}, { session: [] }] } }, async (request) => {
    sessionOf(request).start({ userId: (request.body as { user: string }).user })
    return { ok: true }
  })
  const change = async (request: unknown): Promise<object> => {
    changes++
    const session = sessionOf(request as never)
    session.data.n = (session.data.n ?? 0) + 1
    return { n: session.data.n }
  }
  app.get('/me', { schema: guarded }, async (request) => sessionOf(request).data)
  for (const name of ['form', 'frame', 'sandbox', 'fetch', 'json', 'beacon', 'put', 'own-form', 'own-fetch']) app.route({ method: ['POST', 'PUT', 'DELETE'], url: `/change/${name}`, schema: guarded, handler: change })
  app.get('/socket', { websocket: true, schema: guarded } as never, ((socket: { close: () => void }) => {
    changes++
    socket.close()
  }) as never)
  const port = await listen(t, app)
  return { app, port, seen, changes: () => changes, next: async (path) => await new Promise((resolve) => { waiting.set(path, resolve) }) }
}

async function openPages (t: Test): Promise<number> {
  const app = Fastify()
  app.get('/*', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>another page</title>'))
  return await listen(t, app)
}

const submit = `(target, fields, frame) => {
  const form = document.createElement('form')
  Object.assign(form, { method: 'post', action: target })
  for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }))
  if (frame) {
    document.body.append(Object.assign(document.createElement('iframe'), { name: 'f' }))
    form.target = 'f'
  }
  document.body.append(form)
  // Not before the call that this is has answered: the page goes away with it.
  setTimeout(() => form.submit())
}`
const inSandbox = `(target) => {
  const html = '<form method=post action="' + target + '"><input name=a value=1></form><script>document.forms[0].submit()</' + 'script>'
  const frame = document.createElement('iframe')
  frame.sandbox = 'allow-scripts allow-forms'
  frame.srcdoc = html
  document.body.append(frame)
}`

/** How pages send requests elsewhere, each to a path of its own. */
const attacks: Record<string, { path: string, run: (page: Page, shop: string) => Promise<unknown> }> = {
  'a form': { path: '/change/form', run: (page, shop) => page.evaluate(`(${submit})(${JSON.stringify(`${shop}/change/form`)}, { a: 1 }, false)`) },
  'a form in a frame': { path: '/change/frame', run: (page, shop) => page.evaluate(`(${submit})(${JSON.stringify(`${shop}/change/frame`)}, { a: 1 }, true)`) },
  'a form in a sandboxed frame': { path: '/change/sandbox', run: (page, shop) => page.evaluate(`(${inSandbox})(${JSON.stringify(`${shop}/change/sandbox`)})`) },
  'a login as somebody else': { path: '/login', run: (page, shop) => page.evaluate(`(${submit})(${JSON.stringify(`${shop}/login`)}, { user: 'mallory' }, true)`) },
  'fetch without CORS': { path: '/change/fetch', run: (page, shop) => page.evaluate(`fetch(${JSON.stringify(`${shop}/change/fetch`)}, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'a=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }).then(() => 0, () => 0)`) },
  'a beacon': { path: '/change/beacon', run: (page, shop) => page.evaluate(`navigator.sendBeacon(${JSON.stringify(`${shop}/change/beacon`)}, new URLSearchParams({ a: 1 }))`) },
  'a WebSocket': { path: '/socket', run: (page, shop) => page.evaluate(`void new WebSocket(${JSON.stringify(`${shop.replace('http', 'ws')}/socket`)})`) }
}

/** Those for which a browser asks first, and gets no permission. */
const asked = {
  'fetch with JSON': `fetch(TARGET, { method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json' }, body: '{}' }).then(() => 'read', () => 'blocked')`,
  'fetch with PUT': `fetch(TARGET, { method: 'PUT', credentials: 'include' }).then(() => 'read', () => 'blocked')`,
  'fetch that reads': `fetch(ME, { credentials: 'include' }).then(() => 'read', () => 'blocked')`
}

async function signIn (context: BrowserContext, shop: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(shop)
  t.equal(await page.evaluate(`fetch('/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"user":"ada"}' }).then((answer) => answer.status)`), 200)
  t.equal(await page.evaluate(`fetch('/me').then((answer) => answer.status)`), 200)
  return page
}

async function attackFrom (t: Test, context: BrowserContext, origin: string, shop: Shop, target: string): Promise<void> {
  const page = await context.newPage()
  for (const [name, { path, run }] of Object.entries(attacks)) {
    await page.goto(origin)
    const answered = shop.next(path)
    await run(page, target)
    const seen = await answered
    if (name === 'a form') await page.waitForURL(`${target}${path}`)
    t.equal(seen.status, 403, `${name}: ${JSON.stringify(seen)}`)
    t.notOk(seen.setCookie, `${name}: no cookie`)
  }
  await page.goto(origin)
  for (const [name, script] of Object.entries(asked)) {
    const outcome = await page.evaluate(script.replace('TARGET', JSON.stringify(`${target}/change/json`)).replace('ME', JSON.stringify(`${target}/me`)))
    t.equal(outcome, 'blocked', name)
  }
  // An image is a GET: it may carry the cookie, and can change nothing, as no GET of the shop does.
  await page.setContent(`<img src="${target}/me" onerror="document.title = 'done'">`)
  await page.waitForFunction(`document.title === 'done'`)
  await page.close()
}

t.test('in Chromium, requests of other origins\' pages change nothing, and those of the shop\'s own pages do', async (t) => {
  const browser: Browser = await openChromium()
  for (const sameSite of ['lax', 'none'] as const) {
    await t.test(`SameSite=${sameSite}`, async (t) => {
      const shop = await openShop(t, { cookie: { sameSite } })
      const pages = await openPages(t)
      const target = `http://${HOST}:${shop.port}`
      const context = await browser.newContext()
      t.teardown(() => context.close())
      const own = await signIn(context, target)

      const origins = { 'same-site': [`http://${HOST}:${pages}`, `http://sub.${HOST}:${pages}`], 'cross-site': [`http://evil.localhost:${pages}`, `http://127.0.0.1:${pages}`] }
      for (const [site, urls] of Object.entries(origins)) {
        for (const origin of urls) {
          shop.seen.length = 0
          await t.test(`from ${site} ${origin.replace(/:\d+$/, '')}`, async (t) => {
            await attackFrom(t, context, origin, shop, target)
            const unsafe = shop.seen.filter(({ method }) => method !== 'GET' && method !== 'OPTIONS')
            t.ok(unsafe.length >= 6)
            t.same([...new Set(unsafe.map((seen) => seen.site))].filter((found) => found !== site && found !== 'cross-site'), [], 'as the browser told it')
            // Only then does the check of the origin matter, and not SameSite alone.
            if (site === 'same-site' || sameSite === 'none') t.ok(unsafe.some(({ cookie }) => cookie), 'the browser sent the cookie along')
          })
        }
      }
      t.equal(shop.changes(), 0, 'nothing was changed by anybody')
      t.same(await own.evaluate(`fetch('/me').then((answer) => answer.json())`), { userId: 'ada' }, 'and nobody was signed in or out')

      t.equal(await own.evaluate(`fetch('/change/own-fetch', { method: 'POST' }).then((answer) => answer.status)`), 200)
      const answered = shop.next('/change/own-form')
      await own.evaluate(`(${submit})('/change/own-form', { a: 1 }, false)`)
      t.equal((await answered).status, 200)
      await own.waitForURL(`${target}/change/own-form`)
      t.equal(shop.changes(), 2)
      const [cookie] = await context.cookies(target)
      t.match(cookie, { name: '__Host-session', httpOnly: true, secure: true, path: '/', domain: HOST, sameSite: sameSite === 'lax' ? 'Lax' : 'None' })
      t.equal(await own.evaluate('document.cookie'), '', 'no script can read it')
    })
  }
})

t.test('in Chromium, requests of a trusted origin pass, and of no other origin', async (t) => {
  const browser = await openChromium()
  const pages = await openPages(t)
  const [friend, other] = [`http://friend.localhost:${pages}`, `http://other.localhost:${pages}`]
  const shop = await openShop(t, { cookie: { sameSite: 'none' }, crossOrigin: { trusted: [friend] } })
  const target = `http://${HOST}:${shop.port}`
  const context = await browser.newContext()
  t.teardown(() => context.close())
  await signIn(context, target)
  const page = await context.newPage()
  const from = async (origin: string): Promise<number> => {
    await page.goto(origin)
    const answered = shop.next('/change/form')
    await page.evaluate(`(${submit})(${JSON.stringify(`${target}/change/form`)}, { a: 1 }, false)`)
    const { status } = await answered
    await page.waitForURL(`${target}/change/form`)
    return status
  }
  t.equal(await from(other), 403)
  t.equal(await from(friend), 200)
  t.equal(shop.changes(), 1)
})
