import { mkdirSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { invalidOptions, refuseUnknown } from '../errors.js'
import { fileName, isFileName } from './file/codec.js'
import { Disk } from './file/disk.js'
import { DirectoryLock } from './file/lock.js'
import { SessionFiles } from './file/session-files.js'
import { Queues } from './shared/queues.js'
import { SerialStore } from './shared/serial.js'
import { Sweeper } from './shared/sweeper.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession } from './store.js'

export interface FileStoreOptions {
  /** The directory of the files, used by this store only. It is created with mode 0700 if it does not exist. */
  readonly directory: string
  /** How many calls may wait for the disk, 1 or more. Default: 1000. Further calls fail at once, to limit the memory in use. */
  readonly maxPending?: number
  /** Returns the time in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number
}

/** Milliseconds between two sweeps of expired files. */
const SWEEP_INTERVAL = 10_000
/** How many files are read or removed at once. */
const BATCH = 100

/**
 * Keeps each session in a file, for an app of one process whose users stay signed in after a restart. When a call has
 * resolved, its change survives a crash and a power cut. A file holds a whole record, either the old or the new one.
 *
 * Calls on one session wait for each other. Damaged files are reported and removed. Expired files are removed in the
 * background. If this process is paused for so long that another process takes over the directory, every later call fails
 * until the app restarts.
 */
export class FileStore extends SerialStore implements SessionStore {
  readonly #files: SessionFiles
  readonly #queues = new Queues()
  readonly #maxPending: number
  /** Names of files written before the start and not read yet. They may hold sessions of any principal. */
  readonly #unread: Set<string>
  readonly #lock: DirectoryLock
  readonly #sweeper: Sweeper
  readonly #calls = new Set<Promise<unknown>>()
  #reading: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @throws `FST_SESSION_OPTIONS` if another process or another FileStore has the directory open */
  constructor (options: FileStoreOptions) {
    refuseUnknown(options ?? {}, ['directory', 'maxPending', 'now'], 'option * of FileStore')
    const { directory, maxPending = 1000, now = Date.now } = options ?? {}
    super(now)
    if (typeof directory !== 'string' || directory === '') {
      throw invalidOptions('FileStore: directory must be the path of a directory, such as "./sessions"')
    }
    if (!Number.isSafeInteger(maxPending) || maxPending < 1) throw invalidOptions('FileStore: maxPending must be a whole number, 1 or more, such as 1000')
    this.#maxPending = maxPending
    const path = resolve(directory)
    mkdirSync(path, { recursive: true, mode: 0o700 })
    this.#lock = new DirectoryLock(path, (error) => this.#failed('keep the lock of the directory', error))
    this.#files = new SessionFiles(new Disk(this.#lock), (report) => this.report(report))
    this.#unread = new Set(readdirSync(path).filter(isFileName))
    this.#readAll().catch((error: unknown) => this.#failed('read the files of earlier sessions', error))
    this.#sweeper = new Sweeper((stopped) => this.#sweep(stopped), SWEEP_INTERVAL, (error) => {
      if (error !== this.#lock.lost) this.#failed('remove expired files', error)
    })
  }

  async read (id: string): Promise<SessionRecord | undefined> {
    return await this.inTurn(id, () => this.live(id))
  }

  async list (principal: string, { limit, cursor }: PageRequest): Promise<Page> {
    return await this.#callWithIndex(async () => {
      const page = this.#files.index.page(principal, limit, cursor)
      const found = await Promise.all(page.sessions.map(async ({ id }): Promise<StoredSession[]> => {
        const record = await this.#queued(id, () => this.live(id))
        return record?.principal === principal ? [{ id, record }] : []
      }))
      return { sessions: found.flat(), cursor: page.cursor }
    })
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await this.#callWithIndex(async () => {
      let ended = 0
      let cursor: string | undefined
      do {
        const page = this.#files.index.page(principal, BATCH, cursor)
        ended += await this.#endAll(page.sessions.map(({ id }) => id).filter((id) => id !== except), principal)
        cursor = page.cursor
      } while (cursor !== undefined)
      return ended
    })
  }

  async clear (): Promise<void> {
    await this.#callWithIndex(async () => {
      for (const batch of batchesOf([...this.#files.ids()], BATCH)) await this.#endAll(batch)
    })
  }

  /** Waits for unfinished calls, then unlocks the directory. The files stay. */
  async close (): Promise<void> {
    this.#closing ??= Promise.allSettled([...this.#calls, this.#reading, this.#sweeper.stop()])
      .then(() => { this.#lock.release() })
    await this.#closing
  }

  protected async inTurn<T> (id: string, task: () => Promise<T>): Promise<T> {
    return await this.#call(() => this.#queued(id, task))
  }

  protected async live (id: string): Promise<SessionRecord | undefined> {
    const record = await this.#files.load(fileName(id), id)
    return record && this.isLive(record) ? record : undefined
  }

  protected async write (id: string, record: SessionRecord): Promise<void> {
    await this.#files.write(id, record)
  }

  protected async remove (id: string): Promise<void> {
    await this.#files.remove(id)
  }

  protected count (principal: string | undefined): number | true {
    // Files that have not been read yet may hold more sessions of the principal.
    return this.#unread.size > 0 || this.#files.index.count(principal)
  }

  /** Runs a call of the app. @throws if the store is closed, has lost its directory or has too many unfinished calls */
  async #call<T> (work: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new Error('FileStore: the store is closed')
    if (this.#lock.lost) throw this.#lock.lost
    if (this.#calls.size >= this.#maxPending) throw new Error(`FileStore: ${this.#calls.size} calls are waiting for the disk, the most that the option maxPending allows`)
    const call = work()
    this.#calls.add(call)
    try {
      return await call
    } finally {
      this.#calls.delete(call)
    }
  }

  /** Runs a call that needs a complete index: reads all files first, and then checks that no other process has changed them. */
  async #callWithIndex<T> (work: () => Promise<T>): Promise<T> {
    return await this.#call(async () => {
      await this.#readAll()
      const result = await work()
      await this.#lock.verify()
      return result
    })
  }

  async #endAll (ids: string[], principal?: string): Promise<number> {
    const ended = await Promise.all(ids.map((id) => this.#queued(id, () => this.end(id, principal))))
    return ended.filter(Boolean).length
  }

  async #queued<T> (id: string, task: () => Promise<T>): Promise<T> {
    return await this.#queues.run(fileName(id), task)
  }

  /** Reads the files written before the start, once for all callers. A later call retries files that could not be read. */
  async #readAll (): Promise<void> {
    this.#reading ??= this.#readUnread().finally(() => { this.#reading = undefined })
    await this.#reading
  }

  async #readUnread (): Promise<void> {
    for (const names of batchesOf(this.#unread, BATCH)) {
      if (this.#closing) return
      await Promise.all(names.map(async (name) => {
        await this.#queues.run(name, () => this.#files.load(name))
        this.#unread.delete(name)
      }))
    }
  }

  async #sweep (stopped: () => boolean): Promise<void> {
    const isExpired = (id: string): boolean => !stopped() && !this.#lock.lost && this.#files.isExpired(id, this.now())
    for (const batch of batchesOf(this.#files.ids(), BATCH)) {
      await Promise.all(batch.filter(isExpired).map((id) => this.#queued(id, async () => {
        if (isExpired(id)) await this.#files.remove(id)
      })))
      await nextTurn()
    }
  }

  #failed (task: string, error: unknown): void {
    this.report({ kind: 'failed', task, error })
  }
}

/** Yields batches of values. Values may be added and removed during the iteration. */
function * batchesOf<T> (values: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = []
  for (const value of values) {
    if (batch.push(value) < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
