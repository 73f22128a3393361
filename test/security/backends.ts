import { readFile } from 'node:fs/promises'
import { MemoryStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { RedisStore } from 'fastify-openapi-session/redis'
import { fromExpressStore } from 'fastify-openapi-session/express'
import session from 'express-session'
import { Redis } from 'ioredis'
import root from 'tap'
import { journaled, journalsIn } from '../support/journals.js'
import { startRedis } from '../support/servers-redis.js'
import { temporaryDirectory, until } from '../support/servers-process.js'
import { mariadb, postgres, sqlite } from './databases.js'
import { type Backend, only, recorded } from './place.js'

const memory: Backend = {
  name: 'memory',
  sealed: false,
  shared: false,
  share: 1,
  async make (_t, now) {
    const given: string[] = []
    const store = new MemoryStore({ now })
    return {
      store: recorded(store, given),
      atRest: async () => given.join('\n'),
      count: async () => store.size,
      async leftovers () {
        // It frees as it goes.
        for (let n = 0; n < 64; n++) {
          store.create(`passer-by ${n}`, { payload: '', version: 1, expiresAt: now() + 1000 })
          store.delete(`passer-by ${n}`)
        }
        return Array.from({ length: store.size })
      }
    }
  }
}

const file: Backend = {
  name: 'file',
  sealed: false,
  shared: false,
  share: 0.15,
  async make (t, now) {
    const directory = temporaryDirectory(t, 'security')
    const given: string[] = []
    const store = new FileStore({ directory, now })
    return {
      store: recorded(store, given),
      async leftovers () {
        await store.close()
        const next = new FileStore({ directory, now })
        await until('the older journals are removed', async () => journalsIn(directory).length === 1)
        await next.close()
        return [...journaled(directory)]
      },
      async atRest () {
        // The first line names the process, not a session.
        const lines = await Promise.all(journalsIn(directory).map(async (path) => (await readFile(path, 'latin1')).split('\n').slice(1, -1)))
        return [...given, ...lines.flat()].join('\n')
      },
      count: async () => journaled(directory).size
    }
  }
}

let server: ReturnType<typeof startRedis> | undefined
let places = 0

const redis: Backend = {
  name: 'redis',
  sealed: false,
  shared: true,
  share: 0.3,
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
      another: (now) => recorded(new RedisStore({ client, prefix, now }), given),
      atRest: async () => [...given, ...await Promise.all((await keys()).map(dump))].join('\n'),
      count: async () => (await Promise.all((await keys()).map((key) => client.type(key)))).filter((type) => type === 'string').length,
      async leftovers () {
        // An index is kept ten minutes longer than its sessions, for processes whose clocks are behind.
        const left = async (): Promise<string[]> => {
          const lives = await Promise.all((await keys()).map(async (key) => ({ key, life: await client.pttl(key), type: await client.type(key) })))
          return lives.filter(({ life, type }) => type !== 'zset' || life < 0 || life > 600_000).map(({ key }) => key)
        }
        await until('Redis has dropped all keys', async () => (await left()).length === 0)
        return await left()
      }
    }
  }
}

const sealed: Backend = {
  name: 'sealed cookie',
  sealed: true,
  shared: false,
  share: 0.3,
  make: async (t, now) => await only(sealedCookie({ keys: [makeKey()] })).make(t, now)
}

/** A store of express-session in one process, which is where it keeps all promises. */
const express: Backend = {
  name: 'express',
  sealed: false,
  shared: false,
  share: 0.3,
  async make (_t, now) {
    const given: string[] = []
    const inner = new session.MemoryStore()
    const { sessions } = inner as unknown as { sessions: Record<string, string> }
    return {
      store: recorded(fromExpressStore(inner, { now }), given),
      atRest: async () => [...given, ...Object.entries(sessions).flat()].join('\n'),
      count: async () => Object.keys(sessions).length,
      async leftovers () {
        await until('all sessions are dropped', async () => await new Promise((resolve) => inner.all((_error, all) => resolve(Object.keys(all ?? {}).length === 0))))
        return Object.keys(sessions)
      }
    }
  }
}

export const backends: Readonly<Record<string, Backend>> = { memory, file, sql: sqlite, postgres, mariadb, redis, express, sealed }
