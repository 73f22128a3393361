import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { MINUTE, newId, newPrincipal, NotApplicable, type Bench } from './bench.js'

/** Cases with more sessions of a principal than the random calls create. */
export const lists = {
  async 'a session that is live from the first page to the last is listed, whatever happens in between' (bench: Bench) {
    const { store, clock, created, createMany, pages } = bench
    for (const limit of [1, 2, 10]) {
      const principal = newPrincipal()
      const expiring = await createMany(3, { principal, expiresAt: clock.now() + 1 })
      const lasting = await createMany(10, { principal })
      const passing = await createMany(20, { principal })
      const [found, ended] = [new Set<string>(), new Set<string>()]
      let count = 0
      for await (const { sessions } of pages(principal, limit)) {
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

  async 'list, create and deleteAll handle more sessions than one batch' ({ store, record, created, createMany, read, pages, ids }: Bench) {
    const principal = newPrincipal()
    const others = [await created({ principal: principal + 'x' }), await created()]
    const all = [...await createMany(1199, { principal }), newId()]
    const counted = await store.create(all[1199]!, record({ principal }))
    assert.ok(counted === true || counted === 1200, `1200 sessions, counted ${counted}`)
    const found = new Set<string>()
    for await (const { sessions } of pages(principal, 100)) {
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
    const whileDeleting = async (work: () => Promise<unknown>): Promise<void> => {
      for (; !isOver && later.length < 2000; await turn()) await work()
    }
    const save = async (id: string): Promise<void> => {
      const found = await read(id)
      if (found) await store.update(id, record({ version: found.version + 1, principal }))
    }
    const calls = [
      (async () => await store.deleteAll(principal))().finally(() => { isOver = true }),
      whileDeleting(async () => later.push(await created({ principal }))),
      whileDeleting(async () => { for (const id of first) await save(id) })
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
