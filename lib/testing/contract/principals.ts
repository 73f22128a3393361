import assert from 'node:assert/strict'
import { MINUTE, newPrincipal, type Bench } from './bench.js'

/** The sessions of one principal. */
export const principals = {
  async 'list gives the live sessions of the principal, whole' ({ store, record, created }: Bench) {
    const principal = newPrincipal()
    const payloads = ['"a"', '"b"', '"c"']
    const ids = await Promise.all(payloads.map((payload) => created({ principal, payload })))
    await created({ principal: newPrincipal() })
    await created()
    const found = new Map((await store.list(principal)).map(({ id, record }) => [id, { ...record }]))
    assert.deepEqual(found, new Map(ids.map((id, n) => [id, record({ principal, payload: payloads[n]! })])))
  },

  async 'nobody has no sessions' ({ store }: Bench) {
    assert.deepEqual(await store.list(newPrincipal()), [])
    assert.equal(await store.deleteAll(newPrincipal()), 0)
  },

  async 'deleteAll ends the sessions of the principal and of nobody else' ({ store, created }: Bench) {
    const principal = newPrincipal()
    const mine = await Promise.all([created({ principal }), created({ principal })])
    const others = await Promise.all([created({ principal: principal + 'x' }), created()])
    assert.equal(await store.deleteAll(principal), 2)
    for (const id of mine) assert.equal(await store.read(id), undefined)
    for (const id of others) assert.ok(await store.read(id))
    assert.deepEqual(await store.list(principal), [])
    assert.equal(await store.deleteAll(principal), 0)
  },

  async 'deleteAll spares the session named by except' ({ store, created }: Bench) {
    const principal = newPrincipal()
    const [kept, ...gone] = await Promise.all([1, 2, 3, 4, 5].map(() => created({ principal })))
    assert.equal(await store.deleteAll(principal, kept), 4)
    for (const id of gone) assert.equal(await store.read(id), undefined)
    assert.deepEqual((await store.list(principal)).map(({ id }) => id), [kept])
    assert.equal(await store.deleteAll(principal, 'another'), 1)
  },

  async 'deleteAll counts live sessions only' ({ store, clock, created }: Bench) {
    const principal = newPrincipal()
    await created({ principal })
    await clock.advance(MINUTE / 2)
    await created({ principal })
    await clock.advance(MINUTE / 2)
    assert.equal((await store.list(principal)).length, 1)
    assert.equal(await store.deleteAll(principal), 1)
  },

  async 'a hundred sessions of one principal' ({ store, created }: Bench) {
    const principal = newPrincipal()
    const ids = await Promise.all(Array.from({ length: 100 }, () => created({ principal })))
    assert.deepEqual(new Set((await store.list(principal)).map(({ id }) => id)), new Set(ids))
    assert.equal(await store.deleteAll(principal, ids[50]), 99)
    assert.deepEqual((await store.list(principal)).map(({ id }) => id), [ids[50]])
  },

  async 'a session follows a change of its principal' ({ store, record, created }: Bench) {
    const [first, second] = [newPrincipal(), newPrincipal()]
    const listed = async (principal: string): Promise<string[]> => (await store.list(principal)).map(({ id }) => id)
    const id = await created()
    assert.equal(await store.update(id, record({ version: 2, principal: first })), 'updated')
    assert.deepEqual(await listed(first), [id])
    assert.equal(await store.update(id, record({ version: 3, principal: second })), 'updated')
    assert.deepEqual([await listed(first), await listed(second)], [[], [id]])
    assert.equal(await store.deleteAll(first), 0)
    assert.equal((await store.read(id))?.principal, second)
    assert.equal(await store.update(id, record({ version: 4 })), 'updated')
    assert.deepEqual([await listed(first), await listed(second)], [[], []])
    assert.equal(await store.deleteAll(second), 0)
    assert.ok(await store.read(id))
  },

  async 'a session that ended is in no list, and does not come back with its id' ({ store, clock, record, created }: Bench) {
    const principal = newPrincipal()
    const deleted = await created({ principal })
    const expired = await created({ principal, expiresAt: clock.now() + 1 })
    const ended = await created({ principal })
    await clock.advance(1)
    await store.delete(deleted)
    await store.update(ended, record({ version: 2, principal, expiresAt: clock.now() }))
    assert.deepEqual(await store.list(principal), [])
    for (const id of [deleted, expired, ended]) assert.equal(await store.create(id, record({ principal: newPrincipal() })), true)
    assert.deepEqual(await store.list(principal), [])
    assert.equal(await store.deleteAll(principal), 0)
    for (const id of [deleted, expired, ended]) assert.ok(await store.read(id))
  }
}
