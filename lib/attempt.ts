/** Returns the result of `work`, `undefined` if it throws. */
export function attempt<T, A> (work: (argument: A) => T, argument?: A): T | undefined {
  try {
    return work(argument as A)
  } catch {
    return undefined
  }
}
