/**
 * Measures sessions in the memory of the app's process: `npm run bench:memory [sessions]`. Prints the bytes of each session, the
 * cost of a call with few and with many sessions, and the longest stop of the event loop. `sessions` (200,000 by default) is the
 * number for the bytes. The other tables have a thousand and a million sessions.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { MemoryStore, type SessionRecord } from 'fastify-openapi-session'
import { makeCredential } from './floor.js'
import { AGAIN, type SubjectName, SUBJECTS, urlOf } from './plan.js'
import { build } from './subjects.js'

const { gc } = globalThis
if (gc === undefined) throw new Error('Run it with node --expose-gc, as npm run bench:memory does')
const SESSIONS = Number(process.argv[2] ?? 200_000)
const [FEW, MANY] = [1000, 1_000_000]
const CALLS = 100_000
const IDLE = 30 * 60_000

/** Returns the bytes in use after garbage collection, in the heap and outside of it. */
async function used (): Promise<number> {
  for (let turn = 0; turn < 4; turn++) {
    gc?.()
    await nextTurn()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Returns the bytes of one session, measured with real logins. */
async function bytesEach (subject: SubjectName): Promise<number> {
  const app = await build(subject, () => { throw new Error('No Redis here') })
  const login = async (): Promise<void> => {
    const { statusCode } = await app.inject({ method: 'POST', url: urlOf('login', '200 B'), headers: { 'x-forwarded-proto': 'https' } })
    if (statusCode !== 200) throw new Error(`A login returned ${statusCode}`)
  }
  for (let warmUp = 0; warmUp < 5000; warmUp++) await login()
  const before = await used()
  for (let session = 0; session < SESSIONS; session++) await login()
  const bytes = await used() - before
  await app.close()
  return bytes / SESSIONS
}

/** Returns an id from a pool, as the plugin does: each small `Buffer` would be work for the garbage collector. */
const makeId = (): string => makeCredential()[0]

/** Returns a record similar to the one that the plugin writes for data of 200 bytes. */
function recordOf (principal: string, expiresAt: number, version = 1): SessionRecord {
  const head = { secret: 'x'.repeat(43), from: expiresAt, to: expiresAt }
  return { payload: JSON.stringify({ ...head, data: { user: principal, note: 'x'.repeat(180 - principal.length) } }), version, expiresAt, principal }
}

function fill (store: MemoryStore, count: number, principalOf: (index: number) => string, expiresAt: number): string[] {
  const ids = Array.from({ length: count }, makeId)
  for (const [index, id] of ids.entries()) store.create(id, recordOf(principalOf(index), expiresAt))
  return ids
}

type Call = (id: string, index: number) => unknown

/** Returns the microseconds of CPU of one call. */
async function costOf (ids: readonly string[], call: Call): Promise<number> {
  // In no order that the store could like, and always the same.
  const chosen = Array.from({ length: CALLS }, (_, index) => ids[index * 7919 % ids.length] ?? '')
  const before = process.cpuUsage()
  for (const [index, id] of chosen.entries()) await call(id, index)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / CALLS
}

async function costsAmong (count: number): Promise<Record<string, number>> {
  const store = new MemoryStore({ maxSessions: count + 4 * CALLS, maxBytes: 2 ** 40 })
  const expiresAt = Date.now() + IDLE
  const ids = fill(store, count, (index) => `user-${index >> 1}`, expiresAt)
  const { payload } = recordOf('user-1', expiresAt)
  const versions = new Map(ids.map((id) => [id, 1]))
  const owners = new Map(ids.map((id, index) => [id, `user-${index >> 1}`]))
  const fresh = Array.from({ length: 2 * CALLS }, makeId)
  let created = 0
  const calls: Record<string, Call> = {
    read: (id) => store.read(id),
    touch: (id, index) => { store.touch(id, expiresAt + index) },
    update: async (id) => {
      const version = (versions.get(id) ?? 0) + 1
      versions.set(id, version)
      if (store.update(id, { payload, version, expiresAt, principal: owners.get(id) ?? '' }) !== 'updated') throw new Error('An update was lost')
    },
    create: async (_, index) => {
      const id = fresh[created++] ?? ''
      if (!store.create(id, { payload, version: 1, expiresAt, principal: `new-${index}` })) throw new Error('A session was not created')
    }
  }
  const costs: Record<string, number> = {}
  for (const [name, call] of Object.entries(calls)) {
    await costOf(ids, call)
    costs[name] = await costOf(ids, call)
  }
  store.close()
  return costs
}

const nextTurn = async (): Promise<void> => await new Promise((resolve) => { setImmediate(resolve) })

/**
 * Makes each garbage collection one piece of work in the thread of the event loop, which `PerformanceObserver` reports. By default, V8
 * also marks objects in many steps that it reports nowhere, and in threads of its own, which may have to share the core.
 */
const WHOLE_COLLECTIONS = ['--single-threaded-gc', '--no-incremental-marking']

interface Stop {
  readonly all: number
  /** Without the garbage collections that V8 reports. So it is an upper bound of the time that the store takes. */
  readonly own: number
}

/**
 * Runs `work` and returns the longest time, in ms, in which the event loop could not run anything else. Time in which another
 * process had the core does not count.
 */
async function longestStop (work: () => unknown): Promise<Stop> {
  const collections: PerformanceEntry[] = []
  const observer = new PerformanceObserver((list) => { collections.push(...list.getEntries()) })
  const turns: Array<{ start: number, end: number, cpu: number }> = []
  let running = true
  gc?.()
  // V8 frees the pages of the heap after the collection.
  await pause(1000)
  observer.observe({ entryTypes: ['gc'] })
  let start = performance.now()
  let before = process.cpuUsage()
  const look = (): void => {
    const { user, system } = process.cpuUsage(before)
    const end = performance.now()
    if (end - start > 1) turns.push({ start, end, cpu: (user + system) / 1000 })
    start = end
    before = process.cpuUsage()
    if (running) setImmediate(look)
  }
  setImmediate(look)
  await work()
  await nextTurn()
  running = false
  await pause(100)
  observer.disconnect()
  const found = turns.map(({ start, end, cpu }) => {
    const collecting = collections.reduce((sum, { startTime, duration }) => sum + Math.max(0, Math.min(end, startTime + duration) - Math.max(start, startTime)), 0)
    const all = Math.min(end - start, cpu)
    return { all, own: Math.max(0, Math.min(end - start - collecting, all)) }
  })
  return { all: Math.max(0, ...found.map(({ all }) => all)), own: Math.max(0, ...found.map(({ own }) => own)) }
}

const pause = async (ms: number): Promise<void> => await new Promise((resolve) => { setTimeout(resolve, ms) })

async function stops (): Promise<Record<string, Stop>> {
  const found: Record<string, Stop> = {}
  let time = Date.now()
  const store = new MemoryStore({ maxSessions: MANY, maxBytes: 2 ** 40, now: () => time })
  fill(store, MANY, (index) => index < 100_000 ? 'busy' : `user-${index}`, time + IDLE)
  found['nothing, for comparison'] = await longestStop(async () => await pause(2000))
  found['list of a principal with 100,000 sessions'] = await longestStop(async () => {
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      cursor = store.list('busy', { limit: 500, cursor }).cursor
      await nextTurn()
    }
  })
  found['100,000 evictions, 100 a turn'] = await longestStop(async () => {
    for (let created = 0; created < 100_000; created++) {
      store.create(makeId(), recordOf(`late-${created}`, time + IDLE))
      if (created % 100 === 0) await nextTurn()
    }
  })
  store.close()
  fill(store, MANY, (index) => index < 100_000 ? 'busy' : `user-${index}`, time + IDLE)
  found['deleteAll of a principal with 100,000 sessions'] = await longestStop(async () => await store.deleteAll('busy'))
  time += 2 * IDLE
  const before = store.size
  found['sweep of a million expired sessions (first 20 s)'] = await longestStop(async () => {
    for (let second = 0; second < 20 && store.size > 0; second++) await pause(1000)
  })
  console.log(`(The sweep freed ${before - store.size} sessions in 20 s.)\n`)
  store.close()
  return found
}

/** Returns the stops of a new process, so that the heap has no more than the sessions. */
async function stopsWith (flags: readonly string[]): Promise<Record<string, Stop>> {
  const child = fork(process.argv[1] ?? '', ['stops'], { execArgv: [...process.execArgv, ...flags] })
  const [found] = await once(child, 'message') as [Record<string, Stop>]
  return found
}

const table = (heading: readonly string[], rows: ReadonlyArray<readonly string[]>): string =>
  [heading, heading.map((_, index) => index === 0 ? '---' : '---:'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

async function report (): Promise<void> {
  console.log(`Node.js ${process.versions.node}\n`)
  const bytes: string[][] = []
  for (const subject of [AGAIN, ...SUBJECTS.filter(({ store, isLoginOnly }) => store === 'memory' && isLoginOnly !== true)]) bytes.push([subject.name, (await bytesEach(subject)).toFixed(0)])
  console.log(`${table([`after ${SESSIONS} logins with 200 bytes of data`, 'bytes each'], bytes)}\n`)

  const [few, many] = [await costsAmong(FEW), await costsAmong(MANY)]
  const rows = Object.keys(few).map((name) => [name, (few[name] ?? NaN).toFixed(2), (many[name] ?? NaN).toFixed(2)])
  console.log(`${table(['µs of CPU for a call of MemoryStore', 'among 1,000', 'among 1,000,000'], rows)}\n`)

  const whole = await stopsWith(WHOLE_COLLECTIONS)
  const longest = Object.entries(await stopsWith([])).map(([name, { own, all }]) => [name, Math.min(own, whole[name]?.own ?? NaN).toFixed(1), all.toFixed(1)])
  console.log(table(['longest stop of the event loop with 1,000,000 sessions', 'ms of the store, at most', "ms with V8's garbage collections"], longest))
}

if (process.argv[2] === 'stops') process.send?.(await stops())
else await report()
