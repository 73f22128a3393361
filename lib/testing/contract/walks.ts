import assert from 'node:assert/strict'
import type { SessionRecord, SessionStore } from '../../store/store.js'
import { MINUTE, newId, newPrincipal, NotApplicable, type Bench } from './bench.js'
import { Model } from './model.js'

const STEPS = 220
const HOUR = 60 * MINUTE

/** Cases with random calls in sequence. The store must have the same results as the model. */
export const walks = {
  async 'random calls have the results and effects that the contract requires' (bench: Bench) {
    await walk(bench, [0, 0, 1, MINUTE - 1, MINUTE, HOUR])
  },

  async 'create returns how many live sessions the principal has' (bench: Bench) {
    // No session expires here, because sessions that have just expired may be counted.
    await walk(bench, [0, 1], true)
  }
}

type Pick = <T>(from: readonly T[]) => T

/** Makes pseudorandom calls, the same in each run. `pauses` are the possible times between two calls, in milliseconds. */
async function walk (bench: Bench, pauses: readonly number[], counts = false): Promise<void> {
  const { store, clock } = bench
  const model = new Model(clock.now)
  const pick = picker()
  const [ids, principals] = [Array.from({ length: 3 }, newId), [newPrincipal(), newPrincipal()]]
  for (let step = 0; step < STEPS; step++) {
    const [method, ...args] = nextCall(pick, model, clock.now(), pick(ids), pick(principals))
    if (method === 'deleteAll' && store.lists === false) continue
    const call = `${method}(${args.map((arg) => JSON.stringify(arg)).join(', ')}), step ${step}`
    const [found, expected] = await Promise.all([invoke(store, method, args), invoke(model, method, args)])
    if (method === 'create') checkCreated(found, expected, call, counts && (args[1] as SessionRecord).expiresAt > clock.now())
    else assert.equal(found, expected, call)
    await clock.advance(pick(pauses))
    for (const id of ids) assert.deepEqual(await bench.read(id), model.read(id), `read after ${call}`)
    // Not after each call, because a list may hide a fault by removing entries that a call has left.
    for (const principal of store.lists === false || step % 5 > 0 ? [] : principals) {
      assert.deepEqual(await bench.listed(principal), new Map(model.list(principal).map(({ id, record }) => [id, record])), `list after ${call}`)
    }
  }
}

function nextCall (pick: Pick, model: Model, now: number, id: string, principal: string): readonly [keyof Model, ...unknown[]] {
  // A server may expire records by its own clock, which keeps running while the clock of the case does not.
  const expiresAt = pick([0, now - 1, now, now + MINUTE / 2, now + MINUTE, now + MINUTE + 1, now + HOUR])
  const version = model.read(id)?.version ?? 1
  const record: SessionRecord = { payload: pick(['"one"', '"other"']), version: 1, expiresAt, ...(pick([true, true, false]) && { principal }) }
  return pick<readonly [keyof Model, ...unknown[]]>([
    ['create', id, record],
    ['create', id, { ...record, expiresAt: now + HOUR }],
    ['update', id, { ...record, version: version + 1 }],
    ['update', id, { ...record, version: version + 1, expiresAt: Math.max(expiresAt, now + MINUTE) }],
    ['update', id, { ...record, version: pick([1, version - 1, version, version + 2, 30]) }],
    ['touch', id, expiresAt],
    ['touch', id, pick([now, now + 1, now + MINUTE + 2])],
    ['delete', id],
    ...pick([[], [], [['deleteAll', principal], ['deleteAll', principal, id]] as const])
  ])
}

function checkCreated (found: unknown, expected: unknown, call: string, counts: boolean): void {
  if (typeof expected === 'boolean') assert.equal(found, expected, call)
  else if (!counts) assert.ok(found === true || Number.isInteger(found), `${call} returns a number or true, not ${String(found)}`)
  else if (found === true) throw new NotApplicable()
  else assert.equal(found, expected, call)
}

async function invoke (target: Model | SessionStore, method: keyof Model, args: readonly unknown[]): Promise<unknown> {
  return await (target[method] as (...args: readonly unknown[]) => unknown).apply(target, args as unknown[])
}

/** Returns a pseudorandom function that picks values of lists. It picks the same values in each process. */
function picker (): Pick {
  let state = 1
  return (from) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return from[Math.floor(state / 2 ** 32 * from.length)]!
  }
}
