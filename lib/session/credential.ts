import { hash, randomFillSync } from 'node:crypto'
import { unavailable } from '../errors.js'

/** 128 bits name the record. They are not secret: they appear in logs, in lists and in the store. */
const ID_BYTES = 16
/** 256 bits prove possession, twice what OWASP ASVS 5.0 (7.2.3) asks for. */
const SECRET_BYTES = 32

// In base64url, 16 bytes are 22 characters and 32 bytes are 43. The last character has fewer bits: allow one spelling per value.
const ID = /^[A-Za-z0-9_-]{21}[AQgw]$/
const CREDENTIAL = /^[A-Za-z0-9_-]{21}[AQgw]\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/
const ID_LENGTH = 22

/** The id and the secret of a session. The value of its cookie is `<id>.<secret>`. */
export interface Credential {
  readonly id: string
  readonly secret: string
}

export function isSessionId (text: unknown): text is string { return typeof text === 'string' && ID.test(text) }

/** Returns the credential in a cookie value, `undefined` if the value does not have the form of a credential. */
export function parseCredential (value: string): Credential | undefined {
  if (!CREDENTIAL.test(value)) return undefined
  return { id: value.slice(0, ID_LENGTH), secret: value.slice(ID_LENGTH + 1) }
}

/** Hashes a secret with SHA-256. The secret has 256 bits of entropy, so it needs neither a salt nor a slow hash. */
export function hashSecret (secret: string): string { return hash('sha256', secret, 'base64url') }

/** Returns a new credential. With `id`, only the secret is new (a renewal). @throws `FST_SESSION_STORE` (503), see `random` */
export function mintCredential (id?: string): Credential {
  const bytes = random(ID_BYTES + SECRET_BYTES)
  return { id: id ?? bytes.toString('base64url', 0, ID_BYTES), secret: bytes.toString('base64url', ID_BYTES) }
}

// Filling one large buffer costs little more than filling a small one.
const pool = Buffer.alloc(4096)
let used = pool.length

/**
 * Returns random bytes. They are part of a larger buffer that is filled again: use them before the next call.
 * @throws `FST_SESSION_STORE` (503) if the system's random source fails: a weaker source is never used
 */
export function random (length: number): Buffer {
  if (used + length > pool.length) refill()
  return pool.subarray(used, used += length)
}

function refill (): void {
  try {
    randomFillSync(pool)
  } catch (cause) {
    throw unavailable(cause)
  }
  used = 0
}
