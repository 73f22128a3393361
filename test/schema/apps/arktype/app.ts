import Fastify from 'fastify'
import { type } from 'arktype'
import sessionPlugin from 'fastify-openapi-session'

const Visitor = type({
  userId: 'string',
  theme: "'dark' | 'light' = 'light'",
  'seen?': type({ path: 'string', times: 'number.integer' }).array()
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
}

export async function build () {
  const app = Fastify()
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })

  app.post('/login', { schema: { security: [{ session: [] }, {}] } }, async ({ session, body }) => {
    session.start({ userId: type({ name: 'string' }).assert(body).name, theme: 'dark' })
    return { ok: true }
  })

  app.get('/me', { schema: { security: [{ session: [] }] } }, async ({ session: { data } }) => {
    return { userId: data.userId, theme: data.theme, paths: data.seen?.map(({ path }) => path) ?? [] }
  })

  app.post('/logout', { schema: { security: [{ session: [] }] } }, async ({ session }) => {
    session.destroy()
    return { ok: true }
  })
  return app
}
