/** The options `user`, `roles` and `verify`, which see the data of a loaded session. */
import t from 'tap'
import { createGate } from '../support/gate.js'
import { ask, guarded, optional, reported, setCookies } from '../support/harness.js'
import { type Options, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const admins = { security: [{ session: ['admin'] }] }
const principal = (data: { userId?: string }): string | undefined => data.userId

t.test('request.session.user is the result of the option user, which is asked once per request', async (t) => {
  for (const isAsync of [false, true]) {
    const asked: unknown[] = []
    const { app, client } = await setUp(t, {
      principal,
      user: (data, request) => {
        asked.push([data.userId, request.url])
        const user = { name: data.userId?.toUpperCase() }
        return isAsync ? Promise.resolve(user) : user
      }
    })
    app.get('/', { schema: guarded }, async ({ session }) => {
      t.equal(session.user, session.user)
      return session.user as object
    })
    app.get('/optional', { schema: optional }, async ({ session }) => ({ exists: session.exists, user: session.user ?? null }))
    app.post('/start', { schema: optional }, async ({ session }) => { session.start(ada); return { user: session.user ?? null } })
    app.post('/destroy', { schema: guarded }, async ({ session }) => { session.destroy(); return { user: session.user ?? null } })
    t.same((await client.get('/optional')).json(), { exists: false, user: null })
    t.same((await client.post('/start')).json(), { user: null }, 'a session that was just started has no user yet')
    t.same(asked, [])
    t.same((await client.get('/')).json(), { name: 'ADA' })
    t.same((await client.get('/optional')).json(), { exists: true, user: { name: 'ADA' } })
    t.same((await client.post('/destroy')).json(), { user: null })
    t.same(asked, [['ada', '/'], ['ada', '/optional'], ['ada', '/destroy']])
  }
})

t.test('a user that is null or undefined ends the session', async (t) => {
  for (const gone of [null, undefined]) {
    const { app, client, events } = await setUp(t, { principal, user: async () => gone })
    app.get('/', { schema: guarded }, async () => t.fail('entered'))
    app.get('/optional', { schema: optional }, async ({ session }) => ({ exists: session.exists, user: session.user ?? null }))
    for (const url of ['/', '/optional']) {
      const { id, setCookie } = await app.session.issue(ada)
      client.jar.take(setCookie)
      events.length = 0
      const response = await client.get(url)
      t.equal(response.statusCode, url === '/' ? 401 : 200)
      if (url === '/optional') t.same(response.json(), { exists: false, user: null })
      t.match(setCookies(response), [/^__Host-session=; Max-Age=0/])
      t.equal(reported(events)[0], 'destroyed:verify')
      t.equal(await app.session.find(id), undefined)
    }
  }
})

t.test('the user of a session without a principal is not asked for, nor that of one that verify refused', async (t) => {
  const asked: unknown[] = []
  let holds = true
  const { app, client } = await setUp(t, { principal, verify: (data) => { asked.push(`verify ${data.userId}`); return holds }, user: (data) => { asked.push(`user ${data.userId}`); return {} } })
  app.get('/', { schema: optional }, async ({ session }) => session.exists)
  client.jar.take((await app.session.issue({ roles: [], cart: {} })).setCookie)
  t.equal((await client.get('/')).json(), true)
  t.same(asked, [])
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.equal((await client.get('/')).json(), true)
  t.same(asked.splice(0), ['verify ada', 'user ada'])
  holds = false
  t.equal((await client.get('/')).json(), false)
  t.same(asked, ['verify ada'])
})

t.test('an option user that fails lets no request in and ends no session', async (t) => {
  let error: Error | undefined = Object.assign(new Error('directory down'), { statusCode: 502 })
  const { app, client } = await setUp(t, { principal, user: async () => { if (error !== undefined) throw error; return {} } })
  app.get('/', { schema: optional }, async () => 'in')
  client.jar.take((await app.session.issue(ada)).setCookie)
  const response = await client.get('/')
  t.equal(response.statusCode, 502)
  t.same(setCookies(response), [])
  error = undefined
  t.equal((await client.get('/')).body, 'in')
})

t.test('a session that another request changed while its user was asked for is not ended', async (t) => {
  const gate = createGate()
  let slow = true
  const { app, client, events } = await setUp(t, {
    principal,
    user: async (data) => {
      if (slow) { slow = false; await gate.pass() }
      return data.a === 2 ? {} : null
    }
  })
  app.get('/', { schema: guarded }, async () => 'in')
  const { id, cookie, setCookie } = await app.session.issue({ ...ada, a: 1 })
  client.jar.take(setCookie)
  const late = ask(app, '/', cookie)
  await gate.reached
  await app.session.update(id, (data) => { data.a = 2 })
  events.length = 0
  gate.open()
  const response = await late
  t.equal(response.statusCode, 401)
  t.same(setCookies(response), [])
  t.same(reported(events), ['rejected:unauthenticated'])
  t.equal((await client.get('/')).body, 'in')
})

t.test('a role that is missing and is nearly one of those held is named with it', async (t) => {
  const message = async (held: unknown[], role: string): Promise<string> => {
    const { app, client } = await setUp(t, { principal, roles: () => held as string[] })
    app.get('/', { schema: { security: [{ session: [role] }] } }, async () => 'in')
    client.jar.take((await app.session.issue(ada)).setCookie)
    return (await client.get('/')).json().message
  }
  t.equal(await message(['clerk', 'admin'], 'amdin'), 'The role "amdin" is required. Did you mean "admin"?')
  t.equal(await message([5, null, 'Admin'], 'admin'), 'The role "admin" is required. Did you mean "Admin"?')
  t.equal(await message(['clerk'], 'admin'), 'The role "admin" is required.')
  t.equal(await message([], 'admin'), 'The role "admin" is required.')
  t.equal(await message(['a', 'b'], 'c'), 'The role "c" is required.')
})

t.test('roles are asked with the user, and may be asynchronous', async (t) => {
  for (const isAsync of [false, true]) {
    const { app, client } = await setUp(t, {
      principal,
      user: (data) => ({ groups: data.a === 1 ? ['admin'] : [] }),
      roles: (data, user: { groups: string[] }) => isAsync ? Promise.resolve([...data.roles, ...user.groups]) : [...data.roles, ...user.groups]
    })
    app.get('/', { schema: admins }, async () => 'in')
    app.get('/either', { schema: { security: [{ session: ['owner'] }, { session: ['admin'] }] } }, async () => 'in')
    const statuses = async (data: object): Promise<number[]> => {
      client.jar.take((await app.session.issue({ ...ada, ...data })).setCookie)
      return [(await client.get('/')).statusCode, (await client.get('/either')).statusCode]
    }
    t.equal((await client.get('/')).statusCode, 401)
    t.same(await statuses({}), [403, 403])
    t.same(await statuses({ a: 1 }), [200, 200])
    t.same(await statuses({ roles: ['owner'] }), [403, 200])
  }
})

t.test('roles that reject, or resolve to something else than a list, let no request in', async (t) => {
  for (const [roles, status, code] of [
    [async () => { throw Object.assign(new Error('down'), { statusCode: 502 }) }, 502, undefined],
    [async () => 'admin', 500, 'FST_SESSION_INVALID_DATA']
  ] as const) {
    const { app, client } = await setUp(t, { principal, roles: roles as never })
    app.get('/', { schema: admins }, async () => t.fail('entered'))
    client.jar.take((await app.session.issue(ada)).setCookie)
    const response = await client.get('/')
    t.equal(response.statusCode, status)
    t.equal(response.json().code, code)
  }
})

t.test('the data that principal, verify, user and roles get are frozen at every depth', async (t) => {
  const seen: string[] = []
  const frozen = (option: string) => (data: { roles: string[], cart: Record<string, number> }): void => {
    t.throws(() => { (data as { a?: number }).a = 1 }, TypeError, option)
    t.throws(() => data.roles.push('admin'), TypeError, option)
    t.throws(() => { data.cart['tea'] = 1 }, TypeError, option)
    seen.push(option)
  }
  const functions: Options = {
    principal: (data) => { frozen('principal')(data); return data.userId },
    verify: (data) => { frozen('verify')(data); return true },
    user: (data) => { frozen('user')(data); return {} },
    roles: (data) => { frozen('roles')(data); return ['admin'] }
  }
  // Each alone as well: none relies on another that froze the data before.
  const alone = Object.entries(functions).map(([name, ask]) => [[name], { roles: () => ['admin'], [name]: ask }] as const)
  for (const [names, options] of [[Object.keys(functions), functions] as const, ...alone]) {
    const { app, client } = await setUp(t, options)
    app.get('/', { schema: admins }, async ({ session }) => {
      session.data.roles.push('changed')
      return session.data
    })
    client.jar.take((await app.session.issue(ada)).setCookie)
    seen.length = 0
    t.same((await client.get('/')).json().roles, ['changed'], 'the handler gets a copy that it can change')
    t.same([...new Set(seen)].sort(), [...names].sort())
  }
})
