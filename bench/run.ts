/**
 * Server CPU that a session plugin adds to a request.
 *
 *   npm run bench                     10 rounds from dist/, for docs/performance.md
 *   npm run bench -- --quick          3 rounds from lib/, without a check of types
 *   npm run bench -- --only this,floor --memory
 *   --only NAMES                      subjects whose name contains one of these
 *   --memory, --redis, --cookie       subjects with one of these stores
 *   --rounds N, --requests N          instead of the usual numbers
 *   --source, --dist                  where this package is taken from
 *   --json FILE                       every single figure
 *
 * Each subject is a process of its own, and this one sends the requests, over connections that stay open. A figure is CPU
 * time of the server's process (user and system, garbage collection included), which other work on the machine disturbs less than
 * it does any clock. What is left of the disturbance is met by order: in each round every scenario visits all subjects, in
 * an order that is rotated, with bare Fastify before and after. In a full run every round has new processes: V8
 * compiles the same code a little better or worse each time, which makes up to 2 us of difference to bare Fastify alone for as long
 * as the process lives. A quick run has one process a subject, so that its small figures are off by as much.
 * All processes share one core: with two, the place that the system chose decided how many requests a server found waiting when
 * it woke, which was worth 2 us as well. What Redis does in its own process is not in the figures.
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

/** How often every scenario is played before the first figure of a process, and with how many requests: V8 has to settle. */
const WARM_UPS = 2
const WARM_UP = 1500
/** How many rounds a process lives for. One is better and takes longer: most of it is the warm-up. */
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
    const cell = await measure(this.#connections, scenario, count, () => this.#cpu(), subject.store !== 'none').catch((error: unknown) => {
      throw new Error(`${subject.name}, ${subject.store}: ${String(error)}`)
    })
    if (!keep || cell.cpu === undefined) return
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

/** Plays rounds with new processes. */
async function play (bare: Figures, others: readonly Figures[], file: string, redis: string, count: number): Promise<void> {
  const started: Subject[] = []
  try {
    for (const figures of [bare, bare, ...others]) started.push(await Subject.start(figures, file, redis))
    const [before, after, ...rest] = started as [Subject, Subject, ...Subject[]]
    await visitAll(before, after, rest, count)
  } finally {
    for (const subject of started) subject.close()
  }
}

/** Puts this process and all that it starts on the last core. Returns whether the system could. */
function useOneCore (): boolean {
  try {
    execFileSync('taskset', ['-a', '-c', '-p', String(cpus().length - 1), String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const subjects = SUBJECTS.filter(chosen)
if (subjects.length === 0) throw new Error('No subject has such a name and such a store')
if (!fromSource) execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
const file = await bundle('server', fromSource)
const onOneCore = useOneCore()
const ends: Array<() => Promise<void> | void> = []
try {
  const redis = await startRedis({ teardown: (end) => { ends.unshift(end) } })
  const [bare, ...others] = [BARE, AGAIN, ...subjects].map((subject): Figures => ({ subject, cells: {}, tooLong: [] })) as [Figures, ...Figures[]]
  for (let left = rounds; left > 0; left -= roundsPerProcess) await play(bare, others, file, redis.url, Math.min(left, roundsPerProcess))
  const all = [bare, ...others]
  const version = /v=(\S+)/.exec(execFileSync(findExecutable('redis-server', 'valkey-server'), ['--version'], { encoding: 'utf8' }))?.[1]
  const about = circumstances(`Redis ${version}`, [
    fromSource ? 'from lib/' : 'from dist/', `${rounds} rounds`, `${requests} requests a cell over ${CONNECTIONS} connections`,
    onOneCore ? 'all processes on one core' : 'without taskset, so that figures of 2 us are noise',
    'lower quartile of the rounds ± half the distance of the quartiles'
  ])
  console.log([about, drift(all), costs(all, SCENARIOS), ratios(all, SCENARIOS) ?? ''].join('\n\n').trim())
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ about, all }, null, 2))
} finally {
  for (const end of ends) await end()
}
