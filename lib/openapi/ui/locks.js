/** @import { Settings, System } from './types.js' */
/** @import { Sessions } from './sessions.js' */

import { missingRoles, rolesOf } from './roles.js'

/** Swagger UI puts this where the token would be: in the curl command, for instance. */
const PLACEHOLDER = 'YOUR_SESSION_COOKIE'
const STORAGE_KEY = 'authorized'

/**
 * Keeps the sessions' entries in Swagger UI's list of authorizations, which closes the locks, equal to the truth.
 * `restoreAuthorization` is used because `authorize` would write a cookie of its own.
 * @param {System} system
 * @param {Sessions} sessions
 */
export function writeLocks ({ authSelectors, authActions, specSelectors, Im }, sessions) {
  const before = authSelectors.authorized()
  let after = before
  for (const { scheme: { name }, phase } of sessions.states) {
    if (phase !== 'in') after = after.delete(name)
    else if (after.getIn([name, 'value']) !== PLACEHOLDER) {
      after = after.set(name, Im.fromJS({ name, schema: specSelectors.securityDefinitions().get(name), value: PLACEHOLDER }))
    }
  }
  if (after !== before) authActions.restoreAuthorization({ authorized: after.toObject() })
}

/**
 * With `persistAuthorization`, Swagger UI stores its whole list: a session is not a thing to remember. Whatever else a page
 * keeps under the same key is not touched.
 * @param {Sessions} sessions
 */
export function forgetStored (sessions) {
  const stored = storedObject()
  if (!sessions.names.some((name) => Object.hasOwn(stored, name))) return
  for (const name of sessions.names) delete stored[name]
  localStorage.setItem(STORAGE_KEY, JSON.stringify(stored))
}

/** @returns {Record<string, unknown>} */
function storedObject () {
  try {
    const value = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  } catch {
    // Something else, or a browser that lets the page store nothing.
    return {}
  }
}

/**
 * The lock of an operation. Swagger UI shows it closed wherever anonymous calls are allowed too, and knows no roles;
 * with a session among the alternatives it is closed when what the reader has opens the operation.
 * @param {System} system
 * @param {Sessions} sessions
 * @param {Settings} settings
 * @param {any} securities
 * @returns {boolean | undefined} `undefined`: no session is concerned.
 */
export function isOpened ({ authSelectors }, sessions, settings, securities) {
  /** @type {Array<Record<string, string[]>>} */
  const alternatives = securities?.toJS?.() ?? []
  if (!alternatives.some((need) => sessions.names.some((name) => name in need))) return undefined
  const authorized = authSelectors.authorized()
  return alternatives.some((need) => {
    const schemes = Object.entries(need)
    return schemes.length > 0 && schemes.every(([name, roles]) => authorized.has(name) && hasRoles(sessions, settings, name, roles))
  })
}

/**
 * @param {Sessions} sessions
 * @param {Settings} settings
 * @param {string} name
 * @param {readonly string[]} needed
 */
function hasRoles (sessions, settings, name, needed) {
  const state = sessions.get(name)
  const roles = state && rolesOf(state.answer, settings.roles)
  return roles === undefined || missingRoles([needed], roles).length === 0
}

/**
 * Adds to each session's definition what the pressed lock asks of it, for the panel to compare; as Swagger UI does
 * with the scopes of OAuth 2.0.
 * @param {System} system
 * @param {Sessions} sessions
 * @param {any} definitions
 * @param {any} securities
 */
export function withNeeds ({ Im }, sessions, definitions, securities) {
  /** @type {Array<Record<string, string[]>>} */
  const alternatives = securities?.toJS?.() ?? []
  return definitions.map((/** @type {any} */ definition) => definition.map((/** @type {any} */ schema, /** @type {string} */ name) => {
    if (sessions.get(name) === undefined || alternatives.some((need) => Object.keys(need).length === 0)) return schema
    const needs = alternatives.flatMap((need) => need[name] === undefined ? [] : [need[name]])
    return schema.set('x-session-needs', Im.fromJS(needs))
  }))
}
