import assert from 'node:assert/strict'
import type { SessionRecord } from '../../store/store.js'
import { MINUTE, newId, newPrincipal, type Bench } from './bench.js'

/** Create and update, one call after the other. */
export const records = {
  async 'create keeps the record as it was given' ({ store, record, create, created }: Bench) {
    const id = newId()
    const given = record({ payload: '{"a":[1,null,"x"]}', principal: newPrincipal() })
    await create(id, given)
    assert.deepEqual({ ...await store.read(id) }, given)
    const found = await store.read(await created())
    assert.ok(found !== undefined && found.principal === undefined, 'a record without a principal has none when it is read')
  },

  async 'create writes nothing when the id is taken' ({ store, clock, record, created, ids }: Bench) {
    const id = await created({ payload: '"first"' })
    const principal = newPrincipal()
    for (const expiresAt of [clock.now() + MINUTE, clock.now()]) {
      assert.equal(await store.create(id, record({ payload: '"second"', principal, expiresAt })), false)
      assert.equal((await store.read(id))?.payload, '"first"')
    }
    assert.deepEqual(await ids(principal), new Set())
  },

  async 'update writes over the version before; over any other it is a conflict, and neither writes nor deletes' ({
    store, clock, record, created, ids
  }: Bench) {
    const id = await created()
    const principal = newPrincipal()
    for (let version = 2; version <= 5; version++) {
      const next = record({ version, payload: `{"n":${version}}` })
      assert.equal(await store.update(id, next), 'updated')
      for (const other of [1, version - 1, version, version + 2, 30]) {
        for (const expiresAt of [clock.now() + MINUTE, clock.now(), 0]) {
          const stale = record({ version: other, payload: '"stale"', principal, expiresAt })
          assert.equal(await store.update(id, stale), 'conflict', `version ${other} over ${version}`)
        }
      }
      assert.deepEqual({ ...await store.read(id) }, next)
    }
    assert.deepEqual(await ids(principal), new Set())
  },

  async 'changing what was passed in or returned changes nothing in the store' ({ store, record, pages }: Bench) {
    const id = newId()
    const principal = newPrincipal()
    const first = { ...record({ principal, payload: '"kept"' }) }
    await store.create(id, first)
    spoil(first)
    spoil(await store.read(id))
    assert.equal((await store.read(id))?.payload, '"kept"')
    const next = { ...record({ principal, payload: '"next"', version: 2 }) }
    await store.update(id, next)
    spoil(next)
    const found = await store.read(id)
    assert.deepEqual([found?.payload, found?.version, found?.principal], ['"next"', 2, principal])
    for await (const { sessions } of pages(principal, 10)) for (const { record } of sessions) spoil(record)
    assert.equal((await store.read(id))?.payload, '"next"')
  }
}

/** Tries to change a record. A frozen record throws, which is right as well. */
function spoil (record: SessionRecord | undefined): void {
  assert.ok(record)
  try {
    Object.assign(record, { payload: '"spoiled"', version: 99, principal: 'spoiled', expiresAt: 0 })
  } catch (error) {
    assert.ok(error instanceof TypeError)
  }
}
