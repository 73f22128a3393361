import { once } from 'node:events'
import { type IncomingMessage, request as send } from 'node:http'
import { gunzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import multipart from '@fastify/multipart'
import fastifyStatic from '@fastify/static'
import sessionPlugin, { MemoryStore } from 'fastify-openapi-session'
import t from 'tap'
import { ProbeStore } from '../support/probe-store.js'
import { addStory, browse, makeApp, signedIn, visit, withName } from './support.js'

const boundary = 'between'
const part = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="tea.txt"\r\ncontent-type: text/plain\r\n\r\n`
const upload = { 'content-type': `multipart/form-data; boundary=${boundary}` }

for (const attachFieldsToBody of [false, true]) {
  t.test(`@fastify/multipart${attachFieldsToBody ? ' with attachFieldsToBody' : ''}: 401 before the body is read, and an upload in a session`, async (t) => {
    const { app } = makeApp(t)
    await app.register(multipart, { attachFieldsToBody })
    await app.register(sessionPlugin, withName)
    addStory(app)
    app.post('/files', { schema: signedIn }, async (request) => {
      const file = attachFieldsToBody ? (request.body as any).file : await request.file()
      const text = String(await file.toBuffer())
      request.session.data['last'] = file.filename
      return text
    })
    app.get('/last', { schema: signedIn }, async (request) => request.session.data['last'])
    const browser = await browse(app)
    // The body never ends: a server that waited for it would not respond.
    const endless = send(`${browser.url}/files`, { method: 'POST', headers: upload })
    endless.on('error', () => {})
    endless.write(`${part}tea`)
    const [response] = await once(endless, 'response') as [IncomingMessage]
    t.equal(response.statusCode, 401)
    endless.destroy()
    await visit(t, browser, async () => {
      t.equal((await browser.send('POST', '/files', upload, `${part}green tea\r\n--${boundary}--\r\n`)).body, 'green tea')
      t.equal((await browser.get('/last')).body, 'tea.txt')
    })
  })
}

for (const first of ['@fastify/compress', 'the session plugin']) {
  t.test(`@fastify/compress: the session is saved and its headers are there, with ${first} registered first`, async (t) => {
    const { app } = makeApp(t)
    if (first === '@fastify/compress') await app.register(compress, { threshold: 0 })
    await app.register(sessionPlugin, withName)
    if (first !== '@fastify/compress') await app.register(compress, { threshold: 0 })
    addStory(app)
    app.get('/page', { schema: signedIn }, async (request, reply) => {
      request.session.data['visits'] = Number(request.session.data['visits'] ?? 0) + 1
      return await reply.type('text/plain').send(`visit ${String(request.session.data['visits'])} `.repeat(200))
    })
    const browser = await browse(app)
    await visit(t, browser, async () => {
      for (const visits of [1, 2]) {
        const page = send(`${browser.url}/page`, { headers: { 'accept-encoding': 'gzip', cookie: browser.jar.header() } }).end()
        const [response] = await once(page, 'response') as [IncomingMessage]
        t.match(response.headers, { 'content-encoding': 'gzip', vary: /Cookie/i })
        t.match(response.headers.vary, /accept-encoding/i)
        t.match(String(gunzipSync(Buffer.concat(await response.toArray()))), `visit ${visits} `)
      }
    })
  })
}

t.test('@fastify/static: public files touch no session, and a route sends private ones', async (t) => {
  const root = t.testdir({ public: { 'style.css': 'body {}' }, private: { 'bill.txt': '12.50' } })
  const { app } = makeApp(t)
  const store = new ProbeStore(new MemoryStore())
  await app.register(sessionPlugin, { ...withName, store })
  await app.register(fastifyStatic, { root: `${root}/public`, prefix: '/public/' })
  addStory(app)
  app.get('/bill', { schema: signedIn }, async (_request, reply) => await reply.sendFile('bill.txt', `${root}/private`, { cacheControl: false }))
  app.get('/cached', { schema: signedIn }, async (_request, reply) => await reply.sendFile('bill.txt', `${root}/private`))
  const browser = await browse(app)
  t.equal((await browser.get('/bill')).status, 401)
  await visit(t, browser, async () => {
    store.take()
    const style = await browser.get('/public/style.css')
    t.equal(style.body, 'body {}')
    t.equal(style.headers.get('vary'), null)
    t.same(store.take(), [], 'the store was not asked')
    const bill = await browser.get('/bill')
    t.equal(bill.body, '12.50')
    t.equal(bill.headers.get('cache-control'), 'private, no-cache')
    t.equal(bill.headers.get('vary'), 'Cookie')
    t.equal((await browser.get('/cached')).headers.get('cache-control'), 'public, max-age=0', 'what the plugin says unless told otherwise')
  })
})

t.test('@fastify/static: a whole directory is private under a default of its context', async (t) => {
  const root = t.testdir({ 'bill.txt': '12.50' })
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  addStory(app)
  await app.register(async (child) => {
    child.addHook('onRoute', (route) => { route.schema = { ...route.schema, ...signedIn } })
    await child.register(fastifyStatic, { root, prefix: '/bills/', cacheControl: false })
  })
  const browser = await browse(app)
  t.equal((await browser.get('/bills/bill.txt')).status, 401)
  t.equal((await browser.send('HEAD', '/bills/bill.txt')).status, 401)
  await visit(t, browser, async () => {
    const bill = await browser.get('/bills/bill.txt')
    t.equal(bill.body, '12.50')
    t.equal(bill.headers.get('cache-control'), 'private, no-cache')
  })
})
