import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { everything } from './everything.js'

const tests = join(import.meta.dirname, '..')

/**
 * The test files that run in one process, by the start of their path in test/. Each process loads Node.js, tap, Fastify and
 * the library again, which takes longer than most files' tests. The longest start that matches a file decides, and a file that
 * no start matches is in the suite `rest`.
 */
const suites: Readonly<Record<string, readonly string[]>> = {
  browser: [
    'docs/getting-started', 'docs/passkeys', 'docs/site', 'example/accessible', 'example/back', 'example/browser', 'security/browser',
    'support/browser', 'swagger-ui/'
  ],
  neighbours: ['neighbours/'],
  plugin: ['plugin/', 'adoption/', 'openapi/', 'routes/', 'schema/', 'testing/'],
  security: ['security/'],
  store: ['store/'],
  servers: ['store/clients', 'store/redis', 'store/sql', 'story/', 'support/servers'],
  rest: [],
  /** Processes of their own: what explores, and what chooses a database before it imports the tests of `security`. */
  alone: ['faults/', 'fuzz/', 'model/', 'scale/', 'security/on-']
}

/** Files that run in `npm run test:all` alone: other databases, viewers and compilations of the same kind, sites and whole tutorials. */
const long = [
  'docs/getting-started', 'docs/site', 'docs/testing', 'example/accessible', 'example/browser', 'neighbours/upstream', 'openapi/types', 'openapi-tools/',
  'store/clients/redis-', 'store/clients/sql', 'store/sql-pglite', 'story/sql-pglite',
  'swagger-ui/example', 'swagger-ui/scalar', 'swagger-ui/sizes'
]

const starts = Object.entries(suites).flatMap(([suite, files]) => files.map((start) => ({ suite, start })))
  .toSorted((a, b) => b.start.length - a.start.length)

function isIn (name: string, file: string): boolean {
  if (!everything && long.some((start) => file.startsWith(start))) return false
  return (starts.find(({ start }) => file.startsWith(start))?.suite ?? 'rest') === name
}

/** Runs the test files of a suite in this process, one after the other. */
export function runSuite (name: string): void {
  const files = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.startsWith('suites/') && isIn(name, file)).toSorted()
  // While this test runs, the tests that the files define wait: no file is loaded beside the tests of another one.
  t.test(`the files of the suite "${name}" load`, async (t) => {
    t.ok(files.length > 0, files.join(', '))
    for (const file of files) await import(join(tests, file)).catch((error: Error) => { t.fail(`${file}: ${error.message}`) })
  })
}
