import { hash } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, readSync } from 'node:fs'
import type { SessionRecord } from '../store.js'

/** A session after its last change. Without a record, it has ended. */
export type Change = readonly [id: string, record?: SessionRecord | undefined]

/** A line ends when it has this many characters. To encode it takes about two milliseconds, unless a single session is longer. */
export const FULL = 2 ** 18
/** How many bytes are read at once. */
const CHUNK = 2 ** 20
/** The length of a SHA-256 in base64url. */
const DIGEST = 43

const digest = (text: string | Buffer): string => hash('sha256', text, 'base64url')

/** Returns the next line: changes as JSON, after their SHA-256. It is empty without changes. A line shorter than `FULL` is the last. */
export function nextLine (changes: Iterator<Change, void>): string {
  const texts: string[] = []
  for (let length = 0; length < FULL;) {
    const next = changes.next()
    if (next.done === true) break
    const text = JSON.stringify(next.value)
    texts.push(text)
    length += text.length
  }
  const json = `[${texts.join()}]`
  return texts.length === 0 ? '' : `${digest(json)} ${json}\n`
}

/**
 * Returns the sessions of some journals, the oldest journal first.
 *
 * A damaged line may be the end of any session. So the sessions before it are dropped and `onDamage` is called once for the file:
 * a user signs in again, but no session comes back after a logout. Only the last line of a journal that was not closed was never
 * acknowledged, if it is damaged: it was being written during a power cut, which may leave any part of it.
 */
export function replay (paths: readonly string[], onDamage: (error: Error) => void): Map<string, SessionRecord> {
  const sessions = new Map<string, SessionRecord>()
  for (const path of paths) {
    let number = 0
    let damaged = 0
    let torn = 0
    let isClosed = false
    for (const line of linesIn(path)) {
      if (++number === 1) isClosed = line.toString().startsWith('free')
      else if (digest(line.subarray(DIGEST + 1)) !== line.toString('latin1', 0, DIGEST)) torn = number
      else {
        if (torn > damaged) sessions.clear()
        damaged = torn
        for (const [id, record] of JSON.parse(line.toString('utf8', DIGEST + 1)) as Change[]) {
          if (record) sessions.set(id, record)
          else sessions.delete(id)
        }
      }
    }
    if (isClosed && torn > damaged) sessions.clear()
    if (isClosed) damaged = torn
    if (damaged > 0) onDamage(new Error(`FileStore: line ${damaged} of "${path}" is damaged. All sessions that were saved before it have ended`))
  }
  return sessions
}

/** Returns the first line of a file, which names its holder. */
export function firstLine (path: string): string {
  for (const line of linesIn(path)) return line.toString()
  return ''
}

/** Yields the lines of a file. A last line without its end was never acknowledged, so it is left out. */
function * linesIn (path: string): Generator<Buffer, void> {
  const file = openSync(path, 'r+')
  try {
    // A killed process may have left a line that the disk does not have. What is read has to survive a power cut.
    fdatasyncSync(file)
    let rest = Buffer.alloc(0)
    const chunk = Buffer.allocUnsafe(CHUNK)
    for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk)) {
      rest = Buffer.concat([rest, chunk.subarray(0, length)])
      let from = 0
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
        yield rest.subarray(from, end)
        from = end + 1
      }
      rest = rest.subarray(from)
    }
  } finally {
    closeSync(file)
  }
}
