/**
 * How often a test repeats what chance decides: a short form for every change, a long one with `LONG=1`
 * (`npm run test:long`).
 */
export function rounds (short: number, long: number): number {
  return isLong ? long : short
}

export const isLong = process.env['LONG'] === '1'
