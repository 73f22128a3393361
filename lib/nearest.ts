/** Returns the known name nearest to a misspelt one, if at most two letters, and less than half of the name, differ. */
export function nearest (name: string, known: Iterable<string>): string | undefined {
  let found: string | undefined
  let least = Math.min(3, name.length / 2)
  for (const candidate of known) {
    const distance = distanceOf(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) [found, least] = [candidate, distance]
  }
  return found
}

/**
 * Returns a sentence about the first key of an object that is not a known name, `undefined` if there is none. It names the
 * nearest known name, or all of them.
 * @param where - the text before the key, such as `option cookie.`
 */
export function unknownKey (object: object, known: readonly string[], where: string): string | undefined {
  const name = Object.keys(object).find((name) => !known.includes(name))
  if (name === undefined) return undefined
  const meant = nearest(name, known)
  return `there is no ${where}${name}: ${meant === undefined ? `the names are ${known.join(', ')}` : `did you mean ${meant}?`}`
}

/** Returns how many letters must be inserted, deleted or replaced to turn one text into the other (Levenshtein). */
function distanceOf (one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let line = 0; line < one.length; line++) {
    const next = [line + 1]
    for (let at = 0; at < other.length; at++) {
      next.push(Math.min(next[at]! + 1, row[at + 1]! + 1, row[at]! + (one[line] === other[at] ? 0 : 1)))
    }
    row = next
  }
  return row[other.length]!
}
