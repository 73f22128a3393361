import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { BARE, type Scenario, type SubjectName } from './plan.js'

/** Every cell's figure, by subject and scenario, one for each round; bare Fastify has two, from before and after. */
export interface Figures {
  readonly subject: SubjectName
  readonly cells: Record<string, number[]>
  /** The scenarios with a cookie that browsers drop. */
  readonly tooLong: string[]
}

export function quantile (figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const low = sorted[Math.floor(at)] ?? NaN
  return low + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] ?? NaN) - low)
}

/** Disturbances only ever add, so that the lower quartile is nearer to the truth than the mean. */
const typical = (figures: readonly number[]): number => quantile(figures, 0.25)
const spread = (figures: readonly number[]): number => (quantile(figures, 0.75) - quantile(figures, 0.25)) / 2

export const STORES = { none: '', memory: 'memory', redis: 'Redis', cookie: 'cookie' } as const
const title = ({ name, store }: SubjectName): string => store === 'none' ? name : `${name}, ${STORES[store]}`
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function heading (first: string, scenarios: readonly Scenario[]): string[] {
  return [row([first, ...scenarios.map(({ name }) => name)]), `|---|${scenarios.map(() => '---:|').join('')}`]
}

/** Microseconds over bare Fastify; `undefined` where the subject refuses the data. */
function added ({ cells }: Figures, bare: Figures, scenario: string): number | undefined {
  const own = cells[scenario] ?? []
  return own.length === 0 ? undefined : typical(own) - typical(bare.cells[scenario] ?? [])
}

export function costs (all: readonly Figures[], scenarios: readonly Scenario[]): string {
  const bare = all.find(({ subject }) => subject === BARE)!
  const lines = all.map((figures) => row([title(figures.subject), ...scenarios.map(({ name }) => {
    const value = figures === bare ? typical(bare.cells[name] ?? []) : added(figures, bare, name)
    if (value === undefined) return 'refused'
    return `${value.toFixed(1)} ± ${spread(figures.cells[name] ?? []).toFixed(1)}${figures.tooLong.includes(name) ? ' (1)' : ''}`
  })]))
  const note = all.some(({ tooLong }) => tooLong.length > 0) ? '\n\n(1) The cookie is longer than 4,096 bytes: browsers drop it in silence.' : ''
  return [...heading('us of server CPU per request over bare Fastify', scenarios), ...lines].join('\n') + note
}

/** What each costs as a multiple of the floor with the same store; cookies are compared to the floor in memory. */
export function ratios (all: readonly Figures[], scenarios: readonly Scenario[]): string | undefined {
  const bare = all.find(({ subject }) => subject === BARE)!
  const floorOf = ({ store }: SubjectName): Figures | undefined =>
    all.find(({ subject }) => subject.name === 'floor' && subject.store === (store === 'cookie' ? 'memory' : store))
  const lines = all.flatMap((figures) => {
    const floor = floorOf(figures.subject)
    if (figures === bare || floor === undefined || floor === figures) return []
    return [row([title(figures.subject), ...scenarios.map(({ name }) => {
      const [own, least] = [added(figures, bare, name), added(floor, bare, name)]
      // A floor of next to nothing is no yardstick.
      return own === undefined ? 'refused' : least === undefined || least < 2 ? '-' : (own / least).toFixed(2)
    })])]
  })
  return lines.length === 0 ? undefined : [...heading('times the floor', scenarios), ...lines].join('\n')
}

/** How far the two figures of bare Fastify in one round are apart: what other work on the machine and luck do to the figures. */
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

/** All that somebody needs to run the same again. */
export function circumstances (redis: string, parts: readonly string[]): string {
  const processors = cpus()
  return [
    `\`${['npm run bench', ...process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : []].join(' ')}\`: ${parts.join(', ')}.`,
    `Node.js ${process.versions.node}, ${processors.length} cores (${processors[0]?.model.trim()}), ${[redis, ...PACKAGES.map(versionOf)].join(', ')}.`
  ].join('\n')
}
