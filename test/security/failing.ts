import { MemoryStore } from 'fastify-openapi-session'
import { ProbeStore } from '../support/probe-store.js'
import { type Backend, only } from './place.js'

/** What a store's own error may say, and no client may read. */
export const SECRET = 'connect ECONNREFUSED redis://:hunter2@10.0.0.5:6379'

export const failures: Readonly<Record<string, () => unknown>> = {
  throws: () => { throw new Error(SECRET) },
  hangs: () => new Promise(() => {}),
  'rejects with no error': async () => { throw undefined as unknown as Error }
}

/** Sessions in memory, with a switch to break single methods by. */
export function breakable (): { backend: Pick<Backend, 'make'>, probe: ProbeStore, break: (method: string, failure: () => unknown) => void, repair: () => void } {
  const probe = new ProbeStore(new MemoryStore())
  return {
    probe,
    backend: {
      async make (t, now) {
        Object.assign(probe, { inner: new MemoryStore({ now }) })
        return await only(probe, { atRest: async () => JSON.stringify(probe.calls), count: async () => (probe.inner as MemoryStore).size }).make(t, now)
      }
    },
    break (method, failure) {
      probe.before = (call) => call.method === method ? failure() : undefined
    },
    repair () {
      probe.before = undefined
    }
  }
}
