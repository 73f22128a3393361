import { mock } from 'node:test'
import expressSession from 'express-session'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import sessionPlugin from 'fastify-openapi-session'
import { type ExpressStore, fromExpressStore } from 'fastify-openapi-session/express'

const record = { payload: '{}', version: 1, expiresAt: Date.now() + 60_000 }

type Callback = (...args: any[]) => void

interface Slow extends ExpressStore {
  /** Keeps the calls of a method to itself from now on. Resolves when there is one. */
  hold (method: string): Promise<void>
  /** Makes the call that was held last, and holds no more. */
  letGo (): void
  /** Holds no more calls. Those that are held are never called back. */
  forget (): void
}

/** An express-session store that holds calls. */
function slow (): Slow {
  const inner = new expressSession.MemoryStore()
  let held = { method: '', call: (): void => {}, told: (): void => {} }
  const pass = (method: string, call: () => void): void => {
    if (held.method !== method) return call()
    held.call = call
    held.told()
  }
  return {
    get: (id: string, callback: Callback) => { pass('get', () => { inner.get(id, callback) }) },
    set: (id: string, session: any, callback: Callback) => { pass('set', () => { inner.set(id, session, callback) }) },
    destroy: (id: string, callback: Callback) => { pass('destroy', () => { inner.destroy(id, callback) }) },
    hold: (method) => new Promise((resolve) => { held = { ...held, method, told: resolve } }),
    letGo () {
      held.method = ''
      held.call()
    },
    forget () { held.method = '' }
  }
}

/** Lets the test move the timers of time limits. */
function holdTimeouts (t: Test): (seconds: number) => void {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  return (seconds) => mock.timers.tick(seconds * 1000)
}

t.test('the late write of a slow store does not come after a logout', async (t) => {
  const pass = holdTimeouts(t)
  const inner = slow()
  const store = fromExpressStore(inner, { timeout: 1 })
  t.equal(await store.create('a', record), true)
  const isHeld = inner.hold('set')
  const update = store.update('a', { ...record, version: 2 })
  await isHeld
  pass(1)
  await t.rejects(async () => await update, /did not call back within 1000 ms/)
  const early = store.delete('a')
  pass(1)
  await t.rejects(async () => await early, /within 1000 ms/, 'its turn has not come')
  inner.letGo()
  t.equal(await store.delete('a'), true)
  await new Promise(setImmediate)
  t.equal(await store.read('a'), undefined)
})

t.test('a call that is never called back holds up others for thirty times the limit', async (t) => {
  const pass = holdTimeouts(t)
  for (const method of ['get', 'set', 'destroy']) {
    const inner = slow()
    const store = fromExpressStore(inner, { timeout: 1 })
    await store.create('a', record)
    const isHeld = inner.hold(method)
    const call = method === 'destroy' ? store.delete('a') : store.update('a', { ...record, version: 2 })
    await isHeld
    const held = method === 'get' ? [call, store.read('a')] : [call]
    pass(1)
    await Promise.all(held.map((each) => t.rejects(async () => await each, /within 1000 ms/, method)))
    inner.forget()
    const early = store.delete('a')
    pass(28)
    await t.rejects(async () => await early, /within 1000 ms/, 'its turn has not come')
    pass(1)
    await store.delete('a')
    t.equal(await store.read('a'), undefined)
  }
  t.throws(() => fromExpressStore(slow(), { timeout: 0 }), { code: 'FST_SESSION_OPTIONS' })
})

t.test('a call that is never called back keeps the process alive until its time limit only', async (t) => {
  const inner = slow()
  const store = fromExpressStore(inner, { timeout: 0.01 })
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  void inner.hold('get')
  const before = timers()
  const call = store.read('a')
  t.equal(timers(), before + 1, 'the timer that abandons the call does not count')
  await t.rejects(async () => await call, /within 10 ms/)
})

t.test('a limit of sessions needs a store that can find them', async (t) => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const options = { store: fromExpressStore(slow()), principal: (data: any) => data.userId, maxPerPrincipal: 3 }
  await t.rejects(async () => { await app.register(sessionPlugin, options as never) }, { code: 'FST_SESSION_OPTIONS', message: /maxPerPrincipal, and its store cannot find the sessions of a principal/ })
  t.equal(fromExpressStore(new expressSession.MemoryStore()).lists, true)
})
