import { hash, randomFillSync } from 'node:crypto'
import { unavailable } from './errors.js'

/** 256 bits, twice what OWASP ASVS 5.0 (7.2.3) asks for. */
const TOKEN_BYTES = 32

// 32 bytes are 43 characters of base64url, the last of which carries four bits only: one spelling for each token.
const TOKEN = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** What a browser holds (`token`) and what the store calls it (`id`). The way back from id to token does not exist. */
export interface Ticket {
  readonly token: string
  readonly id: string
}

/** Whether a text has the one form that tokens, and the ids made from them, have. */
export function isToken (text: string): boolean {
  return text.length === 43 && TOKEN.test(text)
}

/** The id under which a store keeps the session of a token: its SHA-256, so that a leaked store signs nobody in. */
export function idOf (token: string): string {
  return hash('sha256', token, 'base64url')
}

/**
 * A ticket nobody has had before.
 * @throws `FST_SESSION_STORE` (503) when the system gives no randomness: there is no weaker source to fall back to
 */
export function mint (): Ticket {
  const token = randomToken()
  return { token, id: idOf(token) }
}

// One call for 64 tokens costs little more than one call for one. A slice is wiped as soon as it is given out.
const pool = Buffer.alloc(64 * TOKEN_BYTES)
let used = pool.length

function randomToken (): string {
  if (used === pool.length) {
    try {
      randomFillSync(pool)
    } catch (cause) {
      throw unavailable('No session can be made at the moment.', cause)
    }
    used = 0
  }
  const token = pool.toString('base64url', used, used + TOKEN_BYTES)
  pool.fill(0, used, used += TOKEN_BYTES)
  return token
}
