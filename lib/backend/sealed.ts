import { type CipherGCM, createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { chain } from '../awaitable.js'
import { must, refuseUnknown, tooLarge } from '../errors.js'
import type { DestroyedReason, Report } from '../events/events.js'
import type { Content } from '../session/codec.js'
import { random } from '../session/credential.js'
import { Recent } from '../session/recent.js'
import { expiryOf, type Times, withLogin } from '../session/times.js'
import type { Awaitable } from '../store/store.js'
import { copyText } from '../text.js'
import type { Backend, Compute, NewSession, Renewal, Saved, Snapshot } from './backend.js'
import type { StoredOptions } from './reading.js'

export interface SealedCookieOptions {
  /**
   * The key ring: each key is 32 random bytes, as a `Uint8Array` or as base64url text (`makeKey` makes one). The first key seals,
   * all keys open. To rotate, put a new key in front. Remove the last key when the absolute timeout has passed since then.
   */
  readonly keys: ReadonlyArray<string | Uint8Array>
}

/** The parts of a scheme that its sealed cookies need. */
interface SealedContext extends Pick<StoredOptions, 'codec' | 'idleTimeout' | 'now'> {
  readonly scheme: string
  /** `write` returns the whole `Set-Cookie` header for a value. */
  readonly cookie: { readonly name: string, readonly write: (value: string, times: Times) => string }
}

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Bytes that every browser accepts. RFC 6265bis, 5.6, lets browsers drop a longer cookie. They do so without a message. */
const MAX_COOKIE = 4096
/** How many ended sessions a process remembers, at least. */
const ENDED = 10_000
/** Characters in a generation of opened cookies: some hundred requests. V8 moves values that live longer, at 2 µs for each write. */
const OPENED = 65_536

/** Returns a new key for `sealedCookie`: 32 bytes from the system's random source, as base64url text. */
export function makeKey (): string { return random(KEY_BYTES).toString('base64url') }

/**
 * Keeps sessions without a store: the cookie contains the data, encrypted and authenticated with AES-256-GCM
 * (NIST SP 800-38D). Pass the result as the option `store`. Nothing can be revoked or listed, parallel requests lose updates,
 * and a copy of an old cookie works until it expires. `docs/sealed-cookies.md` says what to do about each.
 * @throws `FST_SESSION_OPTIONS` for keys that are missing, short, weak or duplicate
 */
export function sealedCookie (options: SealedCookieOptions): SealedCookie {
  refuseUnknown(options ?? {}, ['keys'], 'option * of sealedCookie()')
  const keys: unknown = options?.keys
  must(Array.isArray(keys) && keys.length > 0, 'sealedCookie: keys must be a list of at least one key: sealedCookie({ keys: [makeKey()] }), with the key kept in the environment')
  const ring = keys.map(readKey)
  const double = ring.findIndex((key, index) => ring.findIndex((other) => other.equals(key)) !== index)
  must(double === -1, `sealedCookie: keys[${double}] is in the list twice: keep each key once`)
  return new SealedCookie(ring)
}

/** The result of `sealedCookie`: the key ring. The plugin makes a backend of it. */
export class SealedCookie {
  /** For the plugin: returns the backend of one scheme. */
  readonly backend: (context: SealedContext) => Backend
  constructor (keys: readonly KeyObject[]) { this.backend = (context) => new SealedBackend(keys, context) }
}

/** A session, and the value of its cookie. */
interface Opened extends Snapshot { readonly cookie: string }

/** A cipher for one cookie, with its nonce. */
interface Cipher { readonly nonce: Buffer, readonly cipher: CipherGCM }

/** Sessions in sealed cookies. Each cookie opens only for its format, scheme and cookie name. */
class SealedBackend implements Backend {
  readonly #keys: readonly KeyObject[]
  readonly #context: SealedContext
  readonly #ciphers: Cipher[] = []
  /** Sessions that this process has ended. Browsers may still send their cookies, which must not be sealed again. */
  readonly #ended = new Recent<true>(ENDED, () => 1)
  /** The sessions of the cookies that were opened or saved last, so that a page opens a cookie once. None has a former name. */
  readonly #recent = new Recent<Opened | undefined>(OPENED, (opened) => opened?.cookie.length ?? 1)

  constructor (keys: readonly KeyObject[], context: SealedContext) {
    this.#keys = keys
    this.#context = context
  }

  load (value: string, touch: boolean, report: Report, cookieName = this.#context.cookie.name): Snapshot | undefined {
    const { now, idleTimeout } = this.#context
    const recent = cookieName === this.#context.cookie.name ? this.#recent.get(nonceOf(value)) : undefined
    const session = recent?.cookie === value ? recent : this.#open(value, cookieName, report)
    if (session === undefined) return undefined
    if (this.reload(session) === undefined) return report({ type: 'expired', reason: session.times.deadline <= now() ? 'absolute' : 'absent' }, session)
    // Seal the cookie again if the deadline gains a tenth of the idle timeout, or if its key or name is an old one.
    const expiresAt = touch ? expiryOf(session.times, this.#context, now()) : session.expiresAt
    const gain = (session.times.idleTimeout ?? idleTimeout) / 10
    return session.stale || expiresAt - session.expiresAt >= gain ? { ...session, expiresAt, stale: true } : session
  }

  #open (value: string, cookieName: string, report: Report): Snapshot | undefined {
    const isFormer = cookieName !== this.#context.cookie.name
    const opened = decrypt(value, this.#keys, this.#bind(cookieName))
    if (opened === undefined) return report({ type: 'rejected', reason: 'malformed-cookie' })
    const [id = '', end = ''] = opened.text.split(' ', 2)
    const decoded = this.#context.codec.decode(opened.text.slice(id.length + end.length + 2))
    if ('reason' in decoded) return report({ type: 'discarded', ...decoded, id })
    const cookie = copyText(value)
    const session = { ...decoded, id: copyText(id), version: 1, expiresAt: Number(end), stale: isFormer || opened.key > 0, cookie }
    if (!isFormer) this.#recent.set(nonceOf(cookie), session)
    return session
  }

  reload (session: Snapshot): Snapshot | undefined {
    return session.expiresAt > this.#context.now() && this.#ended.get(session.id) === undefined ? session : undefined
  }

  create ({ credential: { id }, times, content, reason }: NewSession, report: Report, old?: Snapshot): Saved {
    const saved = this.#seal(id, times, content)
    report({ type: 'created', reason }, saved.snapshot)
    if (old !== undefined) this.#ended.set(old.id, true)
    return saved
  }

  save (base: Snapshot, compute: Compute, report: Report, renewal?: Renewal): Awaitable<Saved | undefined> {
    return chain(compute(base), (content) => {
      if (this.#ended.get(base.id) !== undefined) return report({ type: 'discarded', reason: 'ended' }, base)
      const id = renewal?.credential.id ?? base.id
      const isMove = id !== base.id
      const times = isMove ? withLogin(base.times, this.#context.now()) : base.times
      const saved = this.#seal(id, times, content, renewal === undefined ? content.expiresAt : undefined)
      this.#recent.set(nonceOf(saved.value), saved.snapshot)
      // Few requests will send the cookie of before. Garbage collections take longer for each session that is kept.
      this.#recent.set(nonceOf((base as Opened).cookie), undefined)
      if (isMove) this.#ended.set(base.id, true)
      if (renewal !== undefined) report({ type: 'renewed', reason: renewal.reason }, saved.snapshot)
      return saved
    })
  }

  end (session: Snapshot, reason: DestroyedReason, report: Report): boolean {
    this.#ended.set(session.id, true)
    report({ type: 'destroyed', reason }, session)
    return true
  }

  endUnchanged (session: Snapshot, reason: DestroyedReason, report: Report): boolean { return this.end(session, reason, report) }

  #seal (id: string, times: Times, { data, principal }: Content, end?: number): { snapshot: Opened, value: string } {
    const { codec, cookie, now } = this.#context
    const expiresAt = end ?? expiryOf(times, this.#context, now())
    const text = `${id} ${expiresAt} ${codec.encode({ times, secretHash: '', data })}`
    if (this.#ciphers.length === 0) this.#makeCiphers(this.#bind(cookie.name))
    const { nonce, cipher } = this.#ciphers.pop() as Cipher
    const value = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
    // The name, the attributes and the value of the cookie are ASCII.
    const size = cookie.write(value, times).length
    if (size > MAX_COOKIE) throw tooLarge(`The sealed cookie takes ${size} bytes, and browsers keep ${MAX_COOKIE}: put less into the session, or use a store.`)
    return { snapshot: { id, version: 1, expiresAt, times, secretHash: '', data, principal, stale: false, cookie: value }, value }
  }

  /** Makes 32 ciphers. One alone takes twice as long, because the processor's caches no longer hold the code. */
  #makeCiphers (bound: Buffer): void {
    const nonces = Buffer.from(random(32 * NONCE_BYTES))
    for (let at = 0; at < nonces.length; at += NONCE_BYTES) {
      const nonce = nonces.subarray(at, at + NONCE_BYTES)
      // The authentication tag has 16 bytes by default.
      this.#ciphers.push({ nonce, cipher: createCipheriv(CIPHER, this.#keys[0] as KeyObject, nonce).setAAD(bound) })
    }
  }

  /** Returns what a cookie is bound to: version 1 of the format, the scheme and the name of the cookie. */
  #bind (cookieName: string): Buffer {
    return Buffer.from(JSON.stringify(['fastify-openapi-session', 1, this.#context.scheme, cookieName]))
  }
}

/** Returns the nonce of a cookie's value, as text. It differs in each cookie. */
function nonceOf (value: string): string { return value.slice(0, NONCE_BYTES / 3 * 4) }

/** Returns the text of a value and the index of its key, `undefined` if no key opens it. */
function decrypt (value: string, keys: readonly KeyObject[], bound: Buffer): { text: string, key: number } | undefined {
  if (value.length > MAX_COOKIE) return undefined
  const sealed = Buffer.from(value, 'base64url')
  // Buffer.from skips characters that are not base64url. Accept only the one spelling that this package writes.
  if (sealed.length <= NONCE_BYTES + TAG_BYTES || sealed.toString('base64url') !== value) return undefined
  for (const [index, key] of keys.entries()) {
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(bound).setAuthTag(sealed.subarray(-TAG_BYTES))
    const text = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
    try {
      decipher.final()
      return { text: text.toString('utf8'), key: index }
    } catch {}
  }
  return undefined
}

function readKey (key: unknown, index: number): KeyObject {
  const isText = typeof key === 'string'
  const check = (holds: boolean, problem: string): void => must(holds, `sealedCookie: keys[${index}] ${problem}: make one with makeKey()`)
  check(isText || key instanceof Uint8Array, 'must be base64url text or a Uint8Array')
  const bytes = isText ? Buffer.from(key, 'base64url') : Buffer.from(key as Uint8Array)
  check(!isText || bytes.toString('base64url') === key.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'), 'is not base64url text. A passphrase is not a key')
  check(bytes.length === KEY_BYTES, `has ${bytes.length} bytes and must have ${KEY_BYTES}`)
  // 32 random bytes never have so few different values. Keys such as "aaaa..." and repeated words have.
  check(new Set(bytes).size >= 12, 'is not random')
  // With the bytes as key, Node.js 24 makes a KeyObject for each encryption.
  return createSecretKey(bytes)
}
