import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Awaitable, Page, SessionRecord, SessionStore } from '../../store/store.js'
import type { Clock } from '../clock.js'

/** A store under test, and the means to damage its records. */
export interface StoreUnderTest {
  readonly store: SessionStore
  /** Makes the record of an id unreadable, for example by truncating a file or overwriting a value. */
  readonly damage?: (id: string) => void | Promise<void>
}

/** Returns a store that uses `clock.now`. The store need not be empty, because cases use random ids. One case clears it. */
export type MakeStore = (clock: Clock) => SessionStore | StoreUnderTest | Promise<SessionStore | StoreUnderTest>

/** Ends a case that needs something the store does not have. */
export class NotApplicable extends Error {}

/** One minute in milliseconds, the default life of a record. */
export const MINUTE = 60_000
/** More pages than the list of any case has. A list that never ends fails at this number. */
const MAX_PAGES = 1500

/** Returns an id in the form of the plugin: 22 characters of base64url. */
export const newId = (): string => randomBytes(16).toString('base64url')

export const newPrincipal = (): string => `user-${newId()}`

export async function atOnce<T> (count: number, call: (n: number) => Awaitable<T>): Promise<T[]> {
  return await Promise.all(Array.from({ length: count }, async (_, n) => await call(n)))
}

/** Returns a copy of a record. Changes the record itself, which must not change the store. A frozen record stays as it is. */
export function taken (record: SessionRecord): SessionRecord {
  const copy = { ...record }
  for (const name of ['payload', 'version', 'expiresAt', 'principal']) Reflect.set(record, name, 'changed by a caller of the store')
  return copy
}

/** Yields the pages of a principal. */
export async function * pagesOf (store: SessionStore, principal: string, limit: number): AsyncGenerator<Page, void> {
  if (store.lists === false) {
    await assert.rejects(async () => await store.list(principal, { limit }), 'list rejects where lists is false')
    await assert.rejects(async () => await store.deleteAll(principal), 'deleteAll rejects where lists is false')
    throw new NotApplicable()
  }
  for (let cursor: string | undefined, count = 0; count === 0 || cursor !== undefined; count++) {
    assert.ok(count < MAX_PAGES, 'the list has a page after the last one')
    const page = await store.list(principal, { limit, cursor })
    yield page
    cursor = page.cursor
    assert.ok(cursor === undefined || typeof cursor === 'string', 'a cursor is text')
  }
}

export type Bench = ReturnType<typeof createBench>

export function createBench ({ store, damage }: StoreUnderTest, clock: Clock) {
  /** Returns a record of version 1 that lives for a minute. `over` replaces fields. */
  const record = (over?: Partial<SessionRecord>): SessionRecord => ({ payload: '{"n":0}', version: 1, expiresAt: clock.now() + MINUTE, ...over })

  async function created (over?: Partial<SessionRecord>, id = newId()): Promise<string> {
    assert.notEqual(await store.create(id, record(over)), false, 'the id is free')
    return id
  }

  /** Creates `count` records, 50 at a time, and returns their ids. */
  async function createMany (count: number, over?: Partial<SessionRecord>): Promise<string[]> {
    const ids: string[] = []
    while (ids.length < count) ids.push(...await atOnce(Math.min(50, count - ids.length), () => created(over)))
    return ids
  }

  const read = async (id: string): Promise<SessionRecord | undefined> => {
    const found = await store.read(id)
    return found && taken(found)
  }

  /** Reads all pages of a principal. Returns the records by id. */
  async function listed (principal: string, limit = 100): Promise<Map<string, SessionRecord>> {
    const found = new Map<string, SessionRecord>()
    for await (const { sessions } of pagesOf(store, principal, limit)) for (const { id, record } of sessions) found.set(id, taken(record))
    return found
  }

  const ids = async (principal: string): Promise<Set<string>> => new Set((await listed(principal)).keys())

  return { store, damage, clock, record, created, createMany, read, listed, ids }
}
