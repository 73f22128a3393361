import t from 'tap'
import { SessionError } from 'fastify-openapi-session'
import { textOf } from './markdown.js'

interface Locked { engines?: { node?: string }, dependencies?: Record<string, string> }

const manifest = JSON.parse(textOf('package.json')) as { homepage: string, repository: { url: string }, bugs: { url: string }, engines: { node: string }, dependencies: Record<string, string> }
const { packages } = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, Locked> }

/** Returns the packages that come with an installation of some packages, by path in the lock file. */
function installed (names: readonly string[]): string[] {
  const found = new Set<string>()
  const visit = (from: string, dependencies: readonly string[]): void => {
    for (const name of dependencies) {
      const nested = `${from}/node_modules/${name}`
      const path = nested in packages ? nested : `node_modules/${name}`
      if (found.has(path)) continue
      found.add(path)
      visit(path, Object.keys(packages[path]?.dependencies ?? {}))
    }
  }
  visit('', names)
  return [...found]
}

/** Returns the lowest major version of Node that a range such as `>=18` or `^20.9 || >=22` lets in. */
function lowestNode (range = '*'): number {
  return Math.min(...range.split('||').map((part) => Number(/\d+/.exec(part)?.[0] ?? 0)))
}

t.test('npm prints no EBADENGINE for the package itself on any Node that it allows, and for Fastify with Swagger on none that Node.js maintains', async (t) => {
  const own = installed(Object.keys(manifest.dependencies))
  t.ok(own.length > 5)
  t.same(own.filter((path) => lowestNode(packages[path]?.engines?.node) > lowestNode(manifest.engines.node)), [])
  const all = installed(['fastify', '@fastify/swagger', '@fastify/swagger-ui', '@fastify/rate-limit', '@fastify/formbody', 'typebox'])
  t.ok(all.length > 50)
  t.same(all.filter((path) => lowestNode(packages[path]?.engines?.node) > 22), [])
})

t.test('all addresses of the project are those of one owner, and an error names its page there, or in the package until the site exists', async (t) => {
  const [, repository = ''] = /^git\+https:\/\/github\.com\/(.*)\.git$/.exec(manifest.repository.url) ?? []
  const [owner, name] = repository.split('/')
  t.equal(manifest.bugs.url, `https://github.com/${repository}/issues`)
  t.equal(manifest.homepage, `https://${owner}.github.io/${name}/`)
  t.match(textOf('lib/errors.ts'), `'${manifest.homepage}'`)
  const { help } = new SessionError('FST_SESSION_STORE', 'down')
  t.equal(help, owner === 'OWNER' ? 'node_modules/fastify-openapi-session/docs/errors.md#fst_session_store' : `${manifest.homepage}errors/FST_SESSION_STORE`)
  t.match(textOf('docs/errors.md'), /^## FST_SESSION_STORE$/m)
})
