/**
 * Stands for @fastify/session and @fastify/secure-session in the tests of other packages. What these tests expect is set here
 * as well: the name of the cookie, no Secure, and a session on each route.
 */
const fp = require('fastify-plugin')

const adapter = fp(async (app, { secret, cookieName = secret === undefined ? 'session' : 'sessionId' }) => {
  const { default: sessionPlugin } = await import('fastify-openapi-session')
  await app.register(sessionPlugin, { security: [{ session: [] }, {}], cookie: { name: cookieName, secure: false } })
})

module.exports = adapter
module.exports.fastifySession = adapter
