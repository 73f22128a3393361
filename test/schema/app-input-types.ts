// Compiled by `npm run types`, in the program of each app whose library tells the types of input and of data apart.
import type { FastifyInstance } from 'fastify'
import { expectTypeOf } from 'expect-type'
import type { SessionInput } from 'fastify-openapi-session'

expectTypeOf<SessionInput<'session'>['userId']>().toEqualTypeOf<string>()
expectTypeOf<SessionInput<'session'>['theme']>().toEqualTypeOf<'dark' | 'light' | undefined>()

export async function routes (app: FastifyInstance): Promise<void> {
  app.post('/', { schema: { security: [{ session: [] }] } }, async ({ session }) => {
    // The schema has a default for the theme.
    await app.session.issue({ userId: 'ada' })
    session.start({ userId: 'ada' })
  })
}
