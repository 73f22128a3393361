import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import * as v from 'valibot'

const Visitor = v.object({
  userId: v.string(),
  theme: v.optional(v.picklist(['dark', 'light']), 'light'),
  seen: v.optional(v.array(v.object({ path: v.string(), times: v.pipe(v.number(), v.integer()) })))
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
}

export async function build () {
  const app = Fastify()
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })

  app.post('/login', { schema: { security: [{ session: [] }, {}] } }, async ({ session, body }) => {
    session.start({ userId: v.parse(v.object({ name: v.string() }), body).name, theme: 'dark' })
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
