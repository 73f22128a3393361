import assert from 'node:assert/strict'
import { MINUTE, newPrincipal, type Bench } from './bench.js'

const YEAR = 365 * 24 * 60 * MINUTE

/** Expiry, and the touch that moves it. */
export const lifetimes = {
  async 'a record lives until the millisecond of its expiry, and a read changes nothing' (bench: Bench) {
    const { store, clock, record, created } = bench
    const id = await created()
    const given = record()
    for (const passed of [0, MINUTE / 2, MINUTE / 2 - 1]) {
      await clock.advance(passed)
      assert.deepEqual({ ...await store.read(id) }, given)
    }
    await clock.advance(1)
    assert.equal(await store.read(id), undefined)
  },

  async 'a touch moves the expiry forward and changes nothing else, however many follow' ({
    store, clock, record, createMany, listed
  }: Bench) {
    const principal = newPrincipal()
    const over = { principal, payload: '"same"' }
    const [id, other] = await createMany(2, over) as [string, string]
    for (let n = 0; n < 50; n++) {
      await clock.advance(MINUTE / 10)
      for (const each of [id, other]) assert.equal(await store.touch(each, clock.now() + MINUTE), undefined)
    }
    const touched = record(over)
    const saved = { ...touched, version: 2 }
    assert.equal(await store.update(other, saved), 'updated', 'a touch is not a version')
    await clock.advance(MINUTE - 1)
    assert.deepEqual({ ...await store.read(id) }, touched)
    assert.deepEqual(await listed(principal), new Map([[id, touched], [other, saved]]))
    assert.equal(await store.deleteAll(principal, id), 1)
    await clock.advance(1)
    assert.equal(await store.read(id), undefined)
  },

  async 'a touch never shortens a life' ({ store, clock, record, created }: Bench) {
    const id = await created()
    const given = record()
    for (const expiresAt of [given.expiresAt, given.expiresAt - 1, clock.now() + 1, clock.now(), clock.now() - MINUTE, 0]) {
      await store.touch(id, expiresAt)
      assert.deepEqual({ ...await store.read(id) }, given)
    }
    await clock.advance(MINUTE - 1)
    assert.ok(await store.read(id))
  },

  async 'update moves the expiry forward, and never shortens a life' ({ store, clock, record, created, listed }: Bench) {
    const principals = [newPrincipal(), newPrincipal(), newPrincipal()] as const
    const id = await created({ principal: principals[0] })
    const expiresAt = clock.now() + 10 * MINUTE
    await store.update(id, record({ version: 2, principal: principals[0], expiresAt }))
    await clock.advance(MINUTE * 5)
    // An update for the same principal, and two that move the session to another one.
    for (const [n, principal] of principals.entries()) {
      const next = record({ version: 3 + n, principal, payload: `${n}`, expiresAt: clock.now() + 1 + n })
      assert.equal(await store.update(id, next), 'updated')
      assert.deepEqual(await listed(principal), new Map([[id, { ...next, expiresAt }]]))
    }
    await clock.advance(MINUTE * 5 - 1)
    const last = await store.read(id)
    assert.deepEqual([last?.payload, last?.expiresAt], ['2', expiresAt])
    assert.deepEqual([...(await listed(principals[2])).keys()], [id])
    await clock.advance(1)
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(await listed(principals[2]), new Map())
  },

  async 'a life of years is kept, from its start or from a touch on' ({ store, clock, created, ids }: Bench) {
    const principal = newPrincipal()
    const expiresAt = clock.now() + 2 * YEAR
    const [long, touched] = [await created({ principal, expiresAt }), await created({ principal })]
    await store.touch(touched, expiresAt)
    await clock.advance(2 * YEAR - 1)
    for (const id of [long, touched]) assert.equal((await store.read(id))?.expiresAt, expiresAt)
    assert.deepEqual(await ids(principal), new Set([long, touched]))
  }
}
