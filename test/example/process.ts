import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Controls } from '../support/servers.js'
import { until } from '../support/servers-process.js'
import { tsx, uncovered } from '../support/tsx.js'
import { grace } from './visitor.js'

const script = fileURLToPath(new URL('../../example/server.ts', import.meta.url))

/** Ends the process when the one that started it is gone, however that ended: only it holds the other end of the pipe. */
const guard = 'data:text/javascript,process.stdin.on("end",()=>process.exit(1)).resume().unref()'

export interface Server {
  readonly url: string
  readonly child: ChildProcess
  /** Sends a signal, and resolves the exit code. */
  stop (signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts the example in a process of its own, as `npm run example` does, and waits until it listens. */
export async function start (t: Test, env: NodeJS.ProcessEnv): Promise<Server> {
  const child = spawn(process.execPath, [...tsx, '--import', guard, script], {
    env: { ...uncovered, PATH: process.env.PATH, PORT: '0', HOST: '127.0.0.1', ...env }, stdio: ['pipe', 'pipe', 'inherit']
  })
  const exit = once(child, 'exit') as Promise<[number | null]>
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal)
    return (await exit)[0]
  }
  for await (const line of createInterface(child.stdout)) {
    const url = /Server listening at (http:[^"]+)/.exec(line)?.[1]
    if (url === undefined) continue
    child.stdout.resume()
    return { url, child, stop }
  }
  throw new Error('the server ended before it listened')
}

export async function logIn ({ url }: Server): Promise<Response> {
  return await fetch(`${url}/api/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(grace)
  })
}

/** The status of a call that needs a session. */
export async function status ({ url }: Server, cookie: string): Promise<number> {
  return (await fetch(`${url}/api/me`, { headers: { cookie } })).status
}

/** Signs in; the session's cookie. */
export async function cookieOf (server: Server): Promise<string> {
  return (await logIn(server)).headers.getSetCookie().join().split(';', 1).join()
}

/** Signs in, stops the database and starts it again, and says what the example answers to the same cookie each time. */
export async function overOutage (t: Test, env: NodeJS.ProcessEnv, database: Controls): Promise<void> {
  const server = await start(t, env)
  const cookie = await cookieOf(server)
  t.equal(await status(server, cookie), 200)
  await database.stop()
  t.equal(await status(server, cookie), 503, 'the sessions are there and nowhere else, and an outage is not a sign-out')
  await database.restart()
  await until('signed in again', async () => await status(server, cookie) === 200)
  await fetch(`${server.url}/api/logout`, { method: 'POST', headers: { cookie } })
  t.equal(await status(server, cookie), 401)
  t.equal(await server.stop('SIGTERM'), 0, 'SIGTERM ends it in order')
}
