// A type provider types the body and the response, and the session follows `security` beside it.
import Fastify from 'fastify'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import { optional, required } from 'fastify-openapi-session'
import type { FastifyPluginAsyncZod, ZodTypeProvider } from 'fastify-type-provider-zod'
import type { TypeBoxTypeProvider as TypeBox1Provider } from 'type-provider-typebox-6'
import Type1 from 'typebox'
import { z } from 'zod'

const signedIn = required('session')
const anyone = optional('session')

const typebox = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const Body = Type.Object({ n: Type.Number() })
typebox.post('/', { schema: { security: [{ session: ['admin'] }], body: Body, response: { 200: Type.Object({ id: Type.String() }) } } }, async (request) => {
  expectTypeOf(request.body).toEqualTypeOf<{ n: number }>()
  return { id: request.session.data.userId + request.session.user.name }
})
typebox.post('/', { schema: { security: anyone, body: Body } }, async ({ body, session }) => session.exists ? session.data.userId : body.n)
// @ts-expect-error the route declares no session
typebox.post('/', { schema: { body: Body } }, async ({ session }) => session.data)
// @ts-expect-error there may be no session
typebox.post('/', { schema: { security: anyone, body: Body } }, async ({ session }) => session.data)
// @ts-expect-error the route has no schema
typebox.post('/', async ({ session }) => session.data)
// @ts-expect-error the response has an id
typebox.get('/', { schema: { security: signedIn, response: { 200: Type.Object({ id: Type.String() }) } } }, async () => ({ no: 1 }))
// @ts-expect-error no role has this name
typebox.post('/', { schema: { security: [{ session: ['admn'] }], body: Body } }, async () => '')

export const typeboxPlugin: FastifyPluginAsyncTypebox = async (app) => {
  app.route({
    method: 'POST',
    url: '/',
    schema: { security: signedIn, body: Body },
    preHandler: async ({ session }) => { String(session.user.name) },
    handler: async ({ body, session }) => session.user.name + body.n.toFixed()
  })
}

const zod = Fastify().withTypeProvider<ZodTypeProvider>()
const ZodBody = z.object({ n: z.number() })
zod.post('/', { schema: { security: [{ session: ['admin'] }], body: ZodBody, response: { 200: z.object({ id: z.string() }) } } }, async (request) => {
  expectTypeOf(request.body).toEqualTypeOf<{ n: number }>()
  return { id: request.session.data.userId + request.session.user.name }
})
zod.post('/', { schema: { security: anyone, body: ZodBody } }, async ({ body, session }) => session.exists ? session.data.userId : body.n)
// @ts-expect-error the route declares no session
zod.post('/', { schema: { body: ZodBody } }, async ({ session }) => session.data)
// @ts-expect-error there may be no session
zod.post('/', { schema: { security: anyone, body: ZodBody } }, async ({ session }) => session.data)
// @ts-expect-error no role has this name
zod.post('/', { schema: { security: [{ session: ['admn'] }], body: ZodBody } }, async () => '')

export const zodPlugin: FastifyPluginAsyncZod = async (app) => {
  app.post('/', { schema: { security: signedIn, body: ZodBody } }, async ({ body, session }) => session.user.name + body.n.toFixed())
}

const typebox1 = Fastify().withTypeProvider<TypeBox1Provider>()
const Body1 = Type1.Object({ n: Type1.Number() })
typebox1.post('/', { schema: { security: [{ session: ['admin'] }], body: Body1, response: { 200: Type1.Object({ id: Type1.String() }) } } }, async (request) => {
  expectTypeOf(request.body).toEqualTypeOf<{ n: number }>()
  return { id: request.session.data.userId + request.session.user.name }
})
typebox1.post('/', { schema: { security: anyone, body: Body1 } }, async ({ body, session }) => session.exists ? session.data.userId : body.n)
// @ts-expect-error the route declares no session
typebox1.post('/', { schema: { body: Body1 } }, async ({ session }) => session.data)
// @ts-expect-error there may be no session
typebox1.post('/', { schema: { security: anyone, body: Body1 } }, async ({ session }) => session.data)
// @ts-expect-error no role has this name
typebox1.post('/', { schema: { security: [{ session: ['admn'] }], body: Body1 } }, async () => '')

const json = Fastify().withTypeProvider<JsonSchemaToTsProvider>()
const JsonBody = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'], additionalProperties: false } as const
json.post('/', { schema: { security: [{ session: ['admin'] }], body: JsonBody } }, async (request) => {
  expectTypeOf(request.body).toEqualTypeOf<{ n: number }>()
  return request.session.data.userId + request.session.user.name
})
json.post('/', { schema: { security: anyone, body: JsonBody } }, async ({ body, session }) => session.exists ? session.data.userId : body.n)
// @ts-expect-error the route declares no session
json.post('/', { schema: { body: JsonBody } }, async ({ session }) => session.data)
// @ts-expect-error there may be no session
json.post('/', { schema: { security: anyone, body: JsonBody } }, async ({ session }) => session.data)
// @ts-expect-error no role has this name
json.post('/', { schema: { security: [{ session: ['admn'] }], body: JsonBody } }, async () => '')
