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

  async 'update sets the expiry, whether later or earlier' ({ store, clock, record, created, ids }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    await store.update(id, record({ version: 2, principal, expiresAt: clock.now() + 10 * MINUTE }))
    await clock.advance(MINUTE * 5)
    assert.deepEqual(await ids(principal), new Set([id]))
    const sooner = clock.now() + MINUTE
    assert.equal(await store.update(id, record({ version: 3, principal, expiresAt: sooner })), 'updated')
    assert.equal((await store.read(id))?.expiresAt, sooner)
    await clock.advance(MINUTE)
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(await ids(principal), new Set())
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
