import Fastify from 'fastify'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import sessionPlugin from 'fastify-openapi-session'

const Visitor = {
  type: 'object',
  properties: {
    userId: { type: 'string' },
    theme: { enum: ['dark', 'light'], default: 'light' },
    seen: {
      type: 'array',
      items: { type: 'object', properties: { path: { type: 'string' }, times: { type: 'integer' } }, required: ['path', 'times'] }
    }
  },
  required: ['userId', 'theme']
} as const

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
}

export async function build () {
  const app = Fastify().withTypeProvider<JsonSchemaToTsProvider>()
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })

  app.post('/login', { schema: { security: [{ session: [] }, {}], body: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } as const } }, async ({ session, body }) => {
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
