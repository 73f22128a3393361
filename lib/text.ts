/**
 * Copies a text. The engine keeps a part of another text, such as a cookie of a header or a field of a body, together with the
 * whole of it. So whatever outlives the request is a copy.
 */
export function copyText (text: string): string {
  // The engine copies short parts itself.
  return text.length < 13 ? text : flat(`${text[0]}${text.slice(1)}`)
}

/**
 * Returns a text in one piece. The engine keeps a concatenated text as a tree of its parts. Reading a character joins the parts.
 * That saves a third of the memory of a small session.
 */
export function flat (text: string): string {
  text.charCodeAt(0)
  return text
}
