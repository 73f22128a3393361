import t from 'tap'
import { versionOf } from '../support/version-of.js'
import { tableUnder, textOf } from './markdown.js'

/** The development dependencies that are versions of each client of docs/stores.md. */
const tested: Readonly<Record<string, readonly string[]>> = {
  ioredis: ['ioredis-5-oldest', 'ioredis5', 'ioredis'],
  iovalkey: ['iovalkey-oldest', 'iovalkey'],
  'node-redis (`redis`)': ['redis-5-oldest', 'redis5', 'redis-6-oldest', 'redis'],
  pg: ['pg-oldest', 'pg'],
  mysql2: ['mysql2-oldest', 'mysql2'],
  'better-sqlite3': ['better-sqlite3'],
  Kysely: ['kysely-27-oldest', 'kysely-27', 'kysely-28-oldest', 'kysely', 'kysely-29']
}

t.test('docs/stores.md names the versions of clients that are installed for the tests, and files that import them', async (t) => {
  const rows = tableUnder('docs/stores.md', 'Clients and versions').filter(([client]) => client !== 'node:sqlite')
  t.same(rows.map(([client]) => client), Object.keys(tested))
  for (const [client = '', versions = '', files = ''] of rows) {
    const names = tested[client] ?? []
    t.same(versions.match(/\d+\.\d+\.\d+/g), names.map(versionOf), client)
    const tests = [...files.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, file = '']) => textOf(file)).join('') + textOf('test/support/sql-clients.ts')
    for (const name of names) t.ok(tests.includes(`'${name}'`), `${client}: ${name}`)
  }
})
