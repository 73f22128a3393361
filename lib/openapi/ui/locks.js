/** @import { Sessions } from './sessions.js' */

import { listIn } from './document.js'

/** Swagger UI shows this in place of the cookie's value, such as in the curl command. */
const PLACEHOLDER = 'YOUR_SESSION_COOKIE'
const STORAGE_KEY = 'authorized'

/**
 * Writes the sessions into Swagger UI's list of authorizations, which closes the locks. The action `authorize` would set a cookie, so
 * this uses `restoreAuthorization`.
 * @type {(sessions: Sessions) => void}
 */
export function writeLocks ({ getSystem, states }) {
  const { authSelectors, authActions, specSelectors, Im } = getSystem()
  const before = authSelectors.authorized()
  let after = before
  for (const { scheme: { name }, phase, roles } of states.values()) {
    // With the roles in the entry, Swagger UI renders the locks again when they change.
    const entry = Im.fromJS({ name, schema: specSelectors.securityDefinitions().get(name), value: PLACEHOLDER, roles })
    if (phase !== 'in') after = after.delete(name)
    else if (!Im.is(after.get(name), entry)) after = after.set(name, entry)
  }
  if (after !== before) authActions.restoreAuthorization({ authorized: after.toObject() })
}

/**
 * Removes the sessions from `localStorage`, where Swagger UI stores its list of authorizations with `persistAuthorization`. Other
 * content of the same key stays.
 * @type {(sessions: Sessions) => void}
 */
export function forgetStored ({ states }) {
  try {
    const stored = Object.entries(JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}'))
    const others = stored.filter(([name]) => !states.has(name))
    if (others.length < stored.length) localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(others)))
  } catch {
    // The content is not JSON, or the browser forbids storage.
  }
}

/**
 * Returns the state of an operation's lock: `true` (closed) if the reader may call the operation, `null` if only a role is missing, else
 * `false`. Returns `undefined` if no alternative names a session. Swagger UI itself ignores roles, and closes the lock if anonymous calls
 * are allowed.
 * @type {(sessions: Sessions, securities: any) => boolean | null | undefined}
 */
export function isOpened ({ getSystem, states }, securities) {
  const alternatives = alternativesOf(securities)
  if (!alternatives.some((need) => Object.keys(need).some((name) => states.has(name)))) return undefined
  const authorized = getSystem().authSelectors.authorized()
  const complete = alternatives.map((need) => Object.entries(need))
    .filter((need) => need.length > 0 && need.every(([name]) => authorized.has(name)))
  if (complete.length === 0) return false
  return complete.some((need) => need.every(([name, needed]) => {
    const roles = states.get(name)?.roles
    return roles === undefined || needed.every((role) => roles.includes(role))
  })) || null
}

/**
 * Adds the roles that the operation of a lock requires to the definition of each session, for the panel. Swagger UI does the same with
 * the scopes of OAuth 2.0.
 * @type {(sessions: Sessions, definitions: any, securities: any) => any}
 */
export function withNeeds ({ getSystem, states }, definitions, securities) {
  const alternatives = alternativesOf(securities)
  if (alternatives.some((need) => Object.keys(need).length === 0)) return definitions
  return definitions.map((/** @type {any} */ definition) => definition.map((/** @type {any} */ schema, /** @type {string} */ name) => {
    const needs = alternatives.flatMap((need) => need[name] === undefined ? [] : [need[name]])
    return states.has(name) ? schema.set('x-session-needs', getSystem().Im.fromJS(needs)) : schema
  }))
}

/** The document may come from any author. @type {(securities: any) => Array<Record<string, string[]>>} */
function alternativesOf (securities) {
  return listIn(securities?.toJS?.()).map((need) =>
    Object.fromEntries(Object.entries(need ?? {}).map(([name, roles]) => [name, listIn(roles)])))
}
