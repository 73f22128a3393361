import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { MINUTE, newId, newPrincipal, NotApplicable, pagesOf, type Bench } from './bench.js'

/** Texts that cause trouble in file systems, databases, patterns and encodings. */
const odd = [
  ' ', 'a b', ' a', 'a ', 'a', 'A', '\u00e9', 'e\u0301', 'ß', 'ss', 'İ', 'i', '.', '..', '../../etc/passwd', '/', '\\', 'C:\\con',
  'nul', '%', '%2e', '_', '*', '?', '[a-z]', '{a}', 'a}{b', ':', 'a:b', '"', '\'', '`', '\'; DROP TABLE sessions; --', '$1', '${a}', '<b>', '&amp;',
  '\n', '\r\n', '\t', '\0', 'a\0b', '\u007f', '\u200b', '\u2028', '\ufeff', '\ufffd', '日本語', '😀', '👩‍👩‍👧', '\ud800', '\udfff', '\ud801',
  '0', '-1', '1e3', 'null', 'undefined', 'true', '__proto__', 'constructor', 'toString', 'hasOwnProperty'
]
const around = (text: string): string[] => [text, ...odd.map((each) => text + each), ...odd.map((each) => each + text)]

const payloads = [
  '', '{}', 'null', '0', ' { "a" : 1.0 } ', '{"b":1,"a":2,"a":3}', '{"n":12345678901234567890}', '"\\u0000\\ud800"', 'not JSON', 'a\nb\r\nc\t',
  '\u2028\ufeff\u00e9e\u0301日本語😀', '\'"`\\%_*$1${x}', '__proto__'
]

/** Cases with texts, damage or numbers of sessions that the random calls do not have. */
export const cases = {
  async 'a payload of up to a mebibyte is returned unchanged and never parsed' ({ store, record, created, read }: Bench) {
    const long = [4096, 1024 * 1024].map((size) => JSON.stringify({ text: 'ü'.repeat(size / 2 - 8) }))
    for (const payload of [...payloads, ...long]) {
      const id = await created({ payload, principal: newPrincipal() })
      assert.ok((await read(id))?.payload === payload, payload.slice(0, 80))
      assert.equal(await store.update(id, record({ payload: payload + ' ', version: 2 })), 'updated')
      assert.ok((await read(id))?.payload === payload + ' ', payload.slice(0, 80))
    }
  },

  async 'every text is a distinct id' ({ store, created, read, ids }: Bench) {
    // Random text separates the cases in a store that is used again. The ids of the plugin have 22 or 43 characters.
    const [short, principal] = [newId(), newPrincipal()]
    const all = [...around(short), short.slice(0, 21), short + newId().slice(0, 21)]
    for (const id of all) await created({ payload: JSON.stringify(id), principal }, id)
    for (const id of all) assert.equal((await read(id))?.payload, JSON.stringify(id))
    for (const id of all.slice(1, 50)) assert.equal(await store.delete(id), true, JSON.stringify(id))
    assert.deepEqual(await ids(principal), new Set([short, ...all.slice(50)]))
    assert.equal(await store.deleteAll(principal, short), all.length - 50)
    assert.deepEqual(await ids(principal), new Set([short]))
  },

  async 'every text is a distinct principal' ({ store, created, listed }: Bench) {
    const start = newPrincipal()
    const ids = new Map<string, string>()
    for (const principal of [...around(start), start + 'x'.repeat(200)]) ids.set(principal, await created({ principal }))
    for (const [principal, id] of ids) {
      assert.deepEqual([...await listed(principal)].map(([id, record]) => [id, record.principal]), [[id, principal]])
    }
    for (const principal of ids.keys()) assert.equal(await store.deleteAll(principal), 1, JSON.stringify(principal))
  },

  async 'a damaged record counts as absent, and is reported once' ({ store, clock, damage, record, created, read, ids }: Bench) {
    if (damage === undefined) throw new NotApplicable()
    const reports: unknown[] = []
    store.observe?.((report) => { reports.push(report.kind, 'id' in report && report.id) })
    const damaged = async (principal: string): Promise<string> => {
      const id = await created({ principal })
      await damage(id)
      return id
    }
    const [before, unlisted, after] = [newPrincipal(), newPrincipal(), newPrincipal()]
    const id = await damaged(before)
    for (const _ of [1, 2]) assert.equal(await read(id), undefined)
    assert.deepEqual(reports, ['damaged', id])
    const calls: Array<readonly [unknown, (id: string) => unknown]> = [
      [undefined, (id) => store.touch(id, clock.now() + 10 * MINUTE)],
      ['missing', (id) => store.update(id, record({ version: 2, principal: before }))],
      ['missing', (id) => store.update(id, record({ version: 2, principal: before, expiresAt: 0 }))],
      [false, (id) => store.delete(id)]
    ]
    for (const [result, call] of calls) {
      const id = await damaged(before)
      assert.equal(await call(id), result)
      assert.equal(await read(id), undefined)
    }
    const again = await created({ principal: after }, await damaged(before))
    await damaged(unlisted)
    assert.deepEqual([await ids(before), await ids(after)], [new Set(), new Set([again])])
    for (const principal of [before, unlisted]) assert.equal(await store.deleteAll(principal), 0)
    assert.ok(await read(again))
  },

  async 'a session that is live from the first page to the last is listed, whatever happens in between' (bench: Bench) {
    const { store, clock, created, createMany } = bench
    for (const limit of [1, 2, 10]) {
      const principal = newPrincipal()
      const expiring = await createMany(3, { principal, expiresAt: clock.now() + 1 })
      const lasting = await createMany(10, { principal })
      const passing = await createMany(20, { principal })
      const [found, ended] = [new Set<string>(), new Set<string>()]
      let count = 0
      for await (const { sessions } of pagesOf(store, principal, limit)) {
        for (const { id } of sessions) assert.ok(!ended.has(id) && found.add(id), 'a session that has ended is on no page')
        await clock.advance(1)
        // Delete the last session of this page, whose id may be the cursor, and a session of a later page.
        for (const id of [...expiring, sessions.at(-1)?.id ?? '', passing.pop() ?? '']) {
          if (lasting.includes(id)) continue
          await store.delete(id)
          ended.add(id)
        }
        if (count++ < 10) await created({ principal })
        // Touch or update a session that was listed and one that was not. Both move in a list that is ordered by activity.
        for (const id of [lasting.find((id) => found.has(id)), lasting.findLast((id) => !found.has(id))]) {
          const stored = id !== undefined && await store.read(id)
          if (!stored) continue
          const next = { ...stored, version: stored.version + 1, expiresAt: clock.now() + MINUTE }
          await (count % 2 === 0 ? store.touch(id, next.expiresAt) : store.update(id, next))
        }
      }
      for (const id of lasting) assert.ok(found.has(id), `pages of ${limit}`)
    }
  },

  async 'list, create and deleteAll handle more sessions than one batch' ({ store, record, created, createMany, read, ids }: Bench) {
    const principal = newPrincipal()
    const others = [await created({ principal: principal + 'x' }), await created()]
    const all = [...await createMany(1199, { principal }), newId()]
    const counted = await store.create(all[1199]!, record({ principal }))
    assert.ok(counted === true || counted === 1200, `1200 sessions, counted ${counted}`)
    const found = new Set<string>()
    for await (const { sessions } of pagesOf(store, principal, 100)) {
      assert.ok(sessions.length <= 600, `a page is about as long as its limit: ${sessions.length} for 100`)
      for (const { id } of sessions) found.add(id)
    }
    assert.deepEqual(found, new Set(all))
    assert.equal(await store.deleteAll(principal, all[600]), 1199)
    assert.deepEqual(await ids(principal), new Set([all[600]]))
    for (const id of others) assert.ok(await read(id))
  },

  async 'deleteAll ends while sessions are created and saved, and deletes all that existed before' (bench: Bench) {
    const { store, record, created, createMany, read, ids } = bench
    const principal = newPrincipal()
    const [first, later] = [await createMany(100, { principal }), [] as string[]]
    assert.deepEqual(await ids(principal), new Set(first))
    let isOver = false
    const whileDeleting = async (work: (round: number) => Promise<unknown>): Promise<void> => {
      for (let round = 1; !isOver && later.length < 2000; round++, await turn()) await work(round)
    }
    const calls = [
      (async () => await store.deleteAll(principal))().finally(() => { isOver = true }),
      whileDeleting(async () => later.push(await created({ principal }))),
      whileDeleting(async (round) => { for (const id of first) await store.update(id, record({ version: round + 1, principal })) })
    ] as const
    // Waits for all calls, so that none runs on after a failure.
    await Promise.allSettled(calls)
    const [deleted] = await Promise.all(calls)
    assert.ok(later.length < 2000, 'deleteAll goes on for as long as sessions are created')
    for (const id of first) assert.equal(await read(id), undefined)
    assert.equal(deleted, first.length + later.length - (await ids(principal)).size)
  },

  async 'clear ends every session, and the store can be used afterwards' ({ store, clock, created, createMany, read, ids }: Bench) {
    if (store.clear === undefined || store.lists === false) throw new NotApplicable()
    const principal = newPrincipal()
    const all = [...await createMany(600, { principal }), await created(), await created({ expiresAt: clock.now() + 1 })]
    await store.clear()
    for (const id of all) assert.equal(await read(id), undefined)
    const id = await created({ principal })
    assert.deepEqual(await ids(principal), new Set([id]))
    for (const _ of [1, 2]) await store.clear()
    assert.equal(await read(id), undefined)
  }
}
