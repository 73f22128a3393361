/** One process of an app that runs in many: `fork`ed with the address of the store that they all share; answers with its port. */
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import sessionPlugin, { type SessionStore } from 'fastify-openapi-session'
import { RedisStore } from 'fastify-openapi-session/redis'
import { SqlStore } from 'fastify-openapi-session/sql'

const url = process.argv[2] as string

function store (): SessionStore {
  if (url.startsWith('redis:')) return new RedisStore({ client: new Redis(url), prefix: 'scale:', timeout: 60 })
  return new SqlStore({ db: new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 5 }) }) }) })
}

const app = Fastify()
await app.register(sessionPlugin, { store: store(), storeTimeout: 60, principal: (data: any) => data.user } as any)
const optional = { schema: { security: [{ session: [] }, {}] } }
const required = { schema: { security: [{ session: [] }] } }

interface Shared { session: { data: any, update: (fn: (data: any) => void) => Promise<any>, start: (data: object) => void, renew: () => void, destroy: () => void } }
const of = (request: unknown): Shared['session'] => (request as Shared).session

app.post<{ Params: { user: string } }>('/login/:user', optional, async (request) => { of(request).start({ user: request.params.user, count: 0 }) })
app.get('/me', required, async (request) => of(request).data)
app.post('/count', required, async (request) => await of(request).update((data) => { data.count++ }))
app.post<{ Params: { key: string, value: string } }>('/set/:key/:value', required, async (request) => { of(request).data[request.params.key] = request.params.value })
app.post('/renew', required, async (request) => { of(request).renew() })
app.post('/logout', required, async (request) => { of(request).destroy() })
app.post('/everywhere', required, async (request) => await (app as any).session.revokeAll(of(request).data.user))

await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.((app.server.address() as { port: number }).port)
process.on('disconnect', () => { process.exit() })
