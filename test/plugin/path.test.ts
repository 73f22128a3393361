import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

t.test('an authenticated GET passes eight files of lib/ between its hook and its handler, and those of its store', async (t) => {
  const { NODE_V8_COVERAGE: _coverage, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--conditions=@fastify-openapi-session/source', '--import=./scripts/typescript.mjs', join(import.meta.dirname, 'path-of-a-get.ts')
  ], { env })
  const { body, files } = JSON.parse(stdout) as { body: string, files: string[] }
  t.equal(body, 'ada')
  t.same(files.filter((file) => !file.startsWith('store/')), [
    'awaitable.ts', 'backend/reading.ts', 'request/hooks.ts', 'request/load.ts', 'request/scope.ts', 'routing/authorize.ts', 'session/credential.ts', 'session/recent.ts'
  ])
})
