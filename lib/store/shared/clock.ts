/** Returns a clock that rounds down to whole milliseconds, because stores and cookies keep integers. Default: `Date.now`. */
export function clock (now: () => number = Date.now): () => number {
  return now === Date.now ? now : () => Math.floor(now())
}
