import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SessionRecord } from 'fastify-openapi-session'

const numberOf = (name: string): number => Number(/^sessions\.(\d+)\.log$/.exec(name)?.[1] ?? NaN)

/** The paths of the journals of a FileStore, the oldest first. */
export function journalsIn (directory: string): string[] {
  const names = readdirSync(directory).filter((name) => !Number.isNaN(numberOf(name)))
  return names.sort((one, other) => numberOf(one) - numberOf(other)).map((name) => join(directory, name))
}

/** Returns the sessions that the journals of a FileStore have, live or not, by a reader that trusts each line. */
export function journaled (directory: string): Map<string, SessionRecord> {
  const sessions = new Map<string, SessionRecord>()
  for (const path of journalsIn(directory)) {
    for (const line of readFileSync(path, 'utf8').split('\n').slice(1, -1)) {
      for (const [id, record] of JSON.parse(line.slice(line.indexOf(' '))) as Array<[string, SessionRecord?]>) {
        sessions.delete(id)
        if (record) sessions.set(id, record)
      }
    }
  }
  return sessions
}

/** Returns the number of lines with changes in all journals of a FileStore. */
export const linesIn = (directory: string): number => journalsIn(directory).reduce((sum, path) => sum + readFileSync(path, 'utf8').split('\n').length - 2, 0)
