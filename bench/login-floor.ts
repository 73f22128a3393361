/**
 * The floor of a login: the floor, plus what docs/security.md promises for a login in memory.
 *
 * - The data are a private copy, are JSON, fit the schema, and are frozen when the app's function reads the principal from them.
 * - The store has the sessions of each principal, to list and to end, and counts them for the limit. It stays within a number of
 *   sessions and a size, evicts the session that was idle for the longest time, frees expired ones, and never overwrites a session.
 *   It has the hash tables of this package, which cost less than a `Map` here.
 * - The session has an absolute deadline. A change after the response is noticed. The response stays out of all shared caches.
 *
 * It is a yardstick and not a product: it serves one kind of login, has no options, and its errors say nothing.
 */
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { TSchema } from '@sinclair/typebox'
import fastifyPlugin from 'fastify-plugin'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hash } from 'node:crypto'
import { HashTable } from '../lib/store/shared/hash-table.js'
import { ATTRIBUTES, COOKIE, IDLE, makeCredential } from './floor.js'

type Data = Record<string, unknown>

const ABSOLUTE = 24 * 60 * 60_000
const MOST = 2_000_000
const MOST_BYTES = 2 ** 40
const MOST_EACH = 100

interface Entry {
  readonly id: string
  readonly payload: string
  readonly expiresAt: number
  readonly principal: string
  older: Entry | undefined
  newer: Entry | undefined
}

/** The sessions of a principal that has several. */
type Group = Set<Entry> & { readonly principal: string }

/** Copies JSON and freezes the copy. */
function copy (value: unknown, depth = 0): unknown {
  if (typeof value === 'string' || value === null || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value !== 'object' || depth === 32) throw new Error('not JSON')
  if (Array.isArray(value)) return Object.freeze(value.map((item) => copy(item, depth + 1)))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) throw new Error('not JSON')
  const copied: Data = {}
  for (const key of Object.keys(value)) if (key !== '__proto__') copied[key] = copy((value as Data)[key], depth + 1)
  return Object.freeze(copied)
}

class Store {
  readonly #entries = new HashTable<Entry>(({ id }) => id)
  readonly #principals = new HashTable<Entry | Group>(({ principal }) => principal)
  #size = 0
  #oldest: Entry | undefined
  #newest: Entry | undefined
  #walk: Entry | undefined
  #bytes = 0

  /** Adds a session. Returns the number of its principal's sessions. */
  create (entry: Entry, now: number): number {
    if (this.#entries.get(entry.id) !== undefined) throw new Error('taken')
    for (let count = 0; count < 2; count++) {
      this.#walk = (this.#walk ?? this.#newest)?.older
      if (this.#walk !== undefined && this.#walk.expiresAt <= now) this.#remove(this.#walk)
    }
    this.#entries.set(entry.id, entry)
    this.#size++
    entry.older = this.#newest
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
    this.#bytes += entry.payload.length
    while (this.#size > MOST || this.#bytes > MOST_BYTES) this.#remove(this.#oldest!)
    const found = this.#principals.get(entry.principal)
    if (found instanceof Set) return found.add(entry).size
    this.#principals.set(entry.principal, found === undefined ? entry : Object.assign(new Set([found, entry]), { principal: entry.principal }))
    return found === undefined ? 1 : 2
  }

  #remove (entry: Entry): void {
    const { older, newer, principal } = entry
    if (this.#walk === entry) this.#walk = newer
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    this.#bytes -= entry.payload.length
    this.#entries.delete(entry.id)
    this.#size--
    const found = this.#principals.get(principal)
    if (found instanceof Set ? found.delete(entry) && found.size === 0 : found === entry) this.#principals.delete(principal)
  }
}

class LoginSession {
  id = ''
  secret = ''
  data: Data | undefined
  isLate = false
  readonly reply: FastifyReply
  readonly accept: (data: Data) => Data

  constructor (reply: FastifyReply, accept: (data: Data) => Data) {
    this.reply = reply
    this.accept = accept
  }

  start (data: Data): void {
    if (this.reply.raw.headersSent) throw new Error('too late');
    [this.id, this.secret] = makeCredential()
    this.data = this.accept(data)
    this.reply.raw.on('close', () => { if (this.isLate) throw new Error('too late') })
  }

  set (key: string, value: unknown): void {
    this.isLate = this.reply.raw.headersSent
    this.data = this.accept({ ...this.data, [key]: value })
  }
}

type WithSession = Omit<FastifyRequest, 'session'> & { session: LoginSession }

function save (store: Store, principalOf: (data: Data) => string, { session: { id, secret, data } }: WithSession, reply: FastifyReply): void {
  const vary = String(reply.getHeader('vary') ?? '')
  if (!/(^|,)\s*(cookie|\*)\s*(,|$)/i.test(vary)) reply.header('vary', vary === '' ? 'Cookie' : `${vary}, Cookie`)
  if (data === undefined) return
  const now = Date.now()
  const payload = `{"hash":"${hash('sha256', secret, 'base64url')}","at":${now},"ms":${ABSOLUTE},"data":${JSON.stringify(data)}}`
  const expiresAt = Math.min(now + IDLE, now + ABSOLUTE)
  const entry = { id, payload, expiresAt, principal: principalOf(data), older: undefined, newer: undefined }
  if (store.create(entry, now) > MOST_EACH) throw new Error('not in this benchmark')
  const before = reply.getHeader('set-cookie')
  const header = `${COOKIE}${id}.${secret}${ATTRIBUTES}`
  reply.header('set-cookie', before === undefined ? header : [before, header].flat().map(String))
  for (const name in reply.getHeaders()) if (name.endsWith('cdn-cache-control') || name === 'surrogate-control') reply.removeHeader(name)
  reply.header('cache-control', 'no-store')
}

/** Serves the login of the benchmark, and no other route. */
export const loginFloor = fastifyPlugin(async (app: FastifyInstance, { schema, principal }: { schema: TSchema, principal: (data: Data) => string }) => {
  const store = new Store()
  const checker = TypeCompiler.Compile(schema)
  const accept = (data: Data): Data => {
    const copied = copy(data) as Data
    if (!checker.Check(copied)) throw new Error('does not fit')
    return copied
  }
  app.decorateRequest('session', null as never)
  app.addHook('onRoute', (route) => {
    if ((route.schema as { security?: unknown } | undefined)?.security === undefined) return
    route.onRequest = (request, reply, done) => {
      (request as unknown as WithSession).session = new LoginSession(reply, accept)
      if (request.headers.cookie?.includes(COOKIE)) throw new Error('not in this benchmark')
      done()
    }
    route.onSend = (request, reply, payload, done) => {
      save(store, principal, request as unknown as WithSession, reply)
      done(null, payload)
    }
  })
})
