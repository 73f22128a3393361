import t, { type Test } from 'tap'
import type { FastifyRequest } from 'fastify'
import { ask, bootError, reported, type World } from '../support/harness.js'
import { anySession, type Options, setUp } from './support.js'

type Security = ReadonlyArray<Record<string, readonly string[]>>

const asBearer = (request: FastifyRequest): boolean => request.headers.authorization === 'Bearer good'
const withCsrf = (request: FastifyRequest): boolean => request.headers['x-csrf'] === 'good'

/** An app with `GET /` under a `security`, and ways to get a session of each kind. */
async function world (t: Test, security: Security | undefined, options: Options = {}): Promise<World> {
  const setup = await setUp(t, {
    principal: (data) => data.userId,
    roles: (data) => data.roles,
    verifiers: { bearer: asBearer, csrf: withCsrf },
    ...options
  })
  setup.app.get('/', security === undefined ? {} : { schema: { security } }, async (request) => {
    if (security === undefined || security.length === 0) return { loaded: false }
    return { loaded: true, exists: request.session.exists }
  })
  return setup
}

const visitors = {
  nobody: async () => {},
  guest: async ({ app, client }: World) => { client.jar.take((await app.session.issue({ roles: [], cart: { tea: 1 } })).setCookie) },
  ada: async ({ app, client }: World) => { client.jar.take((await app.session.issue({ userId: 'ada', roles: [], cart: {} })).setCookie) },
  admin: async ({ app, client }: World) => { client.jar.take((await app.session.issue({ userId: 'ada', roles: ['admin', 'writer'], cart: {} })).setCookie) }
}

type Answers = Record<keyof typeof visitors, number>

async function answers (t: Test, security: Security | undefined, headers: Record<string, string> = {}, options: Options = {}): Promise<Answers> {
  const found: Partial<Answers> = {}
  for (const [name, arrive] of Object.entries(visitors) as Array<[keyof typeof visitors, (setup: World) => Promise<void>]>) {
    const setup = await world(t, security, options)
    await arrive(setup)
    found[name] = (await setup.client.get('/', headers)).statusCode
  }
  return found as Answers
}

const bearer = { authorization: 'Bearer good' }
const csrf = { 'x-csrf': 'good' }
const all = (status: number): Answers => ({ nobody: status, guest: status, ada: status, admin: status })

t.test('a route without security is neither loaded nor enforced', async (t) => {
  t.same(await answers(t, undefined), all(200))
})

t.test('security: [] is neither loaded nor enforced, and overrides the default', async (t) => {
  t.same(await answers(t, []), all(200))
  t.same(await answers(t, [], {}, { security: [{ session: [] }] }), all(200))
})

t.test('[{ session: [] }] requires a live session that has a principal', async (t) => {
  t.same(await answers(t, [{ session: [] }]), { nobody: 401, guest: 401, ada: 200, admin: 200 })
})

t.test('[{ session: [] }] accepts any live session without the option principal', async (t) => {
  const setup = await setUp(t)
  setup.app.get('/', { schema: { security: [{ session: [] }] } }, async (request) => request.session.data.cart)
  t.equal((await setup.client.get('/')).statusCode, 401)
  await visitors.guest(setup)
  t.same((await setup.client.get('/')).json(), { tea: 1 })
})

for (const security of [[{ session: [] }, {}], [{}, { session: [] }], [{}, { session: ['admin'] }]]) {
  t.test(`${JSON.stringify(security)}: loaded and not enforced, in any order`, async (t) => {
    const setup = await world(t, security)
    t.same((await setup.client.get('/')).json(), { loaded: true, exists: false })
    await visitors.guest(setup)
    t.same((await setup.client.get('/')).json(), { loaded: true, exists: true })
    await visitors.ada(setup)
    t.same((await setup.client.get('/')).json(), { loaded: true, exists: true })
  })
}

t.test('a requirement asks for every role that it names', async (t) => {
  t.same(await answers(t, [{ session: ['admin'] }]), { nobody: 401, guest: 401, ada: 403, admin: 200 })
  t.same(await answers(t, [{ session: ['admin', 'writer'] }]), { nobody: 401, guest: 401, ada: 403, admin: 200 })
  t.same(await answers(t, [{ session: ['admin', 'owner'] }]), { nobody: 401, guest: 401, ada: 403, admin: 403 })
  t.same(await answers(t, [{ session: ['owner'] }, { session: ['writer'] }]), { nobody: 401, guest: 401, ada: 403, admin: 200 })
  // Signing in again does not help a user without the role, whatever the alternative before it requires.
  t.same(await answers(t, [{ bearer: [] }, { session: ['admin'] }]), { nobody: 401, guest: 401, ada: 403, admin: 200 })
})

t.test('a 403 names the missing roles', async (t) => {
  const setup = await world(t, [{ session: ['admin', 'owner', 'writer'] }])
  await visitors.admin(setup)
  const response = await setup.client.get('/')
  t.match(response.json(), { statusCode: 403, code: 'FST_SESSION_FORBIDDEN', message: /"owner"/ })
  t.notMatch(response.json().message, /admin|writer/)
  t.same(reported(setup.events.slice(-1)), ['rejected:forbidden'])
})

t.test('one of two alternatives must hold', async (t) => {
  for (const security of [[{ session: [] }, { bearer: [] }], [{ bearer: [] }, { session: [] }]]) {
    t.same(await answers(t, security), { nobody: 401, guest: 401, ada: 200, admin: 200 })
    t.same(await answers(t, security, bearer), all(200))
  }
})

t.test('both schemes of one alternative must hold', async (t) => {
  for (const security of [[{ session: [], csrf: [] }], [{ csrf: [], session: [] }]]) {
    // Who is signed in gains nothing from signing in again.
    t.same(await answers(t, security), { nobody: 401, guest: 401, ada: 403, admin: 403 })
    t.same(await answers(t, security, csrf), { nobody: 401, guest: 401, ada: 200, admin: 200 })
  }
})

t.test('alternatives of several schemes are an OR of ANDs', async (t) => {
  const security = [{ session: ['admin'], csrf: [] }, { bearer: [], csrf: [] }]
  t.same(await answers(t, security), { nobody: 401, guest: 401, ada: 403, admin: 403 })
  t.same(await answers(t, security, csrf), { nobody: 401, guest: 401, ada: 403, admin: 200 })
  t.same(await answers(t, security, { ...csrf, ...bearer }), all(200))
  t.same(await answers(t, security, bearer), { nobody: 401, guest: 401, ada: 403, admin: 403 })
})

t.test('a verifier and roles may return a thenable whose then() returns nothing, even a function: it is waited for, and never counts as granted', async (t) => {
  // oxlint-disable-next-line unicorn/no-thenable -- a promise of another kind is what is tested
  const then = (value: unknown) => ({ then (resolve: (value: unknown) => void) { setImmediate(resolve, value) } })
  const callable = (value: unknown): any => Object.assign(() => {}, then(value))
  for (const later of [then as (value: unknown) => any, callable]) for (const security of [[{ bearer: [] }], [{ session: ['admin'] }, { bearer: [] }]]) {
    const refused = { nobody: 401, guest: 401, ada: security.length === 1 ? 401 : 403, admin: security.length === 1 ? 401 : 200 }
    t.same(await answers(t, security, {}, { verifiers: { bearer: () => later(false) }, roles: (data) => later(data.roles) }), refused)
    t.same(await answers(t, security, {}, { verifiers: { bearer: () => later(true) }, roles: () => later([]) }), all(200))
  }
})

t.test('a verifier gets the request and the scopes, and is asked only when it matters', async (t) => {
  const asked: unknown[] = []
  const setup = await setUp(t, {
    principal: (data) => data.userId,
    verifiers: {
      bearer: async (request, scopes) => {
        asked.push([request.headers.authorization, scopes])
        return true
      }
    }
  })
  setup.app.get('/either', { schema: { security: [{ session: [] }, { bearer: ['read', 'write'] }] } }, async () => 'ok')
  setup.app.get('/both', { schema: { security: [{ bearer: [], session: [] }] } }, async () => 'ok')
  t.equal((await setup.client.get('/either', bearer)).statusCode, 200)
  t.same(asked.splice(0), [['Bearer good', ['read', 'write']]])
  t.equal((await setup.client.get('/both', bearer)).statusCode, 401)
  t.same(asked, [], 'the session is asked first')
  await visitors.ada(setup)
  t.equal((await setup.client.get('/either', bearer)).statusCode, 200)
  t.same(asked, [])
  t.equal((await setup.client.get('/both', bearer)).statusCode, 200)
  t.same(asked, [['Bearer good', []]])
})

t.test('alternatives and their schemes are asked in order, whether verifiers answer at once or with a promise', async (t) => {
  const verifiers = { yes: () => true, no: () => false, later: async () => true, never: async () => false }
  const { app } = await setUp(t, { verifiers })
  const cases: ReadonlyArray<readonly [names: string[][], status: number]> = [
    [[['later', 'yes']], 200], [[['later', 'no']], 401], [[['later', 'never']], 401], [[['yes', 'never']], 401],
    [[['never'], ['yes']], 200], [[['never'], ['no']], 401], [[['never'], ['no'], ['later']], 200], [[['later', 'no'], ['never', 'yes']], 401]
  ]
  for (const [at, [names]] of cases.entries()) {
    const security = names.map((schemes) => Object.fromEntries(schemes.map((scheme) => [scheme, []])))
    app.get(`/${at}`, { schema: { security } }, async () => 'in')
  }
  for (const [at, [names, status]] of cases.entries()) t.equal((await ask(app, `/${at}`)).statusCode, status, JSON.stringify(names))
})

t.test('a verifier that throws lets no request in', async (t) => {
  const setup = await setUp(t, {
    verifiers: {
      broken: () => { throw new Error('no key server') },
      rejecting: async () => { throw Object.assign(new Error('slow down'), { statusCode: 429 }) },
      truthy: (() => undefined) as never
    }
  })
  for (const name of ['broken', 'rejecting', 'truthy']) {
    setup.app.get(`/${name}`, { schema: { security: [{ [name]: [] }] } }, async () => t.fail('entered'))
  }
  t.equal((await setup.client.get('/broken')).statusCode, 500)
  t.equal((await setup.client.get('/rejecting')).statusCode, 429)
  t.equal((await setup.client.get('/truthy')).statusCode, 401)
})

t.test('a route of other schemes only is enforced, too', async (t) => {
  const setup = await world(t, [{ bearer: [] }])
  const refused = await setup.app.inject('/')
  t.match(refused.json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED', message: /"bearer"/ })
  t.equal(refused.headers.vary, undefined, 'no session, no dependence on cookies')
})

t.test('a 401 has a challenge for each way to authenticate', async (t) => {
  const setup = await setUp(t, { principal: (data) => data.userId, verifiers: { bearer: asBearer, apiKey: () => false, csrf: withCsrf } })
  const { app, client } = setup
  app.get('/three', { schema: { security: [{ session: [] }, { bearer: [] }, { apiKey: [] }, { apiKey: [], csrf: [] }] } }, async () => 'ok')
  app.get('/young', { schema: { security: [{ session: [] }, { bearer: [] }] }, config: { session: { maxAge: 60 } } }, async () => 'ok')
  app.get('/one', { schema: { security: [{ session: [] }, { session: [], csrf: [] }] } }, async () => 'ok')
  const three = await client.get('/three')
  t.equal(three.headers['www-authenticate'], 'Cookie cookie-name="__Host-session", bearer, apiKey')
  t.match(three.json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED', message: 'Authentication required, by one of: the session "session", bearer, apiKey.' })
  const one = await client.get('/one')
  t.equal(one.headers['www-authenticate'], 'Cookie cookie-name="__Host-session"', 'a scheme is named once')
  t.equal(one.json().message, 'Authentication required. Sign in first.')
  await visitors.ada(setup)
  setup.clock.advance(61_000)
  t.equal((await client.get('/young')).headers['www-authenticate'],
    'Cookie cookie-name="__Host-session", error="insufficient_user_authentication", max_age=60, bearer')
})

t.test('the 401 comes before the body is read', async (t) => {
  const setup = await setUp(t)
  let parsed = 0
  setup.app.addContentTypeParser('text/x', { parseAs: 'string' }, (request, body, done) => { parsed++; done(null, body) })
  setup.app.post('/', { schema: { security: [{ session: [] }], body: { type: 'string', minLength: 100 } as never } }, async () => t.fail('entered'))
  const response = await setup.app.inject({ method: 'POST', url: '/', headers: { 'content-type': 'text/x' }, payload: 'short' })
  t.equal(response.statusCode, 401)
  t.equal(parsed, 0)
})

t.test('a requirement that cannot be enforced stops the boot', async (t) => {
  for (const [security, complaint] of [
    [[{ session: [], apiKey: [] }], /route GET \/in\/x: no session and no verifier is registered for the security scheme "apiKey".*verifiers: \{ "apiKey"/],
    [[{ session: [] }, { sesion: [] }], /"sesion"/],
    [[{ session: ['admin'] }], /route GET \/in\/x: .*"admin".*no option roles/],
    [{ session: [] }, /must be a list of requirements/],
    ['session', /must be a list/],
    [null, /must be a list/],
    [[['session']], /each alternative/],
    [['session'], /each alternative/],
    [[null], /each alternative/],
    [[{ session: true }], /the requirement of "session" must be a list of names/],
    [[{ session: [1] }], /the requirement of "session" must be a list of names/],
    [[Object.defineProperty({}, 'session', { value: [] })], /each key .* must be an ordinary, enumerable property, and session is not/],
    [[{ [Symbol('session')]: [] }], /each key .* and Symbol\(session\) is not/],
    [[Object.create({ session: [] })], /each alternative of `security` must be a plain object/],
    [[new Map([['session', []]])], /each alternative/],
    // eslint-disable-next-line no-throw-literal, @typescript-eslint/only-throw-error
    [[{ get session () { throw undefined } }], /`security` cannot be read/],
    // eslint-disable-next-line no-sparse-arrays
    [[, { session: [] }], /each alternative/]
  ] as Array<[never, RegExp]>) {
    const { app } = await setUp(t)
    void app.register(async (child) => { child.get('/x', { schema: { security } }, async () => '') }, { prefix: '/in' })
    const error = await bootError(() => app.ready())
    t.equal(error.code, 'FST_SESSION_OPTIONS')
    t.match(error.message, complaint)
    t.match(error.message, 'route GET /in/x')
  }
})

t.test('what an app changes in a requirement after the boot does not change what is enforced', async (t) => {
  const roles = ['admin']
  const requirement: Record<string, string[]> = { session: roles }
  const security = [requirement]
  const setup = await world(t, security)
  await setup.app.ready()
  roles.length = 0
  delete requirement['session']
  security.push({})
  t.equal((await setup.client.get('/')).statusCode, 401)
  await visitors.ada(setup)
  t.equal((await setup.client.get('/')).statusCode, 403)
})

t.test('config.session of a route is checked at boot', async (t) => {
  for (const [session, complaint] of [
    [{ touch: 'no' }, /config\.session\.touch must be true or false/],
    [{ maxAge: 0 }, /config\.session\.maxAge must be a positive number/],
    [{ maxAge: '5' }, /config\.session\.maxAge must be a positive number/],
    [{ tuoch: false }, /no config\.session\.tuoch/],
    [false, /config\.session must be an object/]
  ] as Array<[never, RegExp]>) {
    const { app } = await setUp(t)
    app.get('/x', { schema: { security: [{ session: [] }] }, config: { session } }, async () => '')
    const error = await bootError(() => app.ready())
    t.equal(error.code, 'FST_SESSION_OPTIONS')
    t.match(error.message, complaint)

    const { app: undeclared } = await setUp(t)
    undeclared.get('/x', { config: { session } }, async () => 'x')
    if ('touch' in Object(session) || 'maxAge' in Object(session)) {
      t.match((await bootError(() => undeclared.ready())).message, complaint, 'where no session is declared, too')
    } else {
      t.equal((await undeclared.inject('/x')).body, 'x', 'what another plugin may mean by it')
    }
  }
})

t.test('touch: false reads without moving the idle deadline', async (t) => {
  const setup = await setUp(t, { idleTimeout: 100 })
  const { app, client, clock } = setup
  app.get('/poll', { schema: { security: [{ session: [] }] }, config: { session: { touch: false } } }, async (request) => request.session.expiresAt - clock.now())
  app.get('/page', { schema: { security: [{ session: [] }] } }, async (request) => request.session.expiresAt - clock.now())
  await visitors.ada(setup)
  clock.advance(60_000)
  t.equal((await client.get('/poll')).json(), 40_000)
  t.equal((await client.get('/page')).json(), 100_000)
  clock.advance(99_000)
  t.equal((await client.get('/poll')).statusCode, 200)
  clock.advance(1000)
  t.equal((await client.get('/poll')).statusCode, 401)
})

t.test('a request touches the session as soon as that gains a tenth of the idle timeout', async (t) => {
  const setup = await setUp(t, { idleTimeout: 100 })
  const { app, client, clock, store } = setup
  app.get('/', { schema: { security: [{ session: [] }] } }, async () => 'in')
  await visitors.ada(setup)
  store.take()
  clock.advance(9999)
  await client.get('/')
  t.same(store.take(), ['read'])
  clock.advance(1)
  await client.get('/')
  t.same(store.take(), ['read', 'touch'])
})

t.test('maxAge asks for a younger login', async (t) => {
  const setup = await setUp(t, { principal: (data) => data.userId })
  const { app, client, clock } = setup
  app.get('/', { schema: { security: [{ session: [] }] }, config: { session: { maxAge: 60 } } }, async (request) => request.session.authenticatedAt)
  await visitors.ada(setup)
  clock.advance(60_000)
  t.equal((await client.get('/')).statusCode, 200)
  clock.advance(1)
  const response = await client.get('/')
  t.match(response.json(), { statusCode: 401, message: /last 60 seconds/ })
  t.equal(response.headers['www-authenticate'], 'Cookie cookie-name="__Host-session", error="insufficient_user_authentication", max_age=60')
})

t.test('a verify that returns false is a 401, and the session ends', async (t) => {
  let disabled = false
  const seen: unknown[] = []
  const setup = await setUp(t, {
    principal: (data) => data.userId,
    verify: async (data, request) => {
      seen.push([data.userId, request.url])
      return !disabled
    }
  })
  const { app, client, store, events } = setup
  app.get('/', { schema: { security: [{ session: [] }] } }, async () => 'ok')
  app.get('/any', { schema: { security: [{ session: [] }, {}] } }, async (request) => request.session.exists)
  await visitors.guest(setup)
  t.equal((await client.get('/any')).json(), true)
  t.same(seen, [], 'a session without a principal has nothing to verify')
  await visitors.ada(setup)
  t.equal((await client.get('/')).statusCode, 200)
  t.same(seen, [['ada', '/']])
  disabled = true
  const refused = await client.get('/')
  t.equal(refused.statusCode, 401)
  t.match(refused.headers['set-cookie'], /^__Host-session=; Max-Age=0/)
  t.same(reported(events.slice(-2)), ['destroyed:verify', 'rejected:unauthenticated'])
  disabled = false
  store.take()
  await visitors.ada(setup)
  disabled = true
  const left = await client.get('/any')
  t.equal(left.json(), false, 'where none is required it is simply not there')
  t.same(store.take(), ['create', 'read', 'update'])
})

t.test('verify is asked for every session where there is no option principal', async (t) => {
  const setup = await setUp(t, { verify: () => false })
  setup.app.get('/', { schema: { security: [{ session: [] }] } }, async () => t.fail('entered'))
  await visitors.guest(setup)
  t.equal((await setup.client.get('/')).statusCode, 401)
})

t.test('a verify that throws lets no request in', async (t) => {
  const setup = await setUp(t, { verify: () => { throw new Error('database gone') } })
  setup.app.get('/', { schema: { security: [{ session: [] }, {}] } }, async () => t.fail('entered'))
  await visitors.ada(setup)
  const response = await setup.client.get('/')
  t.equal(response.statusCode, 500)
  t.equal(response.headers['set-cookie'], undefined)
})

t.test('the error of an undeclared session says what to add', async (t) => {
  const { app, log } = await setUp(t)
  app.get('/plain', async (request) => anySession(request).data)
  app.get('/empty', { schema: { security: [] } }, async (request) => anySession(request).data)
  for (const url of ['/plain', '/empty']) {
    const response = await app.inject(url)
    t.match(response.json(), { statusCode: 500, code: 'FST_SESSION_NOT_DECLARED', message: `GET ${url} does not declare the session "session": add security: [{ session: [] }] to the route's schema, by an onRoute hook if another plugin adds the route (with a second alternative {} if the session is optional), and read the session after this plugin's onRequest hook.` })
  }
  t.ok(log.some(({ err }) => err?.code === 'FST_SESSION_NOT_DECLARED'))
})
