import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'tap-yaml'

const root = join(import.meta.dirname, '../..')
const json = async (file: string): Promise<any> => JSON.parse(await readFile(join(root, file), 'utf8'))

interface Locked { dev?: boolean, optional?: boolean, peer?: boolean, devOptional?: boolean, hasInstallScript?: boolean, resolved?: string, integrity?: string, dependencies?: Record<string, string> }

interface Workflow { permissions: object, jobs: Record<string, { needs?: string, permissions?: Record<string, string>, steps: Array<{ run?: string }> }> }

/** Returns the packages that come with an installation of `root`, this package by default, as the lock file has them. */
function installed (packages: Record<string, Locked>, root = ''): string[] {
  const found = new Set<string>()
  const visit = (from: string): void => {
    for (const name of Object.keys(packages[from]?.dependencies ?? {})) {
      const nested = `${from === '' ? '' : `${from}/`}node_modules/${name}`
      const path = nested in packages ? nested : `node_modules/${name}`
      if (found.has(path)) continue
      found.add(path)
      visit(path)
    }
  }
  visit(root)
  return [...found].map((path) => path.replace(/^.*node_modules\//, '')).toSorted()
}

t.test('the package installs four dependencies, of which only one is not with Fastify already, and none runs a script', async (t) => {
  const { dependencies, scripts } = await json('package.json')
  t.same(Object.keys(dependencies).toSorted(), ['@fastify/ajv-compiler', '@fastify/error', 'cookie', 'fastify-plugin'])
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) t.notOk(name in scripts, name)
  const { packages } = await json('package-lock.json') as { packages: Record<string, Locked> }
  const names = installed(packages)
  const ofFastify = new Set(installed(packages, 'node_modules/fastify'))
  t.same(names.filter((name) => !ofFastify.has(name)), ['fastify-plugin'])
  for (const name of names) t.notOk(packages[`node_modules/${name}`]?.hasInstallScript, name)
})

t.test('the lock file pins every package by its hash', async (t) => {
  const { packages, lockfileVersion } = await json('package-lock.json') as { packages: Record<string, Locked & { link?: boolean, inBundle?: boolean }>, lockfileVersion: number }
  t.ok(lockfileVersion >= 3)
  const loose = Object.entries(packages).filter(([path, { integrity, link, inBundle }]) => path !== '' && !link && !inBundle && integrity === undefined).map(([path]) => path)
  t.same(loose, [])
})

t.test('a release is published from CI with provenance', async (t) => {
  const { publishConfig } = await json('package.json')
  t.equal(publishConfig.provenance, true)
  const { permissions, jobs } = parse(await readFile(join(root, '.github/workflows/publish.yml'), 'utf8')) as Workflow
  t.same(permissions, { contents: 'read' })
  const trusted = Object.keys(jobs).filter((name) => jobs[name]?.permissions?.['id-token'] !== undefined)
  t.same(trusted, ['publish'], 'one job may ask for the right to publish')
  const runs = (name: string): string[] => (jobs[name]?.steps ?? []).flatMap(({ run }) => run ?? [])
  t.same(runs('publish'), [
    'npm ci --ignore-scripts',
    'npm run build',
    'npm pkg set repository.type=git repository.url="git+$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git"',
    'npm publish'
  ], 'which runs no test and no script of a dependency, and names the repository that the statement is about')
  t.equal(jobs['publish']?.needs, 'test')
  t.ok(runs('test').includes('bash .ci/run'))
  for (const file of await readdir(join(root, '.github/workflows'))) {
    const uses = (await readFile(join(root, '.github/workflows', file), 'utf8')).match(/uses: .*/g) ?? []
    t.ok(uses.length > 0)
    for (const use of uses) t.match(use, /@[\da-f]{40} # v[\d.]+$/, `${file}: by its commit, which nobody can move`)
  }
})
