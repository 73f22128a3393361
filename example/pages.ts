import formbody from '@fastify/formbody'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { preHandlerAsyncHookHandler } from 'fastify'
import { Type } from '@sinclair/typebox'
import { cartLines, teaName, teas, total } from './catalogue.js'
import { safeNext } from './next.js'
import { page, pageErrors, plainPage } from './render.js'
import { admin, anyone, endSession, listSessions, signedIn, signIn } from './session.js'
import { allUsers, checkPassword } from './users.js'

interface PageOptions {
  /** Limits how often a client may try to sign in. */
  readonly loginLimit: preHandlerAsyncHookHandler
}

/** The pages. Forms are sent with POST and answered with a redirect, so that "reload" never sends one twice. */
export const pages: FastifyPluginAsyncTypebox<PageOptions> = async (app, options) => {
  app.setErrorHandler(pageErrors)
  await app.register(formbody)
  await app.register(shopPages)
  await app.register(loginPages, options)
  await app.register(accountPages)
}

const TeaForm = Type.Object({ tea: Type.Union(teas.map(({ id }) => Type.Literal(id))) })

/** For every visitor: a guest's cart is a session too, without a user. */
const shopPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema: { hide: true, security: anyone } }, async (request, reply) => await page(request, reply, 'home', { teas }))

  app.get('/cart', { schema: { hide: true, security: anyone } }, async (request, reply) => {
    const lines = cartLines(request.session.data.cart)
    return await page(request, reply, 'cart', { lines, total: total(lines) })
  })

  app.post('/cart', { schema: { hide: true, security: anyone, body: TeaForm } }, async (request, reply) => {
    const { data } = request.session
    const { tea } = request.body
    // The first write creates the session of a guest.
    data.cart[tea] = Math.min(99, (data.cart[tea] ?? 0) + 1)
    data.flash = `${teaName(tea)} is in your cart.`
    return reply.redirect('/', 303)
  })

  app.post('/cart/remove', { schema: { hide: true, security: anyone, body: TeaForm } }, async (request, reply) => {
    const { data } = request.session
    delete data.cart[request.body.tea]
    data.flash = `${teaName(request.body.tea)} is out of your cart.`
    return reply.redirect('/cart', 303)
  })
}

const Next = Type.Optional(Type.String({ maxLength: 2000 }))

const LoginForm = Type.Object({
  username: Type.String({ maxLength: 100 }),
  password: Type.String({ maxLength: 200 }),
  next: Next
})

/** Signing in and out. */
const loginPages: FastifyPluginAsyncTypebox<PageOptions> = async (app, { loginLimit }) => {
  app.get('/login', {
    schema: { hide: true, security: anyone, querystring: Type.Object({ next: Next }) }
  }, async (request, reply) => {
    const next = safeNext(request.query.next)
    if (request.session.user !== undefined) return reply.redirect(next, 303)
    return await page(request, reply, 'login', { next, username: '', failed: false })
  })

  // No hidden token in the form: the plugin refuses posts from other origins wherever a session is declared.
  app.post('/login', {
    preHandler: loginLimit,
    schema: { hide: true, security: anyone, body: LoginForm }
  }, async (request, reply) => {
    const { username, password } = request.body
    const next = safeNext(request.body.next)
    const user = await checkPassword(username, password)
    if (user === undefined) {
      reply.code(422)
      return await page(request, reply, 'login', { next, username, failed: true })
    }
    signIn(request, user, `Welcome, ${user.name}.`)
    return reply.redirect(next, 303)
  })

  app.post('/logout', { schema: { hide: true, security: anyone } }, async (request, reply) => {
    request.session.destroy()
    return reply.redirect('/goodbye', 303)
  })

  // Declares no security, so it costs nothing: no cookie is read and no store is asked.
  app.get('/goodbye', { schema: { hide: true } }, async (_request, reply) => await plainPage(reply, 'goodbye'))
}

const SessionId = Type.Object({ id: Type.String({ maxLength: 100 }) })

/** For users who are signed in; pageErrors sends others to the login page. */
const accountPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/account', { schema: { hide: true, security: signedIn } }, async (request, reply) => await page(request, reply, 'account', {
    since: new Date(request.session.createdAt),
    until: new Date(request.session.expiresAt)
  }))

  app.get('/sessions', { schema: { hide: true, security: signedIn } }, async (request, reply) =>
    await page(request, reply, 'sessions', { sessions: await listSessions(request) }))

  app.post('/sessions/:id/end', { schema: { hide: true, security: signedIn, params: SessionId } }, async (request, reply) => {
    const ended = await endSession(request, request.params.id)
    if (!request.session.exists) return reply.redirect('/goodbye', 303)
    request.session.data.flash = ended ? 'That session has ended.' : 'That session had ended before.'
    return reply.redirect('/sessions', 303)
  })

  app.post('/sessions/end-others', { schema: { hide: true, security: signedIn } }, async (request, reply) => {
    const { session } = request
    const ended = await app.session.revokeAll(session.user.id, { except: session.id })
    session.data.flash = ended === 1 ? 'One other session has ended.' : `${ended} other sessions have ended.`
    return reply.redirect('/sessions', 303)
  })

  app.get('/admin', { schema: { hide: true, security: admin } }, async (request, reply) => {
    const rows = await Promise.all(allUsers().map(async (user) => {
      const { sessions } = await app.session.list(user.id)
      return { user, sessions: sessions.length }
    }))
    return await page(request, reply, 'admin', { rows })
  })
}
