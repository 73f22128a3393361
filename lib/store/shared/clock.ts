/** A clock of whole milliseconds: stores and cookies keep integers, and not every clock gives some. Default `Date.now`. */
export function clock (now: () => number = Date.now): () => number {
  return now === Date.now ? now : () => Math.floor(now())
}
