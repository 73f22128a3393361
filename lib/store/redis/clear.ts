import type { Connection } from './connection.js'
import { scripts } from './scripts.js'
import { misunderstood } from './value.js'

/** How many keys one step looks at. */
const STEP = 500

/** Deletes the keys that start with a text, on every server, step by step. */
export async function clearKeys (connection: Connection, start: string): Promise<void> {
  const { lua, digest } = scripts.clear
  const pattern = `${(connection.scanPrefix + start).replace(/[\\*?[\]]/g, '\\$&')}*`
  for (const server of await connection.servers()) {
    let cursor = '0'
    do {
      const next = await server.run('evalsha', [digest, 0, cursor, pattern, STEP], lua)
      if (!/^\d+$/.test(String(next))) throw misunderstood(next)
      cursor = String(next)
    } while (cursor !== '0')
  }
}
