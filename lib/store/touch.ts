/**
 * For stores in which a touch is a write: it is put off until it gains a tenth of the idle timeout. One that gains nothing
 * is never due.
 */
export function isDue (touchTo: number, expiresAt: number, now: number): boolean {
  return touchTo - expiresAt >= (touchTo - now) / 10
}
