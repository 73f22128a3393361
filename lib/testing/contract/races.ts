import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { atOnce, MINUTE, newId, newPrincipal, type Bench } from './bench.js'

export const races = {
  async 'exactly one of 50 concurrent creates, or deletes, of an id succeeds' ({ store, record }: Bench) {
    const id = newId()
    const principal = newPrincipal()
    const created = await atOnce(50, (n) => store.create(id, record({ payload: `${n}`, principal })))
    assert.equal(created.filter((answer) => answer !== false).length, 1)
    assert.equal((await store.read(id))?.payload, `${created.findIndex((answer) => answer !== false)}`)
    const deleted = await atOnce(50, () => store.delete(id))
    assert.equal(deleted.filter(Boolean).length, 1)
  },

  async 'exactly one of 20 concurrent saves and conditional deletes of a version succeeds' ({ store, record, created }: Bench) {
    const mixes: Array<(n: number) => boolean> = [() => false, (n) => n % 2 === 0, (n) => n % 2 === 1]
    for (const deletes of [...mixes, ...mixes]) {
      const id = await created()
      // Some updates write the same text. They still count as different updates.
      const next = (n: number) => record({ version: 2, payload: `${n % 5}`, ...(deletes(n) && { expiresAt: 0 }) })
      const outcomes = await atOnce(20, (n) => store.update(id, next(n)))
      const winner = outcomes.indexOf('updated')
      const others = outcomes.filter((_, n) => n !== winner)
      assert.deepEqual(new Set(others), new Set([deletes(winner) ? 'missing' : 'conflict']))
      const found = await store.read(id)
      assert.deepEqual([found?.version, found?.payload], deletes(winner) ? [undefined, undefined] : [2, `${winner % 5}`])
    }
  },

  async 'a counter that 20 concurrent clients increment ends at 20' ({ store, record, created }: Bench) {
    const id = await created({ payload: '0' })
    await atOnce(20, async () => {
      for (let tries = 0; tries < 20; tries++) {
        const found = await store.read(id)
        assert.ok(found)
        const next = record({ version: found.version + 1, payload: `${Number(found.payload) + 1}` })
        if (await store.update(id, next) === 'updated') return
      }
      assert.fail('each conflict means that another client succeeded, so no client has more than 19 conflicts')
    })
    const found = await store.read(id)
    assert.deepEqual([found?.payload, found?.version], ['20', 21])
  },

  async 'a touch never undoes a concurrent update, and an update never undoes a concurrent touch' ({ store, clock, record, created }: Bench) {
    const id = await created()
    for (let version = 2; version < 30; version++) {
      const later = clock.now() + MINUTE * 2 * version
      const next = record({ version, payload: `${version}`, expiresAt: later + MINUTE * (version % 2) - 1 })
      await atOnce<unknown>(3, (n) => n === 1 ? store.update(id, next) : store.touch(id, later))
      assert.deepEqual({ ...await store.read(id) }, { ...next, expiresAt: Math.max(next.expiresAt, later) })
    }
  },

  async 'a logout ends the session despite concurrent saves and touches' ({ store, clock, record, created, ids }: Bench) {
    const principal = newPrincipal()
    const race = async (logout: (id: string) => unknown): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        const id = await created({ principal })
        const calls = [
          () => store.touch(id, clock.now() + 2 * MINUTE),
          () => store.update(id, record({ version: 2, principal, payload: '"late"' })),
          () => store.touch(id, clock.now() + 5 * MINUTE)
        ].toSpliced(n % 4, 0, () => logout(id) as undefined)
        await atOnce<unknown>(calls.length, (call) => calls[call]!())
        assert.equal(await store.read(id), undefined)
      }
      assert.deepEqual(await ids(principal), new Set())
    }
    await race((id) => store.delete(id))
    await race(() => store.deleteAll(principal))
  },

  async 'deleteAll ends while sessions are created and saved, and deletes all that existed before' ({
    store, record, created, createMany, ids
  }: Bench) {
    const principal = newPrincipal()
    const [first, later] = [await createMany(100, { principal }), [] as string[]]
    assert.deepEqual(await ids(principal), new Set(first))
    let isOver = false
    const whileDeleting = async (work: () => Promise<void>): Promise<void> => {
      for (; !isOver && later.length < 2000; await turn()) await work()
    }
    const calls = [
      (async () => await store.deleteAll(principal))().finally(() => { isOver = true }),
      whileDeleting(async () => { later.push(await created({ principal })) }),
      whileDeleting(async () => {
        for (const id of first) {
          const found = await store.read(id)
          if (found) await store.update(id, record({ version: found.version + 1, principal }))
        }
      })
    ] as const
    // Waits for all calls, so that none runs on after a failure.
    await Promise.allSettled(calls)
    const [deleted] = await Promise.all(calls)
    assert.ok(later.length < 2000, 'deleteAll goes on for as long as sessions are created')
    for (const id of first) assert.equal(await store.read(id), undefined)
    assert.equal(deleted, first.length + later.length - (await ids(principal)).size)
  }
}
