/** Clients that are generated from the example's OpenAPI document. */
import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createClient } from '@hey-api/openapi-ts'
import { build } from 'esbuild'
import { CookieJar } from 'fastify-openapi-session/testing'
import openapiTypescript, { astToString } from 'openapi-typescript'
import { generate as generateByCodegen } from 'openapi-typescript-codegen'
import { generate as generateByOrval } from 'orval'
import { generateApi } from 'swagger-typescript-api'
import t from 'tap'
import ts from 'typescript'
import { buildApp } from '../../example/app.js'
import { ada } from '../example/visitor.js'
import { stories } from './stories.js'

const { fetch } = globalThis

/** A project for browsers, as bundlers compile it. */
const options: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: []
}

/** Writes a client of each kind into `directory`. */
async function generate (document: object, directory: string, baseUrl: string): Promise<void> {
  const copy = (): any => structuredClone(document)
  const out = (name: string): string => join(directory, name)
  await writeFile(out('openapi.json'), JSON.stringify(document))
  await writeFile(out('openapi-typescript/paths.ts'), astToString(await openapiTypescript(copy())))
  await createClient({ input: copy(), output: { path: out('hey-api') }, plugins: ['@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript'], logs: { level: 'silent' } })
  await generateByOrval({ input: { target: out('openapi.json') }, output: { target: out('orval/api.ts'), client: 'fetch', baseUrl } }, directory)
  await generateApi({ spec: copy(), output: out('swagger-typescript-api'), fileName: 'api.ts', silent: true })
  await generateByCodegen({ input: copy(), output: out('openapi-typescript-codegen'), httpClient: 'fetch' })
}

/** Compiles files as one program. Returns what the compiler complains about. */
function complaints (files: readonly string[]): string[] {
  const program = ts.createProgram(files, options)
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

/** Returns a `fetch` that keeps cookies, as that of a browser does. */
function browserFetch (): typeof fetch {
  const jar = new CookieJar()
  return async (input, init) => {
    const request = new Request(input, init)
    const cookie = jar.header(new URL(request.url).pathname)
    if (cookie !== undefined) request.headers.set('cookie', cookie)
    const response = await fetch(request)
    jar.take(response.headers.getSetCookie())
    return response
  }
}

t.test('five generators make clients that compile, sign in, call, and are refused after the logout', async (t) => {
  const app = await buildApp({ loginAttempts: 1000 })
  t.teardown(async () => { await app.close() })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const baseUrl = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const files = Object.entries(stories).map(([name, code]) => [`${name.replaceAll(/\W/g, '-').replace(/^-/, '')}.ts`, code] as const)
  const directory = t.testdir({ stories: Object.fromEntries(files), 'openapi-typescript': {} })
  await generate(app.swagger(), directory, baseUrl)
  const paths = files.map(([file]) => join(directory, 'stories', file))
  t.same(complaints(paths), [])
  await build({ entryPoints: paths, outdir: join(directory, 'out'), outExtension: { '.js': '.mjs' }, bundle: true, format: 'esm', platform: 'node' })
  t.teardown(() => { globalThis.fetch = fetch })
  for (const [index, name] of Object.keys(stories).entries()) {
    const { story } = await import(pathToFileURL(join(directory, 'out', files[index]?.[0].replace('.ts', '.mjs') as string)).href)
    const browser = browserFetch()
    // Two of them take it from the global scope.
    globalThis.fetch = browser
    t.same(await story(baseUrl, browser, ada), [401, 'FST_SESSION_REQUIRED', 'Ada Lovelace', ['admin'], 2, 401, 'FST_SESSION_REQUIRED'], name)
  }
})
