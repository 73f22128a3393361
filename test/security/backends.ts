import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MemoryStore, type SessionStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { makeKey, type SealedCookie, sealedCookie } from 'fastify-openapi-session/sealed'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { Redis } from 'ioredis'
import type { Kysely } from 'kysely'
import root, { type Test } from 'tap'
import { startRedis } from '../support/servers-redis.js'
import { temporaryDirectory } from '../support/servers-process.js'
import { openWasm, sqliteKysely } from '../support/sqlite.js'

/** Where the sessions of one app of a test live. */
export interface Place {
  readonly store: SessionStore | SealedCookie
  /** Everything that is or was kept, as text: keys, values, index. */
  readonly atRest: () => Promise<string>
  /** How many records are kept now. */
  readonly count: () => Promise<number>
}

export interface Backend {
  readonly name: string
  readonly sealed: boolean
  readonly make: (t: Test, now: () => number) => Promise<Place>
}

const METHODS = ['create', 'read', 'update', 'delete', 'list', 'deleteAll'] as const

/** Writes down whatever a store is given. */
function recorded<S extends SessionStore> (store: S, given: string[]): S {
  return new Proxy(store, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        if ((METHODS as readonly unknown[]).includes(name)) given.push(`${String(name)} ${JSON.stringify(args)}`)
        return Reflect.apply(value, target, args)
      }
    }
  })
}

const memory: Backend = {
  name: 'memory',
  sealed: false,
  async make (_t, now) {
    const given: string[] = []
    const store = new MemoryStore({ now })
    return { store: recorded(store, given), atRest: async () => given.join('\n'), count: async () => store.size }
  }
}

const file: Backend = {
  name: 'file',
  sealed: false,
  async make (t, now) {
    const directory = temporaryDirectory(t, 'security')
    const given: string[] = []
    const files = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name.endsWith('.session'))
    return {
      store: recorded(new FileStore({ directory, now }), given),
      async atRest () {
        const texts = await Promise.all((await files()).map(async (name) => `${name}\n${await readFile(join(directory, name), 'latin1')}`))
        return [...given, ...texts].join('\n')
      },
      count: async () => (await files()).length
    }
  }
}

const sql: Backend = {
  name: 'sql (SQLite)',
  sealed: false,
  async make (t, now) {
    const db = sqliteKysely(openWasm()) as Kysely<any>
    await createTable(db)
    t.teardown(() => db.destroy())
    const given: string[] = []
    const rows = async (): Promise<unknown[]> => await db.selectFrom('sessions').selectAll().execute()
    return {
      store: recorded(new SqlStore({ db, now, sweepInterval: 0 }), given),
      atRest: async () => [...given, ...(await rows()).map((row) => JSON.stringify(row))].join('\n'),
      count: async () => (await rows()).length
    }
  }
}

let server: ReturnType<typeof startRedis> | undefined
let places = 0

const redis: Backend = {
  name: 'redis',
  sealed: false,
  async make (t, now) {
    server ??= startRedis(root)
    const client = new Redis((await server).url)
    t.teardown(() => { client.disconnect() })
    const prefix = `place${places++}:`
    const given: string[] = []
    const keys = async (): Promise<string[]> => await client.keys(`${prefix}*`)
    const dump = async (key: string): Promise<string> => {
      const value = await client.type(key) === 'string' ? await client.getBuffer(key) : await client.dumpBuffer(key)
      return `${key}\n${value?.toString('latin1') ?? ''}`
    }
    return {
      store: recorded(new RedisStore({ client, prefix, now }), given),
      atRest: async () => [...given, ...await Promise.all((await keys()).map(dump))].join('\n'),
      count: async () => (await Promise.all((await keys()).map((key) => client.type(key)))).filter((type) => type === 'string').length
    }
  }
}

const sealed: Backend = {
  name: 'sealed cookie',
  sealed: true,
  async make () {
    return { store: sealedCookie({ keys: [makeKey()] }), atRest: async () => '', count: async () => 0 }
  }
}

export const backends: Readonly<Record<string, Backend>> = { memory, file, sql, redis, sealed }
