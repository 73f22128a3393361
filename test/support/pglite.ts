import type { PGlite } from '@electric-sql/pglite'
import {
  CompiledQuery, type DatabaseConnection, type Dialect, type Driver, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler,
  type QueryResult
} from 'kysely'

/** PGlite for Kysely before 0.29, which brings such a dialect of its own. PGlite has one connection and queues what it is asked. */
export function pgliteDialect (pglite: PGlite): Dialect {
  const connection: DatabaseConnection = {
    async executeQuery<R> ({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      const { rows, affectedRows } = await pglite.query<R>(sql, [...parameters])
      return { rows, numAffectedRows: BigInt(affectedRows ?? 0) }
    },
    streamQuery () {
      throw new Error('not needed here')
    }
  }
  const run = (sql: string) => async () => { await connection.executeQuery(CompiledQuery.raw(sql)) }
  const nothing = async (): Promise<void> => {}
  const driver: Driver = {
    init: nothing,
    acquireConnection: async () => connection,
    beginTransaction: run('begin'),
    commitTransaction: run('commit'),
    rollbackTransaction: run('rollback'),
    releaseConnection: nothing,
    destroy: nothing
  }
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler()
  }
}
