/** A cookie that a request has twice: one of the two may be forged (RFC 6265bis, 8.6), and a parser that keeps one would hide it. */
export const DUPLICATE = Symbol('duplicate cookie')

/** Returns the value that a request's Cookie header has for a name, as it is written there: a credential needs no decoding. */
export function cookieValue (header: string | undefined, name: string): string | typeof DUPLICATE | undefined {
  if (header === undefined) return undefined
  let found: string | undefined
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + 1)) {
    const end = at + name.length
    if (header[end] !== '=' || !startsPair(header, at)) continue
    const stop = header.indexOf(';', end)
    if (found !== undefined) return DUPLICATE
    found = header.slice(end + 1, stop === -1 ? undefined : stop).trim()
  }
  return found
}

function startsPair (header: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && (header[before] === ' ' || header[before] === '\t')) before--
  return before < 0 || header[before] === ';'
}
