import { invalidOptions } from './errors.js'

/**
 * Throws if an object has a key that is not a known name. The message says what to write instead, suggests a similar name, or
 * lists the known names.
 * @param where - the place of the key, with `*` for the key, such as `option cookie.*`
 * @param elsewhere - names that other packages use, and what to write instead
 * @throws `FST_SESSION_OPTIONS`
 */
export function refuseUnknown (object: object, known: readonly string[], where: string, elsewhere: Record<string, string> = {}): void {
  const name = Object.keys(object).find((name) => !known.includes(name))
  if (name === undefined) return
  const meant = nearest(name, known)
  const list = known.length > 8 ? 'docs/options.md describes the options' : `the names are ${known.join(', ')}`
  const advice = Object.hasOwn(elsewhere, name) ? elsewhere[name] : meant === undefined ? list : `did you mean ${meant}?`
  throw invalidOptions(`there is no ${where.replace('*', () => name)}: ${advice}`)
}

/** Returns the known name most similar to a misspelt one, if at most two letters and less than half of the name differ. */
export function nearest (name: string, known: Iterable<string>): string | undefined {
  let found: string | undefined
  let least = Math.min(3, name.length / 2)
  for (const candidate of known) {
    const distance = distanceOf(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [found, least] = [candidate, distance]
  }
  return found
}

/** Returns how many letters must be inserted, deleted or replaced to turn one text into the other (Levenshtein). */
function distanceOf (one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let line = 0; line < one.length; line++) {
    const above = row
    row = [line + 1]
    for (let at = 0; at < other.length; at++) {
      row.push(Math.min(row[at]! + 1, above[at + 1]! + 1, above[at]! + Number(one[line] !== other[at])))
    }
  }
  return row[other.length]!
}
