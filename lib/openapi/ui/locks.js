/** @import { Sessions } from './sessions.js' */

/** Swagger UI puts this where the token would be: in the curl command, for instance. */
const PLACEHOLDER = 'YOUR_SESSION_COOKIE'
const STORAGE_KEY = 'authorized'

/**
 * Keeps the sessions' entries in Swagger UI's list of authorizations, which closes the locks, equal to the truth.
 * `restoreAuthorization` is used because `authorize` would write a cookie of its own.
 * @type {(sessions: Sessions) => void}
 */
export function writeLocks ({ getSystem, states }) {
  const { authSelectors, authActions, specSelectors, Im } = getSystem()
  const before = authSelectors.authorized()
  let after = before
  for (const { scheme: { name }, phase, roles } of states.values()) {
    // The roles stand here for the locks to be drawn again when they change.
    const entry = Im.fromJS({ name, schema: specSelectors.securityDefinitions().get(name), value: PLACEHOLDER, roles })
    if (phase !== 'in') after = after.delete(name)
    else if (!Im.is(after.get(name), entry)) after = after.set(name, entry)
  }
  if (after !== before) authActions.restoreAuthorization({ authorized: after.toObject() })
}

/**
 * With `persistAuthorization`, Swagger UI stores its whole list: a session is not a thing to remember. Whatever else a page
 * keeps under the same key is not touched.
 * @type {(sessions: Sessions) => void}
 */
export function forgetStored ({ states }) {
  try {
    const stored = Object.entries(JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}'))
    const others = stored.filter(([name]) => !states.has(name))
    if (others.length < stored.length) localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(others)))
  } catch {
    // Something else, or a browser that lets the page store nothing.
  }
}

/**
 * Returns whether the lock of an operation is closed: if what the reader has opens the operation, which Swagger UI does not look at. It
 * knows no roles, and closes a lock wherever anonymous calls are allowed too. `null`: the reader has all that is asked for, but not a role.
 * `undefined`: no session is among the alternatives.
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
 * Adds to each session's definition what the pressed lock asks of it, for the panel to compare; as Swagger UI does
 * with the scopes of OAuth 2.0.
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

/** @type {(securities: any) => Array<Record<string, string[]>>} */
function alternativesOf (securities) {
  return securities?.toJS?.() ?? []
}
