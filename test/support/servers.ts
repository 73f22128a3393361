/** Real servers for tests: each on a free loopback port, in a temporary directory, ended with the test. */
export { findExecutable, freePort, type Controls, type Scope } from './servers-process.js'
export { startRedis, startRedisCluster, type RedisCluster, type RedisOptions, type RedisServer } from './servers-redis.js'
export { startRedisSentinel, type RedisSentinel } from './servers-sentinel.js'
export { startPostgres, type SqlOptions, type SqlServer } from './servers-postgres.js'
export { startMariaDb } from './servers-mariadb.js'
