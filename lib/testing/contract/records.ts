import assert from 'node:assert/strict'
import type { SessionRecord } from '../../store/store.js'
import { MINUTE, newId, newPrincipal, NotApplicable, type Bench } from './bench.js'

const YEAR = 365 * 24 * 60 * MINUTE

/** Cases with one record that the random calls do not cover. */
export const records = {
  async 'changing an argument or a result does not change the store' ({ store, record, pages }: Bench) {
    const id = newId()
    const principal = newPrincipal()
    const first = record({ principal, payload: '"kept"' })
    await store.create(id, first)
    spoil(first)
    spoil(await store.read(id))
    assert.equal((await store.read(id))?.payload, '"kept"')
    const next = record({ principal, payload: '"next"', version: 2 })
    await store.update(id, next)
    spoil(next)
    const found = await store.read(id)
    assert.deepEqual([found?.payload, found?.version, found?.principal], ['"next"', 2, principal])
    for await (const { sessions } of pages(principal, 10)) for (const { record } of sessions) spoil(record)
    assert.equal((await store.read(id))?.payload, '"next"')
  },

  async 'create and touch keep an expiry that is years ahead' ({ store, clock, created, read, ids }: Bench) {
    const principal = newPrincipal()
    const expiresAt = clock.now() + 2 * YEAR
    const [long, touched] = [await created({ principal, expiresAt }), await created({ principal })]
    for (let n = 30; n >= 0; n--) await store.touch(touched, expiresAt - n * MINUTE)
    await clock.advance(2 * YEAR - 1)
    for (const id of [long, touched]) assert.equal((await read(id))?.expiresAt, expiresAt)
    assert.deepEqual(await ids(principal), new Set([long, touched]))
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
  }
}

/** Tries to change a record. A frozen record throws, which is allowed. */
function spoil (record: SessionRecord | undefined): void {
  assert.ok(record)
  try {
    Object.assign(record, { payload: '"spoiled"', version: 99, principal: 'spoiled', expiresAt: 0 })
  } catch (error) {
    assert.ok(error instanceof TypeError)
  }
}
