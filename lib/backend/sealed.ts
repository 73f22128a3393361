import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { SessionError, unavailable } from '../errors.js'
import { expiryOf } from '../life.js'
import type { Codec, Life, Prepared } from '../record.js'
import type { Backend, Change, Committed, Live, Loaded, Mutation, Report } from './backend.js'

export interface SealedCookieOptions {
  /**
   * The key ring: each key 32 random bytes, as a `Uint8Array` or as base64url text (`makeKey` gives one). The first seals,
   * all open. To rotate, put a new key in front; drop the last when the absolute timeout has passed since.
   */
  readonly keys: ReadonlyArray<string | Uint8Array>
}

/** What a sealed cookie needs to know of the scheme whose data it carries. */
export interface SealedContext {
  readonly scheme: string
  readonly cookieName: string
  readonly codec: Codec
  /** Milliseconds. */
  readonly idleTimeout: number
  readonly now: () => number
  /** The whole `Set-Cookie` line that would carry a value. */
  readonly line: (value: string, life: Life) => string
}

const CIPHER = 'aes-256-gcm'
const FORMAT = 1
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** What browsers are sure to take: RFC 6265bis, 5.6, lets them drop a longer one, and they do so in silence. */
const MAX_LINE = 4096

/** A new key for `sealedCookie`: 32 bytes from the system's random source, as base64url text. */
export function makeKey (): string {
  return randomBytes(KEY_BYTES).toString('base64url')
}

/**
 * Sessions without a store: the data themselves travel in the cookie, encrypted and authenticated with AES-256-GCM
 * (NIST SP 800-38D). Pass it as the option `store`. Nothing can be revoked or listed, parallel requests lose updates,
 * and a copy of an old cookie works until it expires: `docs/sealed-cookies.md` says what to do about each.
 * @throws `FST_SESSION_OPTIONS` for keys that are missing, short, weak or double
 */
export function sealedCookie (options: SealedCookieOptions): SealedCookie {
  return new SealedCookie(readKeys(options?.keys))
}

/** What `sealedCookie` gives; the plugin makes a backend of it. */
export class SealedCookie {
  readonly #keys: readonly Buffer[]

  constructor (keys: readonly Buffer[]) {
    this.#keys = keys
  }

  /** For the plugin: the backend of one scheme. What it seals opens for that scheme and cookie name only. */
  backend (context: SealedContext): Backend {
    return new SealedBackend(this.#keys, context)
  }
}

class SealedBackend implements Backend {
  readonly directory = undefined
  readonly #keys: readonly Buffer[]
  readonly #context: SealedContext
  readonly #bound: Buffer

  constructor (keys: readonly Buffer[], context: SealedContext) {
    this.#keys = keys
    this.#context = context
    this.#bound = Buffer.from(JSON.stringify(['fastify-openapi-session', FORMAT, context.scheme, context.cookieName]))
  }

  async load (value: string, touch: boolean, report: Report): Promise<Loaded> {
    const opened = this.#open(value)
    if (opened === undefined) {
      report({ type: 'rejected', reason: 'malformed-cookie' })
      return { kind: 'dead' }
    }
    const live = this.#read(opened.text, report)
    if (live === undefined) return { kind: 'dead' }
    const now = this.#context.now()
    if (live.expiresAt <= now) {
      report({ type: 'expired', reason: live.life.deadline <= now ? 'absolute' : 'absent', id: live.id })
      return { kind: 'dead' }
    }
    // A cookie is written anew for its deadline only now and then, and at once when its key is on the way out.
    const idle = live.life.idleTimeout ?? this.#context.idleTimeout
    const expiresAt = touch ? expiryOf(live.life, this.#context, now) : live.expiresAt
    const isStale = opened.key > 0 || expiresAt - live.expiresAt >= idle / 10
    return { kind: 'live', live: isStale ? { ...live, expiresAt, stale: true } : live }
  }

  async commit (change: Change, report: Report): Promise<Committed> {
    switch (change.kind) {
      case 'none': return { live: undefined }
      case 'destroy':
        report({ type: 'destroyed', reason: change.reason, id: change.live.id, ...of(change.live) })
        return { live: undefined }
      case 'refresh': return this.#seal(change.live.id, change.live.version, change.live.life, change.live, change.live.expiresAt)
      case 'update': return this.#seal(change.live.id, change.live.version + 1, change.live.life, change.content)
      default: {
        const { ticket: { id }, life, content } = change
        const sealed = this.#seal(id, 1, life, content)
        if (change.kind === 'renew') report({ type: 'renewed', reason: change.reason, id, ...of(content) })
        else report({ type: 'created', reason: change.kind === 'create' ? change.reason : 'start', id, ...of(content) })
        return sealed
      }
    }
  }

  async mutate (live: Live, mutation: Mutation): Promise<Committed> {
    return this.#seal(live.id, live.version + 1, live.life, await mutation(JSON.parse(live.text)))
  }

  async adopt (change: Extract<Change, { kind: 'create' }>, report: Report): Promise<Committed> {
    return await this.commit(change, report)
  }

  async close (): Promise<void> {}

  #seal (id: string, version: number, life: Life, { data, text, principal }: Prepared, expiresAt = this.#expiryOf(life)): Committed {
    const { codec, line } = this.#context
    const value = this.#encrypt(`${id} ${version} ${expiresAt} ${codec.encode(life, text)}`)
    const size = Buffer.byteLength(line(value, life))
    if (size > MAX_LINE) {
      throw new SessionError('FST_SESSION_TOO_LARGE', `The sealed cookie would take ${size} bytes and browsers keep ${MAX_LINE}: put less into the session, or use a store.`)
    }
    return { live: { id, version, life, data, text, principal, expiresAt }, value }
  }

  #expiryOf (life: Life): number {
    return expiryOf(life, this.#context, this.#context.now())
  }

  #read (text: string, report: Report): Live | undefined {
    const found = /^(\S+) (\d+) (\d+) (.*)$/s.exec(text) as unknown as [string, string, string, string, string] | null
    if (found === null) {
      report({ type: 'discarded', reason: 'damaged' })
      return undefined
    }
    const [, id, version, expiresAt, payload] = found
    const decoded = this.#context.codec.decode(payload)
    if (decoded.kind !== 'content') {
      report({ type: 'discarded', reason: decoded.kind, id, ...(decoded.kind === 'unfit' ? { detail: decoded.problem } : {}) })
      return undefined
    }
    const { content } = decoded
    return { ...content, id, version: Number(version), expiresAt: Number(expiresAt) }
  }

  #encrypt (text: string): string {
    const nonce = freshNonce()
    const cipher = createCipheriv(CIPHER, this.#keys[0] as Buffer, nonce, { authTagLength: TAG_BYTES }).setAAD(this.#bound)
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  #open (value: string): { text: string, key: number } | undefined {
    if (value.length > MAX_LINE) return undefined
    const sealed = Buffer.from(value, 'base64url')
    // Buffer.from skips what is no base64url: only the one spelling of a value is that value.
    if (sealed.length <= NONCE_BYTES + TAG_BYTES || sealed.toString('base64url') !== value) return undefined
    for (const [index, key] of this.#keys.entries()) {
      const text = this.#decrypt(sealed, key)
      if (text !== undefined) return { text, key: index }
    }
    return undefined
  }

  #decrypt (sealed: Buffer, key: Buffer): string | undefined {
    const end = sealed.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#bound).setAuthTag(sealed.subarray(end))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8')
    } catch {
      return undefined
    }
  }
}

function of ({ principal }: Prepared): { principal?: string } {
  return principal === undefined ? {} : { principal }
}

function freshNonce (): Buffer {
  try {
    return randomBytes(NONCE_BYTES)
  } catch (cause) {
    throw unavailable('No session can be sealed at the moment.', cause)
  }
}

function readKeys (keys: unknown): Buffer[] {
  if (!Array.isArray(keys) || keys.length === 0) return refuse('keys must be a list of at least one key: sealedCookie({ keys: [makeKey()] }), with the key kept in the environment')
  const ring = keys.map(readKey)
  const double = ring.findIndex((key, index) => ring.findIndex((other) => other.equals(key)) !== index)
  if (double !== -1) refuse(`keys[${double}] is in the list twice: keep each key once`)
  return ring
}

function readKey (key: unknown, index: number): Buffer {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64url') : key instanceof Uint8Array ? Buffer.from(key) : refuse(`keys[${index}] must be base64url text or a Uint8Array: make one with makeKey()`)
  if (typeof key === 'string' && bytes.toString('base64url') !== key.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_')) {
    refuse(`keys[${index}] is no base64url text: a passphrase is no key, make one with makeKey()`)
  }
  if (bytes.length !== KEY_BYTES) refuse(`keys[${index}] has ${bytes.length} bytes and must have ${KEY_BYTES}: make one with makeKey()`)
  // 32 random bytes with so few different ones do not happen; "aaaa..." and repeated words do.
  if (new Set(bytes).size < 12) refuse(`keys[${index}] is not random: make one with makeKey()`)
  return bytes
}

function refuse (sentence: string): never {
  throw new SessionError('FST_SESSION_OPTIONS', `sealedCookie: ${sentence}`)
}
