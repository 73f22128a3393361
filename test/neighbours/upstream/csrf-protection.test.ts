import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { uncovered } from '../../support/tsx.js'

const root = join(import.meta.dirname, '../../..')
const theirs = join(dirname(createRequire(import.meta.url).resolve('@fastify/csrf-protection')), 'test')

/** The tests about sessions that end in another way here. docs/neighbours.md gives the reason for each. */
const DIFFERENT = [
  'Fastify Secure Session > Custom cookie options',
  'Fastify Session > Token in body',
  'Fastify Session > Token in headers'
]

/** Runs a test file of node:test with this package in place of the session plugins. Resolves its report as TAP. */
async function run (file: string): Promise<string> {
  const args = ['--conditions=@fastify-openapi-session/source', '--import=./scripts/typescript.mjs', `--require=${import.meta.dirname}/adapter.cjs`, '--test-reporter=tap', join(theirs, file)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env: { ...process.env, ...uncovered } }).catch((error: { stdout: string }) => error)
  return stdout
}

/** Returns the names of the innermost tests in a report, with the result of each. */
function resultsIn (tap: string): Array<{ name: string, ok: boolean }> {
  const path: string[] = []
  const results: Array<{ name: string, ok: boolean }> = []
  let deepest = 0
  for (const [, indent = '', subtest, not, name] of tap.matchAll(/^((?: {4})*)(?:# Subtest: (.*)|(not )?ok \d+ - (.*))$/gm)) {
    const depth = indent.length / 4
    if (subtest !== undefined) {
      path.splice(depth, Infinity, subtest)
      deepest = depth
    } else if (depth === deepest) results.push({ name: [...path.slice(0, depth), name].join(' > '), ok: not === undefined })
  }
  return results
}

t.test('the tests of @fastify/csrf-protection about sessions pass, but for those that are listed', { timeout: 60_000 }, async (t) => {
  const results = [...resultsIn(await run('basic.test.js')), ...resultsIn(await run('user-info.test.js'))].filter(({ name }) => /Session|hmac/.test(name))
  t.ok(results.length > 15, `${results.length} tests ran`)
  const failed = new Set(results.filter(({ ok }) => !ok).map(({ name }) => name))
  t.same([...failed].sort(), DIFFERENT)
})
