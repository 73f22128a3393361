/**
 * How often a test repeats what chance decides: a short form for every change, a long one with `LONG=1`
 * (`npm run test:long`).
 *
 * @param share of the short form, from 0 to 1: what a slower backend gets
 */
export function rounds (short: number, long: number, share = 1): number {
  return isLong ? long : Math.max(1, Math.round(short * share))
}

export const isLong = process.env['LONG'] === '1'
