import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { storeContract } from 'fastify-openapi-session/testing'
import { tsx, uncovered } from '../support/tsx.js'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/write-a-store.md'), 'utf8')

/** The page's code blocks by the file name in their first line. That they compile is tested with all pages. */
const files = new Map([...page.matchAll(/```[tj]s\n\/\/ (\S+)\n(.*?)```/gs)].map(([, name = '', code = '']) => [name, code]))

// In the project's tree, so that the package and its peers are found.
const directory = t.testdir()
for (const [name, code] of files) writeFileSync(join(directory, name), code)

t.test('every block of code has the name of a file', async (t) => {
  t.same([...files.keys()], ['sqlite-store.ts', 'sqlite-store.test.js'])
  t.equal(page.match(/```/g)?.length, files.size * 2)
})

t.test('its test passes in the runner of Node.js', async (t) => {
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath,
    [...tsx, '--test', '--test-reporter=tap', join(directory, 'sqlite-store.test.js')], { cwd: root, env: { ...env, ...uncovered } })
  t.match(stdout, new RegExp(`^# pass ${storeContract.length}$`, 'm'))
  t.match(stdout, /^# fail 0$/m)
})

t.test('it frees what has expired', async (t) => {
  const { SqliteStore } = await import(join(directory, 'sqlite-store.ts')) as { SqliteStore: new (options: object) => Record<string, (...args: unknown[]) => unknown> }
  let now = 0
  const store = new SqliteStore({ file: ':memory:', now: () => now })
  t.teardown(() => store.close?.())
  await store.create?.('a', { payload: '', version: 1, expiresAt: 10 })
  now = 10
  store.sweep?.()
  now = 0
  t.equal(await store.read?.('a'), undefined)
})
