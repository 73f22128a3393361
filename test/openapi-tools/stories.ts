/** What a program does with each client: it signs in, calls, and signs out. Every story returns the same. */

const signature = '(baseUrl: string, fetch: typeof globalThis.fetch, credentials: { username: string, password: string }): Promise<unknown[]>'

export const stories: Record<string, string> = {
  'openapi-fetch': `
    import createClient from 'openapi-fetch'
    import type { components, paths } from '../openapi-typescript/paths'

    export async function story ${signature} {
      const client = createClient<paths>({ baseUrl, fetch })
      const told: unknown[] = []
      const before = await client.GET('/api/me')
      if (before.error) {
        const error: components['schemas']['SessionError'] = before.error
        const code: string = error.code
        told.push(before.response.status, code)
      }
      // @ts-expect-error the password is required
      await client.POST('/api/login', { body: { username: 'ada' } })
      const login = await client.POST('/api/login', { body: credentials })
      const name: string | undefined = login.data?.name
      const me = await client.GET('/api/me')
      // @ts-expect-error there is no such field
      void me.data?.nickname
      const users = await client.GET('/api/users')
      told.push(name, me.data?.roles, users.data?.length)
      await client.POST('/api/logout')
      const after = await client.GET('/api/me')
      told.push(after.response.status, after.error?.code)
      return told
    }
  `,
  '@hey-api/openapi-ts': `
    import { listUsers, login, logout, type SessionError, status } from '../hey-api'
    import { client } from '../hey-api/client.gen'

    export async function story ${signature} {
      client.setConfig({ baseUrl, fetch })
      const told: unknown[] = []
      const refused = async () => {
        const { error, response } = await status()
        const known: SessionError | undefined = error
        told.push(response?.status, known?.code)
      }
      await refused()
      // @ts-expect-error the password is required
      await login({ body: { username: 'ada' } })
      const { data } = await login({ body: credentials })
      const name: string | undefined = data?.name
      const me = await status()
      // @ts-expect-error there is no such field
      void me.data?.nickname
      told.push(name, me.data?.roles, (await listUsers()).data?.length)
      await logout()
      await refused()
      return told
    }
  `,
  orval: `
    import { listUsers, login, logout, type SessionError, status } from '../orval/api'

    export async function story (...[, , credentials]: Parameters<(typeof import('./openapi-fetch'))['story']>): Promise<unknown[]> {
      const told: unknown[] = []
      const refused = async () => {
        const answer = await status()
        if (answer.status !== 401) throw new Error('not refused')
        const error: SessionError = answer.data
        told.push(answer.status, error.code)
      }
      await refused()
      // @ts-expect-error the password is required
      await login({ username: 'ada' })
      const signedIn = await login(credentials)
      if (signedIn.status !== 200) throw new Error('not signed in')
      const name: string = signedIn.data.name
      const me = await status()
      if (me.status !== 200) throw new Error('not signed in')
      // @ts-expect-error there is no such field
      void me.data.nickname
      const users = await listUsers()
      told.push(name, me.data.roles, users.status === 200 && users.data.length)
      await logout()
      await refused()
      return told
    }
  `,
  'swagger-typescript-api': `
    import { Api, type HttpResponse, type SessionError } from '../swagger-typescript-api/api'

    export async function story ${signature} {
      const { api } = new Api({ baseUrl, customFetch: fetch })
      const told: unknown[] = []
      const refused = async () => {
        const answer: HttpResponse<unknown, SessionError> = await api.status().then(() => { throw new Error('not refused') }, (answer) => answer)
        told.push(answer.status, answer.error.code)
      }
      await refused()
      // @ts-expect-error the password is required
      await api.login({ username: 'ada' }).catch(() => {})
      const name: string = (await api.login(credentials)).data.name
      const me = await api.status()
      // @ts-expect-error there is no such field
      void me.data.nickname
      told.push(name, me.data.roles, (await api.listUsers()).data.length)
      await api.logout()
      await refused()
      return told
    }
  `,
  'openapi-typescript-codegen': `
    import { ApiError, OpenAPI, SessionService, UsersService } from '../openapi-typescript-codegen'
    import type { SessionError } from '../openapi-typescript-codegen'

    export async function story (...[base, , credentials]: Parameters<(typeof import('./openapi-fetch'))['story']>): Promise<unknown[]> {
      OpenAPI.BASE = base
      OpenAPI.WITH_CREDENTIALS = true
      const told: unknown[] = []
      const refused = async (call: Promise<unknown>) => {
        const error = await call.then(() => undefined, (error: unknown) => error)
        if (error instanceof ApiError) told.push(error.status, (error.body as SessionError).code)
      }
      await refused(SessionService.status())
      const { name } = await SessionService.login(credentials)
      told.push(name, (await SessionService.status()).roles, (await UsersService.listUsers()).length)
      await SessionService.logout()
      await refused(SessionService.status())
      return told
    }
  `
}
