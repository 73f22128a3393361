import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { storeContract } from 'fastify-openapi-session/testing'
import { tsx, uncovered } from '../support/tsx.js'
import { documentedStore, files, page } from './fixtures/documented-store.js'

// Tests docs/write-a-store.md.
const { directory, MapStore } = await documentedStore(t)

t.test('every block of code has the name of a file', async (t) => {
  t.same([...files.keys()], ['map-store.ts', 'map-store.test.js'])
  t.equal(page.match(/```/g)?.length, files.size * 2)
})

t.test('the documented test passes in the runner of Node.js', async (t) => {
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath,
    [...tsx, '--test', '--test-reporter=tap', join(directory, 'map-store.test.js')], { cwd: directory, env: { ...env, ...uncovered } })
  t.match(stdout, new RegExp(`^# pass ${storeContract.length}$`, 'm'))
  t.match(stdout, /^# fail 0$/m)
})

t.test('the documented store frees what has expired', async (t) => {
  let now = 0
  const store = new MapStore({ now: () => now })
  t.teardown(() => store.close())
  const record = { payload: '', version: 1, expiresAt: 10, principal: 'p' }
  store.create('a', record)
  now = 10
  store.sweep()
  now = 0
  t.equal(store.read('a'), undefined)
  t.equal(store.create('b', record), 1, 'in the index, too')
})
