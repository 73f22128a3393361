import { setImmediate as nextTurn } from 'node:timers/promises'
import { invalidOptions, refuseUnknown } from '../errors.js'
import { JournalDirectory } from './file/directory.js'
import { type Change, FULL, nextLine, replay } from './file/lines.js'
import { MemoryStore, type MemoryStoreOptions } from './memory.js'
import { ReportingStore } from './shared/reporting.js'
import { Sweeper } from './shared/sweeper.js'
import type { Awaitable, PageRequest, SessionRecord, SessionStore } from './store.js'

export interface FileStoreOptions extends MemoryStoreOptions {
  /** The directory of the files, used by this store only. It is created with mode 0700 if it does not exist. */
  readonly directory: string
  /** How many calls may wait for the disk, 1 or more. Default: 1000. Further calls fail at once, to limit the memory in use. */
  readonly maxPending?: number
}

/** Milliseconds between two signs of life. */
const BEAT = 1000
/** After this many signs of life, journals that mostly have old records are rewritten, however small they are. */
const BEATS_PER_CHECK = 60
/** A journal of fewer bytes is not rewritten for its size. */
const SMALL = 2 ** 20
/** How many sessions `clear` deletes before it yields to other work. */
const BATCH = 500

/** The sessions in memory, and the ids of those whose last change is not on the disk. */
class Sessions extends MemoryStore {
  unsaved = new Set<string>()
  /** How many changes were written to the newest journal. */
  written = 0

  protected override get owner (): string { return 'FileStore' }
  protected override changed (id: string): void { this.unsaved.add(id) }

  * ids (): Generator<string, void> { for (const { id } of this.entries.values()) yield id }

  /** Yields what is to be written about sessions, as it is when the next change is taken. */
  * changes (ids: Iterable<string>): Generator<Change, void> {
    for (const id of ids) {
      this.written++
      yield [id, this.entries.get(id)?.record]
    }
  }
}

/**
 * Keeps sessions in memory and in a journal, for an app of one process whose users stay signed in after a restart. When a call
 * has resolved, its change survives a crash and a power cut. A call also waits until what it has seen survives them.
 *
 * Calls that come while the disk is busy share the next flush. The journal is rewritten in the background when most of it is out
 * of date. Limits and evictions are those of `MemoryStore`. If this process is paused for so long that another process takes over
 * the directory, every later call fails until the app restarts.
 */
export class FileStore extends ReportingStore implements SessionStore {
  readonly #sessions: Sessions
  readonly #directory: JournalDirectory
  readonly #maxPending: number
  readonly #beats: Sweeper
  /** The last task on the journal. Tasks run one at a time. */
  #last: Promise<void> = Promise.resolve()
  /** The flush that has not begun yet. */
  #nextFlush: Promise<void> | undefined
  /** The ids of the sessions that are being written. */
  #saving: ReadonlySet<string> = new Set()
  /** True if the last flush failed. */
  #hasFailed = false
  #pending = 0
  /** The length of the journal after the last copy. */
  #copied = 0
  #beat = 0
  #closing: Promise<void> | undefined

  /** @throws `FST_SESSION_OPTIONS` if another process or another FileStore has the directory open */
  constructor (options: FileStoreOptions) {
    super()
    refuseUnknown(options ?? {}, ['directory', 'maxSessions', 'maxBytes', 'maxPending', 'now'], 'option * of FileStore')
    const { directory, maxPending = 1000, ...limits } = options ?? {}
    if (typeof directory !== 'string' || directory === '') throw invalidOptions('FileStore: directory must be the path of a directory, such as "./sessions"')
    if (!Number.isSafeInteger(maxPending) || maxPending < 1) throw invalidOptions('FileStore: maxPending must be a whole number, 1 or more, such as 1000')
    this.#maxPending = maxPending
    this.#sessions = new Sessions(limits)
    this.#sessions.observe((report) => this.report(report))
    this.#directory = new JournalDirectory(directory, (paths) => {
      const sessions = replay(paths, (error) => { this.report({ kind: 'failed', task: 'read the journal', error }) })
      // The one that expires first counts as idle for the longest time. Those that are evicted remain unsaved.
      for (const [id, record] of [...sessions].sort(([, one], [, other]) => one.expiresAt - other.expiresAt)) {
        this.#sessions.create(id, record)
        this.#sessions.unsaved.delete(id)
      }
    })
    // An app that crashes soon after each start must not fill the disk with parts of copies. So only the starts that find 1, 2, 4, 8
    // journals and so on begin with a copy. The others make it a minute later.
    if (!Number.isInteger(Math.log2(this.#directory.older.length))) this.#beat = 1
    const failed = (error: unknown): void => {
      this.report({ kind: 'failed', task: 'write the journal', error })
      if (error === this.#directory.lost) void this.#beats.stop()
    }
    this.#beats = new Sweeper((stopped) => this.#tend(stopped), BEAT, failed)
    this.#beats.run().catch(failed)
  }

  read (id: string): Awaitable<SessionRecord | undefined> {
    const isReady = this.#closing === undefined && this.#directory.isHeld && !this.#isUnsaved(id)
    return isReady ? this.#sessions.read(id) : this.#call(() => this.#sessions.read(id), id)
  }

  create (id: string, record: SessionRecord) { return this.#call(() => this.#sessions.create(id, record), id) }
  touch (id: string, expiresAt: number) { return this.#call(() => this.#sessions.touch(id, expiresAt), id) }
  update (id: string, record: SessionRecord) { return this.#call(() => this.#sessions.update(id, record), id) }
  delete (id: string) { return this.#call(() => this.#sessions.delete(id), id) }
  list (principal: string, page: PageRequest) { return this.#call(() => this.#sessions.list(principal, page)) }
  deleteAll (principal: string, except?: string) { return this.#call(() => this.#sessions.deleteAll(principal, except)) }

  clear (): Promise<void> {
    return this.#call(async () => {
      let deleted = 0
      for (const id of this.#sessions.ids()) {
        this.#sessions.delete(id)
        if (++deleted % BATCH === 0) await nextTurn()
      }
    })
  }

  /** Waits for unfinished calls, then releases the directory. The files stay. */
  close (): Promise<void> { return this.#closing ??= this.#close() }

  async #close (): Promise<void> {
    await this.#beats.stop()
    do {
      await this.#flush().catch(() => {})
    } while (this.#pending > 0)
    await this.#inTurn(() => this.#directory.close())
    this.#sessions.close()
  }

  /** Runs a call of the app, on one session or on any. Resolves when the changes that it made or saw are on the disk. */
  async #call<T> (call: () => Awaitable<T>, id?: string): Promise<T> {
    if (this.#closing) throw new Error('FileStore: the store is closed')
    if (this.#directory.lost) throw this.#directory.lost
    if (this.#pending >= this.#maxPending) throw new Error(`FileStore: ${this.#pending} calls are waiting for the disk, the most that the option maxPending allows`)
    this.#pending++
    try {
      // While the disk is out of order, no further change is made that only the memory has.
      if (this.#hasFailed || !this.#directory.isHeld) await this.#flush()
      const result = await call()
      if (this.#isUnsaved(id)) await this.#flush()
      return result
    } finally {
      this.#pending--
    }
  }

  #isUnsaved (id?: string): boolean {
    const { unsaved } = this.#sessions
    return id === undefined ? unsaved.size + this.#saving.size > 0 : unsaved.has(id) || this.#saving.has(id)
  }

  /** Writes the changed sessions. Calls during a flush share the next one. After a failure, the next flush writes them again. */
  #flush (): Promise<void> {
    return this.#nextFlush ??= this.#inTurn(async () => {
      this.#nextFlush = undefined
      this.#saving = this.#sessions.unsaved
      this.#sessions.unsaved = new Set()
      try {
        const changes = this.#sessions.changes(this.#saving)
        for (let isLast = false; !isLast;) isLast = await this.#append(changes)
        this.#hasFailed = false
      } catch (error) {
        this.#hasFailed = true
        for (const id of this.#saving) this.#sessions.unsaved.add(id)
        throw error
      } finally {
        this.#saving = new Set()
      }
    })
  }

  #inTurn (task: () => Promise<void>): Promise<void> { return this.#last = this.#last.then(task, task) }

  /** Appends a line with the next changes. Returns true if it is the last. A line has the sessions as they are when it is made. */
  async #append (changes: Iterator<Change, void>): Promise<boolean> {
    const line = nextLine(changes)
    await this.#directory.append(line)
    return line.length < FULL
  }

  /** Shows a sign of life, and rewrites the journal if that is due. */
  async #tend (stopped: () => boolean): Promise<void> {
    await this.#inTurn(() => this.#directory.append(''))
    // The calls whose changes could not be written have failed. A report each second would not tell more.
    if (this.#isUnsaved()) await this.#flush().catch(() => {})
    const { older, size } = this.#directory
    const isDue = this.#beat++ % BEATS_PER_CHECK === 0
      ? older.length > 0 || this.#sessions.written > 2 * this.#sessions.size
      : older.length === 0 && size > 2 * this.#copied + SMALL
    if (isDue) await this.#rewrite(stopped)
  }

  /** Copies all sessions to a new journal, or to the newest if an earlier copy failed, and removes the older ones. */
  async #rewrite (stopped: () => boolean): Promise<void> {
    if (this.#directory.older.length === 0) await this.#inTurn(() => this.#directory.rollOver())
    this.#sessions.written = 0
    const changes = this.#sessions.changes(this.#sessions.ids())
    for (let isLast = false; !isLast;) {
      await this.#inTurn(async () => { isLast = await this.#append(changes) })
      if (!isLast && stopped()) return
    }
    await this.#inTurn(() => this.#directory.removeOlder())
    this.#copied = this.#directory.size
  }
}
