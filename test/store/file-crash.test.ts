import fs, { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FileStore } from 'fastify-openapi-session/file'
import { full, holdTimers, newest, open, patch, record, rewritten, silence } from '../support/file-store.js'
import { journaled, journalsIn } from '../support/journals.js'
import { temporaryDirectory, until } from '../support/servers-process.js'

/** Replaces a function of `node:fs` or `node:fs/promises` until `restore`. */
function replaceIn (t: Test, module: object, name: string, replace: (real: (...args: any[]) => any) => (...args: any[]) => any): () => void {
  const real = (module as Record<string, (...args: any[]) => any>)[name]!
  const intercepted = t.intercept(module as Record<string, unknown>, name, { value: replace(real) })
  syncBuiltinESMExports()
  const restore = (): void => {
    intercepted.restore()
    syncBuiltinESMExports()
  }
  t.teardown(restore)
  return restore
}

/** A copy of a directory as a killed process would leave it. */
function crashed (t: Test, directory: string): string {
  const copy = join(temporaryDirectory(t, 'crashed'), 'copy')
  cpSync(directory, copy, { recursive: true })
  const path = newest(copy)
  const text = readFileSync(path, 'latin1')
  // The pid is of a process that started at another time.
  writeFileSync(path, text.replace(/^held (\d+) (\d+)/, (_, pid: string, start: string) => `held ${pid} ${'9'.repeat(start.length)}`), 'latin1')
  return copy
}

t.test('a process that cannot create a journal leaves the one of another process alone', async (t) => {
  const tooMany = (path: string): Error => Object.assign(new Error('too many open files'), { code: 'EMFILE', syscall: 'open', path })
  const starting = temporaryDirectory(t, 'starting')
  const restore = replaceIn(t, fs, 'writeFileSync', (real) => (path, text, options) => {
    if (options?.flag !== 'wx') return real(path, text, options)
    real(path, 'held by another process\n')
    throw tooMany(path)
  })
  t.throws(() => new FileStore({ directory: starting }), { code: 'EMFILE' })
  restore()
  t.match(readFileSync(newest(starting), 'utf8'), /by another/)

  const directory = t.testdir()
  const beat = holdTimers(t)
  const { store, reports } = open(t, directory)
  await store.create('large', record({ payload: 'x'.repeat(1_200_000) }))
  const before = newest(directory)
  const restoreAsync = replaceIn(t, promises, 'writeFile', (real) => async (path, text, options) => {
    if (options?.flag !== 'wx') return await real(path, text, options)
    await real(path, 'held by another process\n')
    throw tooMany(path)
  })
  await until('it was told', async () => {
    beat()
    return reports.length > 0
  })
  t.match(reports, [{ error: { code: 'EMFILE' } }])
  restoreAsync()
  t.not(newest(directory), before)
  t.match(readFileSync(newest(directory), 'utf8'), /by another/)
})

t.test('a process that lost the directory takes back nothing that the next one has read', async (t) => {
  const directory = t.testdir()
  const { store: paused } = open(t, directory)
  await paused.create('id', record())
  const older = newest(directory)
  let next: FileStore | undefined
  const restore = await patch(t, 'datasync', (real) => async function (this: unknown) {
    await real.call(this)
    if (next !== undefined) return
    await silence(directory)
    next = open(t, directory).store
  })
  const failing = await patch(t, 'write', (real) => async function (this: unknown, ...given: unknown[]) {
    return next === undefined ? await real.apply(this, given) : await full()
  })
  await t.rejects(paused.delete('id'), /took over/)
  t.equal(next!.read('id'), undefined)
  const read = readFileSync(older, 'latin1')
  await paused.close()
  t.equal(readFileSync(older, 'latin1').slice(4), read.slice(4), 'all that the next one has read is there')
  t.equal(await next!.delete('id'), false)
  t.equal(open(t, crashed(t, directory)).store.read('id'), undefined)
  restore()
  failing()
})

t.test('a session that was evicted at the start stays ended, even if the process is killed before the copy', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  for (const id of ['a', 'b', 'c', 'd']) await before.create(id, record({ principal: 'p' }))
  await before.close()
  const beat = holdTimers(t)
  const restore = await patch(t, 'write', () => full)
  const { store, reports } = open(t, directory, { maxSessions: 3 })
  t.match(reports, [{ kind: 'evicted', id: 'a' }])
  restore()
  beat()
  t.equal(await store.delete('c'), true)
  t.equal(await store.read('a'), undefined)
  const { store: next } = open(t, crashed(t, directory), { maxSessions: 3 })
  t.same(['a', 'b', 'c', 'd'].filter((id) => next.read(id) !== undefined), ['b', 'd'])
})

t.test('the session that has been idle for the longest time is evicted, also after restarts', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  const ids = Array.from({ length: 100 }, (_, n) => `session ${n}`)
  for (const [n, id] of ids.entries()) await before.create(id, record({ expiresAt: Date.now() + 60_000 + n }))
  await before.close()
  for (let n = 0; n < 2; n++) {
    const { store } = open(t, directory)
    await rewritten(directory)
    await store.close()
  }
  const { reports } = open(t, directory, { maxSessions: 90 })
  t.same(reports.map((report) => report.kind === 'evicted' && report.id), ids.slice(0, 10))
})

t.test('a power cut while a line is written ends no session, whatever is left of the line', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  await before.create('kept', record())
  await before.create('signed out', record())
  await before.delete('signed out')
  const { length } = readFileSync(newest(directory))
  await before.create('lost', record({ payload: 'x'.repeat(20_000) }))
  const copy = crashed(t, directory)
  const text = readFileSync(newest(copy))
  await before.close()
  const damages: Array<(text: Buffer) => unknown> = [
    (text) => text.fill(0, 4096, 8192),
    (text) => text.fill(0, length, 8192),
    (text) => text.fill(0, 8192),
    (text) => text.fill('\n', 4096, 8192),
    (text) => text.fill('old\nblock ', length, 8192)
  ]
  for (const damage of damages) {
    const place = temporaryDirectory(t, 'cut')
    const torn = Buffer.from(text)
    damage(torn)
    const path = join(place, 'sessions.7.log')
    writeFileSync(path, torn)
    const { store, reports } = open(t, place)
    t.match(store.read('kept'), { version: 1 })
    t.equal(store.read('signed out'), undefined)
    t.equal(store.read('lost'), undefined)
    t.same(reports, [])
    // The same bytes in a journal that was closed, or before a line that was acknowledged, are damage.
    await store.close()
    for (const [name, bytes] of [['closed', Buffer.concat([Buffer.from('free'), torn.subarray(4)])]] as const) {
      if (!torn.subarray(length).includes('\n')) continue
      const other = temporaryDirectory(t, name)
      writeFileSync(join(other, 'sessions.7.log'), bytes)
      const { store, reports } = open(t, other)
      t.equal(store.read('kept'), undefined, name)
      t.equal(reports.length, 1, name)
    }
  }
})

t.test('what a killed process wrote and did not flush is flushed before it is read', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  await before.create('id', record())
  const copy = crashed(t, directory)
  const flushed: number[] = []
  const restore = replaceIn(t, fs, 'fdatasyncSync', (real) => (file) => {
    flushed.push(fs.fstatSync(file).ino)
    real(file)
  })
  const { ino } = statSync(newest(copy))
  const { store } = open(t, copy)
  restore()
  t.match(store.read('id'), { version: 1 })
  t.ok(flushed.includes(ino))
})

t.test('an app that crashes soon after each start does not fill the disk with copies', async (t) => {
  let directory = t.testdir()
  const { store: before } = open(t, directory)
  const large = record({ payload: 'x'.repeat(300_000) })
  for (let n = 0; n < 40; n++) await before.create(`${n}`, large)
  await before.close()
  const beat = holdTimers(t)
  const copying: number[] = []
  for (let starts = 1; starts <= 9; starts++) {
    const { store } = open(t, directory)
    // Calls and the lines of a copy take turns.
    for (let n = 0; n < 8; n++) await store.create(`${starts} ${n}`, record())
    if (statSync(newest(directory)).size > 300_000) copying.push(starts)
    const next = crashed(t, directory)
    await store.close()
    rmSync(directory, { recursive: true })
    directory = next
    t.equal(journalsIn(directory).length, starts + 1)
  }
  t.same(copying, [1, 2, 4, 8])
  const { store } = open(t, directory)
  await rewritten(directory, beat)
  t.equal(journaled(directory).size, 112)
  t.same(store.read('39'), large)
})

t.test('a process whose files were removed does not take the new files of another process for its own', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store } = open(t, directory)
  await store.create('id', record())
  rmSync(directory, { recursive: true })
  const { store: next } = open(t, directory)
  await next.create('other', record())
  await t.rejects(store.create('new', record()), /took over|were removed/)
  t.same([...journaled(directory).keys()], ['other'])
})

t.test('a process whose start time cannot be read keeps its directory, whenever that is', async (t) => {
  const [known, unknown] = [temporaryDirectory(t, 'known'), temporaryDirectory(t, 'unknown')]
  const refused = (directory: string): void => { t.throws(() => new FileStore({ directory }), /this process has the directory/) }
  open(t, known)
  const restore = replaceIn(t, fs, 'readFileSync', (real) => (path, ...rest) => {
    if (/^\/proc\/\d+\/stat$/.test(String(path))) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    return real(path, ...rest)
  })
  refused(known)
  open(t, unknown)
  refused(unknown)
  restore()
  refused(unknown)
})

t.test('a call waits for one line of a copy, however large the sessions are', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  for (let n = 0; n < 40; n++) await before.create(`${n}`, record({ payload: 'x'.repeat(270_000) }))
  await before.close()
  let flushes = 0
  let hasCopied = (): void => {}
  const copying = new Promise<void>((resolve) => { hasCopied = resolve })
  await patch(t, 'datasync', (real) => async function (this: unknown) {
    if (++flushes === 3) hasCopied()
    await real.call(this)
  })
  const { store } = open(t, directory)
  await copying
  await store.create('new', record())
  t.ok(flushes <= 6, `${flushes} flushes`)
  await rewritten(directory)
  t.equal(journaled(directory).size, 41)
})
