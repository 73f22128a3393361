import assert from 'node:assert/strict'
import type { SessionRecord } from '../../store/store.js'
import { MINUTE, newId, newPrincipal, NotApplicable, type Bench } from './bench.js'

/** Create, read, update and delete, one call after the other. */
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

  async 'an absent record is undefined, missing or false, and never an error' ({ store, clock, record }: Bench) {
    const id = newId()
    assert.equal(await store.read(id), undefined)
    await store.touch(id, clock.now() + MINUTE)
    assert.equal(await store.update(id, record({ version: 2 })), 'missing')
    assert.equal(await store.update(id, record({ version: 2, expiresAt: 0 })), 'missing')
    assert.equal(await store.delete(id), false)
    assert.equal(await store.read(id), undefined, 'none of the calls creates a record')
  },

  async 'a read changes nothing' ({ store, clock, record, created }: Bench) {
    const id = await created()
    const given = record()
    for (const _ of [1, 2, 3, 4]) {
      assert.deepEqual({ ...await store.read(id) }, given)
      await clock.advance(MINUTE / 4)
    }
    assert.equal(await store.read(id), undefined)
  },

  async 'update writes over the version before' ({ store, record, created }: Bench) {
    const id = await created()
    for (let version = 2; version <= 5; version++) {
      const next = record({ version, payload: `{"n":${version}}` })
      assert.equal(await store.update(id, next), 'updated')
      assert.deepEqual({ ...await store.read(id) }, next)
    }
  },

  async 'update over any other version is a conflict and writes nothing' ({ store, record, created, ids }: Bench) {
    const id = await created()
    await store.update(id, record({ version: 2, payload: '"kept"' }))
    const principal = newPrincipal()
    for (const version of [1, 2, 4, 30]) {
      assert.equal(await store.update(id, record({ version, payload: '"stale"', principal })), 'conflict', `version ${version} over 2`)
    }
    const found = await store.read(id)
    assert.deepEqual([found?.payload, found?.version], ['"kept"', 2])
    assert.deepEqual(await ids(principal), new Set())
  },

  async 'an update that expires in the past deletes, over the version before only' ({ store, clock, record, created, ids }: Bench) {
    const principal = newPrincipal()
    for (const expiresAt of [clock.now(), clock.now() - 1, 0]) {
      const id = await created({ principal })
      await store.update(id, record({ version: 2, principal, payload: '"other"' }))
      for (const version of [2, 4]) {
        assert.equal(await store.update(id, record({ version, expiresAt, principal })), 'conflict', `version ${version} over 2`)
      }
      assert.equal((await store.read(id))?.payload, '"other"')
      assert.equal(await store.update(id, record({ version: 3, expiresAt, principal })), 'updated')
      assert.equal(await store.read(id), undefined)
      assert.equal(await store.update(id, record({ version: 4, expiresAt, principal })), 'missing')
    }
    assert.deepEqual(await ids(principal), new Set())
  },

  async 'delete returns whether a live record was there, and frees the id' ({ store, record, created }: Bench) {
    const [id, other] = [await created(), await created()]
    assert.equal(await store.delete(id), true)
    assert.equal(await store.read(id), undefined)
    assert.equal(await store.delete(id), false)
    assert.ok(await store.read(other), 'another record stays')
    assert.equal(await store.create(id, record({ payload: '"again"' })), true)
    assert.equal((await store.read(id))?.payload, '"again"')
  },

  async 'a save or touch after a logout brings nothing back' ({ store, clock, record, created, ids }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    await store.delete(id)
    assert.equal(await store.update(id, record({ version: 2, principal })), 'missing')
    await store.touch(id, clock.now() + 10 * MINUTE)
    assert.equal(await store.read(id), undefined)
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
  },

  async 'a damaged record counts as absent, and is reported once' ({ store, damage, record, created, ids }: Bench) {
    if (damage === undefined) throw new NotApplicable()
    const reports: Array<readonly [string, unknown]> = []
    store.observe?.((report) => { reports.push([report.kind, 'id' in report && report.id]) })
    const principal = newPrincipal()
    const damaged = async (): Promise<string> => {
      const id = await created({ principal })
      await damage(id)
      return id
    }
    const id = await damaged()
    assert.equal(await store.read(id), undefined)
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(reports, [['damaged', id]])
    assert.equal(await store.update(await damaged(), record({ version: 2 })), 'missing')
    assert.equal(await store.delete(await damaged()), false)
    assert.equal(await store.create(await damaged(), record()), true)
    await damaged()
    assert.deepEqual(await ids(principal), new Set())
    await damaged()
    assert.equal(await store.deleteAll(principal), 0)
  },

  async 'close resolves, with sessions in the store and calls before it' ({ created, close }: Bench) {
    await created({ principal: newPrincipal() })
    await close()
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
