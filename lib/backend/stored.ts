import { expiryOf } from '../life.js'
import { type Life, merge, type Prepared } from '../record.js'
import type { UpdateOutcome } from '../store/store.js'
import { idOf, isToken } from '../token.js'
import type { Backend, Change, Committed, Directory, Live, Loaded, Mutation, Report } from './backend.js'
import { inTime } from './in-time.js'
import { Limit } from './limit.js'
import { conflict, MAX_ROUNDS, of, Records, type RecordsOptions } from './records.js'
import { successorIn } from './successor.js'

export interface StoredOptions extends RecordsOptions {
  readonly maxPerPrincipal: number
  /** Given where sessions of another plugin may come in. */
  readonly adopt?: object | undefined
}

/** What to store, made from what is stored. */
type Compute = (stored: Live) => Prepared | Promise<Prepared>

type Of<K extends Change['kind']> = Extract<Change, { kind: K }>

/** A token in the cookie, a record in a store. */
export class StoredBackend implements Backend {
  readonly #options: StoredOptions
  readonly #records: Records
  readonly #limit: Limit

  constructor (options: StoredOptions) {
    this.#options = options
    this.#records = new Records(options)
    this.#limit = new Limit(this.#records, options.maxPerPrincipal)
  }

  async load (value: string, touch: boolean, report: Report): Promise<Loaded> {
    if (!isToken(value)) {
      report({ type: 'rejected', reason: 'malformed-cookie' })
      return { kind: 'dead' }
    }
    const id = idOf(value)
    const record = await this.#records.read(id, touch)
    const now = this.#options.now()
    const successor = record && successorIn(record)
    // A touch carries what expires by itself on and on.
    if (successor !== undefined && successor.until <= now) await this.#records.store.delete(id)
    if (record === undefined || record.expiresAt <= now || successor !== undefined) {
      report({ type: 'expired', reason: 'absent', id })
      return { kind: 'dead' }
    }
    const live = this.#records.decode(id, record, report)
    if (live === undefined) return { kind: 'dead' }
    if (live.life.deadline <= now) {
      // A touch may have carried the record past its absolute deadline.
      await this.#records.store.delete(id)
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

  async adopt ({ ticket: { id, token }, life, content, reason }: Of<'create'>, report: Report): Promise<Committed> {
    const adopted = this.#options.now()
    const mine = this.#records.assemble(id, 1, { ...await this.#limit.asYoungest(life, content), adopted }, content)
    const created = await this.#records.create(mine)
    if (created) report({ type: 'created', reason, id, ...of(mine.principal) })
    // It is there: by another request, or by one that got no answer, or could not end the old session. Or it was, and is over.
    const live = created ? mine : await this.#adoptAgain(id, adopted)
    if (live === undefined) return { live, ...await this.#records.isOver(id) && { outrun: true } }
    await this.#limit.keep(live, report)
    return { live, value: token }
  }

  /** Its old cookie leads there from now on. Where somebody else is at it, they see to that. */
  async #adoptAgain (id: string, adopted: number): Promise<Live | undefined> {
    const live = await this.#records.find(id)
    if (live === undefined || !this.#isAlive(live)) return undefined
    const next = { ...live, version: live.version + 1, life: { ...live.life, adopted } }
    return await this.#records.overwrite(next) === 'updated' ? next : await this.#records.find(id)
  }

  readonly directory: Directory = {
    find: async (id, touch) => {
      const live = isToken(id) ? await this.#records.find(id, touch) : undefined
      if (live === undefined || !this.#isAlive(live)) return undefined
      return touch ? await this.#touchLonger(live, this.#options.now()) : live
    },
    list: async (principal) => (await this.#records.list(principal)).filter((live) => this.#isAlive(live)),
    revoke: async (id) => {
      const done = isToken(id) && await this.#records.endLatest(id)
      if (done) this.#options.report({ type: 'destroyed', reason: 'revoke', id })
      return done
    },
    revokeAll: async (principal, except) => {
      const adopted = this.#options.adopt === undefined ? 0 : await this.#endAdopted(principal, except)
      const count = adopted + await this.#records.store.deleteAll(principal, except)
      if (count > 0) this.#options.report({ type: 'destroyed', reason: 'revoke', principal, detail: `${count} sessions` })
      return count
    }
  }

  /** One by one, since of each there has to stay that it is over. */
  async #endAdopted (principal: string, except: string | undefined): Promise<number> {
    const adopted = (await this.#records.list(principal)).filter(({ id, life }) => life.adopted !== undefined && id !== except)
    return (await Promise.all(adopted.map(async (live) => await this.#records.end(live)))).filter(Boolean).length
  }

  async close (): Promise<void> {
    const { store, storeTimeout } = this.#options
    await inTime(async () => { await store.close?.() }, storeTimeout)
  }

  async #create ({ ticket, life, content, reason }: Of<'create'>, report: Report): Promise<Committed> {
    const live = this.#records.assemble(ticket.id, 1, await this.#limit.asYoungest(life, content), content)
    await this.#records.insert(live)
    report({ type: 'created', reason, id: live.id, ...of(live.principal) })
    await this.#limit.keep(live, report)
    return { live, value: ticket.token }
  }

  /** Enters a session in the list of its principal, of whom the record does not know: the option `principal` is new. */
  async #reindex (live: Live): Promise<Committed> {
    // As it is by now, since this is to change nothing of it.
    const latest = await this.#records.follow(live.id)
    if (!latest?.stale) return { live: latest }
    const next = { ...latest, version: latest.version + 1, stale: false }
    return { live: await this.#records.overwrite(next) === 'updated' ? next : latest }
  }

  /** Three-way merge: what this request changed goes on top of what is stored, until nobody else was faster. */
  async #update ({ live, content }: Of<'update'>, report: Report): Promise<Committed> {
    return await this.#save(live, (stored) => stored === live ? content : this.#merge(live, content, stored), report)
  }

  /** Writes what `compute` makes of what is stored, until nobody else was faster, under whichever id the session has by now. */
  async #save (live: Live, compute: Compute, report: Report): Promise<Committed> {
    let current: Live | undefined = live
    for (let round = 0; current !== undefined; round++) {
      if (round === MAX_ROUNDS) throw conflict()
      const next = this.#records.assemble(current.id, current.version + 1, current.life, await compute(current))
      const outcome = await this.#records.overwrite(next)
      if (outcome === 'updated') return { live: next }
      current = outcome === 'missing' ? undefined : await this.#records.follow(current.id)
    }
    return this.#lost(live, report)
  }

  #lost ({ id, principal }: Live, report: Report): Committed {
    report({ type: 'discarded', reason: 'ended-meanwhile', id, ...of(principal) })
    return { live: undefined }
  }

  /**
   * The new record is there before the old one ends, and that ends only if nobody wrote to it: a save meanwhile is merged, a
   * logout or another renewal meanwhile takes the new record, which nobody can know of, with it.
   */
  async #renew ({ live, ticket, content, reason, ...change }: Of<'renew'>, report: Report): Promise<Committed> {
    const becomes = content.principal !== live.principal
    const { adopted: _adopted, ...begun } = becomes ? await this.#limit.asYoungest(change.life, content) : change.life
    const life: Life = { ...begun, origin: live.life.origin ?? live.id }
    let renewed = this.#records.assemble(ticket.id, 1, life, content)
    await this.#records.insert(renewed)
    // What is late goes to the same person's session, never to that of who was signed in with it.
    const leave = async (old: Live): Promise<UpdateOutcome> =>
      becomes ? await this.#records.remove(old) : await this.#records.supersede(old, ticket.id)
    try {
      let left = await leave(live)
      for (let round = 1; left === 'conflict'; round++) {
        if (round === MAX_ROUNDS) throw conflict()
        const theirs = await this.#records.find(live.id)
        if (theirs === undefined) break
        const next = this.#records.assemble(ticket.id, renewed.version + 1, life, this.#merge(live, content, theirs))
        // Somebody who revokes all of them has come by here, and not by the old one yet.
        if (await this.#records.overwrite(next) !== 'updated') throw conflict()
        renewed = next
        left = await leave(theirs)
      }
      if (left !== 'updated') {
        await this.#records.store.delete(ticket.id)
        // Nobody becomes somebody else in a session that another request has renewed.
        if (becomes) return this.#lost(live, report)
        return await this.#save(live, (stored) => this.#merge(live, content, stored), report)
      }
    } catch (error) {
      this.#records.forget(ticket.id)
      throw error
    }
    report({ type: 'renewed', reason, id: renewed.id, ...of(renewed.principal) })
    if (becomes) await this.#limit.keep(renewed, report)
    return { live: renewed, value: ticket.token }
  }

  async #replace ({ content, ticket, ...change }: Of<'replace'>, report: Report): Promise<Committed> {
    const live = this.#records.assemble(ticket.id, 1, await this.#limit.asYoungest(change.life, content), content)
    await this.#records.insert(live)
    try {
      if (await this.#records.end(change.live)) report({ type: 'destroyed', reason: 'replaced', id: change.live.id, ...of(change.live.principal) })
    } catch (error) {
      this.#records.forget(live.id)
      throw error
    }
    report({ type: 'created', reason: 'start', id: live.id, ...of(live.principal) })
    await this.#limit.keep(live, report)
    return { live, value: ticket.token }
  }

  /** What was judged are these data: where there are others by now, after a change of the password say, it was no verdict. */
  async #removeJudged (live: Live): Promise<UpdateOutcome> {
    let latest: Live | undefined = live
    for (let round = 0; latest?.text === live.text; round++) {
      if (round === MAX_ROUNDS) throw conflict()
      const outcome = await this.#records.remove(latest)
      if (outcome !== 'conflict') return outcome
      latest = await this.#records.find(live.id)
    }
    return 'conflict'
  }

  async #destroy ({ live, reason }: Of<'destroy'>, report: Report): Promise<Committed> {
    const outcome = reason === 'verify' ? await this.#removeJudged(live) : undefined
    if (outcome === 'conflict') return { live: undefined, outrun: true }
    if (outcome === 'updated' || await this.#records.end(live)) report({ type: 'destroyed', reason, id: live.id, ...of(live.principal) })
    return { live: undefined }
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

  /** By the clock of this process, as when a request loads it; a store that has another clock may still have it. */
  #isAlive ({ expiresAt }: Live): boolean {
    return expiresAt > this.#options.now()
  }

  // A store moves every record by the scheme's idle timeout; one with a longer life of its own takes a step more, rarely.
  async #touchLonger (live: Live, now: number): Promise<Live> {
    const idle = live.life.idleTimeout
    if (idle === undefined) return live
    const expiresAt = expiryOf(live.life, this.#options, now)
    if (expiresAt - live.expiresAt < idle / 10) return live
    await this.#records.store.read(live.id, expiresAt)
    return { ...live, expiresAt }
  }
}
