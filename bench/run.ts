/**
 * Measures the server CPU that a session plugin adds to a request.
 *
 *   npm run bench                     10 rounds from dist/, for docs/performance.md
 *   npm run bench -- --quick          3 rounds from lib/, without a type check
 *   npm run bench -- --only this,floor --memory
 *   --only NAMES                      subjects whose name contains one of these
 *   --memory, --redis, --cookie       subjects with one of these stores
 *   --rounds N, --requests N          instead of the usual numbers
 *   --source, --dist                  takes this package from lib/ or from dist/
 *   --json FILE                       writes every single figure to a file
 *
 * Each subject is a server process of its own. This process sends the requests over open connections.
 *
 * - A figure is CPU time of the server process (user and system, with garbage collection). Other work on the machine disturbs CPU
 *   time less than wall-clock time. The process of Redis is not in the figures.
 * - In each round, every scenario visits all subjects in a rotated order, with bare Fastify before and after.
 * - In a full run, every round has new processes. V8 compiles the same code differently in each process, which alone makes up to
 *   2 µs of difference. A quick run has one process for each subject, so its figures may be off by that much.
 * - All processes share one core. On two cores, the operating system's choice of core made up to 2 µs of difference.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { findExecutable, startRedis } from '../test/support/servers.js'
import { bundle } from './build.js'
import { Connection, measure } from './client.js'
import { AGAIN, BARE, type Scenario, SCENARIOS, type StoreKind, SUBJECTS, type SubjectName } from './plan.js'
import { circumstances, costs, drift, type Figures, ratios } from './report.js'

const CONNECTIONS = 10

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    source: { type: 'boolean' },
    dist: { type: 'boolean' },
    memory: { type: 'boolean', default: false },
    redis: { type: 'boolean', default: false },
    cookie: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    requests: { type: 'string' },
    json: { type: 'string' }
  }
})
const fromSource = options.source ?? (options.quick && !options.dist)
const rounds = Number(options.rounds ?? (options.quick ? 3 : 10))
const requests = Number(options.requests ?? (options.quick ? 700 : 2000))

/** How often each scenario runs before the first figure of a process, and with how many requests, so that V8 compiles the code. */
const WARM_UPS = 2
const WARM_UP = 5000
/** How many rounds a process serves. One is more exact and takes longer, because most of the time is the warm-up. */
const roundsPerProcess = options.quick ? rounds : 1

class Subject {
  readonly figures: Figures
  readonly #process: ChildProcess
  readonly #connections: readonly Connection[]

  constructor (figures: Figures, process: ChildProcess, port: number) {
    this.figures = figures
    this.#process = process
    this.#connections = Array.from({ length: CONNECTIONS }, () => new Connection(port))
  }

  static async start (figures: Figures, file: string, redis: string): Promise<Subject> {
    const { subject } = figures
    const child = fork(file, [JSON.stringify(subject), redis], { execArgv: [], env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' } })
    const [port] = await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => { throw new Error(`${subject.name} exited with ${code}`) })])
    return new Subject(figures, child, port)
  }

  async visit (scenario: Scenario, count: number, keep: boolean): Promise<void> {
    const { subject, cells, tooLong } = this.figures
    const isServed = subject.isLoginOnly !== true || scenario.login === undefined
    // Visits every process equally often: V8 discards the compiled code of an idle process, and shrinks its heap.
    const cell = await measure(this.#connections, isServed ? scenario : SCENARIOS[0]!, count, () => this.#cpu(), subject.store !== 'none').catch((error: unknown) => {
      throw new Error(`${subject.name}, ${subject.store}: ${String(error)}`)
    })
    if (!keep || !isServed || cell.cpu === undefined) return
    (cells[scenario.name] ??= []).push(cell.cpu)
    if (cell.tooLong && !tooLong.includes(scenario.name)) tooLong.push(scenario.name)
  }

  async #cpu (): Promise<number> {
    this.#process.send('cpu')
    return (await once(this.#process, 'message'))[0]
  }

  close (): void {
    for (const connection of this.#connections) connection.close()
    if (this.#process.connected) this.#process.disconnect()
  }
}

function chosen ({ name, store }: SubjectName): boolean {
  const stores = (['memory', 'redis', 'cookie'] as const).filter((kind) => options[kind])
  const names = options.only?.split(',') ?? ['']
  return (stores.length === 0 || (stores as StoreKind[]).includes(store)) && names.some((part) => name.includes(part))
}

let turn = 0

async function visitAll (before: Subject, after: Subject, others: readonly Subject[], count: number): Promise<void> {
  for (const scenario of Array.from({ length: WARM_UPS }, () => SCENARIOS).flat()) {
    for (const subject of [before, ...others, after]) await subject.visit(scenario, WARM_UP, false)
  }
  for (const scenario of Array.from({ length: count }, () => SCENARIOS).flat()) {
    const first = turn++ % others.length
    const rotated = [...others.slice(first), ...others.slice(0, first)]
    for (const subject of [before, ...rotated, after]) await subject.visit(scenario, requests, true)
  }
}

/** Runs rounds with new processes. */
async function runRounds (bare: Figures, others: readonly Figures[], file: string, redis: string, count: number): Promise<void> {
  const started: Subject[] = []
  try {
    for (const figures of [bare, bare, ...others]) started.push(await Subject.start(figures, file, redis))
    const [before, after, ...rest] = started as [Subject, Subject, ...Subject[]]
    await visitAll(before, after, rest, count)
  } finally {
    for (const subject of started) subject.close()
  }
}

/** Moves this process and its children to the last core. Returns `false` if the system cannot. */
function useOneCore (): boolean {
  try {
    execFileSync('taskset', ['-a', '-c', '-p', String(cpus().length - 1), String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const subjects = SUBJECTS.filter(chosen)
if (subjects.length === 0) throw new Error('No subject has that name and that store: see bench/plan.ts')
if (!fromSource) execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
const file = await bundle('server', fromSource)
const onOneCore = useOneCore()
const ends: Array<() => Promise<void> | void> = []
try {
  const redis = await startRedis({ teardown: (end) => { ends.unshift(end) } })
  const [bare, ...others] = [BARE, AGAIN, ...subjects].map((subject): Figures => ({ subject, cells: {}, tooLong: [] })) as [Figures, ...Figures[]]
  for (let left = rounds; left > 0; left -= roundsPerProcess) await runRounds(bare, others, file, redis.url, Math.min(left, roundsPerProcess))
  const all = [bare, ...others]
  const version = /v=(\S+)/.exec(execFileSync(findExecutable('redis-server', 'valkey-server'), ['--version'], { encoding: 'utf8' }))?.[1]
  const about = circumstances(`Redis ${version}`, [
    fromSource ? 'from lib/' : 'from dist/', `${rounds} rounds`, `${requests} requests a cell over ${CONNECTIONS} connections`,
    onOneCore ? 'all processes on one core' : 'without taskset, so that differences of 2 µs mean nothing',
    'lower quartile of the rounds ± half the interquartile range'
  ])
  console.log([about, drift(all), costs(all, SCENARIOS), ratios(all, SCENARIOS) ?? ''].join('\n\n').trim())
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ about, all }, null, 2))
} finally {
  for (const end of ends) await end()
}
