import t, { type Test } from 'tap'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CookieJar } from 'fastify-openapi-session/testing'
import { generate } from 'openapi-typescript-codegen'
import openapiTypescript, { astToString } from 'openapi-typescript'
import ts from 'typescript'
import { buildApp } from '../../example/app.js'
import { ada } from '../example/visitor.js'

// One of the clients takes this from the global scope.
const { fetch } = globalThis
const root = `${import.meta.dirname}/../..`

const forBundlers: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: []
}

/** The compiler's complaints about `file` and what it imports of its own. */
function complaints (file: string, lib: string[] = []): string[] {
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile).config, ts.sys, root)
  const settings: ts.CompilerOptions = lib.length > 0
    ? { ...forBundlers, lib }
    : options
  const program = ts.createProgram([file], settings)
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

/** The example on a port of its own, and what a browser would call it with. */
async function runningExample (t: Test): Promise<{ document: any, baseUrl: string, fetch: typeof fetch }> {
  const app = await buildApp({ loginAttempts: 1000 })
  t.teardown(async () => { await app.close() })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const jar = new CookieJar()
  const browser: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const cookie = jar.header(new URL(request.url).pathname)
    if (cookie !== undefined) request.headers.set('cookie', cookie)
    const response = await fetch(request)
    jar.take(response.headers.getSetCookie())
    return response
  }
  return { document: app.swagger(), baseUrl: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, fetch: browser }
}

/** Runs TypeScript that was checked before. */
async function load (directory: string, module: ts.ModuleKind): Promise<any> {
  for (const file of await readdir(directory, { recursive: true })) {
    if (!file.endsWith('.ts')) continue
    const { outputText } = ts.transpileModule(await readFile(join(directory, file), 'utf8'), { compilerOptions: { module, target: ts.ScriptTarget.ES2022 } })
    await writeFile(join(directory, file.replace(/ts$/, 'js')), outputText)
  }
  return await import(pathToFileURL(join(directory, 'story.js')).href)
}

t.test('a client by openapi-typescript and openapi-fetch compiles, and signs in, calls, signs out', async (t) => {
  const { document, baseUrl, fetch } = await runningExample(t)
  const directory = t.testdir({
    'paths.ts': astToString(await openapiTypescript(structuredClone(document))),
    'story.ts': `
      import createClient from 'openapi-fetch'
      import type { components, paths } from './paths.js'

      export async function story (baseUrl: string, fetch: typeof globalThis.fetch, credentials: { username: string, password: string }) {
        const client = createClient<paths>({ baseUrl, fetch })
        const told: unknown[] = []
        const before = await client.GET('/api/me')
        if (before.error) {
          const error: components['schemas']['SessionError'] = before.error
          const code: string = error.code
          told.push(before.response.status, code, before.response.headers.get('www-authenticate'))
        }
        // @ts-expect-error the password is required
        await client.POST('/api/login', { body: { username: 'ada' } })
        const login = await client.POST('/api/login', { body: credentials })
        const name: string | undefined = login.data?.name
        told.push(name)
        const me = await client.GET('/api/me')
        // @ts-expect-error there is no such field
        void me.data?.nickname
        told.push(me.data?.roles)
        const users = await client.GET('/api/users')
        told.push(users.data?.length)
        const logout = await client.POST('/api/logout')
        told.push(logout.response.status)
        const after = await client.GET('/api/me')
        told.push(after.error?.code)
        return told
      }
    `
  })
  t.same(complaints(`${directory}/story.ts`), [])
  const { story } = await load(directory, ts.ModuleKind.ESNext)
  t.same(await story(baseUrl, fetch, ada), [
    401, 'FST_SESSION_REQUIRED', 'Cookie cookie-name="__Host-session"', 'Ada Lovelace', ['admin'], 2, 204, 'FST_SESSION_REQUIRED'
  ])
})

t.test('a client by openapi-typescript-codegen does so as well', async (t) => {
  const { document, baseUrl, fetch: browser } = await runningExample(t)
  const directory = t.testdir({
    // Its imports have no extensions.
    'package.json': '{ "type": "commonjs" }',
    'story.ts': `
      import { ApiError, OpenAPI, SessionService, UsersService } from './client/index.js'
      import type { SessionError } from './client/index.js'

      export async function story (base: string, credentials: { username: string, password: string }) {
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
  })
  await generate({ input: structuredClone(document), output: `${directory}/client`, httpClient: 'fetch' })
  t.same(complaints(`${directory}/story.ts`, ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts']), [])
  globalThis.fetch = browser
  t.teardown(() => { globalThis.fetch = fetch })
  const { story } = await load(directory, ts.ModuleKind.CommonJS)
  t.same(await story(baseUrl, ada), [401, 'FST_SESSION_REQUIRED', 'Ada Lovelace', ['admin'], 2, 401, 'FST_SESSION_REQUIRED'])
})
