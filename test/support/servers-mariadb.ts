import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findExecutable, onFreePort, type Scope, startServer, temporaryDirectory, unprivileged } from './servers-process.js'
import type { SqlOptions, SqlServer } from './servers-postgres.js'

const host = '127.0.0.1'
const account = 'mysql'
const database = 'test'

/** Small and forgetful: a test that kills the machine under the server sets `innodb_flush_log_at_trx_commit` to `1`. */
const fast = { innodb_flush_log_at_trx_commit: '0', sync_binlog: '0', innodb_buffer_pool_size: '32M', performance_schema: 'OFF' }

/** A MariaDB of the test's own with an empty database `test`; user `root` has no password. */
export async function startMariaDb (t: Scope, { settings = {} }: SqlOptions = {}): Promise<SqlServer> {
  const directory = temporaryDirectory(t, 'mariadb', account)
  const data = join(directory, 'data')
  await promisify(execFile)(findExecutable('mariadb-install-db', 'mysql_install_db'), [
    '--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'
  ], { cwd: '/', timeout: 240_000, ...unprivileged(account) })

  const init = join(directory, 'init.sql')
  writeFileSync(init, `CREATE DATABASE IF NOT EXISTS ${database} CHARACTER SET utf8mb4;\n`)
  const socket = join(directory, 'socket')
  const given = Object.entries({ ...fast, ...settings }).map(([name, value]) => `--${name}=${value}`)
  return await onFreePort(async (port) => {
    const controls = await startServer(t, {
      command: findExecutable('mariadbd', 'mysqld'),
      args: [
        '--no-defaults', `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`, `--bind-address=${host}`,
        `--pid-file=${join(directory, 'pid')}`, `--init-file=${init}`, ...given
      ],
      ready: /ready for connections/,
      user: account
    })
    const facts = { host, port, user: 'root', database, url: `mysql://root@${host}:${port}/${database}`, socket }
    return Object.defineProperties(facts, Object.getOwnPropertyDescriptors(controls)) as SqlServer
  })
}
