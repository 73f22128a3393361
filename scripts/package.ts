/**
 * Packs the package as it would be published and looks at it from outside: publint, are-the-types-wrong, and a small
 * project that installs the tarball, imports and requires every entry point, and compiles against its types.
 * Run `npm run build` first.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

interface Manifest {
  name: string
  exports: Record<string, string | Record<string, string>>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, { optional: boolean }>
  devDependencies: Record<string, string>
}

interface Packed {
  filename: string
  size: number
  files: Array<{ path: string }>
}

const root = resolve(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const work = mkdtempSync(join(tmpdir(), 'session-package-'))
process.once('exit', () => rmSync(work, { recursive: true, force: true }))

function run (command: string, args: readonly string[], cwd = root): string {
  console.log(`$ ${command.replace(`${root}/`, '')} ${args.join(' ')}`)
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function must (holds: boolean, sentence: string): void {
  if (!holds) throw new Error(sentence)
}

/** Everything that `exports` promises is in the tarball, and nothing is there that a user has no use for. */
function checkFiles (files: ReadonlySet<string>): void {
  for (const [entry, target] of Object.entries(manifest.exports)) {
    const targets = typeof target === 'string' ? [target] : Object.values(target)
    for (const path of targets) must(files.has(path.slice(2)), `exports["${entry}"] names ${path}, which is not packed`)
  }
  const known = /^(dist\/.+\.(js|d\.ts)(\.map)?|(dist|lib)\/openapi\/ui\/style\.css|lib\/.+\.(ts|js)|docs\/.+\.md|(package\.json|LICENSE|(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md))$/
  for (const path of files) must(known.test(path), `${path} would be published`)
  for (const path of ['README.md', 'LICENSE', 'CHANGELOG.md']) must(files.has(path), `${path} is not packed`)
  for (const [, target = ''] of readFileSync(join(root, 'README.md'), 'utf8').matchAll(/(?<!!\[.*)\]\((?!https:)([^)#]+)/g)) {
    must(files.has(target), `README.md links to ${target}, which is not packed`)
  }
}

const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', work])) as Packed[] | Record<string, Packed>
const { filename, files, size } = Object.values(packed)[0] as Packed
const tarball = join(work, filename)
checkFiles(new Set(files.map(({ path }) => path)))
console.log(`${files.length} files, ${Math.round(size / 1024)} KiB`)

console.log(run(bin('publint'), ['--strict', tarball]))
// CommonJS gets the ES modules themselves by require(esm); a second, CommonJS build would double every class.
console.log(run(bin('attw'), [tarball, '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm']))

/** A project of somebody else's. Peers come in the versions that the tests ran with. */
const consumer = join(work, 'consumer')
mkdirSync(consumer)

function install (...names: string[]): void {
  const dependencies = Object.fromEntries(names.map((name) => [name, manifest.devDependencies[name]]))
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ private: true, dependencies: { ...dependencies, [manifest.name]: `file:${tarball}` } }))
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'], consumer)
}

/** The oldest versions of TypeScript that the README promises, for ES modules and for CommonJS. */
const [, forModules = '', forCommonJs = ''] = /^- \*\*TypeScript\*\* ([\d.]+) or newer.* CommonJS needs ([\d.]+)/m.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []

/** Compiles a file, and the types of all packages that it imports, with the TypeScript of the repository and with the oldest one. */
function compile (file: string): void {
  const oldest = file.endsWith('.cts') ? forCommonJs : forModules
  const args = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', file]
  run(bin('tsc'), args, consumer)
  run('npx', ['-y', '-p', `typescript@~${oldest}.0`, '--', 'tsc', ...args], consumer)
}

const peers = Object.keys(manifest.peerDependencies)
install('@types/node', ...peers.filter((name) => manifest.peerDependenciesMeta[name]?.optional !== true))
// What @fastify/swagger would add to the types of Fastify, the package has to bring itself.
writeFileSync(join(consumer, 'route.mts'), `
import Fastify from 'fastify'
import sessionPlugin from '${manifest.name}'
const app = Fastify()
await app.register(sessionPlugin, { principal: (data) => String(data.userId) })
app.get('/me', { schema: { operationId: 'me', security: [{ session: [] }] } }, async (request) => request.session.data)
`)
compile('route.mts')
install('@types/node', ...peers)

const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json')).map((entry) => manifest.name + entry.slice(1))
writeFileSync(join(consumer, 'check.mjs'), `
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
process.on('warning', (warning) => { throw warning })
for (const entry of ${JSON.stringify(entries)}) {
  const imported = await import(entry)
  const required = require(entry)
  assert.ok(Object.keys(imported).length > 0, entry + ' exports nothing')
  for (const name of Object.keys(imported)) {
    if (name !== 'module.exports') assert.equal(required[name], imported[name], entry + ' by require() has no ' + name)
  }
}
const { default: plugin } = await import('${manifest.name}')
assert.equal(typeof plugin, 'function')
assert.equal(require('${manifest.name}'), plugin, 'require() gives the plugin function itself')
const app = require('fastify')()
await app.register(require('${manifest.name}'), { cookie: { secure: false } })
app.get('/', { schema: { security: [{ session: [] }] } }, async () => 'never')
const { statusCode } = await app.inject('/')
assert.equal(statusCode, 401)
await app.close()
// Reads files of the package when it is called.
const { theme } = (await import('${manifest.name}/swagger-ui')).sessionUi()
assert.match(theme.js[0].content, /sessionUi/)
`)
run(process.execPath, ['check.mjs'], consumer)

const program = entries.map((entry, index) => `import * as entry${index} from '${entry}'\nexport type Entry${index} = typeof entry${index}\n`).join('')
writeFileSync(join(consumer, 'module.mts'), program)
writeFileSync(join(consumer, 'common.cts'), program)
compile('module.mts')
compile('common.cts')
console.log('The tarball installs, imports, requires and compiles.')
