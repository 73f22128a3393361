// Compiled by `npm run types`: a line below `@ts-expect-error` must not compile.
import type { FastifyInstance } from 'fastify'
import { expectTypeOf } from 'expect-type'
import type { SessionData, SessionInput } from 'fastify-openapi-session'
import type {} from './app.js'

interface Visitor { userId: string, theme: 'dark' | 'light', seen?: Array<{ path: string, times: number }> }

expectTypeOf<SessionData<'session'>>().toEqualTypeOf<Visitor>()
expectTypeOf<SessionInput<'session'>['userId']>().toEqualTypeOf<string>()
expectTypeOf<SessionInput<'session'>['theme']>().toEqualTypeOf<'dark' | 'light' | undefined>()

export async function routes (app: FastifyInstance): Promise<void> {
  app.post('/', { schema: { security: [{ session: [] }] } }, async ({ session }) => {
    session.data.theme = 'light'
    session.set('seen', [{ path: '/', times: 1 }])
    await app.session.issue({ userId: 'ada', theme: 'dark' })
    // The schema has a default for the theme.
    await app.session.issue({ userId: 'ada' })
    session.start({ userId: 'ada' })
    // @ts-expect-error 'usrId' is not in the schema
    String(session.data.usrId)
    // @ts-expect-error theme is one of two
    session.data.theme = 'blue'
    // @ts-expect-error times is a number
    session.data.seen?.push({ path: '/', times: '1' })
    // @ts-expect-error userId is required
    session.start({ theme: 'dark' })
  })
}
