import assert from 'node:assert/strict'
import { MINUTE, newId, newPrincipal, type Bench } from './bench.js'

/** What time does to a record. */
export const expiry = {
  async 'a record lives until the millisecond of its expiry' ({ store, clock, created }: Bench) {
    const id = await created()
    await clock.advance(MINUTE - 1)
    assert.ok(await store.read(id))
    await clock.advance(1)
    assert.equal(await store.read(id), undefined)
  },

  async 'an expired record is undefined, missing, false, and in no list' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    const ids = await Promise.all([1, 2, 3, 4].map(() => created({ principal })))
    await clock.advance(MINUTE)
    assert.equal(await store.update(ids[0]!, record({ version: 2, principal })), 'missing')
    assert.equal(await store.delete(ids[1]!), false)
    assert.equal(await store.read(ids[2]!, clock.now() + MINUTE), undefined, 'a late touch brings nothing back')
    assert.deepEqual(await store.list(principal), [])
    assert.equal(await store.deleteAll(principal), 0)
    for (const id of ids) assert.equal(await store.read(id), undefined)
  },

  async 'the id of an expired record is free' ({ store, clock, record, created }: Bench) {
    const before = newPrincipal()
    const after = newPrincipal()
    const id = await created({ principal: before })
    await clock.advance(MINUTE)
    assert.equal(await store.create(id, record({ payload: '"new"', principal: after })), true)
    assert.equal((await store.read(id))?.payload, '"new"')
    assert.deepEqual(await store.list(before), [])
    assert.deepEqual((await store.list(after)).map((found) => found.id), [id])
  },

  async 'what has expired before it is created is never there' ({ store, clock, record }: Bench) {
    const id = newId()
    const principal = newPrincipal()
    assert.equal(await store.create(id, record({ principal, expiresAt: clock.now() })), true)
    assert.equal(await store.read(id, clock.now() + MINUTE), undefined)
    assert.deepEqual(await store.list(principal), [])
    assert.equal(await store.create(id, record()), true)
    assert.equal(await store.create(id, record({ expiresAt: clock.now() })), false, 'nor does it take the place of a live one')
    assert.ok(await store.read(id))
  },

  async 'read leaves the expiry alone' ({ store, clock, created }: Bench) {
    const id = await created()
    const expiresAt = clock.now() + MINUTE
    await clock.advance(MINUTE / 2)
    assert.equal((await store.read(id))?.expiresAt, expiresAt)
    await clock.advance(MINUTE / 2)
    assert.equal(await store.read(id), undefined)
  },

  async 'a touch moves the expiry forward, and nothing else' ({ store, clock, created }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal, payload: '"same"' })
    await clock.advance(MINUTE / 2)
    const touchTo = clock.now() + MINUTE
    assert.ok(await store.read(id, touchTo))
    await clock.advance(MINUTE - 1)
    assert.deepEqual({ ...await store.read(id) }, { payload: '"same"', version: 1, expiresAt: touchTo, principal })
    assert.equal((await store.list(principal))[0]?.record.expiresAt, touchTo)
    await clock.advance(1)
    assert.equal(await store.read(id), undefined)
  },

  async 'a touch may reach far beyond the first expiry' ({ store, clock, created }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    const touchTo = clock.now() + 1000 * MINUTE
    assert.ok(await store.read(id, touchTo))
    await clock.advance(999 * MINUTE)
    assert.equal((await store.read(id))?.expiresAt, touchTo)
    assert.deepEqual((await store.list(principal)).map((found) => found.id), [id])
  },

  async 'a touch never shortens a life' ({ store, clock, created }: Bench) {
    const id = await created()
    const expiresAt = clock.now() + MINUTE
    for (const touchTo of [expiresAt, expiresAt - 1, clock.now() + 1, clock.now(), clock.now() - MINUTE, 0]) {
      assert.equal((await store.read(id, touchTo))?.expiresAt, expiresAt)
    }
    await clock.advance(MINUTE - 1)
    assert.equal((await store.read(id))?.expiresAt, expiresAt)
  },

  async 'a session in steady use stays alive, and listed, however small its touches are' ({ store, clock, created }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    for (let n = 0; n < 100; n++) {
      await clock.advance(MINUTE / 20)
      const found = await store.read(id, clock.now() + MINUTE)
      assert.ok(found, `after ${n} touches`)
      assert.ok(found.expiresAt >= clock.now() + MINUTE * 0.9, 'no more than a tenth of the time is put off')
    }
    assert.deepEqual((await store.list(principal)).map((found) => found.id), [id])
    assert.equal(await store.deleteAll(principal), 1)
    assert.equal(await store.read(id), undefined)
  },

  async 'update sets the expiry, be it later or earlier' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    await store.update(id, record({ version: 2, principal, expiresAt: clock.now() + 10 * MINUTE }))
    await clock.advance(MINUTE * 5)
    assert.equal((await store.list(principal)).length, 1)
    const sooner = clock.now() + MINUTE
    assert.equal(await store.update(id, record({ version: 3, principal, expiresAt: sooner })), 'updated')
    assert.equal((await store.read(id))?.expiresAt, sooner)
    await clock.advance(MINUTE)
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(await store.list(principal), [])
  },

  async 'a life of years is kept' ({ store, clock, created }: Bench) {
    const expiresAt = clock.now() + 400 * 24 * 60 * MINUTE
    const id = await created({ expiresAt })
    await clock.advance(399 * 24 * 60 * MINUTE)
    assert.equal((await store.read(id))?.expiresAt, expiresAt)
  }
}
