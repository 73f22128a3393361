import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { until } from '../support/servers-process.js'
import { type App, Findings, isLong, User } from './support.js'

/** What is killed, and comes back on the same data. */
export interface Mortal {
  kill9 (): Promise<void>
  restart (): Promise<void>
}

/** Users go on while `server` is killed again and again. Nothing that was acknowledged is lost or undone. */
export async function survivesKills (t: Test, app: App, server: Mortal, [requests, kills]: readonly [requests: number, kills: number]): Promise<void> {
  const findings = new Findings()
  let done = false
  const users = Array.from({ length: 20 }, async (_, n) => {
    const user = new User(app, `user ${n}`, findings)
    while (!done) {
      const before = findings.unavailable
      await user.act(Math.random()).catch((error: unknown) => { findings.others.push(String(error)) })
      // Whoever is told that it is out of order waits a little, so that what comes back has the machine for itself.
      await (findings.unavailable > before ? pause(10) : turn())
    }
  })
  const served = (): number => findings.answered - findings.unavailable
  const become = async (holds: () => boolean): Promise<void> => { while (!holds()) await turn() }
  let slowest = 0
  for (let kill = 1; kill <= kills; kill++) {
    await become(() => served() >= kill * requests / (kills + 1))
    await server.kill9()
    const before = findings.unavailable
    await become(() => findings.unavailable > before)
    await server.restart()
    const back = performance.now()
    const answered = served()
    await become(() => served() > answered)
    slowest = Math.max(slowest, performance.now() - back)
  }
  await become(() => served() >= requests)
  done = true
  await Promise.all(users)
  t.same(findings.faults, Findings.none)
  t.ok(findings.unavailable > kills, 'every outage was noticed')
  // The long form has the machine for itself; elsewhere it is enough that the app came back.
  if (isLong) t.ok(slowest < 1000, `back ${Math.round(slowest)} ms after the server`)
  t.comment(`${findings.answered} answers, ${findings.unavailable} of them 503; back within ${Math.round(slowest)} ms`)
}

export interface Hang {
  readonly pause: () => void
  readonly resume: () => void
  /** Resolves when the server answers again. */
  readonly answers: () => Promise<unknown>
  /** How much waits in the client of the store. */
  readonly queued: () => number
  /** The most that may wait there, when the machine was busy for so many milliseconds. */
  readonly mostQueued: (busy: number) => number
  /** Milliseconds within which the app is to answer. */
  readonly limit: number
}

/** The server stops and answers nothing, a thousand requests a second come, and all of them are answered in time. */
export async function answersInTime (t: Test, app: App, hang: Hang, [stops, length]: readonly [stops: number, length: number]): Promise<void> {
  const { limit } = hang
  const findings = new Findings()
  await hang.answers()
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  const times: number[] = []
  let queued = 0
  for (let stop = 0; stop < stops; stop++) {
    hang.pause()
    t.teardown(hang.resume)
    const end = performance.now() + length
    const requests: Array<Promise<unknown>> = []
    // Nobody waits for the answer before: this is a site, not one user.
    const timer = setInterval(() => {
      for (let n = 0; n < 20; n++) {
        const began = performance.now()
        const request = new User(app, `user ${n}`, findings).act(0)
        // Handled here: it may reject while the server still hangs, before the others are awaited.
        requests.push(request.then(() => times.push(performance.now() - began), (error: unknown) => findings.others.push(String(error))))
      }
      queued = Math.max(queued, hang.queued())
    }, 20)
    await pause(end - performance.now())
    clearInterval(timer)
    // The server hangs until all of them are answered.
    await Promise.all(requests)
    hang.resume()
    await hang.answers()
  }
  delays.disable()
  const slack = delays.max / 1e6
  const p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Infinity
  t.same(findings.faults, Findings.none)
  t.equal(findings.unavailable, findings.answered)
  t.ok(queued > 0 && queued <= hang.mostQueued(slack), `${queued} calls in the client at most`)
  t.comment(`${times.length} requests, p99 ${Math.round(p99)} ms, ${queued} calls queued at most`)
  if (!isLong) return
  // A busy machine may keep a request waiting before it is sent, and again when its time is up.
  t.ok(p99 <= limit + 50 + 2 * slack, `99 of 100 answers within ${Math.round(p99)} ms, of which the machine was busy for ${Math.round(slack)} ms at worst`)
}

/** Sessions of a second end, and nothing that was kept about them is left. */
export async function leavesNothing (t: Test, create: (id: string, principal: string) => Promise<unknown>, left: () => Promise<number>, sessions: number): Promise<void> {
  const most = 250
  let kept = 0
  for (let n = 0; n < sessions; n += most) {
    const made = Array.from({ length: Math.min(most, sessions - n) }, async (_, m) => await create(`${n + m}`, `user ${(n + m) % 1000}`))
    kept += (await Promise.all(made)).filter((result) => result !== false).length
  }
  const began = performance.now()
  t.equal(kept, sessions, 'each was kept')
  await until('no record and no index entry is left', async () => await left() === 0, isLong ? 60_000 : 240_000)
  t.comment(`${sessions} sessions of a second were gone ${((performance.now() - began) / 1000).toFixed(1)} s later`)
}
