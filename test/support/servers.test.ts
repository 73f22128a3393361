import { execFileSync } from 'node:child_process'
import t from 'tap'
import { createConnection } from 'mysql2/promise'
import { Cluster, Redis } from 'ioredis'
import pg from 'pg'
import { startMariaDb, startPostgres, startRedis, startRedisCluster, startRedisSentinel } from './servers.js'

t.test('a Redis keeps its port over stop, crash and restart', async (t) => {
  const server = await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await client.set('key', 'value')

  const { pid, port } = server
  await server.kill9()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'the process is gone')
  await server.restart()
  t.equal(server.port, port)
  t.not(server.pid, pid)
  t.equal(await client.get('key'), 'value', 'an appended file survives a crash')

  server.pause()
  const late = client.get('key')
  t.match(execFileSync('ps', ['-o', 'stat=', '-p', String(server.pid)], { encoding: 'utf8' }), /^T/, 'a paused server is stopped, and answers nothing')
  server.resume()
  t.equal(await late, 'value')

  server.pause()
  await server.stop()
  t.throws(() => server.pid, /not running/)
})

t.test('a Redis that cannot start says why', async (t) => {
  await t.rejects(startRedis(t, { args: ['--no-such-setting', '1'] }), /no-such-setting/)
})

t.test('a Redis Cluster takes every key', async (t) => {
  const { nodes } = await startRedisCluster(t)
  const cluster = new Cluster(nodes.map(({ host, port }) => ({ host, port })))
  t.teardown(() => cluster.disconnect())
  for (let i = 0; i < 50; i++) await cluster.set(`key ${i}`, i)
  const sizes = await Promise.all(cluster.nodes('master').map((node) => node.dbsize()))
  t.equal(sizes.length, 3)
  t.ok(sizes.every((size) => size > 0), 'each node holds some of them')
  t.equal(sizes.reduce((sum, size) => sum + size), 50)
})

t.test('a Sentinel promotes the replica of a dead primary', async (t) => {
  const { sentinels, name, primary } = await startRedisSentinel(t)
  const client = new Redis({ sentinels: [...sentinels], name, retryStrategy: () => 50, sentinelRetryStrategy: () => 50 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.set('key', 'value')
  await client.wait(1, 5000)
  await primary.kill9()
  t.equal(await client.get('key'), 'value', 'the replica answers')
  t.equal((await client.role())[0], 'master')
})

t.test('a PostgreSQL keeps committed rows over a crash', async (t) => {
  const server = await startPostgres(t, { settings: { fsync: 'on', synchronous_commit: 'on' } })
  const client = new pg.Client(server.url)
  await client.connect()
  client.on('error', () => {})
  await client.query('CREATE TABLE kept (n int)')
  await client.query('INSERT INTO kept VALUES (1)')
  await server.kill9()
  await server.restart()
  const second = new pg.Client({ host: server.socket, port: server.port, user: server.user, database: server.database })
  await second.connect()
  t.teardown(() => second.end())
  t.match((await second.query('SELECT n FROM kept')).rows, [{ n: 1 }])
  t.equal((await second.query('SHOW fsync')).rows[0].fsync, 'on')
})

t.test('a MariaDB keeps committed rows over a crash', async (t) => {
  const server = await startMariaDb(t, { settings: { innodb_flush_log_at_trx_commit: '1' } })
  const client = await createConnection(server.url)
  client.on('error', () => {})
  await client.query('CREATE TABLE kept (n int)')
  await client.query('INSERT INTO kept VALUES (1)')
  await server.kill9()
  await server.restart()
  const second = await createConnection({ socketPath: server.socket, user: server.user, database: server.database })
  t.teardown(() => second.end())
  const [rows] = await second.query('SELECT n FROM kept')
  t.match(rows, [{ n: 1 }])
})
