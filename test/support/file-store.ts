import { open as openFile, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { FileStore, type FileStoreOptions } from 'fastify-openapi-session/file'
import type { SessionRecord, StoreReport } from 'fastify-openapi-session'
import { createGate } from './gate.js'
import { journalsIn } from './journals.js'
import { temporaryDirectory, until } from './servers-process.js'

/** A live session. */
export const record = (over: Partial<SessionRecord> = {}): SessionRecord =>
  ({ payload: '{"n":1}', version: 1, expiresAt: Date.now() + 60_000, ...over })

/** A store of the test's own that is closed with it, and what it reports. */
export function open (t: Test, directory: string, over: Omit<FileStoreOptions, 'directory'> = {}): { store: FileStore, reports: StoreReport[] } {
  const store = new FileStore({ directory, ...over })
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  t.teardown(() => store.close())
  return { store, reports }
}

/** The path of the newest journal. */
export const newest = (directory: string): string => journalsIn(directory).at(-1)!

/** Waits until the sessions of the older journals are in the newest. With `beat`, lets timers pass until then. */
export const rewritten = async (directory: string, beat: () => void = () => {}): Promise<void> => {
  await until('one journal is left', async () => {
    beat()
    return journalsIn(directory).length === 1
  })
}

/** Replaces a method of open files until `restore`. */
export async function patch (t: Test, method: 'datasync' | 'sync' | 'utimes' | 'write', replace: (real: (...args: any[]) => Promise<any>) => (...args: any[]) => Promise<any>): Promise<() => void> {
  const path = join(temporaryDirectory(t, 'patch'), 'any')
  const file = await openFile(path, 'w')
  const FileHandle = Object.getPrototypeOf(file) as Record<string, (...args: any[]) => Promise<any>>
  await file.close()
  const real = FileHandle[method]!
  FileHandle[method] = replace(real)
  const restore = (): void => { FileHandle[method] = real }
  t.teardown(restore)
  return restore
}

/** Holds all flushes of files until `release`. */
export async function holdFlushes (t: Test): Promise<{ held: Promise<void>, release: () => void }> {
  const gate = createGate()
  const restore = await patch(t, 'datasync', (real) => async function (this: unknown) {
    await gate.pass()
    await real.call(this)
  })
  return { held: gate.reached, release: () => { restore(); gate.open() } }
}

/** Keeps the timers that a store starts. Returns a function that lets each of them pass once. */
export function holdTimers (t: Test): () => void {
  const callbacks = new Map<unknown, () => void>()
  const { setInterval, clearInterval } = globalThis
  t.intercept(globalThis, 'setInterval', {
    value: (callback: () => void) => {
      const timer = setInterval(() => {}, 2 ** 30)
      callbacks.set(timer, callback)
      return timer
    }
  })
  t.intercept(globalThis, 'clearInterval', {
    value: (timer: NodeJS.Timeout) => {
      callbacks.delete(timer)
      clearInterval(timer)
    }
  })
  return () => { for (const callback of callbacks.values()) callback() }
}

/** Makes the holder of a directory look like one in another container that is silent, as a process that is paused for long is. */
export async function silence (directory: string): Promise<void> {
  const path = newest(directory)
  const [holder = ''] = (await readFile(path, 'utf8')).split('\n')
  const file = await openFile(path, 'r+')
  // A name of the same length, because the holder goes on writing behind it.
  await file.write(holder.slice(0, -1) + '!', 0)
  await file.close()
  await utimes(path, 0, 0)
}

/** The error of a full disk, as the replacement of a method. */
export const full = (): Promise<never> => Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }))
