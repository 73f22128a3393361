import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Controls, findExecutable, onFreePort, type Scope, startServer, temporaryDirectory, unprivileged } from './servers-process.js'

export interface SqlServer extends Controls {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly url: string
  /** The directory (PostgreSQL) or the file (MariaDB) of its unix socket. */
  readonly socket: string
}

export interface SqlOptions {
  /** Server settings over the fast ones used here: `{ fsync: 'on', max_connections: '20' }`. */
  settings?: Readonly<Record<string, string>>
}

const host = '127.0.0.1'
const account = 'postgres'

/** Fast and forgetful: a test that kills the machine under the server sets `fsync` and `synchronous_commit` to `on`. */
const fast = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', shared_buffers: '32MB', autovacuum: 'off' }

/** A PostgreSQL of the test's own with an empty database `postgres`; anyone on this machine's loopback may connect. */
export async function startPostgres (t: Scope, { settings = {} }: SqlOptions = {}): Promise<SqlServer> {
  const directory = temporaryDirectory(t, 'postgres', account)
  const data = join(directory, 'data')
  await promisify(execFile)(findExecutable('initdb'), [
    '--pgdata', data, '--username', account, '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'
  ], { cwd: '/', timeout: 240_000, ...unprivileged(account) })

  const given = Object.entries({ ...fast, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return await onFreePort(async (port) => {
    const controls = await startServer(t, {
      command: findExecutable('postgres'),
      args: ['-D', data, '-p', String(port), '-k', directory, '-c', `listen_addresses=${host}`, ...given],
      ready: /database system is ready to accept connections/,
      user: account,
      // SIGTERM would wait until every client has gone.
      stopSignal: 'SIGINT'
    })
    const facts = { host, port, user: account, database: 'postgres', url: `postgres://${account}@${host}:${port}/postgres`, socket: directory }
    return Object.defineProperties(facts, Object.getOwnPropertyDescriptors(controls)) as SqlServer
  })
}
