import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'

// A route's `security` and `operationId` are known although nothing here imports @fastify/swagger.
const app = Fastify()
await app.register(sessionPlugin)
app.get('/me', { schema: { operationId: 'me', security: [{ session: [] }, {}] } }, async (request) => request.session.exists)
// @ts-expect-error role names are a list
app.get('/wrong', { schema: { security: [{ session: 'admin' }] } }, async () => 'ok')
// @ts-expect-error `security` is a list of alternatives
app.get('/wrong', { schema: { security: { session: [] } } }, async () => 'ok')
