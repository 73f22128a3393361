import assert from 'node:assert/strict'
import { MINUTE, newId, newPrincipal, type Bench } from './bench.js'

const YEAR = 365 * 24 * 60 * MINUTE

/** Expiry, and the touch that moves it. */
export const lifetimes = {
  async 'a record lives until the millisecond of its expiry' ({ store, clock, created }: Bench) {
    const id = await created()
    await clock.advance(MINUTE - 1)
    assert.ok(await store.read(id))
    await clock.advance(1)
    assert.equal(await store.read(id), undefined)
  },

  async 'an expired record is undefined, missing or false, and in no list' ({ store, clock, record, createMany, ids }: Bench) {
    const principal = newPrincipal()
    const [saved, ended, deleted, touched] = await createMany(4, { principal }) as [string, string, string, string]
    await clock.advance(MINUTE)
    assert.equal(await store.update(saved, record({ version: 2, principal })), 'missing')
    assert.equal(await store.update(ended, record({ version: 2, principal, expiresAt: 0 })), 'missing')
    assert.equal(await store.delete(deleted), false)
    await store.touch(touched, clock.now() + MINUTE)
    for (const id of [saved, ended, deleted, touched]) assert.equal(await store.read(id), undefined)
    assert.deepEqual(await ids(principal), new Set())
    assert.equal(await store.deleteAll(principal), 0)
  },

  async 'a record that is created expired is never live' ({ store, clock, record, create, ids }: Bench) {
    const id = newId()
    const principal = newPrincipal()
    await create(id, { principal, expiresAt: clock.now() })
    await store.touch(id, clock.now() + MINUTE)
    assert.equal(await store.read(id), undefined)
    assert.equal(await store.create(id, record()), true)
    assert.deepEqual(await ids(principal), new Set())
  },

  async 'a touch moves the expiry forward and changes nothing else' ({ store, clock, record, created, listed }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal, payload: '"same"' })
    await clock.advance(MINUTE / 2)
    const touched = record({ principal, payload: '"same"' })
    assert.equal(await store.touch(id, touched.expiresAt), undefined)
    await clock.advance(MINUTE - 1)
    assert.deepEqual({ ...await store.read(id) }, touched)
    assert.deepEqual(await listed(principal), new Map([[id, touched]]))
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

  async 'a session in steady use stays alive, listed, and open to saves' ({ store, clock, record, created, ids }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    for (let n = 0; n < 50; n++) {
      await clock.advance(MINUTE / 10)
      await store.touch(id, clock.now() + MINUTE)
    }
    assert.equal((await store.read(id))?.expiresAt, clock.now() + MINUTE)
    assert.equal(await store.update(id, record({ version: 2, principal })), 'updated', 'a touch is not a version')
    assert.deepEqual(await ids(principal), new Set([id]))
    assert.equal(await store.deleteAll(principal), 1)
    assert.equal(await store.read(id), undefined)
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
