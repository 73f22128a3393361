/** A place where work waits until the test lets it go on. */
export interface Gate {
  /** Resolves when somebody stands before the gate. */
  readonly reached: Promise<void>
  /** What the one who has to wait awaits. */
  readonly pass: () => Promise<void>
  readonly open: () => void
}

export function createGate (): Gate {
  const { promise: reached, resolve: arrive } = withResolvers()
  const { promise: opened, resolve: open } = withResolvers()
  return {
    reached,
    open,
    async pass () {
      arrive()
      await opened
    }
  }
}

function withResolvers (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => { resolve = settle })
  return { promise, resolve }
}
