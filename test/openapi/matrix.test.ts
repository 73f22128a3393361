import t from 'tap'
import { documentMatrix } from 'fastify-openapi-session/testing'
import { buildApp } from '../../example/app.js'
import { ada } from '../example/visitor.js'

const matrix = await documentMatrix({
  // Few enough attempts, that the limit is reached by the last requests.
  build: (parts) => buildApp({ ...parts, loginAttempts: 10 }),
  session: { userId: 'u-1815', cart: {} },
  lesserSession: { userId: 'u-1906', cart: {} },
  requests: {
    login: [{ body: ada }, { body: {} }, { body: { ...ada, password: 'wrong' } }],
    endSession: [
      (_app, session) => ({ params: { id: session.id } }),
      { params: { id: 'nobody-s' } },
      { params: { id: 'nobody-s' }, headers: { 'content-type': 'application/json' }, body: '{' }
    ]
  }
})

t.test('the example answers what its document says, and nothing else', async (t) => {
  t.same(matrix.map(({ name }) => name), [
    'POST /api/login (login)', 'GET /api/me (status)', 'POST /api/logout (logout)', 'GET /api/sessions (listSessions)',
    'DELETE /api/sessions/{id} (endSession)', 'GET /api/users (listUsers)'
  ])
  for (const { name, run } of matrix) {
    await t.test(name, async (t) => {
      const answers = await run()
      t.comment(answers.map(({ state, status }) => `${state} ${status}`).join(', '))
      t.ok(answers.length >= 8)
    })
  }
})

t.test('each state of a session gets the documented status', async (t) => {
  const answers = await matrix.find(({ name }) => name.includes('listUsers'))?.run()
  t.same(Object.fromEntries(answers?.map(({ state, status }) => [state, status]) ?? []), {
    live: 200,
    'no cookie': 401,
    malformed: 401,
    revoked: 401,
    expired: 401,
    'cross-site': 200,
    'store down': 503,
    'wrong role': 403
  })
})
