/**
 * Copies a text. V8 stores a part of a text, such as a cookie of a header, as a reference to the whole text. So a text that
 * outlives its request must be a copy.
 */
export function copyText (text: string): string {
  // V8 copies short parts itself.
  return text.length < 13 ? text : flat(`${text[0]}${text.slice(1)}`)
}

/** A place for results that are not needed, so that the compiler does not leave out the call. */
const unused = { code: 0 }

/**
 * Makes V8 store a text in one piece, and returns it. V8 keeps a concatenated text as a tree of its parts, and joins the parts when
 * a character is read. For a small session this saves a third of the memory.
 */
export function flat (text: string): string {
  unused.code = text.charCodeAt(0)
  return text
}
