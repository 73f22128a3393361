/** @import { Sessions } from './sessions.js' */

import { alternativesIn } from './document.js'

/**
 * Writes the sessions into Swagger UI's list of authorizations, which closes the locks. The action `authorize` would set a cookie, so
 * this uses `restoreAuthorization`. @param {Sessions} sessions
 */
export function writeLocks ({ getSystem, states }) {
  const { authSelectors, authActions, specSelectors, Im } = getSystem()
  const before = authSelectors.authorized()
  let after = before
  for (const { scheme: { name }, phase, roles } of states.values()) {
    // Swagger UI shows the value, such as in the curl command. It renders the locks again when the roles of an entry change.
    const entry = Im.fromJS({ name, schema: specSelectors.securityDefinitions().get(name), value: 'YOUR_SESSION_COOKIE', roles })
    if (phase !== 'in') after = after.delete(name)
    else if (!Im.is(after.get(name), entry)) after = after.set(name, entry)
  }
  if (after !== before) authActions.restoreAuthorization({ authorized: after.toObject() })
}

/** Returns entries by name without those of sessions. @param {Sessions} sessions */
export function without ({ states }, entries) { return Object.fromEntries(Object.entries(entries).filter(([name]) => !states.has(name))) }

/** Removes the sessions from `localStorage`, where `persistAuthorization` stores authorizations. @param {Sessions} sessions */
export function forgetStored (sessions) {
  try {
    const stored = JSON.parse(localStorage.getItem('authorized') ?? '{}')
    const others = without(sessions, stored)
    if (Object.keys(others).length < Object.keys(stored).length) localStorage.setItem('authorized', JSON.stringify(others))
  } catch {
    // The content is not JSON, or the browser forbids storage.
  }
}

/**
 * Returns the state of an operation's lock: `true` (closed) if the reader may call the operation, `null` if only a role is missing, else
 * `false`. `original` decides without a session. It ignores roles, and closes the lock if anonymous calls are allowed.
 * @param {Sessions} sessions
 */
export function isOpened ({ getSystem, states }, securities, original) {
  const needs = alternativesIn(securities?.toJS?.()).map((need) => [...need])
  if (!needs.flat().some(([name]) => states.has(name))) return original(securities)
  const authorized = getSystem().authSelectors.authorized()
  const complete = needs.filter((need) => need.length > 0 && need.every(([name]) => authorized.has(name)))
  if (complete.length === 0) return false
  return complete.some((need) => need.every(([name, needed]) => {
    const roles = states.get(name)?.roles
    return roles === undefined || needed.every((role) => roles.includes(role))
  })) || null
}

/** Adds the roles that the operation of a lock requires to the definition of each session, for the panel. @param {Sessions} sessions */
export function withNeeds ({ states }, definitions, securities) {
  const alternatives = alternativesIn(securities?.toJS?.())
  if (alternatives.some((need) => need.size === 0)) return definitions
  const needsOf = (name) => alternatives.filter((need) => need.has(name)).map((need) => need.get(name))
  return definitions.map((definition) => definition.map((schema, name) =>
    states.has(name) ? schema.set('x-session-needs', needsOf(name)) : schema))
}

/** Wraps the lock of an operation. It gets a mark if `isAuthorized` is `null`: the reader is signed in and lacks a role. */
export const roleLock = ({ React: { createElement: h } }) => (Original) => (props) => {
  if (props.isAuthorized !== null) return h(Original, props)
  const ref = (element) => element?.firstElementChild?.setAttribute('aria-label', 'authorization button unlocked: a role is missing')
  return h('span', { ref, className: 'session-role-lock', title: 'You are signed in, but a role is missing' }, h(Original, props))
}
