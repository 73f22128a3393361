import { MemoryStore, type SessionRecord, type SessionStore, type StoreReport, type StoredSession, type UpdateOutcome } from 'fastify-openapi-session'

type Method = 'create' | 'read' | 'update' | 'delete' | 'list' | 'deleteAll'

/** What was asked of the store: the method, and the id or principal it was asked about. */
export interface Call {
  readonly method: Method
  readonly of: string
}

/** A store that tells of every call, and does something else in its place when asked to. */
export class ProbeStore implements SessionStore {
  readonly calls: Call[] = []
  /** Awaited before the call goes on: hold it, or throw. */
  before: ((call: Call) => unknown) | undefined
  /** Awaited after the call has done its work and before its answer is heard. */
  after: ((call: Call) => unknown) | undefined
  closed = 0
  observer: ((report: StoreReport) => void) | undefined
  readonly inner: SessionStore

  constructor (inner: SessionStore = new MemoryStore()) {
    this.inner = inner
  }

  /** The methods called since the last look. */
  take (): Method[] {
    return this.calls.splice(0).map(({ method }) => method)
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    return await this.#do({ method: 'create', of: id }, () => this.inner.create(id, record))
  }

  async read (id: string, touchTo?: number): Promise<SessionRecord | undefined> {
    return await this.#do({ method: 'read', of: id }, () => this.inner.read(id, touchTo))
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    return await this.#do({ method: 'update', of: id }, () => this.inner.update(id, record))
  }

  async delete (id: string): Promise<boolean> {
    return await this.#do({ method: 'delete', of: id }, () => this.inner.delete(id))
  }

  async list (principal: string): Promise<readonly StoredSession[]> {
    return await this.#do({ method: 'list', of: principal }, () => this.inner.list(principal))
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await this.#do({ method: 'deleteAll', of: principal }, () => this.inner.deleteAll(principal, except))
  }

  observe (report: (report: StoreReport) => void): void {
    this.observer = report
    this.inner.observe?.(report)
  }

  async close (): Promise<void> {
    this.closed++
    await this.inner.close?.()
  }

  async #do<T> (call: Call, work: () => Promise<T>): Promise<T> {
    this.calls.push(call)
    await this.before?.(call)
    const answer = await work()
    await this.after?.(call)
    return answer
  }
}
