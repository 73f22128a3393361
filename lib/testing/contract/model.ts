import type { SessionRecord, StoredSession, UpdateOutcome } from '../../store/store.js'

/** A reference implementation of the contract, for calls that do not overlap. */
export class Model {
  readonly #now: () => number
  readonly #records: Map<string, SessionRecord>

  constructor (now: () => number, records: Iterable<readonly [string, SessionRecord]> = []) {
    this.#now = now
    this.#records = new Map(records)
  }

  create (id: string, record: SessionRecord): number | boolean {
    if (this.read(id)) return false
    this.#records.set(id, record)
    return record.principal === undefined || this.list(record.principal).length
  }

  read (id: string): SessionRecord | undefined {
    const record = this.#records.get(id)
    return record && record.expiresAt > this.#now() ? record : undefined
  }

  touch (id: string, expiresAt: number): undefined {
    const record = this.read(id)
    if (record && record.expiresAt < expiresAt) this.#records.set(id, { ...record, expiresAt })
  }

  update (id: string, record: SessionRecord): UpdateOutcome {
    const found = this.read(id)
    if (!found) return 'missing'
    if (found.version !== record.version - 1) return 'conflict'
    if (record.expiresAt > this.#now()) this.#records.set(id, { ...record, expiresAt: Math.max(record.expiresAt, found.expiresAt) })
    else this.#records.delete(id)
    return 'updated'
  }

  delete (id: string): boolean { return this.read(id) !== undefined && this.#records.delete(id) }
  copy (): Model { return new Model(this.#now, this.#records) }

  list (principal: string): StoredSession[] {
    const live = [...this.#records].filter(([id, record]) => record.principal === principal && this.read(id))
    return live.map(([id, record]) => ({ id, record }))
  }

  deleteAll (principal: string, except?: string): number {
    return this.list(principal).filter(({ id }) => id !== except && this.delete(id)).length
  }
}
