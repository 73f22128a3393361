import t, { type Test } from 'tap'
import csrfProtection from '@fastify/csrf-protection'
import flash from '@fastify/flash'
import formbody from '@fastify/formbody'
import { Authenticator, Strategy } from '@fastify/passport'
import type { FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { guarded, makeApp, optional } from './support.js'

type Any = Record<string, any>

/** An app whose sessions hold whatever those plugins put into them. */
async function world (t: Test, options: object = {}): Promise<{ app: FastifyInstance, client: Client }> {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, options as never)
  return { app, client: new Client(app) }
}

t.test('@fastify/csrf-protection', async (t) => {
  const { app, client } = await world(t)
  await app.register(csrfProtection, { sessionPlugin: '@fastify/secure-session' })
  app.get('/form', { schema: optional }, async (request, reply) => reply.generateCsrf())
  app.post('/form', { schema: optional, preHandler: app.csrfProtection }, async () => 'accepted')
  t.equal((await client.post('/form', {})).statusCode, 403)
  const token = (await client.get('/form')).body
  t.ok(client.jar.get('__Host-session'), 'the secret made a session')
  t.equal((await client.post('/form', { _csrf: token })).body, 'accepted')
  t.equal((await client.post('/form', {}, { 'csrf-token': token })).body, 'accepted')
  t.equal((await client.post('/form', { _csrf: `${token}x` })).statusCode, 403)
  client.jar.clear()
  t.equal((await client.post('/form', { _csrf: token })).statusCode, 403, 'of another session')
})

t.test('@fastify/flash', async (t) => {
  const { app, client } = await world(t)
  await app.register(flash)
  app.post('/', { schema: optional }, async (request, reply) => {
    request.flash('info', 'one')
    request.flash('info', ['two', 'three'])
    request.flash('warning', '%s left', '5')
    return await reply.redirect('/')
  })
  app.get('/', { schema: optional }, async (request, reply) => reply.flash())
  t.equal((await client.post('/')).statusCode, 302)
  t.same((await client.get('/')).json(), { info: ['one', 'two', 'three'], warning: ['5 left'] })
  t.same((await client.get('/')).json(), {}, 'shown once')
})

class PasswordStrategy extends Strategy {
  constructor () {
    super('password')
  }

  override authenticate (request: { body: unknown }): void {
    const { name, password } = request.body as Any
    if (password === 'right') this.success({ name })
    else this.fail({ message: 'wrong' } as never, 401)
  }
}

async function passportWorld (t: Test, passportOptions: object = {}, options: object = {}): Promise<{ app: FastifyInstance, client: Client }> {
  const { app, client } = await world(t, options)
  const passport = new Authenticator(passportOptions)
  passport.use(new PasswordStrategy() as never)
  passport.registerUserSerializer(async (user: Any) => user['name'])
  passport.registerUserDeserializer(async (name: string) => name === 'gone' ? null : { name, deserialized: true })
  await app.register(formbody)
  // Its hook asks every route of its context for the session: here are those that declare one.
  await app.register(async (inside) => {
    await inside.register(passport.initialize())
    await inside.register(passport.secureSession())
    inside.post('/login', { schema: optional, preValidation: passport.authenticate('password', { authInfo: false }) }, async (request) => request.user)
    inside.post('/logout', { schema: guarded }, async (request) => { await request.logOut() })
    inside.get('/me', { schema: optional }, async (request) => ({ user: request.user, in: request.isAuthenticated() }))
    inside.get('/guarded', { schema: guarded }, async (request) => request.user)
    inside.get('/cart', { schema: optional }, async ({ session }) => { session.set('cart' as never, ['tea'] as never); return '' })
    inside.get('/session', { schema: optional }, async ({ session }) => session.data)
  })
  app.get('/outside', async () => 'outside')
  return { app, client }
}

t.test('@fastify/passport', async (t) => {
  await t.test('a login, a request and a logout work', async (t) => {
    const { app, client } = await passportWorld(t, {}, { principal: (data: Any) => data['passport'] })
    t.same((await client.get('/me')).json(), { user: null, in: false })
    t.equal((await client.post('/login', { name: 'ada', password: 'wrong' })).statusCode, 401)
    t.equal(client.jar.header(), undefined)
    t.same((await client.post('/login', { name: 'ada', password: 'right' })).json(), { name: 'ada' })
    t.same((await client.get('/me')).json(), { user: { name: 'ada', deserialized: true }, in: true })
    t.equal((await client.get('/guarded')).json().name, 'ada')
    t.equal((await app.session.list('ada')).sessions.length, 1)
    const before = client.jar.get('__Host-session')
    t.equal((await client.post('/logout')).statusCode, 200)
    t.same((await client.get('/me')).json(), { user: null, in: false })
    t.equal((await client.get('/guarded')).statusCode, 401)
    t.equal((await app.inject({ url: '/guarded', headers: { cookie: `__Host-session=${before}` } })).statusCode, 401, 'the old token is dead')
    t.equal((await client.get('/outside')).body, 'outside')
    t.equal((await client.get('/nowhere')).statusCode, 404)
  })

  await t.test('a login replaces the credential, and keeps the keys of the guest that are named', async (t) => {
    const { client, app } = await passportWorld(t, { clearSessionIgnoreFields: ['cart'] })
    await client.get('/cart')
    await client.get('/session')
    const planted = client.jar.get('__Host-session')
    await client.post('/login', { name: 'ada', password: 'right' })
    t.not(client.jar.get('__Host-session'), planted)
    t.same((await client.get('/session')).json(), { cart: ['tea'], passport: 'ada' })
    t.same((await app.inject({ url: '/session', headers: { cookie: `__Host-session=${planted}` } })).json(), {})
  })

  await t.test('a user who is gone is signed out', async (t) => {
    const { client } = await passportWorld(t)
    await client.post('/login', { name: 'gone', password: 'right' })
    t.same((await client.get('/me')).json(), { user: null, in: false })
    t.notOk('passport' in (await client.get('/session')).json())
  })

  await t.test('a form signs in as browsers send it', async (t) => {
    const { client, app } = await passportWorld(t)
    const response = await app.inject({ method: 'POST', url: '/login', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'name=ada&password=right' })
    client.jar.take(response.headers['set-cookie'])
    t.equal((await client.get('/me')).json().in, true)
  })
})
