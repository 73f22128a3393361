/**
 * CPU that a session plugin adds to a request, all plugins in one run, each in its turn: `npm run bench [rounds]`.
 * Figures are microseconds of this process (user and system) per request over bare Fastify, the lower quartile of all
 * rounds; a Redis server's own work is not in them. Compare figures of one run only.
 */
import { Redis } from 'ioredis'
import type { FastifyInstance } from 'fastify'
import { startRedis } from '../test/support/servers.js'
import { SIZES, subjects } from './subjects.js'

const ROUNDS = Number(process.argv[2] ?? 10)
const REQUESTS = 2000

interface Scenario { readonly name: string, readonly method: 'GET' | 'POST', readonly url: string, readonly login?: string }

const scenarios: Scenario[] = [
  { name: 'session unused', method: 'GET', url: '/plain', login: '/login/small' },
  ...Object.keys(SIZES).flatMap((size): Scenario[] => [
    { name: `read ${size}`, method: 'GET', url: `/read/${size}`, login: `/login/${size}` },
    { name: `write ${size}`, method: 'POST', url: `/write/${size}`, login: `/login/${size}` }
  ]),
  { name: 'login', method: 'POST', url: '/login/small' }
]

/** The cookie of a login; `undefined` where the plugin says that the data are too large for it. */
async function cookieOf (app: FastifyInstance, url: string): Promise<string | undefined> {
  const { headers, statusCode } = await app.inject({ method: 'POST', url, headers: { 'x-forwarded-proto': 'https' } })
  if (statusCode !== 200) return undefined
  return [headers['set-cookie'] ?? []].flat().map((line) => line.split(';')[0]).join('; ')
}

async function measure (app: FastifyInstance, { method, url, login }: Scenario): Promise<number> {
  const cookie = login === undefined ? '' : await cookieOf(app, login)
  if (cookie === undefined) return NaN
  const headers = cookie === '' ? {} : { cookie }
  const expected = url.startsWith('/read') ? '{"user":"ada"}' : '{"ok":true}'
  const before = process.cpuUsage()
  for (let sent = 0; sent < REQUESTS; sent++) {
    const { statusCode, body } = await app.inject({ method, url, headers })
    if (statusCode !== 200 || body !== expected) throw new Error(`${method} ${url}: ${statusCode} ${body}`)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / REQUESTS
}

function lowerQuartile (figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 4)] ?? NaN
}

const ends: Array<() => Promise<void> | void> = []
const redis = await startRedis({ teardown: (end) => { ends.unshift(end) } })
const clients: Redis[] = []
const all = await Promise.all(subjects(() => {
  const client = new Redis(redis.url)
  clients.push(client)
  return client
}).map(async ({ name, build }) => ({ name, app: await build(), figures: new Map<string, number[]>() })))

for (let round = -1; round < ROUNDS; round++) {
  for (const { app, figures } of all) {
    for (const scenario of scenarios) {
      const figure = await measure(app, scenario)
      if (round >= 0) figures.set(scenario.name, [...figures.get(scenario.name) ?? [], figure])
    }
  }
}

const bare = all[0]?.figures
console.log(`| us of CPU per request | ${scenarios.map(({ name }) => name).join(' | ')} |`)
console.log(`|---|${scenarios.map(() => '---').join('|')}|`)
for (const { name, figures } of all) {
  const cells = scenarios.map((scenario) => {
    const own = lowerQuartile(figures.get(scenario.name) ?? [])
    if (Number.isNaN(own)) return 'refused'
    return (figures === bare ? own : own - lowerQuartile(bare?.get(scenario.name) ?? [])).toFixed(1)
  })
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}

for (const { app } of all) await app.close()
for (const client of clients) client.disconnect()
for (const end of ends) await end()
