import { chain } from '../awaitable.js'
import type { NewSession, Renewal, Saved, Snapshot } from '../backend/backend.js'
import { conflict } from '../errors.js'
import type { RenewedReason, Report } from '../events/events.js'
import type { Scheme } from '../options/scheme.js'
import type { Codec, Content } from '../session/codec.js'
import { type Credential, mintCredential } from '../session/credential.js'
import { merge } from '../session/draft.js'
import { beginTimes, type Times } from '../session/times.js'
import type { Awaitable } from '../store/store.js'

/** The handler's request for a session, besides changes of its data. */
export type Intent =
  | { readonly kind: 'keep' | 'destroy' }
  | { readonly kind: 'renew', readonly reason: RenewedReason }
  /** `afterEnd`: the handler destroyed the old session first. That end is carried out even if the start is discarded. */
  | { readonly kind: 'start', readonly credential: Credential, readonly times: Times, readonly content: Content, readonly afterEnd: boolean }

export const KEEP: Intent = Object.freeze({ kind: 'keep' })
export const DESTROY: Intent = Object.freeze({ kind: 'destroy' })

/** The changes of one session to save. */
export interface Order {
  /** The session as it is stored, if there is one. */
  readonly snapshot: Snapshot | undefined
  readonly intent: Intent
  readonly content: Content | undefined
  /** The hash of the secret that the browser has. */
  readonly held: string | undefined
}

/**
 * Saves a session:
 *
 * | intent  | a session is stored                             | none is stored              |
 * |---------|-------------------------------------------------|-----------------------------|
 * | keep    | changed data update it; if they change the principal, it moves to a new id | changed data create one |
 * | renew   | it gets a new secret, and the changed data      | (refused: 401)              |
 * | start   | another session takes its place                 | a session is created        |
 * | destroy | it ends; data set after that create another one | data set after that create one |
 *
 * Returns `undefined` when no session is stored afterwards.
 */
export function carryOut (scheme: Scheme, order: Order, report: Report): Awaitable<Saved | undefined> {
  const { snapshot, intent, content } = order
  const { backend, codec } = scheme
  if (intent.kind === 'start') {
    const { credential, times } = intent
    return backend.create({ credential, times, content: content ?? intent.content, reason: 'start' }, report, snapshot)
  }
  if (snapshot === undefined) return content && backend.create(firstWrite(scheme, content), report)
  if (intent.kind === 'destroy') {
    return chain(backend.end(snapshot, 'destroy', report), () => content && backend.create(firstWrite(scheme, content), report))
  }
  return backend.save(snapshot, (now) => {
    if (content === undefined) return now
    return now.data === snapshot.data ? content : mergeContents(codec, snapshot, content, now)
  }, report, renewalOf(snapshot, order))
}

/** Returns the renewal that an order needs, if any. A session whose principal changes gets a new id, too. */
function renewalOf ({ id, principal }: Snapshot, { intent, content, held }: Order): Renewal | undefined {
  if (content !== undefined && content.principal !== principal) return { credential: mintCredential(), reason: 'principal', held }
  return intent.kind === 'renew' ? { credential: mintCredential(id), reason: intent.reason, held } : undefined
}

function firstWrite ({ settings }: Scheme, content: Content): NewSession {
  return { credential: mintCredential(), times: beginTimes(settings, undefined, settings.now()), content, reason: 'first-write' }
}

/** Merges the changes of this request into what another request saved. @throws `FST_SESSION_CONFLICT` */
function mergeContents (codec: Codec, base: Content, mine: Content, theirs: Content): Content {
  let merged: Content
  try {
    merged = codec.prepare(merge(base.data, mine.data, theirs.data))
  } catch (cause) {
    throw conflict(cause)
  }
  // If only both changes together change the principal, neither request intended that.
  if (merged.principal !== mine.principal) throw conflict()
  return merged
}
