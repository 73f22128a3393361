import type { SessionRecord, UpdateOutcome } from '../store.js'
import { ReportingStore } from './reporting.js'

/** A store without compare-and-set. A change is a read and a write. In this process, changes of a session run one at a time. */
export abstract class SerialStore extends ReportingStore {
  protected readonly now: () => number

  constructor (now: () => number) {
    super()
    this.now = now
  }

  async create (id: string, record: SessionRecord): Promise<number | boolean> {
    return await this.inTurn(id, async () => {
      if (await this.live(id) !== undefined) return false
      if (this.isLive(record)) await this.write(id, record)
      return this.count(record.principal)
    })
  }

  async touch (id: string, expiresAt: number): Promise<void> {
    await this.inTurn(id, async () => {
      const stored = await this.live(id)
      if (stored !== undefined && stored.expiresAt < expiresAt) await this.write(id, { ...stored, expiresAt })
    })
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    return await this.inTurn(id, async () => {
      const stored = await this.live(id)
      if (stored === undefined) return 'missing'
      if (stored.version !== record.version - 1) return 'conflict'
      if (this.isLive(record)) await this.write(id, { ...record, expiresAt: Math.max(record.expiresAt, stored.expiresAt) })
      else await this.remove(id)
      return 'updated'
    })
  }

  async delete (id: string): Promise<boolean> {
    return await this.inTurn(id, () => this.end(id))
  }

  /** Deletes a session within its turn, unless it belongs to another principal. Returns true if it was live. */
  protected async end (id: string, principal?: string): Promise<boolean> {
    const stored = await this.live(id)
    if (stored && principal !== undefined && stored.principal !== principal) return false
    await this.remove(id)
    return stored !== undefined
  }

  protected isLive ({ expiresAt }: SessionRecord): boolean {
    return expiresAt > this.now()
  }

  /** Runs the tasks of each id one at a time. */
  protected abstract inTurn<T> (id: string, task: () => Promise<T>): Promise<T>
  protected abstract live (id: string): Promise<SessionRecord | undefined>
  protected abstract write (id: string, record: SessionRecord): Promise<void>
  protected abstract remove (id: string): Promise<void>
  /** Returns the number of live sessions of a principal, or `true` if that is unknown. */
  protected abstract count (principal: string | undefined): number | true
}
