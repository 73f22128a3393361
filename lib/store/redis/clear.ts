import type { Connection } from './connection.js'
import { scripts } from './scripts.js'
import { unexpectedReply } from './value.js'

/** How many keys each SCAN step checks, as a hint to Redis. */
const STEP = 500

/** Deletes the keys with a prefix on every server, in steps. */
export async function clearKeys (connection: Connection, prefix: string): Promise<void> {
  const { lua, digest } = scripts.clear
  const pattern = `${(connection.scanPrefix + prefix).replace(/[\\*?[\]]/g, '\\$&')}*`
  for (const server of await connection.servers()) {
    let cursor = '0'
    do {
      const next = await server.run('evalsha', [digest, 0, cursor, pattern, STEP], lua)
      if (!/^\d+$/.test(String(next))) throw unexpectedReply(next)
      cursor = String(next)
    } while (cursor !== '0')
  }
}
