import sessionPlugin, { type SessionStore } from 'fastify-openapi-session'
import type { SealedCookie } from 'fastify-openapi-session/sealed'
import type { Test } from 'tap'
import { everything } from '../support/everything.js'
import { createGate, type Gate } from '../support/gate.js'
import { ProbeStore } from '../support/probe-store.js'
import { guarded, makeApp, optional } from '../support/harness.js'
import { Browser } from '../support/http-browser.js'
import { Visitor } from '../plugin/support.js'
import { rounds } from '../security/rounds.js'

/** Makes the place where the sessions of one app live; what it holds open ends with `t`. */
export type MakePlace<Place> = (t: Test) => Promise<Place> | Place

const ada = { userId: 'ada', roles: [], cart: {} }

interface World {
  readonly visit: () => Browser
  /** The gate before which the handler of a request with the header `x-gate` waits. */
  readonly gate: (name: string) => Gate
  /** How many calls the store got since the last time. */
  readonly calls: () => number
  /** Holds every compare-and-set from now on, before the store makes it or after. */
  readonly holdUpdates: (when: 'before' | 'after', gate: Gate | undefined) => void
  readonly revokeAll: () => Promise<number>
  readonly list: () => Promise<number>
}

async function open (t: Test, place: SessionStore | SealedCookie): Promise<World> {
  const { app } = makeApp(t)
  const gates = new Map<string, Gate>()
  const probe = 'create' in place ? new ProbeStore(place) : undefined
  await app.register(sessionPlugin, { schema: Visitor, store: probe ?? place as SealedCookie, storeTimeout: 30, principal: (data) => data.userId })
  const wait = async ({ headers }: { headers: Record<string, unknown> }): Promise<void> => { await gates.get(String(headers['x-gate']))?.pass() }

  app.post('/login', { schema: optional }, async ({ session }) => { session.start({ ...ada, cart: session.data.cart }) })
  app.post('/logout', { schema: optional }, async ({ session }) => { session.destroy() })
  app.get('/me', { schema: guarded }, async (request) => { await wait(request); return request.session.data })
  app.get('/home', { schema: optional }, async ({ session }) => ({ exists: session.exists, cart: session.data.cart }))
  app.post('/cart', { schema: optional }, async ({ session }) => { session.data.cart['tea'] = 1 })
  app.post('/set', { schema: guarded }, async (request) => {
    const { field, value } = request.query as { field: 'a' | 'b', value: string }
    request.session.data[field] = Number(value)
    await wait(request)
  })
  app.post('/renew', { schema: guarded }, async (request) => { request.session.renew(); await wait(request) })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    visit: () => new Browser(address),
    gate (name) {
      const gate = createGate()
      gates.set(name, gate)
      return gate
    },
    calls: () => probe?.take().length ?? 0,
    holdUpdates (when, gate) {
      if (probe) probe[when] = ({ method }) => method === 'update' ? gate?.pass() : undefined
    },
    revokeAll: async () => await app.session.revokeAll('ada'),
    list: async () => (await app.session.list('ada')).sessions.length
  }
}

/** A disk, and a server, take longer than memory: the short form repeats less there. */
const SHARE = everything ? 1 : 0.1

/** What holds wherever sessions live, sealed cookies included. `share`, from 0 to 1, is how much of what is repeated. */
export async function anywhere (t: Test, make: MakePlace<SessionStore | SealedCookie>, share = SHARE): Promise<void> {
  await t.test('a visit goes from a cart over a refusal and a login to a logout', async (t) => {
    const browser = (await open(t, await make(t))).visit()
    t.same((await browser.send('GET', '/home')).json, { exists: false, cart: {} })
    await browser.send('POST', '/cart')
    t.same((await browser.send('GET', '/home')).json, { exists: true, cart: { tea: 1 } })
    t.equal((await browser.send('GET', '/me')).status, 401, 'a guest with a cart is not signed in')
    await browser.send('POST', '/login')
    t.same((await browser.send('GET', '/me')).json, { ...ada, cart: { tea: 1 } })
    await browser.send('POST', '/set?field=a&value=5')
    t.equal((await browser.send('GET', '/me')).json.a, 5)
    t.match((await browser.send('POST', '/logout')).setCookie, [/Max-Age=0/])
    t.equal((await browser.send('GET', '/me')).status, 401)
    t.same((await browser.send('GET', '/home')).json, { exists: false, cart: {} })
  })

  await t.test('a login makes a planted cookie worthless (session fixation)', async (t) => {
    const world = await open(t, await make(t))
    const [attacker, victim] = [world.visit(), world.visit()]
    await attacker.send('POST', '/cart')
    const planted = attacker.jar.get('__Host-session') as string
    victim.jar.take(`__Host-session=${planted}; Path=/`)
    await victim.send('POST', '/login')
    t.not(victim.jar.get('__Host-session'), planted)
    t.equal((await victim.send('GET', '/me')).json.userId, 'ada')
    t.equal((await attacker.send('GET', '/me')).status, 401)

    const invented = `${'A'.repeat(22)}.${'A'.repeat(43)}`
    const other = world.visit()
    other.jar.take(`__Host-session=${invented}; Path=/`)
    await other.send('POST', '/login')
    t.not(other.jar.get('__Host-session'), invented)
    t.equal((await world.visit().send('GET', '/me', { cookie: `__Host-session=${invented}` })).status, 401)
  })

  const requests = rounds(1000, 1000, share)
  await t.test(`${requests} anonymous requests create no record and no cookie`, async (t) => {
    const { visit, calls } = await open(t, await make(t))
    let cookies = 0
    for (let round = 0; round < requests / 10; round++) {
      const answers = await Promise.all(Array.from({ length: 10 }, async (_, index) =>
        await visit().send(index % 2 === 0 ? 'GET' : 'POST', index % 2 === 0 ? '/home' : '/logout')))
      cookies += answers.flatMap(({ setCookie }) => setCookie).length
    }
    t.equal(cookies, 0)
    t.equal(calls(), 0)
  })
}

/** What holds where records are kept on the server. */
export async function onServer (t: Test, make: MakePlace<SessionStore>, share = SHARE): Promise<void> {
  const changes = rounds(200, 200, share)
  await t.test(`two parallel requests that change two fields lose nothing, in ${changes} rounds`, async (t) => {
    const world = await open(t, await make(t))
    const browser = world.visit()
    await browser.send('POST', '/login')
    const lost: string[] = []
    for (let round = 1; round <= changes; round++) {
      const gates = [world.gate('a'), world.gate('b')]
      const writes = (['a', 'b'] as const).map((field) => browser.send('POST', `/set?field=${field}&value=${round}`, { 'x-gate': field }))
      // Both have read the session before either saves it.
      await Promise.all(gates.map(({ reached }) => reached))
      for (const gate of gates) gate.open()
      const statuses = (await Promise.all(writes)).map(({ status }) => status)
      const { json } = await browser.send('GET', '/me')
      if (String(statuses) !== '200,200' || json.a !== round || json.b !== round) lost.push(`${round}: ${String(statuses)} ${JSON.stringify(json)}`)
    }
    t.same(lost, [])
  })

  const logouts = rounds(100, 100, share)
  await t.test(`a logout is final for slow reading, writing and renewing requests, in ${logouts} rounds`, async (t) => {
    const world = await open(t, await make(t))
    const alive: string[] = []
    for (let round = 0; round < logouts; round++) {
      const browser = world.visit()
      await browser.send('POST', '/login')
      const cookie = `__Host-session=${browser.jar.get('__Host-session')}`
      const gates = [world.gate('read'), world.gate('write'), world.gate('renew')]
      const slow = [
        browser.send('GET', '/me', { 'x-gate': 'read' }),
        browser.send('POST', `/set?field=a&value=${round}`, { 'x-gate': 'write' }),
        browser.send('POST', '/renew', { 'x-gate': 'renew' })
      ]
      await Promise.all(gates.map(({ reached }) => reached))
      await browser.send('POST', '/logout')
      for (const gate of gates) gate.open()
      const answers = await Promise.all(slow)
      const { status } = await world.visit().send('GET', '/me', { cookie })
      const handedOut = answers.flatMap(({ setCookie }) => setCookie).length
      if (status !== 401 || handedOut > 0 || answers.some((answer) => answer.status !== 200)) alive.push(`${round}: ${status}, ${handedOut} cookies`)
    }
    t.same(alive, [])
    t.equal(await world.list(), 0)
  })

  await t.test('a sign-out everywhere ends sessions that are being renewed', async (t) => {
    const world = await open(t, await make(t))
    const left: string[] = []
    for (let round = 0; round < rounds(20, 20, share); round++) {
      const browsers = Array.from({ length: 4 }, () => world.visit())
      for (const browser of browsers) await browser.send('POST', '/login')
      const gates = browsers.map((_, index) => world.gate(`renew ${index}`))
      const renewals = browsers.map((browser, index) => browser.send('POST', '/renew', { 'x-gate': `renew ${index}` }))
      await Promise.all(gates.map(({ reached }) => reached))
      // All of them store their new secret while everything is being ended.
      for (const gate of gates) gate.open()
      await Promise.all([...renewals, world.revokeAll()])
      // A session that has ended must not come back, and none may stay hidden.
      for (const browser of browsers) {
        const { status } = await browser.send('GET', '/me')
        if (status !== 401) left.push(`${round}: ${status}`)
      }
      const listed = await world.list()
      if (listed !== 0) left.push(`${round}: ${listed} in the list`)
    }
    t.same(left, [])
  })

  for (const when of ['before', 'after'] as const) {
    await t.test(`a sign-out everywhere ${when} a renewal is stored, and before its response, ends the session`, async (t) => {
      const world = await open(t, await make(t))
      const left: string[] = []
      for (let round = 0; round < rounds(20, 20, share); round++) {
        const browser = world.visit()
        await browser.send('POST', '/login')
        const cookie = `__Host-session=${browser.jar.get('__Host-session')}`
        const update = createGate()
        world.holdUpdates(when, update)
        const renewal = browser.send('POST', '/renew')
        await update.reached
        const ended = await world.revokeAll()
        update.open()
        world.holdUpdates(when, undefined)
        const { status, setCookie } = await renewal
        const [old, latest] = [await world.visit().send('GET', '/me', { cookie }), await browser.send('GET', '/me')]
        const listed = await world.list()
        const handedOut = when === 'before' ? 0 : 1
        if (ended !== 1 || status !== 200 || setCookie.length !== handedOut || old.status !== 401 || latest.status !== 401 || listed !== 0) {
          left.push(`${round}: ${ended} ended, ${status}, ${setCookie.length} cookies, the old one ${old.status}, the latest ${latest.status}, ${listed} listed`)
        }
      }
      t.same(left, [])
    })
  }
}
