import { type Indexed, PrincipalIndex } from '../shared/principal-index.js'
import { ShardedMap } from '../shared/sharded-map.js'
import type { SessionRecord, StoreReport } from '../store.js'
import { decode, encode, fileName } from './codec.js'
import type { Disk } from './disk.js'

/** The fields of a session that are kept in memory. */
interface Known extends Indexed {
  readonly id: string
  readonly principal: string | undefined
  expiresAt: number
}

/** Keeps records as files, with an index in memory. The caller must not make two calls for one id at the same time. */
export class SessionFiles {
  readonly index = new PrincipalIndex<Known>()
  readonly #known = new ShardedMap<Known>()
  readonly #disk: Disk
  readonly #report: (report: StoreReport) => void

  constructor (disk: Disk, report: (report: StoreReport) => void) {
    this.#disk = disk
    this.#report = report
  }

  /** Returns the record of a file, even if it has expired. Removes a damaged file and reports it by `id` or by its name. */
  async load (name: string, id?: string): Promise<SessionRecord | undefined> {
    const text = await this.#disk.read(name)
    try {
      if (text !== undefined) {
        const found = decode(text)
        if (fileName(found.id) !== name) throw new Error('the file name belongs to another session')
        this.#remember(found.id, found.record)
        return found.record
      }
    } catch (error) {
      this.#report({ kind: 'damaged', id: id ?? name, error })
      await this.#disk.remove(name)
    }
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

  isExpired (id: string, now: number): boolean {
    const known = this.#known.get(id)
    return known !== undefined && known.expiresAt <= now
  }

  /** Yields all ids, in no particular order. Sessions may be added and removed during the iteration. */
  * ids (): Generator<string> {
    for (const { id } of this.#known.values()) yield id
  }

  #remember (id: string, { expiresAt, principal }: SessionRecord): void {
    const old = this.#known.get(id)
    if (old !== undefined && old.principal === principal) {
      old.expiresAt = expiresAt
      return
    }
    this.#forget(id)
    const known: Known = { id, principal, expiresAt, place: 0 }
    this.#known.set(id, known)
    this.index.add(principal, known)
  }

  #forget (id: string): void {
    const known = this.#known.get(id)
    if (known === undefined) return
    this.#known.delete(id)
    this.index.remove(known.principal, known)
  }
}
