import expressSession from 'express-session'
import Fastify from 'fastify'
import t from 'tap'
import sessionPlugin from 'fastify-openapi-session'
import { type ExpressStore, fromExpressStore } from 'fastify-openapi-session/express'
import { until } from '../support/servers-process.js'

const record = { payload: '{}', version: 1, expiresAt: Date.now() + 60_000 }

type Callback = (...args: any[]) => void

/** An express-session store that keeps a call to itself when asked to, until it is let go. */
function slow (): ExpressStore & { holds: string, letGo: () => void } {
  const inner = new expressSession.MemoryStore()
  const hold = (method: string, call: () => void): void => {
    if (store.holds === method) store.letGo = call
    else call()
  }
  const store = {
    holds: '',
    letGo: () => {},
    get: (id: string, callback: Callback) => { hold('get', () => { inner.get(id, callback) }) },
    set: (id: string, session: any, callback: Callback) => { hold('set', () => { inner.set(id, session, callback) }) },
    destroy: (id: string, callback: Callback) => { hold('destroy', () => { inner.destroy(id, callback) }) }
  }
  return store
}

t.test('the late write of a slow store does not come after a logout', async (t) => {
  const inner = slow()
  const store = fromExpressStore(inner, { timeout: 0.05 })
  t.equal(await store.create('a', record), true)
  inner.holds = 'set'
  await t.rejects(async () => await store.update('a', { ...record, version: 2 }), /did not call back within 50 ms/)
  inner.holds = ''
  await t.rejects(async () => await store.delete('a'), /within 50 ms/, 'its turn has not come')
  inner.letGo()
  t.equal(await store.delete('a'), true)
  await new Promise(setImmediate)
  t.equal(await store.read('a'), undefined)
})

t.test('a call that is never called back does not hold up others for ever', async (t) => {
  for (const holds of ['get', 'set', 'destroy']) {
    const inner = slow()
    const store = fromExpressStore(inner, { timeout: 0.1 })
    await store.create('a', record)
    inner.holds = holds
    const call = async (): Promise<unknown> => await (holds === 'destroy' ? store.delete('a') : store.update('a', { ...record, version: 2 }))
    await t.rejects(call(), /within 100 ms/, holds)
    if (holds === 'get') await t.rejects(async () => await store.read('a'), /within 100 ms/)
    inner.holds = ''
    await until('the next one is heard', async () => {
      await Promise.resolve(store.delete('a')).catch(() => {})
      return await store.read('a') === undefined
    })
  }
  t.throws(() => fromExpressStore(slow(), { timeout: 0 }), { code: 'FST_SESSION_OPTIONS' })
})

t.test('a limit of sessions needs a store that can find them', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(sessionPlugin, { store: fromExpressStore(slow()), principal: (data: any) => data.userId, maxPerPrincipal: 3 } as never)
  await t.rejects(async () => { await app.ready() }, { code: 'FST_SESSION_OPTIONS', message: /maxPerPrincipal, and its store cannot find the sessions of a principal/ })
  t.equal(fromExpressStore(new expressSession.MemoryStore()).lists, true)
})
