import flash from '@fastify/flash'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { addStory, anyone, browse, makeApp, visit, withName } from './support.js'

t.test('@fastify/flash: messages of one request are shown by the next, once', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(flash)
  addStory(app)
  app.post('/', { schema: anyone }, async (request, reply) => {
    request.flash('info', 'one')
    request.flash('info', ['two', 'three'])
    request.flash('warning', '%s left', '5')
    return await reply.redirect('/')
  })
  app.get('/', { schema: anyone }, async (_request, reply) => reply.flash())
  app.get('/outside', async (request) => request.flash('info', 'lost'))
  const browser = await browse(app)
  const story = async (): Promise<void> => {
    t.equal((await browser.post('/')).status, 302)
    t.same((await browser.get('/')).json, { info: ['one', 'two', 'three'], warning: ['5 left'] })
    t.same((await browser.get('/')).json, {})
  }
  await story()
  browser.jar.clear()
  await visit(t, browser, story)
  t.match((await browser.get('/outside')).json, { code: 'FST_SESSION_NOT_DECLARED' })
})

t.test('@fastify/flash: reading stores an empty list, so a page that asks `exists` first gives guests no session', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(flash)
  app.get('/', { schema: anyone }, async (request, reply) => request.session.exists ? reply.flash() : {})
  const browser = await browse(app)
  t.same((await browser.get('/')).json, {})
  t.equal(browser.jar.header(), undefined)
})
