/** An app that esbuild makes one file of, without the packages that other apps need. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { bare } from '../support/bundle.js'
import { temporaryDirectory } from '../support/servers-process.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

const program = `
import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
const app = Fastify()
const schema = SCHEMA
try {
  await app.register(sessionPlugin, { schema })
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => ++session.data.visits)
  console.log((await app.inject('/')).body)
} catch (error) {
  console.log(error.message)
}
`

/** Builds the program with a schema, as if no schema library was installed, and returns what it prints. */
async function printed (t: Test, schema: string): Promise<string> {
  const outfile = `${temporaryDirectory(t, 'bundle')}/app.mjs`
  const { warnings } = await build({
    stdin: { contents: program.replace('SCHEMA', schema), resolveDir: root, loader: 'js' },
    outfile,
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@fastify-openapi-session/source'],
    alias: { '@sinclair/typebox': './absent', typebox: './absent' },
    banner: { js: 'import { createRequire as createRequireOfBundle } from \'node:module\'; const require = createRequireOfBundle(import.meta.url);' },
    logLevel: 'silent'
  })
  t.same(warnings.filter(({ text }) => text.includes('absent')), [])
  return execFileSync(process.execPath, [outfile], { encoding: 'utf8', env: bare.env }).trim()
}

t.test('an app without TypeBox can be bundled', async (t) => {
  t.equal(await printed(t, '{ type: "object", properties: { visits: { type: "integer", default: 0 } } }'), '1')
})

t.test('a bundled app whose schema library is absent gets the name of the package to install', async (t) => {
  t.equal(await printed(t, '{ [Symbol.for("TypeBox.Kind")]: "Object", type: "object" }'), 'schema was made with @sinclair/typebox, which the plugin cannot load: install @sinclair/typebox in the app')
  t.equal(await printed(t, '{ "~kind": "Object", type: "object" }'), 'schema was made with typebox, which the plugin cannot load: install typebox in the app')
})
