import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { SessionRecord, SessionStore } from '../../store/store.js'
import { atOnce, MINUTE, newId, newPrincipal, NotApplicable, taken, type Bench } from './bench.js'
import { Model } from './model.js'

const HOUR = 60 * MINUTE
const YEAR = 365 * 24 * HOUR

/** Cases with random calls, the same in each run. The store must have the same results and effects as the model. */
export const walks = {
  async 'random calls have the results and effects that the contract requires' (bench: Bench) {
    await walk(bench, 220, [0, 0, 1, MINUTE - 1, MINUTE, HOUR])
  },

  async 'create returns how many live sessions the principal has' (bench: Bench) {
    // No session expires here, because sessions that have just expired may be counted.
    await walk(bench, 220, [0, 1], { counts: true })
  },

  async 'concurrent calls have the results and effects of the same calls in some sequence' (bench: Bench) {
    await walk(bench, 120, [0, 0, 0, MINUTE], { sizes: [3, 7, 12] })
  }
}

type Pick = <T>(from: readonly T[]) => T
type Call = readonly [Exclude<keyof Model, 'copy'>, ...unknown[]]
type Made = readonly [call: Call, result: unknown]
/** The effect of a step: a record or `undefined` for each id. If `counts`, the number that `create` returns is checked. */
interface Found { readonly ids: readonly string[], readonly records: readonly unknown[], readonly counts: boolean, readonly now: number }

/** `pauses` are the possible times between two steps, in milliseconds, and `sizes` the possible numbers of calls at once. */
async function walk (bench: Bench, steps: number, pauses: readonly number[], { sizes = [1], counts = false } = {}): Promise<void> {
  const { store, clock } = bench
  const pick = picker()
  const [ids, principals] = [Array.from({ length: 3 }, newId), [newPrincipal(), newPrincipal()]]
  let model = new Model(clock.now)
  for (let step = 0; step < steps; step++) {
    const creates = pick([true, false, false])
    const size = pick(sizes)
    // Ids are random: no other call uses an id while it is created, and concurrent calls never create that of an ended session.
    if (creates && size > 1) ids.forEach((id, n) => { ids[n] = model.read(id) ? id : newId() })
    const calls = Array.from({ length: size }, () => nextCall(creates, pick, model, clock.now(), pick(ids), pick(principals)))
      // Two concurrent calls of deleteAll may share the sessions.
      .filter(([method], n, all) => method !== 'deleteAll' || (store.lists !== false && n === all.findIndex(([other]) => other === method)))
    const results = await atOnce(calls.length, (n) => invokeStore(store, calls[n]!))
    const records = await atOnce(ids.length, (n) => bench.read(ids[n]!))
    const next = inSequence(model, calls.map((call, n) => [call, results[n]]), { ids, records, counts, now: clock.now() })
    const text = `step ${step}: ${calls.map(([method, ...args]) => `${method}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`).join(', ')}`
    if (next === undefined) {
      // Fails, and shows the results of one sequence.
      assert.deepEqual([results, records], [calls.map((call) => invoke(model, call)), ids.map((id) => model.read(id))], text)
    }
    model = next!
    await clock.advance(pick(pauses))
    for (const id of ids) assert.deepEqual(await bench.read(id), model.read(id), `read after ${text}`)
    // Not after each step, because a list may hide a fault by removing entries that a call has left.
    for (const principal of store.lists === false || step % 5 > 0 ? [] : principals) {
      const expected = new Map(model.list(principal).map(({ id, record }) => [id, record]))
      assert.deepEqual(await bench.listed(principal, pick([1, 2, 3, 100])), expected, `list after ${text}`)
    }
  }
}

/** Returns the model after the calls in a sequence that explains their results and the records they leave, if there is one. */
function inSequence (model: Model, made: readonly Made[], found: Found, tried = new Set<string>()): Model | undefined {
  const before = found.ids.map((id) => model.read(id))
  if (made.length === 0) return isDeepStrictEqual(before, found.records) ? model : undefined
  const key = JSON.stringify([made, before])
  if (tried.has(key)) return undefined
  tried.add(key)
  for (const each of made) {
    const next = model.copy()
    if (!isRight(each, invoke(next, each[0]), found)) continue
    const last = inSequence(next, made.filter((other) => other !== each), found, tried)
    // A call without an effect may as well be the first, because no call before it can create its record. No other has to be tried.
    if (last !== undefined || found.ids.every((id, n) => next.read(id) === before[n])) return last
  }
  return undefined
}

function nextCall (creates: boolean, pick: Pick, model: Model, now: number, id: string, principal: string): Call {
  // A server may expire records by its own clock, which keeps running while the clock of the case does not.
  const expiresAt = pick([0, now - 1, now, now + MINUTE / 2, now + MINUTE, now + MINUTE + 1, now + HOUR, now + 2 * YEAR])
  const { version, expiresAt: end } = model.read(id) ?? { version: 1, expiresAt: now }
  const record: SessionRecord = { payload: pick(['"one"', '"other"']), version: 1, expiresAt, ...(pick([true, true, false]) && { principal }) }
  if (creates) return ['create', id, pick([record, { ...record, expiresAt: now + pick([MINUTE, HOUR]) }])]
  return pick<Call>([
    ['update', id, { ...record, version: version + 1 }],
    ['update', id, { ...record, version: version + 1, expiresAt: Math.max(expiresAt, now + MINUTE) }],
    ['update', id, { ...record, version: pick([1, version - 1, version, version + 2, 30]) }],
    ['update', id, { ...record, version: version + 1, expiresAt: now }],
    ['touch', id, expiresAt],
    ['touch', id, end + pick([-1, 1, MINUTE])],
    ['delete', id],
    ...pick([[], [['deleteAll', principal], ['deleteAll', principal, id]] as const])
  ])
}

/** Returns whether a store has the result of the model, which is `expected`. */
function isRight ([[method, , record], result]: Made, expected: unknown, { counts, now }: Found): boolean {
  if (method !== 'create' || typeof expected === 'boolean') return result === expected
  if (!counts || (record as SessionRecord).expiresAt <= now) return result === true || Number.isInteger(result)
  if (result === true) throw new NotApplicable()
  return result === expected
}

function invoke (target: Model | SessionStore, [method, ...args]: Call): unknown {
  return (target[method] as (...args: readonly unknown[]) => unknown).apply(target, args)
}

/** Calls a store with a copy of a record, and changes the copy afterwards. */
async function invokeStore (store: SessionStore, [method, ...args]: Call): Promise<unknown> {
  const given = structuredClone(args)
  const result = await invoke(store, [method, ...given])
  for (const arg of given) if (typeof arg === 'object') taken(arg as SessionRecord)
  return result
}

/** Returns a pseudorandom function that picks values of lists. It picks the same values in each process. */
function picker (): Pick {
  let state = 1
  return (from) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return from[Math.floor(state / 2 ** 32 * from.length)]!
  }
}
