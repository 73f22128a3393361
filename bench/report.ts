import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { BARE, type Scenario, type SubjectName } from './plan.js'

/** The figures of a subject by scenario, one for each round. Bare Fastify has two for each round, from before and after the others. */
export interface Figures {
  readonly subject: SubjectName
  readonly cells: Record<string, number[]>
  /** The scenarios with a cookie that browsers drop. */
  readonly tooLong: string[]
}

function quantile (figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? NaN
  return low + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] ?? NaN) - low)
}

/** Other work on the machine only adds to a figure, so the lower quartile is more exact than the mean. */
const typical = (figures: readonly number[]): number => quantile(figures, 0.25)
const spread = (figures: readonly number[]): number => (quantile(figures, 0.75) - quantile(figures, 0.25)) / 2

const STORES = { none: '', memory: 'memory', redis: 'Redis', cookie: 'cookie' } as const
const title = ({ name, store }: SubjectName): string => store === 'none' ? name : `${name}, ${STORES[store]}`
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function heading (first: string, scenarios: readonly Scenario[]): string[] {
  return [row([first, ...scenarios.map(({ name }) => name)]), `|---|${scenarios.map(() => '---:|').join('')}`]
}

/** Returns the microseconds over bare Fastify, `undefined` if the subject refuses the data. */
function added ({ cells }: Figures, bare: Figures, scenario: string): number | undefined {
  const own = cells[scenario] ?? []
  return own.length === 0 ? undefined : typical(own) - typical(bare.cells[scenario] ?? [])
}

const absence = ({ subject }: Figures): string => subject.isLoginOnly === true ? '-' : 'refused'

export function costs (all: readonly Figures[], scenarios: readonly Scenario[]): string {
  const bare = all.find(({ subject }) => subject === BARE)!
  const lines = all.map((figures) => row([title(figures.subject), ...scenarios.map(({ name }) => {
    const value = figures === bare ? typical(bare.cells[name] ?? []) : added(figures, bare, name)
    if (value === undefined) return absence(figures)
    return `${value.toFixed(1)} ± ${spread(figures.cells[name] ?? []).toFixed(1)}${figures.tooLong.includes(name) ? ' (1)' : ''}`
  })]))
  const note = all.some(({ tooLong }) => tooLong.length > 0) ? '\n\n(1) The cookie is longer than 4,096 bytes: browsers drop it without a message.' : ''
  return [...heading('µs of server CPU per request over bare Fastify', scenarios), ...lines].join('\n') + note
}

/** Returns the costs as multiples of the floor with the same store. Cookies are compared with the floor in memory. */
export function ratios (all: readonly Figures[], scenarios: readonly Scenario[]): string | undefined {
  const bare = all.find(({ subject }) => subject === BARE)!
  const floorOf = ({ store }: SubjectName): Figures | undefined =>
    all.find(({ subject }) => subject.name === 'floor' && subject.store === (store === 'cookie' ? 'memory' : store))
  const lines = all.flatMap((figures) => {
    const floor = floorOf(figures.subject)
    if (figures === bare || floor === undefined || floor === figures) return []
    return [row([title(figures.subject), ...scenarios.map(({ name }) => {
      const [own, least] = [added(figures, bare, name), added(floor, bare, name)]
      // A multiple of almost nothing says nothing.
      return own === undefined ? absence(figures) : least === undefined || least < 2 ? '-' : (own / least).toFixed(2)
    })])]
  })
  return lines.length === 0 ? undefined : [...heading('times the floor', scenarios), ...lines].join('\n')
}

/** Says how far the two figures of bare Fastify in one round differ, which shows the error of the figures. */
export function drift (all: readonly Figures[]): string {
  const bare = all.find(({ subject }) => subject === BARE)!
  const drifts = Object.values(bare.cells).flatMap((figures) => figures.flatMap((before, index) => {
    const after = figures[index + 1]
    return index % 2 === 0 && after !== undefined ? [Math.abs(after / before - 1) * 100] : []
  }))
  return `Bare Fastify before and after the others, in two processes, differed by ${quantile(drifts, 0.5).toFixed(0)} % (median), ${Math.max(...drifts).toFixed(0)} % at most.`
}

const PACKAGES = [
  'fastify', 'ioredis', '@fastify/cookie', '@fastify/session', 'connect-redis', '@fastify/secure-session', '@mgcrea/fastify-session'
]

function versionOf (name: string): string {
  const { version } = JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')) as { version: string }
  return `${name} ${version}`
}

/** Returns what is needed to repeat the run: command, machine and versions. */
export function circumstances (redis: string, parts: readonly string[]): string {
  const processors = cpus()
  return [
    `\`${['npm run bench', ...process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : []].join(' ')}\`: ${parts.join(', ')}.`,
    `Node.js ${process.versions.node}, ${processors.length} cores (${processors[0]?.model.trim()}), ${[redis, ...PACKAGES.map(versionOf)].join(', ')}.`
  ].join('\n')
}
