import { initTRPC, TRPCError } from '@trpc/server'
import { type CreateFastifyContextOptions, fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import { createTRPCClient, httpLink, TRPCClientError } from '@trpc/client'
import mercurius from 'mercurius'
import type { FastifyRequest } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { anyone, browse, makeApp, withName } from './support.js'

declare module 'mercurius' {
  interface MercuriusContext { request: FastifyRequest }
}

/** Declares the session for the routes that a plugin adds, and that its options do not reach. */
const declared = (schema: object) => (route: { schema?: object | undefined }): void => { route.schema = { ...route.schema, ...schema } }

t.test('mercurius: a mutation signs in, a query asks for the session, a mutation signs out', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(mercurius, {
    schema: 'type Query { me: String } type Mutation { login (name: String!): Boolean, logout: Boolean }',
    resolvers: {
      Query: { me: async (_root, _args, { request: { session } }) => session.exists ? session.data['name'] : null },
      Mutation: {
        login: async (_root, { name }: { name: string }, { request }) => { request.session.start({ name }); return true },
        logout: async (_root, _args, { request }) => { request.session.destroy(); return true }
      }
    },
    context: (request) => ({ request }),
    additionalRouteOptions: { schema: anyone } as never
  })
  const browser = await browse(app)
  const ask = async (query: string, cookie?: string): Promise<unknown> => (await browser.post('/graphql', { query }, cookie === undefined ? {} : { cookie })).json.data
  t.same(await ask('{ me }'), { me: null })
  t.same(await ask('mutation { login (name: "ada") }'), { login: true })
  t.same(await ask('{ me }'), { me: 'ada' })
  const cookie = browser.jar.header() as string
  const refused = await browser.post('/graphql', { query: 'mutation { logout }' }, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })
  t.equal(refused.status, 403)
  t.match(refused.json, { data: null, errors: [{ message: /^A page of another origin/ }] }, 'mercurius writes errors in its own form')
  t.same(await ask('mutation { logout }'), { logout: true })
  t.same(await ask('{ me }'), { me: null })
  t.same(await ask('{ me }', cookie), { me: null })
})

t.test('tRPC: procedures sign in, ask for the session and sign out', async (t) => {
  const { app } = makeApp(t)
  const { router, procedure } = initTRPC.context<{ request: FastifyRequest }>().create()
  const member = procedure.use(async ({ ctx: { request: { session } }, next }) => {
    if (!session.exists) throw new TRPCError({ code: 'UNAUTHORIZED' })
    return await next({ ctx: { session } })
  })
  const shop = router({
    login: procedure.input((name) => String(name)).mutation(async ({ ctx, input }) => { ctx.request.session.start({ name: input }) }),
    me: member.query(async ({ ctx }) => String(ctx.session.data['name'])),
    logout: procedure.mutation(async ({ ctx }) => { ctx.request.session.destroy() })
  })
  await app.register(sessionPlugin, withName)
  await app.register(async (child) => {
    child.addHook('onRoute', declared(anyone))
    await child.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      trpcOptions: { router: shop, createContext: ({ req }: CreateFastifyContextOptions) => ({ request: req as FastifyRequest }) }
    })
  })
  const browser = await browse(app)
  const client = createTRPCClient<typeof shop>({
    links: [httpLink({
      url: `${browser.url}/trpc`,
      fetch: async (url, init = {}) => {
        const cookie = browser.jar.header()
        const response = await fetch(url, { ...init, headers: { ...init.headers as object, ...(cookie !== undefined && { cookie }) } } as RequestInit)
        browser.jar.take(response.headers.getSetCookie())
        return response
      }
    })]
  })
  await t.rejects(client.me.query(), TRPCClientError)
  await client.login.mutate('ada')
  t.equal(await client.me.query(), 'ada')
  await client.logout.mutate()
  const refused: TRPCClientError<typeof shop> = await client.me.query().then(() => t.fail('entered'), (error) => error)
  t.match(refused.data, { code: 'UNAUTHORIZED', httpStatus: 401 })
})
