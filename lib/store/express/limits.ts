/** A promise of `SessionStore`, and how far it goes over an express-session store. */
export interface ExpressLimit {
  readonly promise: string
  readonly kept: 'always' | 'within one process' | 'where the store has all()'
  readonly because: string
}

/** The limits of express-session stores: get, set and destroy are all that their interface has. */
export const limits: readonly ExpressLimit[] = Object.freeze([
  {
    promise: 'a save never undoes another save',
    kept: 'within one process',
    because: 'set() has no condition: it is preceded by get(), and what another process saves between the two is overwritten'
  },
  {
    promise: 'a logout is final',
    kept: 'within one process',
    because: 'set() writes even if the session has ended: a save or touch of another process that has just read the session puts it back'
  },
  {
    promise: 'a new session never takes the place of another',
    kept: 'within one process',
    because: 'create is get() and then set(); ids are 128 random bits, so that two never meet in practice'
  },
  {
    promise: 'a touch writes nothing but the expiry',
    kept: 'within one process',
    because: 'touch() does not change what get() returns in many stores, so that a touch is a save; at most one for each tenth of the idle timeout'
  },
  {
    promise: 'a record ends at the millisecond of its expiry',
    kept: 'always',
    because: 'the expiry is kept beside the data and checked at every read'
  },
  {
    promise: 'expired records take no room',
    kept: 'always',
    because: 'the cookie in the session carries the expiry for the store to go by, as far as the store frees anything at all'
  },
  {
    promise: 'sessions of a principal can be listed and revoked',
    kept: 'where the store has all()',
    because: 'nothing else finds sessions; it reads every session of the store'
  }
])

/** The line for the log at boot. */
export const warning = 'fromExpressStore: express-session stores cannot compare and set. With more than one process on the store, a late save can ' +
  'undo a logout or another save; with one process nothing is lost. SqlStore and RedisStore have no such limit. See docs/stores/express.md.'
