import { pointer } from './document.js'

/**
 * The roles of whoever is signed in, where the status answer tells them.
 * @param {unknown} answer
 * @param {string} path JSON Pointer to a list of role names.
 * @returns {readonly string[] | undefined}
 */
export function rolesOf (answer, path) {
  const roles = pointer(answer, path)
  return Array.isArray(roles) && roles.every((role) => typeof role === 'string') ? roles : undefined
}

/**
 * Returns the roles that are missing for the alternative that is nearest to being met.
 * @param {ReadonlyArray<readonly string[]>} alternatives Roles, all of which are needed.
 * @param {readonly string[]} roles
 * @returns {readonly string[]}
 */
export function missingRoles (alternatives, roles) {
  const missing = alternatives.map((needed) => needed.filter((role) => !roles.includes(role)))
  return missing.sort((a, b) => a.length - b.length)[0] ?? []
}
