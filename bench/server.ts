/** The server process of one subject. Sends its CPU time to the parent process on each message. */
import { Redis } from 'ioredis'
import type { AddressInfo } from 'node:net'
import type { SubjectName } from './plan.js'
import { build } from './subjects.js'

const subject = JSON.parse(process.argv[2] ?? '') as SubjectName
const app = await build(subject, () => new Redis(process.argv[3] ?? ''))
await app.listen({ host: '127.0.0.1', port: 0 })
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})
process.on('disconnect', () => process.exit())
process.send?.((app.server.address() as AddressInfo).port)
