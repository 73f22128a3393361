import { type Awaitable, MemoryStore, type Page, type PageRequest, type SessionRecord, type SessionStore, type StoreReport, type UpdateOutcome } from 'fastify-openapi-session'

type Method = 'create' | 'read' | 'touch' | 'update' | 'delete' | 'list' | 'deleteAll' | 'clear'

/** What was asked of the store: the method, and the id or principal it was asked about. */
export interface Call {
  readonly method: Method
  readonly of: string
}

/** A store that records every call, and can hold or fail it. Without hooks it returns what `inner` returns, a promise or not. */
export class ProbeStore implements SessionStore {
  readonly calls: Call[] = []
  /** Awaited before the call goes on: hold it, or throw. */
  before: ((call: Call) => unknown) | undefined
  /** Awaited after the call has done its work and before its result is returned. */
  after: ((call: Call) => unknown) | undefined
  closed = 0
  observer: ((report: StoreReport) => void) | undefined
  readonly inner: SessionStore

  constructor (inner: SessionStore = new MemoryStore()) {
    this.inner = inner
  }

  /** Returns the methods called since it was last called. */
  take (): Method[] {
    return this.calls.splice(0).map(({ method }) => method)
  }

  create (id: string, record: SessionRecord): Awaitable<number | boolean> {
    return this.#do({ method: 'create', of: id }, () => this.inner.create(id, record))
  }

  read (id: string): Awaitable<SessionRecord | undefined> {
    return this.#do({ method: 'read', of: id }, () => this.inner.read(id))
  }

  touch (id: string, expiresAt: number): Awaitable<void> {
    return this.#do({ method: 'touch', of: id }, () => this.inner.touch(id, expiresAt))
  }

  update (id: string, record: SessionRecord): Awaitable<UpdateOutcome> {
    return this.#do({ method: 'update', of: id }, () => this.inner.update(id, record))
  }

  delete (id: string): Awaitable<boolean> {
    return this.#do({ method: 'delete', of: id }, () => this.inner.delete(id))
  }

  list (principal: string, page: PageRequest): Awaitable<Page> {
    return this.#do({ method: 'list', of: principal }, () => this.inner.list(principal, page))
  }

  deleteAll (principal: string, except?: string): Awaitable<number> {
    return this.#do({ method: 'deleteAll', of: principal }, () => this.inner.deleteAll(principal, except))
  }

  clear (): Awaitable<void> {
    return this.#do({ method: 'clear', of: '' }, () => this.inner.clear?.())
  }

  observe (report: (report: StoreReport) => void): void {
    this.observer = report
    this.inner.observe?.(report)
  }

  async close (): Promise<void> {
    this.closed++
    await this.inner.close?.()
  }

  #do<T> (call: Call, work: () => Awaitable<T>): Awaitable<T> {
    this.calls.push(call)
    return this.before ?? this.after ? this.#hooked(call, work) : work()
  }

  async #hooked<T> (call: Call, work: () => Awaitable<T>): Promise<T> {
    await this.before?.(call)
    const result = await work()
    await this.after?.(call)
    return result
  }
}
