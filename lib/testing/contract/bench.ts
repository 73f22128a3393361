import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Awaitable, Page, SessionRecord, SessionStore } from '../../store/store.js'
import type { Clock } from '../clock.js'

/** A store under test, and what only its author can do to it. */
export interface StoreUnderTest {
  readonly store: SessionStore
  /** Makes the record of an id unreadable: cuts a file short, overwrites a value. */
  readonly damage?: (id: string) => void | Promise<void>
}

/** Makes a store whose time is `clock.now`. Cases use random ids and principals, so the store need not be empty. One case clears it. */
export type MakeStore = (clock: Clock) => SessionStore | StoreUnderTest | Promise<SessionStore | StoreUnderTest>

/** Ends a case that needs something the store does not have. */
export class NotApplicable extends Error {}

/** The life of a record of a case: one minute, in milliseconds. */
export const MINUTE = 60_000
/** More pages than any list of a case has, so that a list without an end fails. */
const MAX_PAGES = 1500

/** Returns an id as the plugin makes them: 22 characters of base64url. */
export const newId = (): string => randomBytes(16).toString('base64url')

/** Returns a principal that has no sessions. */
export const newPrincipal = (): string => `user-${newId()}`

/** Makes so many calls at the same time. */
export async function atOnce<T> (count: number, call: (n: number) => Awaitable<T>): Promise<T[]> {
  return await Promise.all(Array.from({ length: count }, async (_, n) => await call(n)))
}

/** The tools of every case. */
export type Bench = ReturnType<typeof createBench>

export function createBench ({ store, damage }: StoreUnderTest, clock: Clock) {
  /** Returns a record of version 1 that lives for a minute, with the given fields in place of its own. */
  const record = (over?: Partial<SessionRecord>): SessionRecord => ({ payload: '{"n":0}', version: 1, expiresAt: clock.now() + MINUTE, ...over })

  /** Creates such a record and resolves its id. */
  async function created (over?: Partial<SessionRecord>, id = newId()): Promise<string> {
    assert.notEqual(await store.create(id, record(over)), false, 'the id is free')
    return id
  }

  /** Creates so many records, 50 at a time, and resolves their ids. */
  async function createMany (count: number, over?: Partial<SessionRecord>): Promise<string[]> {
    const ids: string[] = []
    while (ids.length < count) ids.push(...await atOnce(Math.min(50, count - ids.length), () => created(over)))
    return ids
  }

  /** Returns a copy of the stored record. */
  const read = async (id: string): Promise<SessionRecord | undefined> => {
    const found = await store.read(id)
    return found && { ...found }
  }

  /** Reads the sessions of a principal page by page. */
  async function * pages (principal: string, limit: number): AsyncGenerator<Page, void> {
    if (store.lists === false) {
      await assert.rejects(async () => await store.list(principal, { limit }), 'list rejects where lists is false')
      await assert.rejects(async () => await store.deleteAll(principal), 'deleteAll rejects where lists is false')
      throw new NotApplicable()
    }
    let cursor: string | undefined
    for (let count = 0; count < MAX_PAGES; count++) {
      const page = await store.list(principal, { limit, cursor })
      yield page
      cursor = page.cursor
      if (cursor === undefined) return
      assert.equal(typeof cursor, 'string', 'a cursor is text')
    }
    assert.fail('the list has a page after the last one')
  }

  /** Reads all pages of a principal and resolves copies of the records by id. */
  async function listed (principal: string, limit = 100): Promise<Map<string, SessionRecord>> {
    const found = new Map<string, SessionRecord>()
    for await (const { sessions } of pages(principal, limit)) for (const { id, record } of sessions) found.set(id, { ...record })
    return found
  }

  /** Resolves the ids of all pages of a principal. */
  const ids = async (principal: string): Promise<Set<string>> => new Set((await listed(principal)).keys())

  return { store, damage, clock, record, created, createMany, read, pages, listed, ids }
}
