/** The tests of other packages, with this package in place of the session plugins that they use. */
import { execFile } from 'node:child_process'
import { cp, readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { build, type Plugin } from 'esbuild'
import t, { type Test } from 'tap'
import { uncovered } from '../../support/tsx.js'

const root = join(import.meta.dirname, '../../..')

/** A folder with checkouts of packages that publish no tests, named as here: their sources are not copied into this repository. */
const checkouts = process.env['UPSTREAM']

/** The packages, and the results that differ here. docs/neighbours.md gives the reason for each. */
const SUITES = [
  {
    name: 'csrf-protection',
    tests: join(dirname(createRequire(import.meta.url).resolve('@fastify/csrf-protection')), 'test'),
    files: /^(basic|user-info)\.test\.js$/,
    about: /Session|hmac/,
    atLeast: 16,
    different: ['Fastify Secure Session > Custom cookie options', 'Fastify Session > Token in body', 'Fastify Session > Token in headers']
  },
  {
    name: 'flash',
    tests: checkouts && join(checkouts, 'flash/test'),
    files: /\.test\.ts$/,
    about: /./,
    atLeast: 13,
    different: ['should pass flash between requests.', 'should pass flash between requests. / 2']
  },
  {
    name: 'passport',
    tests: checkouts && join(checkouts, 'passport/test'),
    files: /\.test\.ts$/,
    about: /./,
    atLeast: 140,
    different: [
      '@fastify/session tests > session isolation > should regenerate session on login',
      ...['@fastify/session tests', '@fastify/secure-session tests'].flatMap((suite) => [
        `${suite} > Authenticator session serialization > should throw if user deserializers return undefined`,
        `${suite} > multiple registered instances (clearSessionOnLogin: false) > logging out with one instance should not log out the other instance`,
        `${suite} > multiple registered instances (clearSessionOnLogin: false) > simultaneous login should be possible`,
        `${suite} > multiple registered instances (clearSessionOnLogin: false) > user objects from different instances should be different`,
        `${suite} > should append multiple messages to session when messages already exist`
      ])
    ]
  }
]

/** Modules that are replaced in their tests. Tests that need the first two are not about sessions; the third reads cookies. */
const DOUBLES: Readonly<Record<string, string>> = {
  sinon: 'const double = () => double; module.exports = { spy: double, stub: double }',
  proxyquire: 'const double = () => double; module.exports = double',
  'set-cookie-parser': `module.exports = ({ headers }) => [headers['set-cookie'] ?? []].flat().map((line) => {
    const [, name, value] = /^([^=]*)=([^;]*)/.exec(line)
    return { name, value }
  })`
}

/** Puts the adapter in place of the session plugins, and the installed package in place of the source beside the tests. */
function inPlace (name: string): Plugin {
  return {
    name: 'in place',
    setup ({ onResolve, onLoad }) {
      onResolve({ filter: /^@fastify\/(secure-)?session$/ }, () => ({ path: join(import.meta.dirname, 'adapter.cjs') }))
      onResolve({ filter: /^\.\.(\/(src.*|index)?)?$/ }, ({ path }) => ({ path: basename(path), namespace: 'source' }))
      onLoad({ filter: /./, namespace: 'source' }, ({ path }) => ({
        contents: `const all = require('@fastify/${name}'); module.exports = all['${path}']?.prototype ? Object.assign(all['${path}'], all) : all`,
        resolveDir: root
      }))
      onResolve({ filter: /./ }, ({ path }) => Object.hasOwn(DOUBLES, path) ? { path, namespace: 'double' } : undefined)
      onLoad({ filter: /./, namespace: 'double' }, ({ path }) => ({ contents: DOUBLES[path] as string }))
    }
  }
}

/** Runs test files of node:test. Resolves their reports as TAP. */
async function run (files: readonly string[]): Promise<string> {
  const args = ['--conditions=@fastify-openapi-session/source', '--import=./scripts/typescript.mjs', '--test', '--test-reporter=tap', ...files]
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env: { ...env, ...uncovered }, maxBuffer: 2 ** 26 }).catch((error: { stdout: string }) => error)
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

for (const { name, tests, files, about, atLeast, different } of SUITES) {
  if (tests === undefined) continue
  t.test(`the tests of @fastify/${name} about sessions pass, but for those that are listed`, { timeout: 300_000 }, async (t) => {
    const directory = await bundled(t, tests, files, name)
    const results = resultsIn(await run(directory)).filter((result) => about.test(result.name))
    const failed = new Set(results.filter(({ ok }) => !ok).map((result) => result.name))
    t.same([...failed].sort(), different.toSorted())
    t.ok(results.length >= atLeast, `${results.length} tests ran`)
  })
}

/** Bundles test files. Returns the bundles, which lie as deep beside `test/` as these packages compile theirs. */
async function bundled (t: Test, tests: string, files: RegExp, name: string): Promise<string[]> {
  const directory = t.testdir({ 'secret-key': 'a'.repeat(32) })
  const names = (await readdir(tests)).filter((file) => files.test(file)).sort()
  await cp(tests, join(directory, 'test'), { recursive: true })
  const outdir = join(directory, 'dist/test')
  await build({
    entryPoints: names.map((file) => join(tests, file)), outdir, outExtension: { '.js': '.cjs' }, bundle: true, tsconfigRaw: {}, format: 'cjs', platform: 'node', packages: 'external', plugins: [inPlace(name)]
  })
  return names.map((file) => join(outdir, `${basename(file).replace(/\.[jt]s$/, '')}.cjs`))
}
