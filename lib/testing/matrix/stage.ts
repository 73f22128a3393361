import { ok as assert } from 'node:assert'
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { IssuedSession, SessionManager } from '../../manager/manager.js'
import { MemoryStore } from '../../store/memory.js'
import type { Awaitable, SessionStore } from '../../store/store.js'
import { createClock } from '../clock.js'

/** The store and the clock of the app under test. The matrix can make the store fail and move the clock. */
export interface StageParts {
  readonly store: SessionStore
  readonly now: () => number
}

/** An app under test, with the means to move its clock and to make its store fail. */
export interface Stage {
  readonly app: FastifyInstance
  readonly manager: SessionManager<object>
  readonly advanceTo: (instant: number) => void
  readonly outage: { down: boolean }
}

export type Build = (parts: StageParts) => FastifyInstance | Promise<FastifyInstance>

export async function setStage (build: Build, scheme: string): Promise<Stage> {
  const clock = createClock()
  const outage = { down: false }
  const app = await build({ store: failing(new MemoryStore({ now: clock.now }), outage), now: clock.now })
  await app.ready()
  const manager = (app as unknown as Record<string, SessionManager<object> | undefined>)[scheme]
  assert(manager, `the app has no session "${scheme}": name its scheme here`)
  return { app, manager, outage, advanceTo: (instant) => clock.advance(Math.max(0, instant - clock.now())) }
}

/** Wraps a store so that all its methods reject while `outage.down` is set. */
function failing (store: SessionStore, outage: { readonly down: boolean }): SessionStore {
  const failed = async (): Promise<never> => { throw new Error('the store is down, for a test') }
  return new Proxy(store, {
    get (target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return outage.down ? failed : member.bind(target) as unknown
    }
  })
}

/** Brings a live session or its store into a state. Returns the headers of the request. */
export type Become = (stage: Stage, session: IssuedSession) => Awaitable<NonNullable<InjectOptions['headers']>>

/** The states of a request's session. */
export const states = {
  live: (_stage, { cookie }) => ({ cookie }),
  'no cookie': () => ({}),
  malformed: (_stage, { cookie }) => ({ cookie: cookie.replace(/=.*/s, '=%00"not-a-token') }),
  async revoked ({ manager }, { id, cookie }) {
    await manager.revoke(id)
    return { cookie }
  },
  async expired ({ manager, advanceTo }, { id, cookie }) {
    const { expiresAt } = await manager.find(id) as { expiresAt: number }
    advanceTo(expiresAt)
    return { cookie }
  },
  'cross-site': (_stage, { cookie }) => ({ cookie, 'sec-fetch-site': 'cross-site', origin: 'https://another.example' }),
  'store down' ({ outage }, { cookie }) {
    outage.down = true
    return { cookie }
  }
} as const satisfies Record<string, Become>

/** The states of a session. In `wrong role`, it is live but lacks the required role. */
export type MatrixState = keyof typeof states | 'wrong role'
