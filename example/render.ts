import { join } from 'node:path'
import { Eta } from 'eta'
import view from '@fastify/view'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { SecuredRequest } from 'fastify-openapi-session'
import type { anyone } from './session.js'

const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' })
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' })

/** Every template can call these: `it.price(950)`, `it.time(date)`. Seconds tell two sessions of one browser apart. */
const helpers = {
  price: (cents: number) => money.format(cents / 100),
  time: (date: Date) => `${moment.format(date)} UTC`
}

/** Registers the templates of example/views. */
export async function registerViews (app: FastifyInstance): Promise<void> {
  await app.register(view, {
    engine: { eta: new Eta() },
    root: join(import.meta.dirname, 'views'),
    viewExt: 'eta',
    defaultContext: helpers
  })
}

/** Returns a page of a route that declares the session. Its frame shows the visitor's name, cart and flash message. */
export async function page (request: SecuredRequest<typeof anyone>, reply: FastifyReply, name: string, data: object = {}): Promise<string> {
  const { session } = request
  const { user, data: { cart, flash } } = session
  if (flash !== undefined) session.unset('flash')
  // Browsers must not keep the pages of a user. After a logout, the back button would show them.
  if (user !== undefined) reply.header('cache-control', 'no-store')
  const inCart = Object.values(cart).reduce((sum, count) => sum + count, 0)
  return await reply.viewAsync(name, { visitor: { user, inCart }, flash, path: request.routeOptions.url, ...data })
}

/** Returns a page that needs no session and is the same for all visitors. */
export async function plainPage (reply: FastifyReply, name: string, data: object = {}): Promise<string> {
  return await reply.viewAsync(name, { visitor: undefined, flash: undefined, path: undefined, ...data })
}

const problems: Readonly<Record<number, readonly [title: string, text: string]>> = {
  400: ['That did not work', 'The form was not filled in as we expected. Please go back and try again.'],
  403: ['Not for you', 'Your account may not see this page, or the request came from another site.'],
  404: ['Nothing here', 'There is no page at this address.'],
  429: ['Too many attempts', 'Please wait a minute, then try again.'],
  503: ['Back in a moment', 'We cannot reach our records just now. You are still signed in; please try again.']
}

/** Returns the page for an HTTP status code of 400 or more. */
export async function errorPage (reply: FastifyReply, status: number): Promise<string> {
  const [title, text] = problems[status] ?? ['Something broke', 'It is our fault, not yours. Please try again.']
  reply.code(status).header('cache-control', 'no-store')
  return await plainPage(reply, 'error', { title, text, status })
}

interface PageError extends FastifyError {
  /** Response headers that belong to the error. */
  readonly headers?: Record<string, string>
}

/** Responds to errors with pages. Redirects a visitor who has to sign in to the login page, which leads back. */
export async function pageErrors (error: PageError, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  if (error.code === 'FST_SESSION_REQUIRED') {
    const back = request.method === 'GET' ? `?next=${encodeURIComponent(request.url)}` : ''
    return reply.redirect(`/login${back}`, 303)
  }
  const status = error.statusCode ?? 500
  if (status >= 500) request.log.error(error)
  // A 503 has Retry-After.
  if (error.headers !== undefined) reply.headers(error.headers)
  return await errorPage(reply, status)
}
