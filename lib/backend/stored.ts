import { SessionError, unavailable } from '../errors.js'
import { expiryOf } from '../life.js'
import { type Codec, type Decoded, type Life, merge, type Prepared } from '../record.js'
import type { SessionRecord, SessionStore } from '../store/store.js'
import { idOf, isToken } from '../token.js'
import type { Backend, Change, Committed, Directory, Live, Loaded, Mutation, Report } from './backend.js'
import { inTime, storeInTime } from './in-time.js'

export interface StoredOptions {
  readonly store: SessionStore
  readonly codec: Codec
  /** Milliseconds. */
  readonly idleTimeout: number
  /** Milliseconds that one call of the store may take. */
  readonly storeTimeout: number
  readonly maxPerPrincipal: number
  readonly now: () => number
  /** For what happens outside of any request. */
  readonly report: Report
}

/** What to store, made from what is stored. */
type Compute = (stored: Live) => Prepared | Promise<Prepared>

type Of<K extends Change['kind']> = Extract<Change, { kind: K }>

// Each round of a conflict lets at least one request through, so this many would have to be at one session at once.
const MAX_ROUNDS = 256

/** Milliseconds for which a session without a principal can be followed to what it was renewed to. */
const NOTE_LIFE = 60_000

/** A token in the cookie, a record in a store. */
export class StoredBackend implements Backend {
  readonly #options: StoredOptions
  readonly #store: SessionStore

  constructor (options: StoredOptions) {
    this.#options = options
    this.#store = storeInTime(options.store, options.storeTimeout)
  }

  async load (value: string, touch: boolean, report: Report): Promise<Loaded> {
    if (!isToken(value)) {
      report({ type: 'rejected', reason: 'malformed-cookie' })
      return { kind: 'dead' }
    }
    const id = idOf(value)
    const now = this.#options.now()
    const record = await this.#store.read(id, touch ? now + this.#options.idleTimeout : undefined)
    if (record === undefined || record.expiresAt <= now) {
      report({ type: 'expired', reason: 'absent', id })
      return { kind: 'dead' }
    }
    const live = this.#decode(id, record, report)
    if (live === undefined) return { kind: 'dead' }
    if (live.life.deadline <= now) {
      // A touch may have carried the record past its absolute deadline.
      await this.#store.delete(id)
      report({ type: 'expired', reason: 'absolute', id, ...of(live.principal) })
      return { kind: 'dead' }
    }
    return { kind: 'live', live: touch ? await this.#touchLonger(live, now) : live }
  }

  async commit (change: Change, report: Report): Promise<Committed> {
    switch (change.kind) {
      case 'none': return { live: undefined }
      case 'refresh': return await this.#reindex(change.live)
      case 'create': return await this.#create(change, report)
      case 'update': return await this.#update(change, report)
      case 'renew': return await this.#renew(change, report)
      case 'replace': return await this.#replace(change, report)
      case 'destroy': return await this.#destroy(change, report)
    }
  }

  async mutate (live: Live, mutation: Mutation, report: Report): Promise<Committed> {
    return await this.#save(live, (stored) => mutation(JSON.parse(stored.text)), report)
  }

  readonly directory: Directory = {
    find: async (id, touch) => {
      const live = isToken(id) ? await this.#look(id, touch) : undefined
      return live && touch ? await this.#touchLonger(live, this.#options.now()) : live
    },
    list: async (principal) => await this.#list(principal),
    revoke: async (id) => {
      const done = isToken(id) && await this.#store.delete(id)
      if (done) this.#options.report({ type: 'destroyed', reason: 'revoke', id })
      return done
    },
    revokeAll: async (principal, except) => {
      const count = await this.#store.deleteAll(principal, except)
      if (count > 0) this.#options.report({ type: 'destroyed', reason: 'revoke', principal, detail: `${count} sessions` })
      return count
    }
  }

  async close (): Promise<void> {
    const { store, storeTimeout } = this.#options
    await inTime(async () => { await store.close?.() }, storeTimeout)
  }

  async #create ({ ticket, life, content, reason }: Of<'create'>, report: Report): Promise<Committed> {
    const live = this.#assemble(ticket.id, 1, await this.#asYoungest(life, content), content)
    await this.#insert(live)
    report({ type: 'created', reason, id: live.id, ...of(live.principal) })
    await this.#keepToLimit(live, report)
    return { live, value: ticket.token }
  }

  /** Enters a session in the list of its principal, of whom the record does not know: the option `principal` is new. */
  async #reindex (live: Live): Promise<Committed> {
    const next = { ...live, version: live.version + 1, stale: false }
    return { live: await this.#store.update(next.id, this.#record(next)) === 'updated' ? next : live }
  }

  /** Three-way merge: what this request changed goes on top of what is stored, until nobody else was faster. */
  async #update ({ live, content }: Of<'update'>, report: Report): Promise<Committed> {
    return await this.#save(live, (stored) => stored === live ? content : this.#merge(live, content, stored), report)
  }

  async #save (live: Live, compute: Compute, report: Report): Promise<Committed> {
    const saved = await this.#rewrite(live, compute)
    return saved ? { live: saved } : await this.#follow(live, compute, report)
  }

  /** Writes what `compute` makes of what is stored, until nobody else was faster. `undefined` when the record is gone. */
  async #rewrite (live: Live, compute: Compute): Promise<Live | undefined> {
    let current: Live | undefined = live
    for (let round = 0; current !== undefined; round++) {
      if (round === MAX_ROUNDS) throw conflict()
      const saved = await this.#write(current, await compute(current))
      if (saved === 'missing') return undefined
      if (saved !== 'conflict') return saved
      current = await this.#look(live.id)
    }
    return undefined
  }

  /** For a save whose record is gone: it goes to what the session was renewed to meanwhile, if that is why. */
  async #follow (live: Live, compute: Compute, report: Report): Promise<Committed> {
    let saved: Live | undefined
    for (const successor of await this.#successors(live)) saved = await this.#rewrite(successor, compute) ?? saved
    return saved === undefined ? this.#lost(live, report) : { live: saved }
  }

  #lost ({ id, principal }: Live, report: Report): Committed {
    report({ type: 'discarded', reason: 'ended-meanwhile', id, ...of(principal) })
    return { live: undefined }
  }

  /** What a session was renewed to. Its id does not lead there; the list of its principal does, or else a note. */
  async #successors ({ id, principal, life }: Live): Promise<Live[]> {
    if (!this.#isListed(principal)) return await this.#noted(id)
    const origin = life.origin ?? id
    return (await this.#list(principal)).filter((other) => other.life.origin === origin && other.id !== id)
  }

  #isListed (principal: string | undefined): principal is string {
    return principal !== undefined && this.#options.store.lists !== false
  }

  /** Each renewal of a session is on its note before it happens; which of several at once came through, the ids will tell. */
  async #note (from: string, to: string): Promise<void> {
    const id = noteOn(from)
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const expiresAt = this.#options.now() + NOTE_LIFE
      if (await this.#store.create(id, { payload: JSON.stringify([to]), version: 1, expiresAt })) return
      const note = await this.#store.read(id)
      if (note === undefined) continue
      const next = { payload: JSON.stringify([...idsOn(note), to]), version: note.version + 1, expiresAt }
      if (await this.#store.update(id, next) === 'updated') return
    }
    throw conflict()
  }

  async #noted (from: string): Promise<Live[]> {
    const note = await this.#store.read(noteOn(from))
    const ids = note === undefined ? [] : idsOn(note)
    const found = (await Promise.all(ids.map(async (id) => await this.#look(id)))).filter((live) => live !== undefined)
    // A renewal that did not come through has no note of its own.
    return found.length > 0 ? found : (await Promise.all(ids.map(async (id) => await this.#noted(id)))).flat()
  }

  async once (text: string): Promise<boolean> {
    return await this.#store.create(idOf(text), { payload: 'null', version: 1, expiresAt: this.#options.now() + NOTE_LIFE })
  }

  /** Deletes a session, or what it was renewed to meanwhile: a logout is final for the renewal that was faster, too. */
  async #delete (live: Live): Promise<boolean> {
    if (await this.#store.delete(live.id)) return true
    let ended = 0
    // One that is renewed meanwhile has a new id: look again until there is nothing to end.
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const found = await this.#successors(live)
      if (found.length === 0) return ended > 0
      for (const { id } of found) if (await this.#store.delete(id)) ended++
    }
    throw conflict()
  }

  /**
   * The new record is there before the old one ends, and the old one ends only if nobody wrote to it: a save meanwhile is
   * merged, a logout meanwhile takes the new record, whose token nobody has seen, with it.
   */
  async #renew ({ live, ticket, content, reason, ...change }: Of<'renew'>, report: Report): Promise<Committed> {
    const becomes = content.principal !== live.principal
    const life: Life = { ...becomes ? await this.#asYoungest(change.life, content) : change.life, origin: live.life.origin ?? live.id }
    let renewed = this.#assemble(ticket.id, 1, life, content)
    await this.#insert(renewed)
    try {
      if (!becomes && !this.#isListed(live.principal)) await this.#note(live.id, ticket.id)
      let ended = await this.#end(live)
      for (let round = 1; ended === 'conflict'; round++) {
        if (round === MAX_ROUNDS) throw conflict()
        const theirs = await this.#look(live.id)
        if (theirs === undefined) break
        const next = this.#assemble(ticket.id, renewed.version + 1, life, this.#merge(live, content, theirs))
        if (await this.#store.update(next.id, this.#record(next)) !== 'updated') break
        renewed = next
        ended = await this.#end(theirs)
      }
      if (ended !== 'updated') {
        await this.#store.delete(ticket.id)
        // Nobody becomes somebody else in a session that another request has renewed.
        if (becomes) return this.#lost(live, report)
        return await this.#follow(live, (stored) => this.#merge(live, content, stored), report)
      }
    } catch (error) {
      await this.#forget(ticket.id)
      throw error
    }
    report({ type: 'renewed', reason, id: renewed.id, ...of(renewed.principal) })
    if (becomes) await this.#keepToLimit(renewed, report)
    return { live: renewed, value: ticket.token }
  }

  async #replace (change: Of<'replace'>, report: Report): Promise<Committed> {
    const live = this.#assemble(change.ticket.id, 1, await this.#asYoungest(change.life, change.content), change.content)
    await this.#insert(live)
    try {
      if (await this.#delete(change.live)) report({ type: 'destroyed', reason: 'replaced', id: change.live.id, ...of(change.live.principal) })
    } catch (error) {
      await this.#forget(live.id)
      throw error
    }
    report({ type: 'created', reason: 'start', id: live.id, ...of(live.principal) })
    await this.#keepToLimit(live, report)
    return { live, value: change.ticket.token }
  }

  async #destroy ({ live, reason }: Of<'destroy'>, report: Report): Promise<Committed> {
    if (await this.#delete(live)) report({ type: 'destroyed', reason, id: live.id, ...of(live.principal) })
    return { live: undefined }
  }

  async #insert (live: Live): Promise<void> {
    if (await this.#store.create(live.id, this.#record(live))) return
    // 256 random bits do not collide: this store, or the source of randomness, is broken.
    throw unavailable('The session could not be created.')
  }

  async #write (over: Live, content: Prepared): Promise<Live | 'conflict' | 'missing'> {
    const next = this.#assemble(over.id, over.version + 1, over.life, content)
    const outcome = await this.#store.update(next.id, this.#record(next))
    return outcome === 'updated' ? next : outcome
  }

  /** Deletes a record only if it is still the one that was read. */
  async #end (live: Live): Promise<'updated' | 'conflict' | 'missing'> {
    return await this.#store.update(live.id, { payload: 'null', version: live.version + 1, expiresAt: 0 })
  }

  async #list (principal: string): Promise<Live[]> {
    const now = this.#options.now()
    const found = await this.#store.list(principal)
    return found.map(({ id, record }) => this.#decode(id, record, this.#options.report))
      .filter((live): live is Live => live !== undefined && live.life.deadline > now)
  }

  async #look (id: string, touch = false): Promise<Live | undefined> {
    const now = this.#options.now()
    const record = await this.#store.read(id, touch ? now + this.#options.idleTimeout : undefined)
    const live = record && this.#decode(id, record, this.#options.report)
    return live === undefined || live.life.deadline <= now ? undefined : live
  }

  #merge (base: Live, mine: Prepared, theirs: Live): Prepared {
    let merged: Prepared
    try {
      merged = this.#options.codec.prepare(merge(JSON.parse(base.text), mine.data, theirs.data))
    } catch (cause) {
      throw conflict(cause)
    }
    // What neither request meant: two changes that make somebody else of the person only together.
    if (merged.principal !== mine.principal) throw conflict()
    return merged
  }

  #assemble (id: string, version: number, life: Life, content: Prepared): Live {
    return { ...content, id, version, life, expiresAt: expiryOf(life, this.#options, this.#options.now()) }
  }

  #record ({ version, life, text, principal, expiresAt }: Live): SessionRecord {
    return { payload: this.#options.codec.encode(life, text), version, expiresAt, ...of(principal) }
  }

  #decode (id: string, record: SessionRecord, report: Report): Live | undefined {
    const decoded = belongsTo(record, this.#options.codec.decode(record.payload))
    if (decoded.kind === 'content') {
      const { content } = decoded
      const stale = record.principal === content.principal ? {} : { stale: true }
      return { ...content, id, version: record.version, expiresAt: Math.min(record.expiresAt, content.life.deadline), ...stale }
    }
    const reason = decoded.kind
    report({ type: 'discarded', reason, id, ...(decoded.kind === 'unfit' ? { detail: decoded.problem } : {}) })
    return undefined
  }

  // A store moves every record by the scheme's idle timeout; one with a longer life of its own takes a step more, rarely.
  async #touchLonger (live: Live, now: number): Promise<Live> {
    const idle = live.life.idleTimeout
    if (idle === undefined) return live
    const expiresAt = expiryOf(live.life, this.#options, now)
    if (expiresAt - live.expiresAt < idle / 10) return live
    await this.#store.read(live.id, expiresAt)
    return { ...live, expiresAt }
  }

  /** Where sessions are counted, a login comes after all that it finds, whatever the clocks of other processes say. */
  async #asYoungest (life: Life, { principal }: Prepared): Promise<Life> {
    if (principal === undefined || this.#options.maxPerPrincipal === Infinity) return life
    const others = await this.#list(principal)
    return { ...life, rank: Math.max(life.authenticatedAt, ...others.map((other) => rankOf(other) + 1)) }
  }

  /**
   * Ends the oldest sessions of a principal over the limit. Each login looks after its own record is in, so no two both
   * pass. It is in, and its token must be handed out: what fails here is left to the next login.
   */
  async #keepToLimit ({ principal }: Live, report: Report): Promise<void> {
    const { maxPerPrincipal } = this.#options
    if (principal === undefined || maxPerPrincipal === Infinity) return
    try {
      const all = await this.#list(principal)
      const oldestLast = all.toSorted((a, b) => rankOf(b) - rankOf(a) || (a.id < b.id ? -1 : 1))
      for (const { id } of oldestLast.slice(maxPerPrincipal)) {
        if (await this.#store.delete(id)) report({ type: 'destroyed', reason: 'limit', id, principal })
      }
    } catch (error) {
      report({ type: 'failed', reason: 'limit', principal, detail: (error as Error).message })
    }
  }

  // The error that led here is the one to tell. A record that stays has a token nobody was given, and expires.
  async #forget (id: string): Promise<void> {
    await this.#store.delete(id).catch(() => {})
  }
}

// Signing out somebody everywhere has to find this record; and a record that was spoiled must not make somebody else of them.
function belongsTo ({ principal }: SessionRecord, decoded: Decoded): Decoded {
  if (decoded.kind !== 'content' || principal === undefined || decoded.content.principal === undefined) return decoded
  if (decoded.content.principal === principal) return decoded
  return { kind: 'unfit', problem: 'its data are of another principal than the one it was stored for' }
}

/** The id of the note that says what a session was renewed to. No token has it, since nobody finds a text with this hash. */
function noteOn (id: string): string {
  return idOf(`renewed ${id}`)
}

function idsOn ({ payload }: SessionRecord): string[] {
  return JSON.parse(payload) as string[]
}

function rankOf ({ life: { rank, authenticatedAt } }: Live): number {
  return rank ?? authenticatedAt
}

function of (principal: string | undefined): { principal?: string } {
  return principal === undefined ? {} : { principal }
}

function conflict (cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_CONFLICT', 'Another request changed the same session at the same time. Send the request again.', cause === undefined ? {} : { cause })
}
