import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Backend } from '../backend/backend.js'
import { SealedCookie } from '../backend/sealed.js'
import { StoredBackend } from '../backend/stored.js'
import { authenticationRequired, must, type SessionError } from '../errors.js'
import { type Report, reporter } from '../events/events.js'
import { Codec } from '../session/codec.js'
import { cookiePolicy, expireCookie } from './cookie.js'
import type { Settings } from './read.js'

/** One registration of the plugin: a session scheme with its cookie, its codec and its backend. */
export type Scheme = ReturnType<typeof createScheme>

/** Creates a scheme from its options. @throws `FST_SESSION_OPTIONS` */
export function createScheme (settings: Settings, log: FastifyBaseLogger) {
  const { scheme: name, store, now, adopt, maxPerPrincipal } = settings
  const cookie = cookiePolicy(settings.cookie, now)
  must(adopt?.cookieName !== cookie.name, `adopt: the old sessions use the cookie "${cookie.name}" too: give this plugin another cookie.name, such as the default __Host-session`)
  must(maxPerPrincipal === undefined || !(store instanceof SealedCookie), `the session "${name}" has maxPerPrincipal, and sealed cookies cannot be counted: take it out, or use a store`)
  must(maxPerPrincipal === undefined || store instanceof SealedCookie || store.lists !== false, `the session "${name}" has maxPerPrincipal, and its store cannot find the sessions of a principal: take it out, or use RedisStore or SqlStore`)
  const codec = new Codec(settings)
  /** Returns the function that reports events of a request, or events outside of requests. */
  const reportOn = (request?: FastifyRequest): Report => reporter(name, settings.onEvent, request?.log ?? log, request)
  const backend: Backend = store instanceof SealedCookie
    ? store.backend({ ...settings, cookie, codec })
    : new StoredBackend({ ...settings, store, codec, report: reportOn() })
  /** The backend, if it finds sessions without their cookies. Undefined for sealed cookies: only browsers have those. */
  const stored = backend instanceof StoredBackend ? backend : undefined
  /** The `Set-Cookie` header that expires the cookie of the other plugin, if its sessions are adopted. */
  const expireAdopted = adopt && expireCookie(adopt.cookieName, adopt.path ?? '/', adopt.domain)
  /** Returns the 401 for a request without a live session. */
  const requiredError = (): SessionError => authenticationRequired([{ scheme: name, cookieName: cookie.name }])
  return Object.freeze({ name, settings, cookie, codec, backend, stored, reportOn, expireAdopted, requiredError })
}
