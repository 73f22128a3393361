// Compiled by `npm run types`, once in the program of each app: a line below `@ts-expect-error` must not compile.
import type { FastifyInstance } from 'fastify'
import { expectTypeOf } from 'expect-type'
import type { SessionData } from 'fastify-openapi-session'

type Data = SessionData<'session'>

expectTypeOf<Omit<Data, 'seen'>>().toEqualTypeOf<{ userId: string, theme: 'dark' | 'light' }>()
// Some libraries give an optional key the type `| undefined` as well.
expectTypeOf<Exclude<Data['seen'], undefined>>().toEqualTypeOf<Array<{ path: string, times: number }>>()

export async function routes (app: FastifyInstance): Promise<void> {
  app.post('/', { schema: { security: [{ session: [] }] } }, async ({ session }) => {
    session.data.theme = 'light'
    session.set('seen', [{ path: '/', times: 1 }])
    await app.session.issue({ userId: 'ada', theme: 'dark' })
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
