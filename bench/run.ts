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
 * an order that is rotated, with bare Fastify before and after. What Redis does in its own process is not in the figures.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { findExecutable, startRedis } from '../test/support/servers.js'
import { bundle } from './build.js'
import { Connection, measure } from './client.js'
import { AGAIN, BARE, type Scenario, SCENARIOS, type StoreKind, SUBJECTS, type SubjectName } from './plan.js'
import { circumstances, costs, drift, type Figures, ratios } from './report.js'

const CONNECTIONS = 10
/** Requests of each scenario before the first figure: V8 has compiled all of it then. */
const WARM_UP = 3000

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
const requests = Number(options.requests ?? (options.quick ? 1000 : 3000))

class Subject {
  readonly figures: Figures
  readonly #process: ChildProcess
  readonly #connections: readonly Connection[]

  constructor (subject: SubjectName, process: ChildProcess, port: number) {
    this.figures = { subject, cells: {}, tooLong: [] }
    this.#process = process
    this.#connections = Array.from({ length: CONNECTIONS }, () => new Connection(port))
  }

  static async start (subject: SubjectName, file: string, redis: string): Promise<Subject> {
    const child = fork(file, [JSON.stringify(subject), redis], { execArgv: [], env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' } })
    const [port] = await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => { throw new Error(`${subject.name} exited with ${code}`) })])
    return new Subject(subject, child, port)
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
  if (store === 'none') return false
  return (stores.length === 0 || (stores as StoreKind[]).includes(store)) && names.some((part) => name.includes(part))
}

async function runAll (bare: Subject, others: readonly Subject[]): Promise<void> {
  for (const scenario of SCENARIOS) {
    for (const subject of [bare, ...others]) await subject.visit(scenario, WARM_UP, false)
  }
  let turn = 0
  for (let round = 0; round < rounds; round++) {
    for (const scenario of SCENARIOS) {
      const first = turn++ % others.length
      await bare.visit(scenario, requests, true)
      for (const subject of [...others.slice(first), ...others.slice(0, first)]) await subject.visit(scenario, requests, true)
      await bare.visit(scenario, requests, true)
    }
  }
}

if (!fromSource) execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
const file = await bundle('server', fromSource)
const ends: Array<() => Promise<void> | void> = []
const started: Subject[] = []
try {
  const redis = await startRedis({ teardown: (end) => { ends.unshift(end) } })
  for (const subject of [BARE, AGAIN, ...SUBJECTS.filter(chosen)]) started.push(await Subject.start(subject, file, redis.url))
  const [bare, ...others] = started
  if (bare === undefined || others.length < 2) throw new Error('No subject has such a name and such a store')
  await runAll(bare, others)
  const all = started.map(({ figures }) => figures)
  const version = /v=(\S+)/.exec(execFileSync(findExecutable('redis-server', 'valkey-server'), ['--version'], { encoding: 'utf8' }))?.[1]
  const about = circumstances(`Redis ${version}`, [
    fromSource ? 'from lib/' : 'from dist/', `${rounds} rounds`, `${requests} requests a cell over ${CONNECTIONS} connections`,
    'lower quartile of the rounds ± half the distance of the quartiles'
  ])
  console.log([about, drift(all), costs(all, SCENARIOS), ratios(all, SCENARIOS) ?? ''].join('\n\n').trim())
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ about, all }, null, 2))
} finally {
  for (const subject of started) subject.close()
  for (const end of ends) await end()
}
