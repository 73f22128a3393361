import { createHmac, timingSafeEqual } from 'node:crypto'
import { must, refuseUnknown } from '../errors.js'
import { ignoreMissing, promised, type ExpressStore } from '../store/express/callbacks.js'
import type { Adoption } from './adoption.js'

/**
 * The settings of @fastify/session or express-session until now. `cookieName` is `sessionId` by default in @fastify/session, and
 * `connect.sid` in express-session. `data` gets the old session; by default the new one has all of it but `cookie`.
 */
export interface AdoptOptions extends Pick<Adoption, 'cookieName' | 'path' | 'domain' | 'data' | 'authenticatedAt'> {
  /** Its secret, or the list of its secrets. */
  readonly secret: string | readonly string[]
  /** Its store. */
  readonly store: ExpressStore
}

/**
 * Adopts the sessions of @fastify/session or express-session. The first request with an old cookie gets a new session with a
 * new cookie, and the old session ends. For the option `adopt`, until the old sessions have expired.
 * @throws `FST_SESSION_OPTIONS`
 */
export function adoptExpressSessions ({ secret, store, data = withoutCookie, ...options }: AdoptOptions): Adoption {
  refuseUnknown(options, ['cookieName', 'secret', 'store', 'data', 'authenticatedAt', 'path', 'domain'], 'option * of adoptExpressSessions()')
  const secrets = [secret].flat()
  must(typeof options.cookieName === 'string' && options.cookieName !== '', 'adoptExpressSessions: cookieName must be the name of the old cookie: "sessionId" in @fastify/session, "connect.sid" in express-session, unless it was changed')
  must(secrets.length > 0 && secrets.every((secret) => typeof secret === 'string' && secret.length > 0), 'adoptExpressSessions: secret must be the secret that the old cookie was signed with, or a list of them')
  must(typeof store?.get === 'function' && typeof store.destroy === 'function', 'adoptExpressSessions: store must be the store of the old sessions')
  return {
    ...options,
    data,
    identify: (value) => unsign(value, secrets),
    async find (id) {
      // An old session that is absent or not JSON must not keep its owner from signing in.
      const old: unknown = await promised((callback) => store.get(id, callback))
        .catch((error: unknown) => error instanceof SyntaxError ? undefined : ignoreMissing(error))
      return typeof old === 'object' ? old : undefined
    },
    forget: async (id) => { await promised((callback) => store.destroy(id, callback)) },
    expiresAt: ({ cookie }: { cookie?: { expires?: string | Date | false | null } }) =>
      cookie?.expires ? new Date(cookie.expires).getTime() : undefined
  }
}

function withoutCookie ({ cookie: _cookie, ...others }: Record<string, unknown>): unknown { return others }

/**
 * Returns the session id in a signed cookie, `undefined` if none of the secrets made the signature. The form is `id.signature`.
 * The signature is the HMAC-SHA-256 in base64. express-session adds "s:" in front.
 */
function unsign (value: string, secrets: readonly string[]): string | undefined {
  const [, id, signature = ''] = /^(?:s:)?(.+)\.([^.]*)$/s.exec(value) ?? []
  if (id === undefined) return undefined
  const found = Buffer.from(signature, 'base64')
  const isSigned = secrets.some((secret) => {
    const expected = createHmac('sha256', secret).update(id).digest()
    return expected.length === found.length && timingSafeEqual(expected, found)
  })
  return isSigned ? id : undefined
}
