import assert from 'node:assert/strict'
import { MINUTE, newId, newPrincipal, NotApplicable, type Bench } from './bench.js'

type End = (bench: Bench, principal: string) => Promise<string>

/** The ways in which a record is gone. Each one resolves the id of such a record, which was one of the principal. */
const ends: Record<string, End> = {
  'was never created': async () => newId(),

  'was created expired': async ({ clock, created }, principal) => await created({ principal, expiresAt: clock.now() }),

  async 'has expired' ({ clock, created }, principal) {
    const id = await created({ principal })
    await clock.advance(MINUTE)
    return id
  },

  async 'was deleted' ({ store, created }, principal) {
    const id = await created({ principal })
    assert.equal(await store.delete(id), true)
    return id
  },

  async 'was ended by an update that expires now' ({ store, clock, record, created }, principal) {
    const id = await created({ principal })
    assert.equal(await store.update(id, record({ version: 2, principal, expiresAt: clock.now() })), 'updated')
    return id
  },

  async 'was ended by an update that expires in the past' ({ store, record, created }, principal) {
    const id = await created({ principal })
    assert.equal(await store.update(id, record({ version: 2, expiresAt: 0 })), 'updated')
    return id
  }
}

/** Makes each call on a record that is gone. None is an error, none brings the record back, and its id is free. */
async function checkGone (bench: Bench, end: End): Promise<void> {
  const { store, clock, record, create, created, ids } = bench
  const [before, unlisted, after] = [newPrincipal(), newPrincipal(), newPrincipal()]
  const other = await created({ expiresAt: clock.now() + 60 * MINUTE })
  const calls: Array<[unknown, (id: string) => unknown]> = [
    [undefined, (id) => store.read(id)],
    [undefined, (id) => store.touch(id, clock.now() + 10 * MINUTE)],
    ['missing', (id) => store.update(id, record({ version: 2, principal: before }))],
    ['missing', (id) => store.update(id, record({ version: 2, principal: before, expiresAt: 0 }))],
    [false, (id) => store.delete(id)]
  ]
  for (const [result, call] of calls) {
    const id = await end(bench, before)
    assert.equal(await call(id), result)
    assert.equal(await store.read(id), undefined)
  }
  const [id] = [await end(bench, before), await end(bench, before), await end(bench, unlisted)]
  await create(id, { payload: '"again"', principal: after })
  assert.equal((await store.read(id))?.payload, '"again"')
  assert.ok(await store.read(other), 'another record stays')
  assert.deepEqual([await ids(before), await ids(after)], [new Set(), new Set([id])])
  for (const principal of [before, unlisted]) assert.equal(await store.deleteAll(principal), 0)
  assert.ok(await store.read(id))
}

/** The end of records. */
export const endings: Record<string, (bench: Bench) => Promise<void>> = {
  ...Object.fromEntries(Object.entries(ends).map(([way, end]) => [
    `a record that ${way} is undefined, missing or false, in no list, and its id is free`,
    async (bench: Bench) => await checkGone(bench, end)
  ])),

  async 'a damaged record counts as absent, and is reported once' (bench: Bench) {
    const { store, damage, created } = bench
    if (damage === undefined) throw new NotApplicable()
    const reports: Array<readonly [string, unknown]> = []
    store.observe?.((report) => { reports.push([report.kind, 'id' in report && report.id]) })
    const damaged: End = async (_, principal) => {
      const id = await created({ principal })
      await damage(id)
      return id
    }
    const id = await damaged(bench, newPrincipal())
    for (const _ of [1, 2]) assert.equal(await store.read(id), undefined)
    assert.deepEqual(reports, [['damaged', id]])
    await checkGone(bench, damaged)
  }
}
