import { flat } from '../../text.js'
import type { Linked } from '../shared/linked-list.js'
import type { SessionRecord } from '../store.js'

/** A session as an item of a `LinkedList`. */
export class Entry implements Linked<Entry> {
  readonly id: string
  payload!: string
  version!: number
  expiresAt!: number
  principal: string | undefined
  /** The place of the session in the `PrincipalIndex`. */
  place = 0
  older: Entry | undefined
  newer: Entry | undefined

  constructor (id: string, record: SessionRecord) {
    this.id = id
    this.record = record
  }

  get record (): SessionRecord {
    const { payload, version, expiresAt, principal } = this
    return principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal }
  }

  set record ({ payload, version, expiresAt, principal }: SessionRecord) {
    this.payload = flat(payload)
    this.version = version
    this.expiresAt = expiresAt
    this.principal = principal
  }
}
