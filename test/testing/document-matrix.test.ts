import t from 'tap'
import swagger, { type SwaggerOptions } from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { documentMatrix, type DocumentMatrixOptions, type MatrixAnswer } from 'fastify-openapi-session/testing'

interface Subject {
  routes: (app: FastifyInstance) => unknown
  openapi?: SwaggerOptions
  options?: Partial<DocumentMatrixOptions>
}

/** Returns the statuses of each operation, or the message of its failure. */
async function outcomes ({ routes, openapi = { openapi: { openapi: '3.1.0' } }, options = {} }: Subject): Promise<Array<MatrixAnswer[] | string>> {
  const matrix = await documentMatrix({
    session: { roles: ['admin'] },
    async build (parts) {
      const app = Fastify()
      await app.register(swagger, openapi)
      await app.register(sessionPlugin, { ...parts, roles: (data: any) => data.roles } as object)
      await routes(app)
      return app
    },
    ...options
  })
  return await Promise.all(matrix.map(({ run }) => run().catch(({ name, message }: Error) => `${name}: ${message}`)))
}

const security = [{ session: [] }]

t.test('a case fails when a status is returned that is not documented', async (t) => {
  const response = { 200: { type: 'string' } }
  const [undocumented, ranged, anything] = await outcomes({
    routes: (app) => app
      .get('/hidden', { schema: { operationId: 'hidden', security, response } }, async (_request, reply) => (reply as FastifyReply).code(404).send('gone'))
      .get('/range', { schema: { security, response: { '4xx': {}, '5xx': {} } } }, async (_request, reply) => reply.code(404).send('gone'))
      .get('/default', { schema: { security, response: { default: {} } } }, async (_request, reply) => reply.code(404).send('gone'))
  })
  t.equal(undocumented, 'AssertionError: GET /hidden (hidden):\n  live: 404 is returned and not documented\n' +
    '  cross-site: 404 is returned and not documented\n  200 is documented and was never returned: add a request that leads to it')
  t.ok(Array.isArray(ranged))
  t.ok(Array.isArray(anything))
})

t.test('a case fails when a documented status is never returned', async (t) => {
  const role = (options: Partial<DocumentMatrixOptions>): Subject => ({
    routes: (app) => app.get('/admin', { schema: { security: [{ session: ['admin'] }] } }, async () => 'ok'), options
  })
  t.match(await outcomes(role({})), ['403 is documented and was never returned: add a request that leads to it'])
  t.match(await outcomes(role({ lesserSession: { roles: [] } })), [[{ state: 'live', status: 200 }]])
})

t.test('a case fails when a required session is not enforced', async (t) => {
  const [open] = await outcomes({
    routes: (app) => app.get('/open', { schema: { security: [{ session: [] }, {}] } }, async () => 'ok'),
    openapi: {
      openapi: { openapi: '3.1.0' },
      transformObject (seen) {
        const { openapiObject } = seen as { openapiObject: any }
        openapiObject.paths['/open'].get.security.pop()
        return openapiObject
      }
    }
  })
  t.match(open, 'no cookie: 200 is returned, although "session" is required')
  t.match(open, 'expired: 200 is returned, although "session" is required')
  t.notMatch(open, 'live: 200')
})

t.test('a case fails when a required role is not enforced, whatever else leads to a 403', async (t) => {
  const operations = (security: Array<Record<string, string[]>>): Subject['routes'] => (app) => app
    .get('/admin', { schema: { security } }, async () => 'ok').post('/admin', { schema: { security } }, async () => 'ok')
  const options = { lesserSession: { roles: ['admin'] } } // the app takes them for those of an admin
  for (const openapi of ['3.0.3', '3.1.0']) {
    const answers = await outcomes({ routes: operations([{ session: ['admin'] }]), openapi: { openapi: { openapi } }, options })
    t.equal(answers.length, 2)
    for (const answer of answers) t.match(answer, 'wrong role: 200 is returned, although a role of "session" is required', openapi)
  }
  const [, either] = await outcomes({ routes: operations([{ session: ['admin'] }, { session: [] }]), options })
  t.ok(Array.isArray(either), 'no role is required where another alternative needs none')
})

t.test('requests are found by operationId or by place, and sent with params, query, headers and body', async (t) => {
  const made: unknown[] = []
  const listed: unknown[] = []
  const [byId, byPlace] = await outcomes({
    openapi: { openapi: { openapi: '3.1.0', servers: [{ url: 'http://localhost/v1' }] } },
    routes: (app) => app
      .post('/v1/things/:id/parts/:part', {
        schema: { operationId: 'make', security, body: { type: 'object' }, response: { 200: {}, 400: {} } }
      }, async ({ params, query, body, headers }) => {
        made.push([params, query, body, headers['x-a']])
        return 'ok'
      })
      .get('/v1/things', { schema: { security } }, async ({ query }) => { listed.push(query) }),
    options: {
      requests: {
        make: [{ body: 'text', headers: { 'content-type': 'application/json' } }, (_app, { id }) => ({ params: { id }, query: { q: '1' }, body: { a: 1 }, headers: { 'x-a': 'a' } })],
        'GET /things': [{ query: { q: '2' } }]
      }
    }
  })
  t.ok(Array.isArray(byId), String(byId))
  t.ok(Array.isArray(byPlace))
  t.match(made[0], [{ id: /^[\w-]{22}$/, part: '1' }, { q: '1' }, { a: 1 }, 'a'])
  t.same(listed[0], { q: '2' })
})

t.test('the matrix takes another scheme and decorator, and leaves out operations without the scheme', async (t) => {
  const matrix = await documentMatrix({
    scheme: 'staff',
    decorator: 'internal',
    session: {},
    async build (parts) {
      const app = Fastify()
      await app.register(swagger, { openapi: { openapi: '3.1.0' }, decorator: 'internal' })
      await app.register(sessionPlugin, { ...parts, scheme: 'staff', cookie: { name: '__Host-staff' }, openapi: { decorator: 'internal' } } as object)
      app.get('/open', async () => 'ok')
      app.get('/bearer', { schema: { security: [] } }, async () => 'ok')
      app.get('/staff', { schema: { security: [{ staff: [] }] } }, async () => 'ok')
      return app
    }
  })
  t.same(matrix.map(({ name }) => name), ['GET /staff'])
  t.equal((await matrix[0]?.run())?.length, 7)
})

t.test('the matrix closes each app that it builds', async (t) => {
  const open = new Set<FastifyInstance>()
  let built = 0
  const routes = (app: FastifyInstance): void => {
    built++
    open.add(app)
    app.addHook('onClose', async () => { open.delete(app) })
    app.get('/', { schema: { security } }, async () => 'ok')
  }
  await outcomes({ routes })
  await t.rejects(outcomes({ routes, options: { scheme: 'staff' } }), /the app has no session "staff"/)
  t.same([built, open.size], [3, 0])
})

t.test('the matrix names what the app lacks: the document, or the session scheme', async (t) => {
  const build = async (): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(sessionPlugin)
    return app
  }
  await t.rejects(documentMatrix({ build, session: {} }), { message: /the app has no app\.swagger\(\): register @fastify\/swagger/ })
  await t.rejects(documentMatrix({ build, session: {}, scheme: 'staff' }), { message: /the app has no session "staff"/ })
})
