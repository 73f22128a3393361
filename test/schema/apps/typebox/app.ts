import Fastify from 'fastify'
import type { TypeBoxTypeProvider } from 'type-provider-typebox-6'
import sessionPlugin from 'fastify-openapi-session'
import Type from 'typebox'

const Visitor = Type.Object({
  userId: Type.String(),
  theme: Type.Union([Type.Literal('dark'), Type.Literal('light')], { default: 'light' }),
  seen: Type.Optional(Type.Array(Type.Object({ path: Type.String(), times: Type.Integer() })))
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
}

export async function build () {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })

  app.post('/login', { schema: { security: [{ session: [] }, {}], body: Type.Object({ name: Type.String() }) } }, async ({ session, body }) => {
    session.start({ userId: body.name, theme: 'dark' })
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
