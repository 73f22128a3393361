/** Returns a clock that rounds down to whole milliseconds, because stores and cookies keep integers. Default: `Date.now`. */
export const clock = (now = Date.now): (() => number) => now === Date.now ? now : () => Math.floor(now())
