/** Prints the files of lib/ that run between the hook and the handler of an authenticated GET whose session was read before. */
import { Session } from 'node:inspector/promises'
import Fastify from 'fastify'
import sessionPlugin, { MemoryStore } from 'fastify-openapi-session'
import { Visitor } from './support.js'

const inspector = new Session()
inspector.connect()
const app = Fastify()
await app.register(sessionPlugin, { schema: Visitor, store: new MemoryStore(), principal: (data) => data.userId })
let files: string[] = []
app.get('/', {
  schema: { security: [{ session: [] }] },
  preHandler: async () => {
    const { result } = await inspector.post('Profiler.takePreciseCoverage')
    files = result.filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0)).map(({ url }) => url)
  }
}, async ({ session }) => session.get('userId'))
const { cookie } = await app.session.issue({ userId: 'ada', roles: [], cart: {} })
const get = async (): Promise<unknown> => (await app.inject({ url: '/', headers: { cookie } })).body
await inspector.post('Profiler.enable')
await get()
await get()
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
const body = await get()
const lib = new URL('../../lib/', import.meta.url).href
process.stdout.write(JSON.stringify({ body, files: files.filter((url) => url.startsWith(lib)).map((url) => url.slice(lib.length)).sort() }))
await app.close()
