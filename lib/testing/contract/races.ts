import assert from 'node:assert/strict'
import { MINUTE, newId, newPrincipal, type Bench } from './bench.js'

const fifty = Array.from({ length: 50 }, (_, n) => n)

/** Calls that are under way at the same time. */
export const races = {
  async 'of 50 parallel creates of one id exactly one wins' ({ store, record }: Bench) {
    const id = newId()
    const won = await Promise.all(fifty.map((n) => store.create(id, record({ payload: `${n}` }))))
    assert.equal(won.filter(Boolean).length, 1)
    assert.equal((await store.read(id))?.payload, `${won.indexOf(true)}`)
  },

  async 'of 50 parallel updates of one id exactly one wins each version' ({ store, record, created }: Bench) {
    const id = await created()
    for (const version of [2, 3, 4]) {
      const outcomes = await Promise.all(fifty.map((n) => store.update(id, record({ version, payload: `${n}` }))))
      assert.deepEqual(outcomes.filter((outcome) => outcome !== 'conflict'), ['updated'])
      const found = await store.read(id)
      assert.deepEqual([found?.version, found?.payload], [version, `${outcomes.indexOf('updated')}`])
    }
  },

  async 'parallel updates that write the same text are still told apart' ({ store, record, created }: Bench) {
    const id = await created()
    const outcomes = await Promise.all(fifty.map(() => store.update(id, record({ version: 2, payload: '"same"' }))))
    assert.deepEqual(outcomes.filter((outcome) => outcome !== 'conflict'), ['updated'])
  },

  async 'a counter raised by 20 clients at once counts every one of them' ({ store, record, created }: Bench) {
    const id = await created({ payload: '0' })
    await Promise.all(fifty.slice(0, 20).map(async () => {
      for (;;) {
        const found = await store.read(id)
        assert.ok(found)
        const next = record({ version: found.version + 1, payload: `${Number(found.payload) + 1}` })
        if (await store.update(id, next) === 'updated') return
      }
    }))
    const found = await store.read(id)
    assert.deepEqual([found?.payload, found?.version], ['20', 21])
  },

  async 'of 50 parallel deletes of one id exactly one found it' ({ store, created }: Bench) {
    const id = await created({ principal: newPrincipal() })
    const found = await Promise.all(fifty.map(() => store.delete(id)))
    assert.equal(found.filter(Boolean).length, 1)
  },

  async 'a touch beside an update loses nothing of it' ({ store, clock, record, created }: Bench) {
    const id = await created()
    for (const n of fifty) {
      await Promise.all([
        store.read(id, clock.now() + MINUTE * (2 * n + 2)),
        store.update(id, record({ version: n + 2, payload: `${n}`, expiresAt: clock.now() + MINUTE * (2 * n + 3) })),
        store.read(id, clock.now() + MINUTE * (2 * n + 2))
      ])
      const found = await store.read(id)
      assert.deepEqual([found?.version, found?.payload], [n + 2, `${n}`])
    }
  },

  async 'no save or touch survives a logout beside it' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    for (const n of fifty) {
      const id = await created({ principal })
      const calls = [
        () => store.read(id, clock.now() + 2 * MINUTE),
        () => store.update(id, record({ version: 2, principal, payload: '"late"' })),
        () => store.read(id, clock.now() + 5 * MINUTE)
      ]
      const logout = n % 2 === 0 ? () => store.delete(id) : () => store.deleteAll(principal)
      calls.splice(n % 4, 0, logout as () => Promise<never>)
      await Promise.all(calls.map((call) => call()))
      assert.equal(await store.read(id), undefined)
      assert.deepEqual(await store.list(principal), [])
    }
  },

  async 'deleteAll is final for sessions that are renewed meanwhile' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    /** As the plugin renews: the new record first, then the end of the old one, if nobody ended it before. */
    const renew = async (id: string): Promise<string | undefined> => {
      const next = await created({ principal })
      if (await store.update(id, record({ version: 2, principal, expiresAt: clock.now() - 1 })) === 'updated') return next
      await store.delete(next)
      return undefined
    }
    for (let round = 0; round < 5; round++) {
      let signedOut = false
      const first = await Promise.all([1, 2, 3, 4, 5].map(() => created({ principal })))
      const renewals = first.map(async (id: string | undefined) => {
        while (id !== undefined && !signedOut) {
          id = await renew(id)
          await new Promise(setImmediate)
        }
      })
      await new Promise(setImmediate)
      try {
        await store.deleteAll(principal)
      } finally {
        // A store that cannot do it fails the case, and nothing of the case goes on behind it.
        signedOut = true
        await Promise.allSettled(renewals)
      }
      await Promise.all(renewals)
      assert.deepEqual(await store.list(principal), [])
    }
  }
}
