/**
 * The floor: the least work that loses no update and revives no session. It is a yardstick and not a product. It has no list of a
 * principal's sessions, no check of the data, no time limits, no bound on memory, no events and no streams. Handlers must not
 * change values that `get` returned: `set` is the only way to write.
 */
import fastifyPlugin from 'fastify-plugin'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import { hash, randomBytes } from 'node:crypto'

type Data = Record<string, unknown>
interface Entry { readonly payload: string, readonly version: number, readonly expiresAt: number, readonly secretHash: string }

export interface FloorStore {
  create (id: string, entry: Entry): unknown
  read (id: string): Entry | undefined | Promise<Entry | undefined>
  touch (id: string, expiresAt: number): unknown
  /** Compare-and-set over `version - 1`: a slow save neither undoes another save nor revives a session that has ended. */
  update (id: string, entry: Entry): boolean | Promise<boolean>
}

export const IDLE = 30 * 60_000
export const COOKIE = '__Host-session='
export const ATTRIBUTES = '; Path=/; HttpOnly; Secure; SameSite=Lax'

let pool = Buffer.alloc(0)
/** Returns an id of 16 random bytes and a secret of 32. Takes them from a pool, because one large call costs as much as a small one. */
export function makeCredential (): [id: string, secret: string] {
  if (pool.length < 48) pool = randomBytes(4800)
  const credential: [string, string] = [pool.toString('base64url', 0, 16), pool.toString('base64url', 16, 48)]
  pool = pool.subarray(48)
  return credential
}

class FloorSession {
  id = ''
  entry: Entry | undefined
  data: Data = {}
  changes: Data | undefined
  cookie: string | undefined

  get (key: string): unknown {
    return this.data[key]
  }

  set (key: string, value: unknown): void {
    this.data[key] = value;
    (this.changes ??= {})[key] = value
  }

  /** Begins a session with a new id and a new secret. */
  start (data: Data): void {
    const [id, secret] = makeCredential()
    this.id = id
    this.data = data
    this.cookie = `${COOKIE}${id}.${secret}${ATTRIBUTES}`
    this.entry = { payload: '', version: 0, expiresAt: Date.now() + IDLE, secretHash: hash('sha256', secret, 'base64url') }
  }
}

type Done = (error?: Error | null, payload?: unknown) => void
type WithSession = Omit<FastifyRequest, 'session'> & { session: FloorSession }

/** Calls `next` with a result: at once, or when the promise resolves. */
function then<T> (result: T | Promise<T>, next: (value: T) => void, fail: Done): void {
  if (result instanceof Promise) result.then(next).catch(fail)
  else next(result)
}

function load (store: FloorStore, optional: boolean, request: WithSession, reply: FastifyReply, done: Done): void {
  const session = request.session = new FloorSession()
  const refuse = (): void => {
    if (optional) done()
    else reply.code(401).send({ error: 'Unauthorized' })
  }
  const header = request.headers.cookie
  const start = header === undefined ? -1 : header.indexOf(COOKIE)
  if (header === undefined || start === -1) return refuse()
  const end = header.indexOf(';', start)
  const credential = header.slice(start + COOKIE.length, end === -1 ? undefined : end)
  const dot = credential.indexOf('.')
  const id = credential.slice(0, dot)
  then(store.read(id), (entry) => {
    const now = Date.now()
    if (entry === undefined || entry.expiresAt <= now || hash('sha256', credential.slice(dot + 1), 'base64url') !== entry.secretHash) return refuse()
    session.id = id
    session.entry = entry
    session.data = JSON.parse(entry.payload) as Data
    if (now + IDLE - entry.expiresAt > IDLE / 10) then(store.touch(id, now + IDLE), () => done(), done)
    else done()
  }, done)
}

/** Writes the changed data. On a conflict, applies the changes to the data that are stored now. If the session has ended, writes nothing. */
function write (store: FloorStore, { id, changes }: FloorSession, entry: Entry, data: Data, done: () => void, fail: Done): void {
  const next = { ...entry, payload: JSON.stringify(data), version: entry.version + 1, expiresAt: Date.now() + IDLE }
  then(store.update(id, next), (updated) => {
    if (updated) return done()
    then(store.read(id), (now) => {
      if (now === undefined) return done()
      write(store, { id, changes } as FloorSession, now, { ...JSON.parse(now.payload) as Data, ...changes }, done, fail)
    }, fail)
  }, fail)
}

function save (store: FloorStore, { session }: WithSession, reply: FastifyReply, payload: unknown, done: Done): void {
  const { entry, data, changes, cookie, id } = session
  reply.header('vary', 'Cookie')
  reply.header('cache-control', cookie === undefined ? 'private, no-cache' : 'no-store')
  const end = (): void => done(null, payload)
  if (cookie !== undefined && entry !== undefined) {
    reply.header('set-cookie', cookie)
    then(store.create(id, { ...entry, payload: JSON.stringify(data), version: 1 }), end, done)
  } else if (changes !== undefined && entry !== undefined) {
    write(store, session, entry, data, end, done)
  } else {
    end()
  }
}

/** Serves routes that declare `schema.security`; all others are left alone. */
export const floor = fastifyPlugin(async (app: FastifyInstance, { store }: { store: FloorStore }) => {
  app.decorateRequest('session', null as never)
  app.addHook('onRoute', (route) => {
    const { security } = (route.schema ?? {}) as { security?: object[] }
    if (security === undefined) return
    const optional = security.some((requirement) => Object.keys(requirement).length === 0)
    route.onRequest = (request, reply, done) => load(store, optional, request as unknown as WithSession, reply, done as Done)
    route.onSend = (request, reply, payload, done) => save(store, request as unknown as WithSession, reply, payload, done as Done)
  })
})

export function floorInMemory (): FloorStore {
  const entries = new Map<string, Entry>()
  return {
    create: (id, entry) => entries.set(id, entry),
    read: (id) => entries.get(id),
    touch (id, expiresAt) {
      const entry = entries.get(id)
      if (entry !== undefined) entries.set(id, { ...entry, expiresAt })
    },
    update (id, entry) {
      if (entries.get(id)?.version !== entry.version - 1) return false
      entries.set(id, entry)
      return true
    }
  }
}

const WRITE = "redis.call('HSET', KEYS[1], 'p', ARGV[1], 'v', ARGV[2], 'e', ARGV[3], 'h', ARGV[4]) redis.call('PEXPIREAT', KEYS[1], ARGV[3]) return 1"
const UPDATE = `if redis.call('HGET', KEYS[1], 'v') ~= ARGV[5] then return 0 end ${WRITE}`
const TOUCH = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'e', ARGV[1]) redis.call('PEXPIREAT', KEYS[1], ARGV[1]) end"

export function floorInRedis (redis: Redis): FloorStore {
  for (const [name, lua] of Object.entries({ floorWrite: WRITE, floorUpdate: UPDATE, floorTouch: TOUCH })) redis.defineCommand(name, { lua, numberOfKeys: 1 })
  const client = redis as Redis & Record<'floorWrite' | 'floorUpdate' | 'floorTouch', (...args: Array<string | number>) => Promise<unknown>>
  const args = (id: string, { payload, version, expiresAt, secretHash }: Entry): Array<string | number> => [`floor:${id}`, payload, version, expiresAt, secretHash]
  return {
    create: (id, entry) => client.floorWrite(...args(id, entry)),
    read: (id) => client.hgetall(`floor:${id}`).then(({ p, v, e, h }) => {
      return p === undefined || h === undefined ? undefined : { payload: p, version: Number(v), expiresAt: Number(e), secretHash: h }
    }),
    touch: (id, expiresAt) => client.floorTouch(`floor:${id}`, expiresAt),
    update: (id, entry) => client.floorUpdate(...args(id, entry), entry.version - 1).then((updated) => updated === 1)
  }
}
