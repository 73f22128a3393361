import { PrincipalIndex } from '../principal-index.js'
import type { SessionRecord, StoreReport } from '../store.js'
import { decode, encode, fileName } from './codec.js'
import type { Disk } from './disk.js'

/** What is remembered of a file, so that it need not be read again to find it. */
type Known = Pick<SessionRecord, 'expiresAt' | 'principal'>

/**
 * Records as files of a directory, with what has to be found without reading them all: the ids of a principal, and
 * those that have expired. The caller sees to it that no two calls for one id are under way at once.
 */
export class SessionFiles {
  readonly #disk: Disk
  readonly #report: (report: StoreReport) => void
  readonly #known = new Map<string, Known>()
  readonly #index = new PrincipalIndex()

  constructor (disk: Disk, report: (report: StoreReport) => void) {
    this.#disk = disk
    this.#report = report
  }

  /**
   * What the file holds, expired or not. A damaged one is reported, under its name when no id is given, and removed:
   * it signs nobody in any more.
   */
  async load (name: string, id?: string): Promise<SessionRecord | undefined> {
    const text = await this.#disk.read(name)
    const found = text === undefined ? undefined : this.#decode(text, name, id)
    if (found !== undefined) {
      this.#remember(found.id, found.record)
      return found.record
    }
    if (text !== undefined) await this.#disk.remove(name)
    if (id !== undefined) this.#forget(id)
    return undefined
  }

  async write (id: string, record: SessionRecord): Promise<void> {
    await this.#disk.write(fileName(id), encode(id, record))
    this.#remember(id, record)
  }

  async remove (id: string): Promise<void> {
    await this.#disk.remove(fileName(id))
    this.#forget(id)
    await this.#disk.flush()
  }

  /** A copy: it does not change while it is gone through. */
  idsOf (principal: string): readonly string[] {
    return this.#index.idsOf(principal)
  }

  isExpired (id: string, now: number): boolean {
    const known = this.#known.get(id)
    return known !== undefined && known.expiresAt <= now
  }

  /** All ids, in any order, those too that come and go meanwhile. */
  ids (): IterableIterator<string> {
    return this.#known.keys()
  }

  #decode (text: string, name: string, id: string | undefined): ReturnType<typeof decode> | undefined {
    try {
      const found = decode(text)
      if (fileName(found.id) !== name) throw new Error('the file has the name of another session')
      return found
    } catch (error) {
      this.#report({ kind: 'damaged', id: id ?? name, error })
      return undefined
    }
  }

  #remember (id: string, { expiresAt, principal }: Known): void {
    const old = this.#known.get(id)
    if (old?.principal !== principal) this.#index.remove(old?.principal, id)
    this.#known.set(id, principal === undefined ? { expiresAt } : { expiresAt, principal })
    this.#index.add(principal, id)
  }

  #forget (id: string): void {
    this.#index.remove(this.#known.get(id)?.principal, id)
    this.#known.delete(id)
  }
}
