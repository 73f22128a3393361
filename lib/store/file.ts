import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setImmediate as othersTurn } from 'node:timers/promises'
import { SessionError } from '../errors.js'
import { fileName, isFileName } from './file/codec.js'
import { Disk, isUnfinished } from './file/disk.js'
import { lockDirectory } from './file/lock.js'
import { type Observer, Observers } from './shared/observers.js'
import { Queues } from './shared/queues.js'
import { SessionFiles } from './file/session-files.js'
import type { SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'


export interface FileStoreOptions {
  /** Where the files are; made with mode 0700 if it is not there. It belongs to this store alone. */
  readonly directory: string
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/** How often expired files are looked for, in milliseconds, and how many files are dealt with at a time. */
const SWEEP_INTERVAL = 10_000
const BATCH = 100

/**
 * One file a session, for one process whose users stay signed in through a restart. A call that has resolved is safe
 * from a crash and from a power cut, and a file is the old record or the new one, never a part of it.
 *
 * Calls on one session wait for each other. A touch is put off until it gains a tenth of the time. A file that
 * somebody has damaged is reported and removed; expired files are removed in the background.
 */
export class FileStore implements SessionStore {
  readonly #files: SessionFiles
  readonly #queues = new Queues()
  readonly #now: () => number
  readonly #observers = new Observers()
  /** Names of files from before that have not been read yet: the ids of a principal may be among them. */
  readonly #unread: Set<string>
  readonly #unlock: () => void
  readonly #timer: NodeJS.Timeout
  #reading: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** @throws FST_SESSION_OPTIONS when another process, or another FileStore, has the directory open. */
  constructor (options: FileStoreOptions) {
    if (typeof options?.directory !== 'string' || options.directory === '') {
      throw new SessionError('FST_SESSION_OPTIONS', 'FileStore: directory must be the path of a directory, such as "./sessions"')
    }
    this.#now = options.now ?? Date.now
    const directory = resolve(options.directory)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#unlock = lockDirectory(directory, (error) => this.#failed('show that the directory is in use', error))
    this.#files = new SessionFiles(new Disk(directory), (report) => this.#observers.tell(report))
    const names = readdirSync(directory)
    for (const name of names.filter(isUnfinished)) rmSync(join(directory, name), { force: true })
    this.#unread = new Set(names.filter(isFileName))
    this.#readAll().catch((error: unknown) => this.#failed('read the sessions from before', error))
    this.#timer = setInterval(() => { this.#sweeping ??= this.#sweep() }, SWEEP_INTERVAL).unref()
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    return await this.#alone(id, async () => {
      if (await this.#live(id) !== undefined) return false
      if (record.expiresAt > this.#now()) await this.#files.write(id, record)
      return true
    })
  }

  async read (id: string, touchTo?: number): Promise<SessionRecord | undefined> {
    return await this.#alone(id, async () => {
      const record = await this.#live(id)
      if (record === undefined || touchTo === undefined) return record
      if (!isDue(touchTo, record.expiresAt, this.#now())) return record
      const touched = { ...record, expiresAt: touchTo }
      await this.#files.write(id, touched)
      return touched
    })
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    return await this.#alone(id, async () => {
      const old = await this.#live(id)
      if (old === undefined) return 'missing'
      if (old.version !== record.version - 1) return 'conflict'
      if (record.expiresAt > this.#now()) await this.#files.write(id, record)
      else await this.#files.remove(id)
      return 'updated'
    })
  }

  async delete (id: string): Promise<boolean> {
    return await this.#end(id, () => true)
  }

  async list (principal: string): Promise<readonly StoredSession[]> {
    await this.#readAll()
    const found = await Promise.all(this.#files.idsOf(principal).map(async (id) => {
      const record = await this.read(id)
      return record?.principal === principal ? [{ id, record }] : []
    }))
    return found.flat()
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    await this.#readAll()
    const seen = new Set([except])
    let ended = 0
    for (;;) {
      // A session that is renewed meanwhile has a new id: look again until there is no id that was not seen before.
      const ids = this.#files.idsOf(principal).filter((id) => !seen.has(id))
      if (ids.length === 0) return ended
      for (const id of ids) seen.add(id)
      const found = await Promise.all(ids.map((id) => this.#end(id, (record) => record.principal === principal)))
      ended += found.filter(Boolean).length
    }
  }

  observe (observer: Observer): void {
    this.#observers.add(observer)
  }

  /** Waits for what is under way and gives the directory back. The files stay. */
  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close (): Promise<void> {
    clearInterval(this.#timer)
    await this.#sweeping
    await this.#queues.idle()
    this.#unlock()
  }

  /** One call at a time for each session. */
  async #alone<T> (id: string, work: () => Promise<T>): Promise<T> {
    if (this.#closing) throw new Error('FileStore: the store is closed')
    return await this.#queues.run(fileName(id), work)
  }

  async #live (id: string): Promise<SessionRecord | undefined> {
    const record = await this.#files.load(fileName(id), id)
    return record !== undefined && record.expiresAt > this.#now() ? record : undefined
  }

  async #end (id: string, condition: (record: SessionRecord) => boolean): Promise<boolean> {
    return await this.#alone(id, async () => {
      const record = await this.#live(id)
      if (record === undefined || !condition(record)) return false
      await this.#files.remove(id)
      return true
    })
  }

  /** Gets to know the files from before. What could not be read is tried again by the next call that needs all of them. */
  async #readAll (): Promise<void> {
    while (this.#unread.size > 0 && !this.#closing) {
      this.#reading ??= this.#readBatch().finally(() => { this.#reading = undefined })
      await this.#reading
    }
  }

  async #readBatch (): Promise<void> {
    const names: string[] = []
    for (const name of this.#unread) if (names.push(name) === BATCH) break
    await Promise.all(names.map(async (name) => {
      await this.#queues.run(name, () => this.#files.load(name))
      this.#unread.delete(name)
    }))
  }

  async #sweep (): Promise<void> {
    try {
      let batch: string[] = []
      for (const id of this.#files.ids()) {
        if (batch.push(id) < BATCH) continue
        await this.#removeExpired(batch)
        await othersTurn()
        batch = []
      }
      await this.#removeExpired(batch)
    } catch (error) {
      this.#failed('remove expired files', error)
    } finally {
      this.#sweeping = undefined
    }
  }

  async #removeExpired (ids: readonly string[]): Promise<void> {
    const expired = (id: string): boolean => !this.#closing && this.#files.isExpired(id, this.#now())
    await Promise.all(ids.filter(expired).map((id) => this.#queues.run(fileName(id), async () => {
      if (expired(id)) await this.#files.remove(id)
    })))
  }

  #failed (task: string, error: unknown): void {
    this.#observers.tell({ kind: 'failed', task, error })
  }
}
