import expressSession from 'express-session'
import Fastify from 'fastify'
import t from 'tap'
import sessionPlugin from 'fastify-openapi-session'
import { type ExpressStore, fromExpressStore } from 'fastify-openapi-session/express'

const record = { payload: '{}', version: 1, expiresAt: Date.now() + 60_000 }

/** An express-session store that can forget to call back. */
function forgetful (): ExpressStore & { forgets: string } {
  const inner = new expressSession.MemoryStore()
  const store = {
    forgets: '',
    get: (id: string, callback: (...args: any[]) => void) => { if (store.forgets !== 'get') inner.get(id, callback) },
    set: (id: string, session: any, callback: (...args: any[]) => void) => { if (store.forgets !== 'set') inner.set(id, session, callback) },
    destroy: (id: string, callback: (...args: any[]) => void) => { if (store.forgets !== 'destroy') inner.destroy(id, callback) }
  }
  return store
}

t.test('a call that is never called back fails, and holds nobody up after that', async (t) => {
  const inner = forgetful()
  const store = fromExpressStore(inner, { timeout: 0.05 })
  t.equal(await store.create('a', record), true)
  const calls: Record<string, () => Promise<unknown>> = {
    set: async () => await store.update('a', { ...record, version: 2 }),
    get: async () => await store.read('a'),
    destroy: async () => await store.delete('a')
  }
  for (const [method, call] of Object.entries(calls)) {
    inner.forgets = method
    await t.rejects(call(), /did not call back within 50 ms/, method)
    inner.forgets = ''
    t.match(await store.read('a'), { version: 1 }, 'the next one is heard')
  }
  t.equal(await store.update('a', { ...record, version: 2 }), 'updated')
  t.equal(await store.delete('a'), true)
  t.throws(() => fromExpressStore(inner, { timeout: 0 }), { code: 'FST_SESSION_OPTIONS' })
})

t.test('a limit of sessions needs a store that can find them', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(sessionPlugin, { store: fromExpressStore(forgetful()), principal: (data: any) => data.userId, maxPerPrincipal: 3 } as never)
  await t.rejects(async () => { await app.ready() }, { code: 'FST_SESSION_OPTIONS', message: /maxPerPrincipal, and its store cannot find the sessions of a principal/ })
  t.equal(fromExpressStore(new expressSession.MemoryStore()).lists, true)
})
