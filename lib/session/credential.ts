import { hash, randomFillSync } from 'node:crypto'
import { unavailable } from '../errors.js'

/** 128 bits name the record. They are no secret: they appear in logs, in lists and in the store. */
const ID_BYTES = 16
/** 256 bits prove possession, twice what OWASP ASVS 5.0 (7.2.3) asks for. */
const SECRET_BYTES = 32

// 16 bytes are 22 characters of base64url and 32 bytes are 43. The last character carries fewer bits: one spelling for each value.
const ID = /^[A-Za-z0-9_-]{21}[AQgw]$/
const CREDENTIAL = /^[A-Za-z0-9_-]{21}[AQgw]\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/
const ID_LENGTH = 22
const CREDENTIAL_LENGTH = 66

/** The credential of a browser, read from the value of its cookie. */
export interface Credential {
  readonly id: string
  readonly secret: string
}

/** A new credential: `value` goes into the cookie, `id` and `secretHash` into the store. */
export interface MintedCredential {
  readonly id: string
  readonly secretHash: string
  readonly value: string
}

/** Returns whether a text has the one form that session ids have. */
export function isSessionId (text: unknown): text is string {
  return typeof text === 'string' && ID.test(text)
}

/** Reads a cookie value, `undefined` unless it has the one form that credentials have. */
export function parseCredential (value: string): Credential | undefined {
  if (value.length !== CREDENTIAL_LENGTH || !CREDENTIAL.test(value)) return undefined
  return { id: value.slice(0, ID_LENGTH), secret: value.slice(ID_LENGTH + 1) }
}

/** Hashes a secret with SHA-256. The secret has 256 bits of entropy, so that no salt and no slow hash is needed. */
export function hashSecret (secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/**
 * Makes a credential: with a new id, or with a new secret for the session `id` (a renewal).
 * @throws `FST_SESSION_STORE` (503) when the system has no randomness: there is no weaker source to fall back to
 */
export function mintCredential (id?: string): MintedCredential {
  if (used === pool.length) refill()
  const start = used
  used += ID_BYTES + SECRET_BYTES
  const name = id ?? pool.toString('base64url', start, start + ID_BYTES)
  const secret = pool.toString('base64url', start + ID_BYTES, used)
  pool.fill(0, start, used)
  return { id: name, secretHash: hashSecret(secret), value: `${name}.${secret}` }
}

// Filling one large buffer costs little more than filling a small one. Bytes are wiped as soon as they are used.
const pool = Buffer.alloc(64 * (ID_BYTES + SECRET_BYTES))
let used = pool.length

function refill (): void {
  try {
    randomFillSync(pool)
  } catch (cause) {
    throw unavailable(cause)
  }
  used = 0
}
