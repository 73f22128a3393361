import { createHmac, timingSafeEqual } from 'node:crypto'
import { invalidOptions } from '../errors.js'
import { absent, called, type ExpressStore } from '../store/express/callbacks.js'
import type { Adoption, Predecessor } from './adoption.js'

/** The settings of @fastify/session or express-session until now. */
export interface AdoptOptions {
  /** Its cookie: `sessionId` by default in @fastify/session, `connect.sid` in express-session. */
  readonly cookieName: string
  /** Its secret, or the list of its secrets. */
  readonly secret: string | readonly string[]
  /** Its store. */
  readonly store: ExpressStore
  /** Returns the data of the new session. `undefined` leaves the old session alone. Default: everything but `cookie`. */
  readonly data?: (old: any) => unknown
  /** Returns when the user signed in, in epoch milliseconds. Default: unknown, so that a step-up asks for a login. */
  readonly authenticatedAt?: (old: any) => number | undefined
  /** Path and domain of its cookie, if they were set. */
  readonly path?: string
  readonly domain?: string
}

/**
 * Adopts the sessions of @fastify/session or express-session. The first request with an old cookie gets a new session with a
 * new cookie, and the old session ends. For the option `adopt`, until the old sessions have expired.
 * @throws `FST_SESSION_OPTIONS`
 */
export function adoptExpressSessions (options: AdoptOptions): Adoption {
  const { cookieName, store, data = withoutCookie, authenticatedAt, path, domain } = options
  const secrets = [options.secret].flat()
  check(options, secrets)
  return Object.freeze({
    cookieName,
    path,
    domain,
    identify: (value: string) => unsign(value, secrets),
    async find (id: string): Promise<Predecessor | undefined> {
      const old: unknown = await called<unknown>((callback) => store.get(id, callback)).catch(none)
      if (typeof old !== 'object' || old === null) return undefined
      const expiresAt = expiryOf(old)
      if (expiresAt !== undefined && expiresAt <= Date.now()) return undefined
      return {
        data: () => data(old),
        get authenticatedAt () { return authenticatedAt?.(old) },
        expiresAt,
        forget: async () => { await called((callback) => store.destroy(id, callback)) }
      }
    }
  })
}

function check ({ cookieName, store }: AdoptOptions, secrets: readonly string[]): void {
  const refuse = (sentence: string): never => { throw invalidOptions(`adoptExpressSessions: ${sentence}`) }
  if (typeof cookieName !== 'string' || cookieName === '') refuse('cookieName must be the name of the old cookie: "sessionId" in @fastify/session, "connect.sid" in express-session, unless it was changed')
  if (secrets.length === 0 || !secrets.every((secret) => typeof secret === 'string' && secret.length > 0)) refuse('secret must be the secret that the old cookie was signed with, or a list of them')
  if (typeof store?.get !== 'function' || typeof store.destroy !== 'function') refuse('store must be the store of the old sessions')
}

/**
 * Returns the session id in a signed cookie, `undefined` if none of the secrets made the signature. The form is `id.signature`. The
 * signature is the HMAC-SHA-256 in base64 without padding. express-session adds "s:" in front. Both are percent-encoded.
 */
function unsign (value: string, secrets: readonly string[]): string | undefined {
  const text = decode(value)?.replace(/^s:/, '')
  const dot = text?.lastIndexOf('.') ?? -1
  if (text === undefined || dot < 1) return undefined
  const id = text.slice(0, dot)
  const signature = Buffer.from(text.slice(dot + 1))
  const isSigned = secrets.some((secret) => {
    const expected = Buffer.from(createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, ''))
    return expected.length === signature.length && timingSafeEqual(expected, signature)
  })
  return isSigned ? id : undefined
}

function decode (value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

/** Returns `undefined` for an old session that is absent or not JSON. It must not keep its owner from signing in. */
function none (error: unknown): undefined {
  if (!(error instanceof SyntaxError)) absent(error)
}

function expiryOf (old: object): number | undefined {
  const { cookie } = old as { cookie?: { expires?: string | Date | null } }
  return cookie?.expires == null ? undefined : new Date(cookie.expires).getTime()
}

function withoutCookie (old: object): unknown {
  return Object.fromEntries(Object.entries(old).filter(([key]) => key !== 'cookie'))
}
