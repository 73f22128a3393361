import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startPostgres, startRedis } from '../support/servers.js'
import { grace } from './visitor.js'

const script = fileURLToPath(new URL('../../example/server.ts', import.meta.url))

interface Server {
  readonly url: string
  readonly child: ChildProcess
  /** Asks it to stop, and resolves its exit code. */
  stop (signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts the example in a process of its own, as `npm run example` does, and waits until it listens. */
async function start (t: Test, env: NodeJS.ProcessEnv): Promise<Server> {
  const child = spawn(process.execPath, [...process.execArgv, script], {
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1', ...env }, stdio: ['ignore', 'pipe', 'inherit']
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

async function signIn ({ url }: Server): Promise<string> {
  const response = await fetch(`${url}/api/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(grace)
  })
  return String(response.headers.getSetCookie()[0]).split(';', 1)[0] ?? ''
}

async function status ({ url }: Server, cookie: string): Promise<number> {
  return (await fetch(`${url}/api/me`, { headers: { cookie } })).status
}

/** Signs in, restarts the server, and says what it answers to the same cookie then. */
async function overRestart (t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  const before = await start(t, env)
  const cookie = await signIn(before)
  t.equal(await status(before, cookie), 200)
  t.equal(await before.stop('SIGTERM'), 0, 'SIGTERM ends it in order')

  const after = await start(t, env)
  t.equal(await status(after, cookie), 200, 'still signed in')
  await fetch(`${after.url}/api/logout`, { method: 'POST', headers: { cookie } })
  t.equal(await status(after, cookie), 401)
  t.equal(await after.stop('SIGINT'), 0, 'so does SIGINT')
}

t.test('a restart keeps people signed in: files', async (t) => {
  await overRestart(t, { SESSION_DIR: t.testdir() })
})

t.test('a restart keeps people signed in: Redis', async (t) => {
  const { url } = await startRedis(t)
  await overRestart(t, { REDIS_URL: url })
})

t.test('a restart keeps people signed in: PostgreSQL', async (t) => {
  const { url } = await startPostgres(t)
  await overRestart(t, { DATABASE_URL: url })
})

t.test('a request in flight is answered before the process ends', async (t) => {
  const server = await start(t, { SESSION_DIR: t.testdir() })
  // Hashing the password takes long enough for the signal to arrive first.
  const answer = fetch(`${server.url}/api/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(grace)
  })
  await once(server.child.stdout as NodeJS.ReadableStream, 'data')
  const code = server.stop()
  t.equal((await answer).status, 200)
  t.equal(await code, 0)
})

t.test('a connection that carries no request does not hold it up', async (t) => {
  const server = await start(t, { SESSION_DIR: t.testdir() })
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  t.equal(await server.stop(), 0)
})
