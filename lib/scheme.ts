import type { Adoption } from './adoption.js'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Backend, Report } from './backend/backend.js'
import { SealedCookie } from './backend/sealed.js'
import { StoredBackend } from './backend/stored.js'
import { cookiePolicy, type CookiePolicy } from './cookie.js'
import { reporter } from './events.js'
import type { Settings } from './options.js'
import { Codec, type Life } from './record.js'

/** One registration of the plugin: a session scheme with its cookie, its data's form and the place where they live. */
export interface Scheme {
  readonly name: string
  readonly settings: Settings
  readonly cookie: CookiePolicy
  readonly codec: Codec
  readonly backend: Backend
  /** Where to tell what happens, within a request or outside of any. */
  readonly reportOn: (request?: FastifyRequest) => Report
  /** The `Set-Cookie` line that hands out a session. */
  readonly line: (value: string, life: Life) => string
  /** The one that ends the cookie of the plugin whose sessions are adopted, where some are. */
  readonly forgetAdopted: string | undefined
}

/** Puts a scheme together. @throws `FST_SESSION_OPTIONS` */
export function createScheme (settings: Settings, serialize: Parameters<typeof cookiePolicy>[1], log: FastifyBaseLogger): Scheme {
  const { scheme: name, store, now } = settings
  const cookie = cookiePolicy(settings.cookie, serialize)
  const codec = new Codec(settings)
  const reportOn = (request?: FastifyRequest): Report => reporter(name, settings.onEvent, request?.log ?? log, request)
  // A cookie that outlives the browser's run lives as long as its session can; the server alone ends it sooner.
  const line = (value: string, life: Life): string =>
    cookie.write(value, life.persistent ? Math.max(0, Math.ceil((life.deadline - now()) / 1000)) : undefined)
  const backend = store instanceof SealedCookie
    ? store.backend({ ...settings, cookieName: cookie.name, codec, line })
    : new StoredBackend({ ...settings, store, codec, report: reportOn() })
  const forgetAdopted = settings.adopt && forget(settings.adopt, serialize)
  return Object.freeze({ name, settings, cookie, codec, backend, reportOn, line, forgetAdopted })
}

function forget ({ cookieName, path = '/', domain }: Adoption, serialize: Parameters<typeof cookiePolicy>[1]): string {
  // Browsers take no word for a cookie with such a prefix from a line without Secure (RFC 6265bis, 4.1.3).
  const secure = /^__(host|secure)-/i.test(cookieName)
  return serialize(cookieName, '', { path, secure, ...(domain === undefined ? {} : { domain }), httpOnly: true, maxAge: 0, expires: new Date(0) })
}
