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

/** Adds the pages. The response to a form is a redirect, so that "reload" never sends a form twice. */
export const pages: FastifyPluginAsyncTypebox<PageOptions> = async (app, options) => {
  app.setErrorHandler(pageErrors)
  await app.register(formbody)
  await app.register(shopPages)
  await app.register(loginPages, options)
  await app.register(accountPages)
}

const TeaForm = Type.Object({ tea: Type.Union(teas.map(({ id }) => Type.Literal(id))) })

/** Pages for every visitor. The cart of a guest is a session, too, without a user. */
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
  /** A checkbox: absent if it is not checked. */
  remember: Type.Optional(Type.Literal('on')),
  next: Next
})

/** Pages to sign in and out. */
const loginPages: FastifyPluginAsyncTypebox<PageOptions> = async (app, { loginLimit }) => {
  app.get('/login', {
    schema: { hide: true, security: anyone, querystring: Type.Object({ next: Next }) }
  }, async (request, reply) => {
    const next = safeNext(request.query.next)
    if (request.session.user !== undefined) return reply.redirect(next, 303)
    // A browser keeps the cookie of a session that ended elsewhere, or by time.
    const ended = !request.session.exists && /(?:^|-|; )session=/.test(request.headers.cookie ?? '')
    const reason = ended ? 'Your session has ended. Please sign in again.' : next === '/' ? undefined : 'Please sign in to see that page.'
    return await page(request, reply, 'login', { next, username: '', remember: undefined, failed: false, reason })
  })

  // The form needs no CSRF token: the plugin refuses requests from pages of other sites.
  app.post('/login', {
    preHandler: loginLimit,
    schema: { hide: true, security: anyone, body: LoginForm }
  }, async (request, reply) => {
    const { username, password, remember } = request.body
    const next = safeNext(request.body.next)
    const user = await checkPassword(username, password)
    if (user === undefined) {
      reply.code(422)
      return await page(request, reply, 'login', { next, username, remember, failed: true })
    }
    signIn(request, user, { flash: `Welcome, ${user.name}.`, remember: remember === 'on' })
    return reply.redirect(next, 303)
  })

  app.post('/logout', { schema: { hide: true, security: anyone } }, async (request, reply) => {
    request.session.destroy()
    return reply.redirect('/goodbye', 303)
  })

  // No `security`, so the plugin does nothing here: it reads no cookie and calls no store.
  app.get('/goodbye', { schema: { hide: true } }, async (_request, reply) => await plainPage(reply, 'goodbye'))
}

const SessionId = Type.Object({ id: Type.String({ maxLength: 100 }) })

/** Pages for signed-in users. pageErrors redirects all others to the login page. */
const accountPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/account', { schema: { hide: true, security: signedIn } }, async (request, reply) => await page(request, reply, 'account', {
    since: new Date(request.session.createdAt),
    until: new Date(request.session.expiresAt),
    remembered: request.session.data.remembered
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
