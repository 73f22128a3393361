/** A test by its file and title. */
type Proof = readonly [file: string, title: string]

/** What a store says to a promise, and the tests that hold it to its word. */
type Cell = readonly [says: string, ...proofs: Proof[]]

/** The columns of "What each promises" in docs/stores.md. */
export const stores = ['memory', 'file', 'SQL', 'Redis', 'express', 'sealed'] as const

/** Cells that promise nothing, for which there is nothing to test. */
export const nothing: readonly string[] = ['no', 'as the store', 'nothing to free', '0']

const updates: Proof = ['test/security/life.test.ts', 'C10 no update is lost: ten parallel requests, ten keys, F5']
const final: Proof = ['test/security/life.test.ts', 'C9 nothing revives a session that was ended meanwhile (CVE-2025-46336), F4']
const idle: Proof = ['test/security/life.test.ts', 'C11 the idle timeout is the server\'s']
const absolute: Proof = ['test/security/life.test.ts', 'C12 the absolute timeout: neither activity nor a renewal moves it']
const listed: Proof = ['test/security/life.test.ts', 'C27 list, revoke one, the others, all']
const opensElsewhere: Proof = ['test/security/sealed.test.ts', 'C22 a sealed cookie opens for its scheme, its cookie name, its format and its keys, and for nothing else (CVE-2026-39324)']
const twoProcesses: Proof = ['test/store/express-calls.test.ts', 'two processes on one store: what limits say is lost']
const costs: Proof = ['test/docs/costs.test.ts', 'a read, a save, a login and a logout take as many calls of the server as the table says']

/** The table row by row: the promise, and a cell for each store. */
export const guarantees: ReadonlyArray<readonly [promise: string, ...cells: Cell[]]> = [
  ['no lost update between parallel requests', ['yes', updates], ['yes', updates], ['yes', updates], ['yes', updates], ['one process', updates, twoProcesses], ['no']],
  ['what was signed out stays signed out', ['yes', final], ['yes', final], ['yes', final], ['yes', final], ['one process', final, twoProcesses], ['no']],
  ['idle and absolute timeout on the server',
    ['yes', idle, absolute], ['yes', idle, absolute], ['yes', idle, absolute], ['yes', idle, absolute], ['yes', idle, absolute], ['yes', idle, absolute]],
  ['list, revoke, sign out everywhere', ['yes', listed], ['yes', listed], ['yes', listed], ['yes', listed],
    ['with `all()`', listed, ['test/store/express.test.ts', 'stores without all() pass what needs no list, and everything once they are given one']], ['no']],
  ['survives a restart of the app', ['no'],
    ['yes', ['test/store/file.test.ts', 'sessions survive a restart']],
    ['yes', ['test/example/postgres.test.ts', 'sessions in PostgreSQL, by DATABASE_URL']],
    ['yes', ['test/example/redis.test.ts', 'sessions in Redis, by REDIS_URL']], ['as the store'], ['yes', opensElsewhere]],
  ['many processes', ['no'],
    ['refused', ['test/store/file.test.ts', 'a second opener is refused with a sentence']],
    ['yes', ['test/scale/postgres.test.ts', 'several processes on one PostgreSQL']],
    ['yes', ['test/scale/redis.test.ts', 'several processes on one Redis']], ['with the limits above', twoProcesses], ['yes', opensElsewhere]],
  ['frees what has expired',
    ['by itself', ['test/store/memory.test.ts', 'a quiet store frees expired records by itself']],
    ['by itself', ['test/store/file.test.ts', 'expired files are removed in the background']],
    ['in small batches', ['test/support/sql-suite.ts', 'sweep deletes what has expired, in batches, and nothing else']],
    ['the server', ['test/faults/redis.test.ts', 'F9: sessions that have expired leave nothing behind']], ['as the store'], ['nothing to free']],
  ['calls of the server for a read, save, login, logout, with a principal',
    ['0'], ['0'], ['1, 1, 1, 1', costs], ['1, 1, 2, 2', costs], ['1, 2, 2, 2', costs], ['0']]
]
