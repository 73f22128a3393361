import { SessionError, unavailable } from '../errors.js'
import type { SessionStore } from '../store/store.js'
import { within } from '../store/shared/within.js'

/**
 * A store every call of which ends within `limit` milliseconds, and fails with the one error a client may see
 * (`FST_SESSION_STORE`, 503): what the store itself said is its `cause`, for the log.
 */
export function storeInTime (store: SessionStore, limit: number): SessionStore {
  return {
    create: (id, record) => inTime(() => store.create(id, record), limit),
    read: (id, touchTo) => inTime(() => store.read(id, touchTo), limit),
    update: (id, record) => inTime(() => store.update(id, record), limit),
    delete: (id) => inTime(() => store.delete(id), limit),
    list: (principal) => inTime(() => store.list(principal), limit),
    deleteAll: (principal, except) => inTime(() => store.deleteAll(principal, except), limit)
  }
}

/** What a call to a store resolves, within `limit` milliseconds. @throws `FST_SESSION_STORE` */
export async function inTime<T> (call: () => Promise<T>, limit: number): Promise<T> {
  try {
    return await within(call, limit, () => new Error(`the store gave no answer within ${limit} ms`))
  } catch (cause) {
    if (cause instanceof SessionError) throw cause
    throw unavailable('Sessions are not available at the moment. Try again in a few seconds.', cause)
  }
}
