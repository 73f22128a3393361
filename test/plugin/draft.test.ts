import t from 'tap'
import { guarded, optional } from '../support/harness.js'
import { generator } from '../support/random.js'
import { setUp } from './support.js'

t.test('an object that a handler gets after it set another key is its own: what it does to it and does not save, no request sees', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/login', { schema: optional }, async ({ session }) => { session.start({ userId: 'ada', roles: [], cart: { tea: 1 }, a: 1 }) })
  const lost: Array<(session: any) => void> = [
    (session) => { session.set('a', 2); session.data.cart.tea = 9 },
    (session) => { session.set('a', 2); session.get('cart').tea = 9 },
    (session) => { session.unset('a'); session.cart.tea = 9 },
    (session) => { session.data.cart.tea = 9 }
  ]
  for (const [index, change] of lost.entries()) {
    app.post(`/lost/${index}`, { schema: guarded }, async ({ session }, reply) => {
      change(session)
      return reply.code(500).send('x')
    })
  }
  app.get('/all', { schema: guarded }, async ({ session }) => session.data)
  app.post('/both', { schema: guarded }, async ({ session }) => {
    session.set('a', 3)
    await session.commit()
    session.data.cart['tea'] = 2
    session.set('a', 4)
  })
  await client.post('/login')
  const before = (await client.get('/all')).json()
  t.ok(before.cart)
  for (const index of lost.keys()) {
    t.equal((await client.post(`/lost/${index}`)).statusCode, 500)
    t.same((await client.get('/all')).json(), before, String(lost[index]))
  }
  t.equal((await client.post('/both')).statusCode, 200)
  t.same((await client.get('/all')).json(), { ...before, a: 4, cart: { ...before.cart, tea: 2 } })
})

t.test('a key that is named like a member of every object is data like any other, before and after another key is set', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/login', { schema: optional }, async ({ session }) => { session.start({ userId: 'ada', roles: [], cart: { tea: 1 }, a: 1 }) })
  app.post('/set', { schema: guarded }, async ({ session }) => {
    const any = session as any
    any.set('constructor', { name: 'x' })
    any.set('a', 1)
    return [any.get('constructor'), any.get('toString') === undefined]
  })
  app.post('/function', { schema: guarded }, async ({ session }) => { (session as any).set('constructor', Object) })
  await client.post('/login')
  t.same((await client.post('/set')).json(), [{ name: 'x' }, true])
  t.match((await client.post('/function')).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: /data\.constructor is of type function/ })
})

t.test('whatever a handler holds of a session after its request, changing that changes nothing for another request', async (t) => {
  const { app, client } = await setUp(t)
  const held: any[] = []
  const ways: Array<(session: any) => unknown> = [
    (session) => session.data,
    (session) => session.get('cart'),
    (session) => { session.set('a', 2); return session.data },
    (session) => { session.set('cart', session.get('cart')); session.unset('b'); return session.data },
    async (session) => await session.update((data: any) => { data.a = 3; held.push(data, data.cart) }),
    async (session) => await session.update((data: any) => ({ ...data, a: 4 })),
    async (session) => { session.set('a', 5); await session.commit(); return session.data },
    async (session) => { const { data } = session; data.a = 6; await session.commit(); return data },
    (session) => { session.regenerate(['userId', 'cart', 'roles']); return session.data },
    (session) => { const data = { userId: 'ada', roles: [], cart: { tea: 1 } }; session.start(data); held.push(data, data.cart); return session.data }
  ]
  app.post('/login', { schema: optional }, async ({ session }) => { session.start({ userId: 'ada', roles: ['clerk'], cart: { tea: 1 } }) })
  for (const [index, way] of ways.entries()) app.post(`/${index}`, { schema: guarded }, async ({ session }) => { held.push(await way(session)) })
  app.get('/all', { schema: guarded }, async ({ session }) => session.data)
  await client.post('/login')
  for (const [index, way] of ways.entries()) {
    held.length = 0
    t.equal((await client.post(`/${index}`)).statusCode, 200)
    const before = (await client.get('/all')).json()
    for (const object of held.flatMap((value) => [value, value.cart, value.roles])) {
      if (Array.isArray(object)) object.push('admin')
      else if (object !== undefined) Object.assign(object, { tea: 9, a: 9 })
    }
    t.same((await client.get('/all')).json(), before, String(way))
  }
})

t.test('a session has what its handler left in it, however it was changed and saved on the way', async (t) => {
  const { app, client } = await setUp(t)
  const start = { userId: 'ada', roles: ['reader'], cart: { tea: 1 }, list: [{ n: 1 }], a: 1 }
  app.post('/login', { schema: optional }, async ({ session }) => { session.start(start) })
  app.get('/all', { schema: guarded }, async ({ session }) => session.data)
  let saves = 100
  /** An object that the handler has set in this request, and still holds. */
  let held: { n: number } | undefined
  /** The steps of a handler: each changes the session, and the model of its data in the same way. */
  const steps: Array<(session: any, model: any, n: number) => unknown> = [
    (session, model, n) => { session.set('a', n); model.a = n },
    (session, model, n) => { session.set(`k${n % 5}`, n); model[`k${n % 5}`] = n },
    (session, model, n) => { session.set('own', model.own = held = { n }) },
    (_session, _model, n) => { if (held !== undefined) held.n = n },
    (session, model, n) => { session.unset(`k${n % 5}`); delete model[`k${n % 5}`] },
    (session, model) => { session.set('a', undefined); delete model.a },
    (session, model, n) => { session.data.cart[`c${n % 3}`] = n; model.cart[`c${n % 3}`] = n },
    (session, model, n) => { session.get('list').push({ n }); model.list.push({ n }) },
    (session, model) => { delete session.data.own; delete model.own },
    (session, model, n) => { for (let key = 0; key < 40; key++) { session.set(`many${key}`, n); model[`many${key}`] = n } },
    (session) => session.commit(),
    async (session, model, n) => { await session.update((data: any) => { data.updated = n }); model.updated = n },
    async (session, model, n) => {
      await session.commit()
      await app.session.update(session.id, (data: any) => { data.elsewhere = n })
      session.set('a', ++saves)
      await session.commit()
      Object.assign(model, { a: saves, elsewhere: n })
    },
    async (session, model) => {
      await session.regenerate(['userId', 'cart', 'a'])
      for (const key of Object.keys(model)) if (!['userId', 'cart', 'a'].includes(key)) delete model[key]
      Object.assign(model, { roles: [], list: [] })
      session.set('list', model.list)
    }
  ]
  const random = generator(754)
  let model: any
  let program: number[] = []
  app.post('/run', { schema: guarded }, async ({ session }) => {
    for (const [n, step] of program.entries()) await steps[step]!(session, model, n)
  })
  for (let run = 0; run < 500; run++) {
    await client.post('/login')
    model = structuredClone(start)
    for (let request = 0; request < 2; request++) {
      program = Array.from({ length: 1 + random(8) }, () => random(steps.length))
      const { statusCode } = await client.post('/run')
      t.equal(statusCode, 200, String(program))
      t.same((await client.get('/all')).json(), JSON.parse(JSON.stringify(model)), String(program))
      model = structuredClone(model)
      held = undefined
    }
  }
})
