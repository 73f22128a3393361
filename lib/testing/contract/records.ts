import assert from 'node:assert/strict'
import { MINUTE, newId, newPrincipal, type Bench } from './bench.js'

/** Create, read, update and delete, one after the other. */
export const records = {
  async 'create keeps the record as it was given' ({ store, record }: Bench) {
    const id = newId()
    const given = record({ payload: '{"a":[1,null,"x"]}', principal: newPrincipal() })
    assert.equal(await store.create(id, given), true)
    assert.deepEqual({ ...await store.read(id) }, given)
  },

  async 'a record without a principal comes back without one' ({ store, created }: Bench) {
    const found = await store.read(await created())
    assert.ok(found)
    assert.equal(found.principal, undefined)
  },

  async 'create writes nothing when the id is taken' ({ store, record, created }: Bench) {
    const id = await created({ payload: '"first"' })
    const principal = newPrincipal()
    assert.equal(await store.create(id, record({ payload: '"second"', principal })), false)
    assert.equal((await store.read(id))?.payload, '"first"')
    assert.deepEqual(await store.list(principal), [])
  },

  async 'an id is free again after delete' ({ store, record, created }: Bench) {
    const id = await created()
    await store.delete(id)
    assert.equal(await store.create(id, record({ payload: '"again"' })), true)
    assert.equal((await store.read(id))?.payload, '"again"')
  },

  async 'an absent record is undefined, missing, false: never an error' ({ store, clock, record }: Bench) {
    const id = newId()
    assert.equal(await store.read(id), undefined)
    assert.equal(await store.read(id, clock.now() + MINUTE), undefined)
    assert.equal(await store.update(id, record({ version: 2 })), 'missing')
    assert.equal(await store.delete(id), false)
    assert.equal(await store.read(id), undefined, 'none of the calls has made a record')
  },

  async 'update writes over the version before' ({ store, record, created }: Bench) {
    const id = await created()
    for (let version = 2; version <= 5; version++) {
      const next = record({ version, payload: `{"n":${version}}` })
      assert.equal(await store.update(id, next), 'updated')
      assert.deepEqual({ ...await store.read(id) }, next)
    }
  },

  async 'update over any other version is a conflict and writes nothing' ({ store, record, created }: Bench) {
    const id = await created()
    await store.update(id, record({ version: 2, payload: '"kept"' }))
    const principal = newPrincipal()
    for (const version of [1, 2, 4, 30]) {
      assert.equal(await store.update(id, record({ version, payload: '"stale"', principal })), 'conflict', `version ${version} over 2`)
    }
    const found = await store.read(id)
    assert.equal(found?.payload, '"kept"')
    assert.equal(found?.version, 2)
    assert.deepEqual(await store.list(principal), [])
  },

  async 'delete tells whether a live record was there' ({ store, created }: Bench) {
    const id = await created()
    const other = await created()
    assert.equal(await store.delete(id), true)
    assert.equal(await store.read(id), undefined)
    assert.equal(await store.delete(id), false)
    assert.ok(await store.read(other), 'another record is left alone')
  },

  async 'after a logout, a late save or touch brings nothing back' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    assert.ok(await store.read(id))
    await store.delete(id)
    assert.equal(await store.update(id, record({ version: 2, principal })), 'missing')
    assert.equal(await store.read(id, clock.now() + 10 * MINUTE), undefined)
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(await store.list(principal), [])
  },

  async 'an update that is already expired deletes, if nobody wrote in between' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    const id = await created({ principal })
    const ended = { version: 2, expiresAt: clock.now() - 1, principal }
    await store.update(id, record({ version: 2, principal, payload: '"other"' }))
    assert.equal(await store.update(id, record(ended)), 'conflict')
    assert.equal((await store.read(id))?.payload, '"other"')
    assert.equal(await store.update(id, record({ ...ended, version: 3 })), 'updated')
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(await store.list(principal), [])
    assert.equal(await store.delete(id), false)
    assert.equal(await store.update(id, record({ ...ended, version: 4 })), 'missing')
  },

  async 'nobody holds a live reference into the store' ({ store, record }: Bench) {
    const id = newId()
    const principal = newPrincipal()
    const mine = { ...record({ principal, payload: '"kept"' }) }
    await store.create(id, mine)
    spoil(mine)
    spoil(await store.read(id))
    spoil((await store.list(principal))[0]?.record)
    assert.equal((await store.read(id))?.payload, '"kept"')
    const next = { ...record({ principal, payload: '"next"', version: 2 }) }
    await store.update(id, next)
    spoil(next)
    const found = await store.read(id)
    assert.deepEqual([found?.payload, found?.version, found?.principal], ['"next"', 2, principal])
  },

  async 'a damaged record is an absent one, and is reported' (bench: Bench) {
    const { store, damage, record, created } = bench
    if (damage === undefined) return false
    const reports: unknown[] = []
    store.observe?.((report) => reports.push(report))
    const principal = newPrincipal()
    const spoiled = async (): Promise<string> => {
      const id = await created({ principal })
      await damage(id)
      return id
    }
    const id = await spoiled()
    assert.equal(await store.read(id), undefined)
    assert.equal(await store.read(id), undefined)
    assert.deepEqual(reports.map((report) => [(report as { kind: string }).kind, (report as { id: string }).id]), [['damaged', id]])
    assert.equal(await store.update(await spoiled(), record({ version: 2 })), 'missing')
    assert.equal(await store.delete(await spoiled()), false)
    await spoiled()
    assert.deepEqual(await store.list(principal), [])
    await spoiled()
    assert.equal(await store.deleteAll(principal), 0)
    assert.equal(await store.create(await spoiled(), record()), true)
  },

  async 'close resolves, with sessions in the store and calls before it' ({ created, close }: Bench) {
    await created({ principal: newPrincipal() })
    await close()
  }
}

/** Tries to change a record from outside; a frozen one throws, which is as good. */
function spoil (record: object | undefined): void {
  assert.ok(record)
  try {
    Object.assign(record, { payload: '"spoiled"', version: 99, principal: 'spoiled', expiresAt: 0 })
  } catch (error) {
    assert.ok(error instanceof TypeError)
  }
}
