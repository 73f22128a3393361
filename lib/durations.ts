import { must } from './errors.js'

/** One hundred years, in seconds. The sum of any instant and this fits into every store and cookie. */
const CENTURY = 3_155_760_000

/** Converts the option `name` from seconds to milliseconds. @throws `FST_SESSION_OPTIONS` unless it is a positive number */
export function milliseconds (name: string, seconds: number | undefined): number | undefined {
  if (seconds === undefined) return undefined
  must(typeof seconds === 'number' && seconds >= 0.001 && seconds <= CENTURY, `${name} must be a positive number of seconds, such as 1800`)
  return Math.round(seconds * 1000)
}

/** Converts like `milliseconds`, for a timer: those of Node.js count to 2^31 milliseconds, and fire at once for more. */
export function timerMilliseconds (name: string, seconds: number | undefined): number | undefined {
  const converted = milliseconds(name, seconds)
  must(converted === undefined || converted < 2 ** 31, `${name} must be at most 24 days, in seconds`)
  return converted
}
