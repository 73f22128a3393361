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

/** The tools of every case: the store, its clock, and shorthands in the terms of the contract. */
export class Bench {
  readonly store: SessionStore
  readonly damage: StoreUnderTest['damage'] | undefined
  readonly clock: Clock

  constructor ({ store, damage }: StoreUnderTest, clock: Clock) {
    this.store = store
    this.damage = damage
    this.clock = clock
  }

  /** Returns a record of version 1 that lives for a minute, with the given fields in place of its own. */
  readonly record = (over: Partial<SessionRecord> = {}): SessionRecord =>
    ({ payload: '{"n":0}', version: 1, expiresAt: this.clock.now() + MINUTE, ...over })

  /** Creates such a record under an id that is free, and resolves what the store returned. */
  readonly create = async (id: string, over?: Partial<SessionRecord>): Promise<number | true> => {
    const answer = await this.store.create(id, this.record(over))
    assert.ok(answer === true || (answer !== false && Number.isInteger(answer)), `create returns a number or true, not ${String(answer)}`)
    return answer
  }

  /** Creates such a record and resolves its new id. */
  readonly created = async (over?: Partial<SessionRecord>): Promise<string> => {
    const id = newId()
    await this.create(id, over)
    return id
  }

  /** Creates so many records, 50 at a time, and resolves their ids. */
  readonly createMany = async (count: number, over?: Partial<SessionRecord>): Promise<string[]> => {
    const ids: string[] = []
    while (ids.length < count) ids.push(...await atOnce(Math.min(50, count - ids.length), () => this.created(over)))
    return ids
  }

  /** Reads the sessions of a principal page by page. */
  readonly pages = (principal: string, limit: number): AsyncGenerator<Page, void> => readPages(this.store, principal, limit)

  /** Reads all pages of a principal and resolves the records by id. */
  readonly listed = async (principal: string, limit = 100): Promise<Map<string, SessionRecord>> => {
    const found = new Map<string, SessionRecord>()
    for await (const { sessions } of this.pages(principal, limit)) for (const { id, record } of sessions) found.set(id, { ...record })
    return found
  }

  /** Reads all pages of a principal and resolves the ids. */
  readonly ids = async (principal: string): Promise<Set<string>> => new Set((await this.listed(principal)).keys())
}

async function * readPages (store: SessionStore, principal: string, limit: number): AsyncGenerator<Page, void> {
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
