import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import sessionPlugin from 'fastify-openapi-session'
import { z } from 'zod'

const Visitor = z.object({
  userId: z.string(),
  theme: z.enum(['dark', 'light']).default('light'),
  seen: z.array(z.object({ path: z.string(), times: z.int() })).optional()
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
}

export async function build () {
  const app = Fastify().withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })

  app.post('/login', { schema: { security: [{ session: [] }, {}], body: z.object({ name: z.string() }) } }, async ({ session, body }) => {
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
