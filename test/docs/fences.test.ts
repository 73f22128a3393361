import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import swagger from '@fastify/swagger'
import session from 'express-session'
import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { fromExpressStore } from 'fastify-openapi-session/express'
import { sealedCookie } from 'fastify-openapi-session/sealed'
import t, { type Test } from 'tap'
import { start } from '../example/process.js'
import { temporaryDirectory } from '../support/servers-process.js'
import { tsx, uncovered } from '../support/tsx.js'
import { pages, textOf } from './markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A block of code in a page. */
interface Fence {
  readonly page: string
  readonly language: string
  readonly code: string
}

function fencesOf (page: string): Fence[] {
  return [...textOf(page).matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({ page, language, code }))
}

/** Runs a line as a shell in `cwd` does, and resolves what it prints. */
async function shell (line: string, cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd, timeout: 240_000, env: { ...uncovered, PATH: process.env.PATH, ...env } })
  return stdout
}

const { scripts, dependencies, peerDependencies, devDependencies, name } = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>> & { name: string }

/** Installing takes the network, and running the suite within itself no end: it is looked up whether these can work. */
async function npm (t: Test, { page, code }: Fence): Promise<void> {
  for (const command of code.split(/\n|&&/).map((line) => line.replace(/#.*/, '').trim()).filter(Boolean)) {
    const [tool, verb, ...rest] = command.split(' ')
    t.equal(tool, 'npm', `${page}: ${command}`)
    if (verb === 'install') t.same(rest.filter((each) => each !== name && !(each in { ...dependencies, ...peerDependencies, ...devDependencies })), [], `${page}: ${command}`)
    else if (verb === 'ci') t.ok(textOf('package-lock.json'))
    else t.ok((verb === 'run' ? rest[0] : verb) as string in (scripts ?? {}), `${page}: ${command}`)
  }
}

async function makeKeyLine (t: Test, { code }: Fence): Promise<void> {
  const key = (await shell(code, root, { NODE_OPTIONS: tsx.join(' ') })).trim()
  t.match(key, /^[\w-]{43}$/)
  t.doesNotThrow(() => sealedCookie({ keys: [key] }))
}

async function curlLines (t: Test, { code }: Fence): Promise<void> {
  const { url } = await start(t, { SESSION_DIR: t.testdir() })
  const cwd = temporaryDirectory(t, 'curl')
  const lines = code.trim().split('\n').map((line) => line.replaceAll('http://localhost:3000', url.replace('127.0.0.1', 'localhost')))
  t.equal(lines.length, 3)
  const [login, me, logout] = lines as [string, string, string]
  t.match(JSON.parse(await shell(login, cwd)), { username: 'ada' })
  t.match(JSON.parse(await shell(me, cwd)), { username: 'ada', roles: ['admin'] })
  t.equal(await shell(logout, cwd), '')
  t.match(JSON.parse(await shell(me, cwd)), { statusCode: 401 }, 'the cookie is gone from the jar')
}

async function envelope (t: Test, { code }: Fence): Promise<void> {
  const shown = JSON.parse(code) as { cookie: { originalMaxAge: number, expires: string }, record: { id: string, expiresAt: number } & Record<string, unknown> }
  const { id, ...record } = shown.record
  const memory = new session.MemoryStore()
  const store = fromExpressStore(memory, { now: () => record.expiresAt - shown.cookie.originalMaxAge })
  await store.create(id, record as never)
  const [text = ''] = Object.values((memory as unknown as { sessions: Record<string, string> }).sessions)
  const kept = JSON.parse(text) as typeof shown
  t.match(kept.cookie.expires, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  t.same({ ...kept, cookie: { ...kept.cookie, expires: shown.cookie.expires } }, shown)
  t.equal(Date.parse(shown.cookie.expires), record.expiresAt)
}

async function scheme (t: Test, { code }: Fence): Promise<void> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: { openapi: '3.1.0' } })
  await app.register(sessionPlugin, { openapi: { login: 'login', status: 'me', logout: 'logout' } })
  for (const operationId of ['login', 'me', 'logout']) app.get(`/${operationId}`, { schema: { operationId, security: [{}, { session: [] }] } }, async () => '')
  await app.ready()
  const { description, ...documented } = (app.swagger() as any).components.securitySchemes.session as Record<string, unknown>
  t.type(description, 'string')
  t.same(documented, JSON.parse(code))
}

async function debugLine (t: Test, { code }: Fence): Promise<void> {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(() => app.close())
  await app.register(sessionPlugin)
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async () => '')
  await app.inject('/')
  const { time, pid, hostname, ...line } = lines.map((text) => JSON.parse(text) as Record<string, unknown>).find(({ msg }) => String(msg).startsWith('session ')) ?? {}
  t.same(line, JSON.parse(code))
  t.ok(time && pid && hostname)
}

/** Who checks a block: here, or the test that is named. */
const checkers: Readonly<Record<string, ((t: Test, fence: Fence) => Promise<void>) | string>> = {
  'README.md sh': async (t, fence) => {
    if (fence.code.startsWith('npx tsx')) t.match(textOf('test/docs/getting-started.test.ts'), fence.code.trim())
    else await npm(t, fence)
  },
  'docs/getting-started.md sh': 'test/docs/getting-started.test.ts',
  'docs/getting-started.md json': 'test/docs/getting-started.test.ts',
  'docs/getting-started-javascript.md sh': 'test/docs/getting-started.test.ts',
  'docs/getting-started-javascript.md json': 'test/docs/getting-started.test.ts',
  'docs/getting-started-javascript.md js': 'test/docs/getting-started.test.ts',
  'docs/performance.md sh': npm,
  'docs/sealed-cookies.md sh': makeKeyLine,
  'example/README.md sh': async (t, fence) => await (fence.code.startsWith('curl') ? curlLines : npm)(t, fence),
  'docs/stores/express.md json': envelope,
  'docs/recipes/serverless.md js': 'test/docs/serverless.test.ts',
  'docs/recipes/testing.md sh': 'test/docs/testing.test.ts',
  'docs/recipes/testing.md js': 'test/docs/testing.test.ts',
  'docs/recipes/behind-a-proxy.md nginx': 'test/docs/proxy.test.ts',
  // Configuration of other programs.
  'docs/recipes/behind-a-proxy.md text': async (t, { code }) => { t.match(code, 'reverse_proxy 127.0.0.1:3000') },
  'docs/recipes/deploy.md dockerfile': async (t, { code }) => { t.match(code, /^CMD \["node", "server.js"\]$/m) },
  // A tool that is not a package of npm.
  'docs/recipes/local-https.md sh': async (t, { code }) => { t.match(code, 'mkcert localhost') },
  'docs/recipes/passkeys.md js': 'test/docs/passkeys.test.ts',
  'docs/swagger-ui.md json': scheme,
  'docs/errors.md json': debugLine,
  'docs/stores/sql.md sql': 'test/support/sql-suite.ts',
  'docs/write-a-store.md js': 'test/store/write-a-store.test.ts',
  // A drawing, no code.
  'docs/architecture.md ': 'test/docs/architecture.test.ts',
  // What the page compares with; nothing of it is ours.
  'docs/coming-from-fastapi.md python': async (t, { code }) => { t.match(code, 'Depends(cookie)') }
}

for (const fence of pages().flatMap(fencesOf).filter(({ language }) => language !== 'ts')) {
  const { page, language, code } = fence
  t.test(`${page}, ${language}: ${code.split('\n', 1).join().slice(0, 40)}`, async (t) => {
    const checker = checkers[`${page} ${language}`]
    if (checker === undefined) t.fail('no checker runs this block: add one')
    else if (typeof checker === 'string') t.match(textOf(checker), page.replace('docs/', ''), `${checker} reads the page`)
    else await checker(t, fence)
  })
}

t.test('every block of the pages is seen', async (t) => {
  for (const page of pages()) t.equal(textOf(page).match(/^ *```/gm)?.length ?? 0, fencesOf(page).length * 2, page)
})
