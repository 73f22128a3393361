import assert from 'node:assert/strict'
import { MINUTE, newId, newPrincipal, NotApplicable, type Bench } from './bench.js'

/** The sessions of one principal. */
export const lists = {
  async 'list returns the live sessions of the principal, whole, on pages of any size' ({ record, created, listed }: Bench) {
    const principal = newPrincipal()
    const expected = new Map<string, unknown>()
    for (let n = 0; n < 20; n++) {
      const over = { principal, payload: `${n}` }
      expected.set(await created(over), record(over))
    }
    await created({ principal: newPrincipal() })
    await created()
    for (const limit of [1, 2, 10, 20, 1000]) assert.deepEqual(await listed(principal, limit), expected, `pages of ${limit}`)
  },

  async 'a session that is live from the first page to the last is listed, whatever happens in between' ({
    store, clock, created, createMany, pages
  }: Bench) {
    for (const limit of [1, 2, 10]) {
      const principal = newPrincipal()
      const expiring = await createMany(3, { principal, expiresAt: clock.now() + 1 })
      const lasting = await createMany(10, { principal })
      const passing = await createMany(20, { principal })
      const found = new Set<string>()
      const ended = new Set<string>()
      let count = 0
      for await (const { sessions } of pages(principal, limit)) {
        for (const { id } of sessions) {
          assert.ok(!ended.has(id), 'a session that has ended is on no page')
          found.add(id)
        }
        await clock.advance(1)
        // The last session of this page, whose id may be the cursor, and one of a page to come.
        for (const id of [...expiring, sessions.at(-1)?.id ?? '', passing.pop() ?? '']) {
          if (lasting.includes(id)) continue
          await store.delete(id)
          ended.add(id)
        }
        if (count++ < 10) await created({ principal })
        // One that was listed and one that was not, so that both move in a list that is in the order of activity.
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

  async 'create returns how many live sessions the principal has' ({ store, clock, record, create, created, createMany }: Bench) {
    assert.equal(await create(newId()), true, 'without a principal')
    const [principal, other] = [newPrincipal(), newPrincipal()]
    /** Counts the sessions of a principal by one more, which ends at once. */
    const count = async (owner: string): Promise<number> => {
      const id = newId()
      const found = await create(id, { principal: owner })
      if (found === true) throw new NotApplicable()
      await store.delete(id)
      return found - 1
    }
    const counts = async (): Promise<number[]> => [await count(principal), await count(other)]
    assert.deepEqual(await counts(), [0, 0])
    const [moved, deleted, ended, kept] = await createMany(5, { principal }) as [string, string, string, string]
    await created({ principal: other })
    assert.deepEqual(await counts(), [5, 1])
    await store.create(kept, record({ principal }))
    await store.touch(kept, clock.now() + 2 * MINUTE)
    await store.update(kept, record({ version: 2, principal }))
    assert.deepEqual(await counts(), [5, 1], 'the number changes only when a session begins or ends')
    await store.update(moved, record({ version: 2, principal: other }))
    assert.deepEqual(await counts(), [4, 2])
    for (const _ of [1, 2]) await store.delete(deleted)
    await store.update(ended, record({ version: 2, principal, expiresAt: 0 }))
    assert.deepEqual(await counts(), [2, 2])
    await store.deleteAll(principal)
    assert.deepEqual(await counts(), [0, 2])
  },

  async 'deleteAll ends the sessions of the principal and no other sessions' ({ store, clock, created, createMany, ids }: Bench) {
    const principal = newPrincipal()
    await created({ principal, expiresAt: clock.now() + 1 })
    const mine = await createMany(2, { principal })
    const others = [await created({ principal: principal + 'x' }), await created({ principal: newPrincipal() }), await created()]
    await clock.advance(1)
    assert.deepEqual(await ids(principal), new Set(mine))
    assert.equal(await store.deleteAll(principal, others[0]), 2, 'the live ones count')
    for (const id of mine) assert.equal(await store.read(id), undefined)
    for (const id of others) assert.ok(await store.read(id))
    assert.deepEqual(await ids(principal), new Set())
    assert.equal(await store.deleteAll(principal), 0)
  },

  async 'more sessions than one batch are listed, counted and ended, all but the one to keep' ({ store, create, createMany, pages, ids }: Bench) {
    const principal = newPrincipal()
    const all = [...await createMany(1199, { principal }), newId()]
    const counted = await create(all[1199]!, { principal })
    assert.ok(counted === true || counted === 1200, `1200 sessions, counted ${counted}`)
    const found = new Set<string>()
    for await (const { sessions } of pages(principal, 100)) {
      assert.ok(sessions.length <= 600, `a page is about as long as its limit: ${sessions.length} for 100`)
      for (const { id } of sessions) found.add(id)
    }
    assert.deepEqual(found, new Set(all))
    assert.equal(await store.deleteAll(principal, all[600]), 1199)
    assert.deepEqual(await ids(principal), new Set([all[600]]))
  },

  async 'clear ends every session that is there, and the store goes on' ({ store, clock, created, createMany, ids }: Bench) {
    const principal = newPrincipal()
    assert.deepEqual(await ids(principal), new Set())
    if (store.clear === undefined) throw new NotApplicable()
    const others = [await created({ principal: newPrincipal() }), await created(), await created({ expiresAt: clock.now() + 1 })]
    const all = [...await createMany(600, { principal }), ...others]
    await store.clear()
    for (const id of all) assert.equal(await store.read(id), undefined)
    assert.deepEqual(await ids(principal), new Set())
    const id = await created({ principal })
    assert.deepEqual(await ids(principal), new Set([id]))
    await store.clear()
    await store.clear()
    assert.equal(await store.read(id), undefined)
  },

  async 'a session moves to the list of its new principal' ({ store, record, created, ids }: Bench) {
    const [first, second] = [newPrincipal(), newPrincipal()]
    const id = await created()
    let version = 1
    for (const principal of [first, second, undefined]) {
      const next = record({ version: ++version, ...(principal !== undefined && { principal }) })
      assert.equal(await store.update(id, next), 'updated')
      for (const each of [first, second]) assert.deepEqual(await ids(each), new Set(each === principal ? [id] : []))
      for (const each of [first, second]) if (each !== principal) assert.equal(await store.deleteAll(each), 0)
      assert.equal((await store.read(id))?.principal, principal)
    }
  }
}
