import { randomBytes } from 'node:crypto'
import type { SessionRecord, SessionStore } from '../../store/store.js'
import type { Clock } from '../clock.js'

/** A store that a case works on, and what only its author can do to it. */
export interface StoreUnderTest {
  readonly store: SessionStore
  /** Spoils what the store keeps under the id, so that it can no longer be read: cuts a file, overwrites a value. */
  readonly damage?: (id: string) => void | Promise<void>
}

/** Makes a store whose time is `clock.now`. Cases use random ids and principals: it need not be empty. */
export type MakeStore = (clock: Clock) => SessionStore | StoreUnderTest | Promise<SessionStore | StoreUnderTest>

/** What every case is given: the store, its clock, and shorthands in the terms of the contract. */
export interface Bench extends StoreUnderTest {
  readonly clock: Clock
  /** A record that lives for a minute unless it is told otherwise. */
  readonly record: (over?: Partial<SessionRecord>) => SessionRecord
  /** Creates such a record under a new id, which it resolves. */
  readonly created: (over?: Partial<SessionRecord>) => Promise<string>
  /** Closes the store, once: it gets no call after that. */
  readonly close: () => Promise<void>
}

/** One minute, in milliseconds: the life of a record on the bench. */
export const MINUTE = 60_000

/** An id as the plugin makes them: 43 characters of base64url. */
export const newId = (): string => randomBytes(32).toString('base64url')

/** A principal that nobody else has. */
export const newPrincipal = (): string => `user-${randomBytes(9).toString('base64url')}`

export async function setUp (makeStore: MakeStore, clock: Clock): Promise<Bench> {
  const made = await makeStore(clock)
  const underTest: StoreUnderTest = 'create' in made ? { store: made } : made
  const record = (over: Partial<SessionRecord> = {}): SessionRecord =>
    ({ payload: '{"n":0}', version: 1, expiresAt: clock.now() + MINUTE, ...over })
  const created = async (over: Partial<SessionRecord> = {}): Promise<string> => {
    const id = newId()
    if (!await underTest.store.create(id, record(over))) throw new Error('create() resolved false for a new id')
    return id
  }
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => await (closing ??= Promise.resolve(underTest.store.close?.()))
  return { ...underTest, clock, record, created, close }
}
