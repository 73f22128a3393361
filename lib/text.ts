/** Copies a text that outlives its request: V8 keeps a part of a text, such as a cookie, as a reference to the whole text. */
export function copyText (text: string): string {
  // V8 copies short parts itself.
  return text.length < 13 ? text : flat(`${text[0]}${text.slice(1)}`)
}

/** A place for results that are not needed, so that the compiler does not leave out the call. */
const unused = { code: 0 }

/** Makes V8 join the parts of a concatenated text, by reading a character. For a small session, this saves a third of the memory. */
export function flat (text: string): string {
  unused.code = text.charCodeAt(0)
  return text
}
