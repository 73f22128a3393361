import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** What the helpers need of a tap test: something to end the server when the test ends. */
export interface Scope {
  teardown (end: () => Promise<void> | void): void
}

/** The controls every started server has. A server that was stopped or killed comes back on its port and directory with `restart`. */
export interface Controls {
  /** The server's process now; another one after a restart. */
  readonly pid: number
  /** Ends the server in an orderly way; nothing happens when it is not running. */
  stop (): Promise<void>
  /** Ends it, if it runs, and starts it again on the same port and data. */
  restart (): Promise<void>
  /** SIGKILL to the server and all its children, as when the power goes. */
  kill9 (): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers, as in a network partition. */
  pause (): void
  resume (): void
}

export interface ServerCommand {
  command: string
  args: readonly string[]
  /** Matched against the server's output, stdout and stderr together. */
  ready: RegExp
  /** The user to become when this process runs as root and the server refuses to. */
  user?: string | undefined
  /** The signal that ends it in an orderly way. */
  stopSignal?: NodeJS.Signals
  /** Milliseconds for starting and for stopping. */
  deadline?: number
}

/** Places outside PATH where Debian and Homebrew put servers. */
function extraDirectories (): string[] {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : []
  const newest = versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => `/usr/lib/postgresql/${version}/bin`)
  return [...newest, '/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin']
}

/** The first of `names` that is an executable here; throws with a sentence that says how to get it. */
export function findExecutable (...names: string[]): string {
  const directories = [...(process.env.PATH ?? '').split(delimiter), ...extraDirectories()]
  for (const name of names) {
    const directory = directories.find((candidate) => candidate !== '' && existsSync(join(candidate, name)))
    if (directory !== undefined) return join(directory, name)
  }
  throw new Error(`${names.join(' or ')} is not installed: run "npm run servers"`)
}

function idsOf (user: string): { uid: number, gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** The ids to run as: none unless this process is root, which PostgreSQL and MariaDB refuse to run as. */
export function unprivileged (user: string | undefined): { uid: number, gid: number } | undefined {
  return user !== undefined && process.getuid?.() === 0 ? idsOf(user) : undefined
}

/** A new directory that `user` owns when this process is root. Removed by the scope. */
export function temporaryDirectory (t: Scope, name: string, user?: string): string {
  const directory = mkdtempSync(join(realpathSync(tmpdir()), `session-${name}-`))
  const ids = unprivileged(user)
  if (ids !== undefined) chownSync(directory, ids.uid, ids.gid)
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }))
  return directory
}

/** A TCP port of the loopback interface that was free just now. */
export async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return address.port
}

/** `pid` and everything it started, by the process table. */
function family (pid: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  const pairs = rows.map((row) => row.trim().split(/\s+/).map(Number))
  const members = [pid]
  for (const member of members) {
    for (const [child, parent] of pairs) if (parent === member && child !== undefined) members.push(child)
  }
  return members
}

function signalFamily (child: ChildProcess, name: NodeJS.Signals): void {
  for (const member of family(child.pid as number)) {
    try {
      process.kill(member, name)
    } catch (error) {
      // A child of the server may have ended between listing and signalling it.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/**
 * Kills a process, or with a negative `pid` a group, when this process ends without stopping it, even by SIGKILL (a test runner's
 * timeout): the guard's standard input is a pipe that only this process holds open.
 */
export function guard (pid: number): ChildProcess {
  const watcher = spawn('sh', ['-c', 'read -r _; kill -9 "$1"', 'guard', String(pid)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  watcher.unref()
  // @ts-expect-error the pipe of a child is a Socket, which the type Writable does not tell
  watcher.stdin.unref()
  return watcher
}

interface Running {
  child: ChildProcess
  watcher: ChildProcess
  ended: Promise<void>
}

/** Resolves when the output matches; rejects with what the server said when it ends first or takes too long. */
function untilReady (child: ChildProcess, command: ServerCommand, deadline: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new Error(`${command.command} ${why}:\n${output.slice(-4000)}`))
    }
    const read = (chunk: Buffer): void => {
      output = (output + String(chunk)).slice(-20_000)
      if (!command.ready.test(output)) return
      clearTimeout(timer)
      // The pipes are read on, or a talkative server would stop at a full one.
      child.stdout?.off('data', read).resume()
      child.stderr?.off('data', read).resume()
      resolve()
    }
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`was not ready in ${deadline} ms`)
    }, deadline)
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code, name) => fail(`ended with ${code ?? name}`))
  })
}

async function launch (command: ServerCommand, deadline: number): Promise<Running> {
  const child = spawn(command.command, command.args, {
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...unprivileged(command.user)
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  const watcher = guard(child.pid as number)
  void ended.then(() => watcher.kill('SIGKILL'))
  await untilReady(child, command, deadline)
  return { child, watcher, ended }
}

/** Starts a server, waits until it says it is ready, and ends it with the scope. */
export async function startServer (t: Scope, command: ServerCommand): Promise<Controls> {
  const deadline = command.deadline ?? 240_000
  let running: Running | undefined = await launch(command, deadline)
  let paused = false
  const alive = (): ChildProcess => {
    if (running === undefined) throw new Error(`${command.command} is not running`)
    return running.child
  }

  const stop = async (): Promise<void> => {
    if (running === undefined) return
    const { child, ended } = running
    running = undefined
    child.kill(command.stopSignal ?? 'SIGTERM')
    // A paused server takes the signal only after it is resumed.
    if (paused) signalFamily(child, 'SIGCONT')
    paused = false
    const timer = setTimeout(() => child.kill('SIGKILL'), deadline)
    await ended
    clearTimeout(timer)
  }

  t.teardown(stop)
  return {
    get pid () { return alive().pid as number },
    stop,
    async restart () {
      await stop()
      running = await launch(command, deadline)
    },
    async kill9 () {
      if (running === undefined) return
      const { child, ended } = running
      running = undefined
      paused = false
      signalFamily(child, 'SIGKILL')
      await ended
    },
    pause () {
      signalFamily(alive(), 'SIGSTOP')
      paused = true
    },
    resume () {
      signalFamily(alive(), 'SIGCONT')
      paused = false
    }
  }
}

/** Starts on a free port, and on another one when some other process took that port meanwhile. */
export async function onFreePort<T> (start: (port: number) => Promise<T>, attempts = 5): Promise<T> {
  try {
    return await start(await freePort())
  } catch (error) {
    if (attempts > 1 && /in use/i.test(String(error))) return await onFreePort(start, attempts - 1)
    throw error
  }
}

/** Asks until `check` holds, for what no server announces; rejects after `deadline` milliseconds. */
export async function until (what: string, check: () => Promise<boolean>, deadline = 240_000): Promise<void> {
  const end = performance.now() + deadline
  while (!await check()) {
    if (performance.now() > end) throw new Error(`${what}: not in ${deadline} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
