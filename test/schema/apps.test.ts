import t from 'tap'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'fastify-openapi-session/testing'

const directory = join(import.meta.dirname, 'apps')
const apps = readdirSync(directory)
t.same(apps, ['arktype', 'json-schema', 'sinclair-typebox', 'typebox', 'valibot', 'zod'])

for (const name of apps) {
  t.test(`the app with ${name} signs in and out`, async (t) => {
    const { build } = await import(join(directory, name, 'app.ts'))
    const app = await build()
    t.teardown(() => app.close())
    const client = new Client(app)
    t.equal((await client.get('/me')).statusCode, 401)
    t.equal((await client.post('/login', { name: 'ada' })).statusCode, 200)
    t.same((await client.get('/me')).json(), { userId: 'ada', theme: 'dark', paths: [] })
    t.equal((await client.post('/logout')).statusCode, 200)
    t.equal((await client.get('/me')).statusCode, 401)
  })
}

const run = promisify(execFile)

/** Runs code in a process of its own, where packages with these names cannot be found. */
async function without (missing: readonly string[], code: string): Promise<string> {
  const hooks = `
    export async function resolve (name, context, next) {
      if (${JSON.stringify(missing)}.some((one) => name === one || name.startsWith(one + '/'))) throw new Error(name + ' is not installed')
      return await next(name, context)
    }`
  const register = `import { register } from 'node:module'; register('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(hooks))})`
  const args = [`--import=data:text/javascript,${encodeURIComponent(register)}`, '--input-type=module', '--eval', code]
  const { stdout } = await run(process.execPath, ['--conditions=@fastify-openapi-session/source', '--import=./scripts/typescript.mjs', ...args])
  return stdout.trim()
}

const libraries = { 'sinclair-typebox': '@sinclair/typebox', typebox: 'typebox', zod: 'zod', valibot: 'valibot', arktype: 'arktype' }

t.test('an app needs the library of its schema, and no other', async (t) => {
  for (const name of ['zod', 'json-schema', 'typebox'] as const) {
    const missing = Object.entries(libraries).filter(([app]) => app !== name).map(([, library]) => library)
    const code = `
      const { build } = await import(${JSON.stringify(join(directory, name, 'app.ts'))})
      const app = await build()
      const { statusCode } = await app.inject({ method: 'POST', url: '/login', payload: { name: 'ada' } })
      console.log(statusCode)`
    t.equal(await without(missing, code), '200', name)
  }
})

t.test('a schema of TypeBox that comes without TypeBox says what to install', async (t) => {
  for (const [marker, library] of [["[Symbol.for('TypeBox.Kind')]", '@sinclair/typebox'], ["'~kind'", 'typebox']] as const) {
    const code = `
      const { default: Fastify } = await import('fastify')
      const { default: sessionPlugin } = await import('fastify-openapi-session')
      const schema = { type: 'object', ${marker}: 'Object' }
      await Fastify().register(sessionPlugin, { schema }).then(() => console.log('started'), (error) => console.log(error.message))`
    t.equal(await without([library], code), `schema was made with ${library}, which the plugin cannot load: install ${library} in the app`)
  }
})
