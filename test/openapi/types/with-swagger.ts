import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'

const app = Fastify()
await app.register(swagger, { openapi: {} })
await app.register(sessionPlugin)
const frozen = [{ session: ['admin'] }] as const
app.get('/me', { schema: { operationId: 'me', summary: 'Me', security: frozen } }, async (request) => request.session.exists)
// @ts-expect-error role names are a list
app.get('/wrong', { schema: { security: [{ session: 'admin' }] } }, async () => 'ok')
