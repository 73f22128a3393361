import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { mkdir, open as openFile, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { FileStore } from 'fastify-openapi-session/file'
import { createClock, storeContract } from 'fastify-openapi-session/testing'
import type { SessionRecord, StoredSession, StoreReport } from 'fastify-openapi-session'
import { bare, bundle } from '../support/bundle.js'
import { temporaryDirectory, until } from '../support/servers-process.js'

const MINUTE = 60_000
const child = await bundle(t, new URL('./fixtures/file-child.ts', import.meta.url))

const record = (over: Partial<SessionRecord> = {}): SessionRecord =>
  ({ payload: '{"n":1}', version: 1, expiresAt: Date.now() + MINUTE, ...over })

const sessionFiles = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => name.endsWith('.session')).map((name) => join(directory, name))

/** The sessions of a principal, all pages together. */
async function listed (store: FileStore, principal: string, limit = 100): Promise<StoredSession[]> {
  const sessions: StoredSession[] = []
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = await store.list(principal, { limit, cursor })
    sessions.push(...page.sessions)
    cursor = page.cursor
  }
  return sessions
}

/** The file in the lock of a directory that names its holder. */
async function holderFile (directory: string): Promise<string> {
  const path = (await readdir(directory, { recursive: true })).find((name) => name.endsWith('holder'))
  if (path === undefined) throw new Error('there is no lock')
  return join(directory, path)
}

async function onlyFile (directory: string): Promise<string> {
  const [path, ...more] = await sessionFiles(directory)
  if (path === undefined || more.length > 0) throw new Error('there should be exactly one file')
  return path
}

/** A store of the test's own that is closed with it, and what it reports. */
function open (t: Test, directory: string, now?: () => number): { store: FileStore, reports: StoreReport[] } {
  const store = new FileStore({ directory, ...(now && { now }) })
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  t.teardown(() => store.close())
  return { store, reports }
}

t.test('FileStore keeps the store contract', async (t) => {
  const damaging = [
    (path: string) => writeFile(path, ''),
    async (path: string) => writeFile(path, (await readFile(path)).subarray(0, -1)),
    async (path: string) => writeFile(path, (await readFile(path, 'utf8')).replace('"n"', '"m"'))
  ]
  let made = 0
  let damaged = 0
  const makeStore = (clock: { now: () => number }) => {
    const directory = join(t.testdir(), `${++made}`)
    const store = new FileStore({ directory, now: clock.now })
    return {
      store,
      async damage (id: string) {
        for (const path of await sessionFiles(directory)) {
          if ((await readFile(path, 'utf8')).includes(id)) await damaging[damaged++ % damaging.length]!(path)
        }
      }
    }
  }
  for (const { name, run } of storeContract) await t.test(name, async (t) => { t.equal(await run(makeStore), 'passed') })
})

t.test('sessions survive a restart', async (t) => {
  const directory = join(t.testdir(), 'made/for/it')
  const first = new FileStore({ directory })
  const records = new Map<string, SessionRecord>()
  for (let n = 0; n < 250; n++) {
    const given = record({ payload: `"${n} é😀\n"`, principal: `p${n % 2}` })
    records.set(`id ${n}`, given)
    await first.create(`id ${n}`, given)
  }
  await first.close()
  await t.rejects(first.read('id 1'), /closed/)

  const { store, reports } = open(t, directory)
  t.equal((await listed(store, 'p1')).length, 125, 'the index is there before the first read')
  for (const [id, given] of records) t.same(await store.read(id), given)
  t.equal(await store.deleteAll('p0'), 125)
  t.same(reports, [])
})

t.test('other users of the machine cannot read the files', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store } = open(t, directory)
  await store.create('id', record())
  t.equal((await stat(directory)).mode & 0o777, 0o700)
  t.equal((await stat(await onlyFile(directory))).mode & 0o777, 0o600)
  t.notMatch(await onlyFile(directory), /id/, 'no id is in a name')
})

t.test('a touch writes the new expiry at once, and a read or a touch without gain writes nothing', async (t) => {
  const directory = t.testdir()
  const clock = createClock()
  const { store } = open(t, directory, clock.now)
  const first = clock.now() + MINUTE
  await store.create('id', record({ expiresAt: first }))
  const writes = async (call: () => Promise<unknown>): Promise<boolean> => {
    const before = (await stat(await onlyFile(directory))).ino
    await call()
    return (await stat(await onlyFile(directory))).ino !== before
  }
  t.notOk(await writes(() => store.read('id')))
  t.notOk(await writes(() => store.touch('id', first)))
  t.ok(await writes(() => store.touch('id', first + 1)))
  await store.close()
  const { store: next } = open(t, directory, clock.now)
  t.same(await next.read('id'), record({ expiresAt: first + 1 }))
})

t.test('a second opener is refused with a sentence', async (t) => {
  const directory = t.testdir()
  const { store } = open(t, directory)
  t.throws(() => new FileStore({ directory }), { code: 'FST_SESSION_OPTIONS', message: /this process has .* open/ })
  const other = fork(child, [directory], bare)
  t.match((await once(other, 'message'))[0], new RegExp(`process ${process.pid} has the directory "${directory}" open.*its own directory.*RedisStore.*taken over at once.*5 seconds`))
  await once(other, 'exit')
  await store.close()
  await store.close()
  await new FileStore({ directory }).close()
  t.same(await readdir(directory), [], 'nothing is left of the locks')
})

t.test('what a killed process acknowledged is there, and its lock is taken over', async (t) => {
  const directory = t.testdir()
  for (let round = 0; round < 3; round++) {
    const writer = fork(child, [directory, 'write'], bare)
    const acknowledged = new Map<string, number>()
    await new Promise<void>((resolve) => {
      let left = 150
      writer.on('message', ({ id, version, outcome }: { id: string, version: number, outcome: string }) => {
        if (outcome === 'updated') acknowledged.set(id, version)
        if (--left === 0) resolve()
      })
    })
    writer.kill('SIGKILL')
    await once(writer, 'close')
    const { store, reports } = open(t, directory)
    t.equal((await listed(store, 'p')).length, 10)
    t.equal((await sessionFiles(directory)).length, 10)
    t.equal((await readdir(directory)).length, 11, 'no unfinished file is left')
    for (const [id, version] of acknowledged) {
      const found = await store.read(id)
      t.ok(found && (found.version === version || found.version === version + 1), `${id}: ${found?.version} for ${version}`)
      t.match(found?.payload, new RegExp(`^(${found?.version} )+$`))
    }
    t.same(reports, [])
    await store.deleteAll('p')
    await store.close()
  }
})

t.test('of several that take over at once one succeeds at most', async (t) => {
  const directory = t.testdir({ 'lock.7': { desk: { holder: `${2 ** 22 + 1} 1 gone` } } })
  await utimes(await holderFile(directory), 0, 0)
  const children: ChildProcess[] = Array.from({ length: 4 }, () => fork(child, [directory], bare))
  const exits = children.map((child) => once(child, 'exit'))
  const answers = await Promise.all(children.map(async (child) => (await once(child, 'message'))[0] as string))
  t.ok(answers.filter((answer) => answer === 'open').length <= 1, answers.join('\n'))
  for (const answer of answers) t.match(answer, /^open$|has the directory/)
  for (const [n, child] of children.entries()) if (answers[n] === 'open') child.send('close')
  await Promise.all(exits)
  const { store } = open(t, directory)
  await store.close()
})

/** The text that names this process as a holder, with changes: of its machine, or of its container. */
async function holderText (t: Test, over: { pid?: number, start?: string, machine?: string, container?: string } = {}): Promise<string> {
  const directory = temporaryDirectory(t, 'holder')
  const store = new FileStore({ directory })
  const text = await readFile(await holderFile(directory), 'utf8')
  await store.close()
  const [pid, start, machine, container] = text.split(' ')
  return [over.pid ?? pid, over.start ?? start, over.machine ?? machine, over.container ?? container].join(' ')
}

/** A directory that a holder locked, who gave the last sign of life `age` seconds ago. */
async function locked (t: Test, holder: string, age = 0, name = 'lock.3'): Promise<{ directory: string, path: string }> {
  const directory = temporaryDirectory(t, 'locked')
  const path = join(directory, name, 'desk', 'holder')
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, holder)
  const seen = new Date(new Date().getTime() - age * 1000)
  await utimes(path, seen, seen)
  return { directory, path }
}

/** Opens a directory: `open`, or the sentence of the refusal. */
async function tryOpen (directory: string): Promise<string> {
  try {
    await new FileStore({ directory }).close()
    return 'open'
  } catch (error) {
    return (error as Error).message
  }
}

/** Replaces the waits of an opener. Returns how often it waited. */
function waits (t: Test, during: () => void = () => {}): () => number {
  let count = 0
  t.intercept(Atomics, 'wait', { value: () => { count++; during() } })
  return () => count
}

t.test('the lock of a process that is known to be dead is taken over at once', async (t) => {
  const count = waits(t)
  const opens = async (over: object): Promise<string> => await tryOpen((await locked(t, await holderText(t, over))).directory)
  t.match(await opens({}), /this process has/)
  t.equal(await opens({ start: '1' }), 'open', 'a container that was started again has the pid of its predecessor')
  t.equal(await opens({ pid: 2 ** 22 + 1 }), 'open', 'no such process')
  // Its parent turned into a program that never asks after it, so that it stays in the list of processes.
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => parent.kill())
  const zombie = Number(String((await once(parent.stdout, 'data'))[0]))
  const state = async (): Promise<string[]> => (await readFile(`/proc/${zombie}/stat`, 'utf8').catch(() => ') ? ')).split(') ')[1]?.split(' ') ?? []
  await until('the process is over', async () => process.platform !== 'linux' || (await state())[0] === 'Z')
  t.equal(await opens({ pid: zombie, start: (await state())[19] ?? '' }), 'open', 'a process that ended and is still listed')
  t.equal(count(), 0)
})

t.test('the lock does not name the host: a container that is started again may have another host name', async (t) => {
  t.notMatch(await holderText(t), hostname())
})

t.test('the lock of a process in another container is taken over when that shows no sign of life for five seconds', async (t) => {
  const count = waits(t)
  const waited = async (holder: string, age: number): Promise<number> => {
    const before = count()
    t.equal(await tryOpen((await locked(t, holder, age)).directory), 'open')
    return count() - before
  }
  const container = await holderText(t, { container: 'another' })
  t.equal(await waited(container, 6), 0, 'at once, where it has been silent for longer')
  t.equal(await waited(container, -60), 50)
  // Clocks of machines differ, so that the age of a sign of life says nothing.
  for (const holder of [await holderText(t, { machine: 'another' }), '', '{', '5', '5 ', '5 6', 'x y z']) {
    t.same([await waited(holder, 6), await waited(holder, -60)], [50, 50], holder)
  }
})

t.test('a process of another machine whose clock is behind is left alone while it shows signs of life', async (t) => {
  const { directory, path } = await locked(t, await holderText(t, { machine: 'another' }), 60)
  const count = waits(t, () => { if (count() === 3) utimesSync(path, new Date(), new Date(Date.now() - 59_000)) })
  t.match(await tryOpen(directory), /another container or machine has the directory/)
  t.same(await readdir(directory), ['lock.3'])
})

t.test('a process that waits for another one shows that it is alive itself, so that two that wait for each other do not take each other for dead', async (t) => {
  const { directory, path } = await locked(t, await holderText(t, { container: 'another' }), 6)
  let own: string | undefined
  // It comes between the look for others and the lock of this process, and waits in the same way.
  const { now } = Date
  t.intercept(Date, 'now', { value: () => readdirSync(directory).length > 1 ? now() - MINUTE : now() })
  waits(t, () => {
    if (own !== undefined && statSync(own).mtimeMs > 0) utimesSync(path, 0, 0)
    const lock = readdirSync(directory).find((name) => name !== 'lock.3') as string
    own = join(directory, lock, readdirSync(join(directory, lock))[0] as string, 'holder')
    utimesSync(own, 0, 0)
  })
  t.match(await tryOpen(directory), /has the directory/)
})

t.test('a process whose lock was removed while it waits for another one is refused', async (t) => {
  const { directory } = await locked(t, await holderText(t, { container: 'another' }), 6)
  const { now } = Date
  t.intercept(Date, 'now', { value: () => readdirSync(directory).length > 1 ? now() - MINUTE : now() })
  waits(t, () => {
    for (const name of readdirSync(directory)) if (name !== 'lock.3') rmSync(join(directory, name), { recursive: true })
  })
  t.match(await tryOpen(directory), /has the directory/)
  t.same(await readdir(directory), ['lock.3'], 'and removes nothing')
})

t.test('the lock of a process in another container that shows a sign of life is left alone, and the message says how long one waits', async (t) => {
  const { directory, path } = await locked(t, await holderText(t, { container: 'another' }))
  const count = waits(t, () => { if (count() === 3) utimesSync(path, new Date(), new Date(Date.now() + 1000)) })
  t.match(await tryOpen(directory), new RegExp(`process ${process.pid} of another container or machine has the directory "${directory}" open.*5 seconds without a heartbeat`))
  t.equal(count(), 3)
  t.same(await readdir(directory), ['lock.3'], 'and its lock is left alone')
  await writeFile(path, '')
  const text = waits(t, () => { utimesSync(path, 0, text()) })
  t.match(await tryOpen(directory), /another process has/)
})

t.test('a holder that gives a sign of life between the look and the lock keeps the directory', async (t) => {
  const { directory, path } = await locked(t, await holderText(t, { container: 'another' }), 6)
  const { now } = Date
  // By the second look the opener has made its own lock.
  t.intercept(Date, 'now', { value: () => readdirSync(directory).length > 1 ? now() - MINUTE : now() })
  waits(t, () => { utimesSync(path, 0, 0) })
  t.match(await tryOpen(directory), /has the directory/)
  t.same(await readdir(directory), ['lock.3'])
})

t.test('remains of locks, and names that only resemble a lock, do not stop an opener', async (t) => {
  const left = (): { desk: { holder: string } } => ({ desk: { holder: '' } })
  const directory = t.testdir({
    'lock.4': t.fixture('symlink', 'nowhere'), 'lock.5': 'a file', 'lock.6': {}, 'lock.7': { desk: {} }, [`lock.old-${randomUUID()}`]: left(), 'lock.txt': 'mine'
  })
  await new FileStore({ directory }).close()
  t.same(await readdir(directory), ['lock.txt'])
  await mkdir(join(directory, 'lock.4/desk/holder'), { recursive: true })
  t.throws(() => new FileStore({ directory }), { code: 'EISDIR' })

  t.equal(await tryOpen((await locked(t, '', 30, 'lock.9007199254740991')).directory), 'open')
  t.match(await tryOpen((await locked(t, '', 30, 'lock.9007199254740992')).directory), /another process has/, 'the next number is the same')
})

/** Makes the holder of a directory look like one in another container that is silent, as a process that is paused for long is. */
async function silence (t: Test, directory: string): Promise<void> {
  const path = await holderFile(directory)
  await writeFile(path, await holderText(t, { container: 'another' }))
  await utimes(path, 0, 0)
}

t.test('a process that lost the directory changes nothing any more, and all of its calls fail', async (t) => {
  const calls: Record<string, (store: FileStore) => Promise<unknown>> = {
    create: (store) => store.create('new', record()),
    touch: (store) => store.touch('id', Date.now() + 10 * MINUTE),
    update: (store) => store.update('id', record({ version: 2, principal: 'p' })),
    'ending update': (store) => store.update('id', record({ version: 2, expiresAt: 0 })),
    delete: (store) => store.delete('id'),
    list: (store) => store.list('nobody', { limit: 1 }),
    deleteAll: (store) => store.deleteAll('nobody')
  }
  for (const [name, call] of Object.entries(calls)) {
    const directory = temporaryDirectory(t, 'lost')
    const { store: paused, reports } = open(t, directory)
    await paused.create('id', record({ principal: 'p' }))
    await silence(t, directory)
    const { store: next } = open(t, directory)
    const lost = { message: /another process took over the directory.*Restart the app/ }
    await t.rejects(call(paused), lost, name)
    for (const [name, call] of Object.entries({ ...calls, read: (store: FileStore) => store.read('id') })) await t.rejects(call(paused), lost, name)
    t.match(reports, [{ kind: 'failed', task: 'keep the lock of the directory', error: lost }])
    t.equal(reports.length, 1)
    await paused.close()
    t.same(await next.read('id').then((found) => found?.version), 1)
    t.equal(await next.read('new'), undefined)
    t.equal(await next.delete('id'), true)
    t.throws(() => new FileStore({ directory }), /this process has/, 'the lock of the new owner is left alone')
  }
})

t.test('a write that was under way when the directory was lost undoes no logout', async (t) => {
  for (const change of ['touch', 'update', 'create'] as const) {
    const directory = temporaryDirectory(t, 'lost')
    const { store: paused } = open(t, directory)
    if (change !== 'create') await paused.create('id', record())
    const { FileHandle, restore, held, release } = await holdSync(t, directory)
    const writing: Promise<unknown> = {
      touch: () => paused.touch('id', Date.now() + 10 * MINUTE),
      update: () => paused.update('id', record({ version: 2 })),
      create: () => paused.create('id', record())
    }[change]()
    await held
    FileHandle.sync = restore
    await silence(t, directory)
    const { store: next } = open(t, directory)
    await next.delete('id')
    release()
    await t.rejects(writing, /another process took over/)
    t.equal(await next.read('id'), undefined, change)
    t.same(await sessionFiles(directory), [])
  }
})

t.test('a process that lost the directory notices it with its next sign of life, although a third one has a lock of the same name', async (t) => {
  const callbacks = timers(t)
  const directory = join(t.testdir(), 'sessions')
  const { store: paused, reports } = open(t, directory)
  const beat = callbacks.get(1000)!
  const [name] = await readdir(directory)
  await silence(t, directory)
  await new FileStore({ directory }).close()
  const { store: third } = open(t, directory)
  t.same(await readdir(directory), [name])
  const told = new Promise((resolve) => paused.observe(resolve))
  beat()
  t.match(await told, { kind: 'failed', error: /took over/ })
  t.equal(reports.length, 1)
  await t.rejects(paused.create('id', record()), /took over/)
  await paused.close()
  t.equal(await third.create('id', record()), true)
})

/** Holds the next flush of a file until `release`. */
async function holdSync (t: Test, directory: string) {
  await writeFile(join(directory, 'any'), '')
  const file = await openFile(join(directory, 'any'))
  const FileHandle = Object.getPrototypeOf(file) as { sync (): Promise<void> }
  await file.close()
  const restore = FileHandle.sync
  t.teardown(() => { FileHandle.sync = restore })
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const held = new Promise<void>((resolve) => {
    FileHandle.sync = async function () {
      resolve()
      await released
      await restore.call(this)
    }
  })
  return { FileHandle, restore, held, release }
}

t.test('while the disk hangs, calls beyond maxPending are rejected at once, and the others complete later', async (t) => {
  const directory = t.testdir()
  const store = new FileStore({ directory, maxPending: 10 })
  t.teardown(() => store.close())
  const { FileHandle, restore, held, release } = await holdSync(t, directory)
  const waiting = Array.from({ length: 10 }, (_, n) => store.create(`${n}`, record({ principal: 'p' })))
  await held
  const more: Array<() => Promise<unknown>> = [
    () => store.create('more', record()), () => store.read('0'), () => store.touch('0', 0), () => store.deleteAll('p')
  ]
  for (const call of more) {
    await t.rejects(call(), /10 calls are waiting.*maxPending/)
  }
  release()
  FileHandle.sync = restore
  t.equal(Math.max(...(await Promise.all(waiting)).map(Number)), 10)
  t.equal(await store.deleteAll('p'), 10, 'the calls that one call makes are not counted')
  t.equal(await store.read('more'), undefined)
})

t.test('a session that is live from the first page to the last is on one of them', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  const ids = Array.from({ length: 300 }, (_, n) => `${n}`)
  await Promise.all(ids.map((id) => before.create(id, record({ principal: 'p' }))))
  await before.close()
  const unreadable = join(directory, `${'0'.repeat(64)}.session`)
  await mkdir(unreadable)
  const { store } = open(t, directory)
  t.equal(await store.create('first', record({ principal: 'p' })), true, 'a login does not wait until all files are read')
  await rm(unreadable, { recursive: true })
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    const page = await store.list('p', { limit: 50, cursor })
    t.ok(page.sessions.length < 100)
    for (const { id } of page.sessions) seen.add(id)
    cursor = page.cursor
    await Promise.all(page.sessions.slice(0, 10).map(({ id }) => store.delete(id)))
    const rest = ids.filter((id) => !seen.has(id))
    for (const id of rest.slice(0, 3)) await store.touch(id, Date.now() + 2 * MINUTE)
    for (const id of rest.slice(3, 6)) await store.update(id, record({ version: 2, principal: 'q' }))
    await store.create(`new ${seen.size}`, record({ principal: 'p' }))
  } while (cursor !== undefined)
  for (const id of ids) if ((await store.read(id))?.principal === 'p' && !seen.has(id)) t.fail(`${id} is on no page`)
})

t.test('damaged files are reported and removed, at open too', async (t) => {
  const directory = t.testdir()
  const before = new FileStore({ directory })
  for (const id of ['a', 'b', 'c', 'd']) await before.create(id, record({ principal: 'p' }))
  await before.close()
  const [first = '', second = '', third = ''] = await sessionFiles(directory)
  await writeFile(first, 'garbage')
  await rename(second, third)
  const { store, reports } = open(t, directory)
  t.equal((await listed(store, 'p')).length, 1)
  t.equal(reports.length, 2)
  t.match(reports, [{ kind: 'damaged', error: Error }, { kind: 'damaged', error: Error }])
  t.equal((await sessionFiles(directory)).length, 1)
})

t.test('reports from before the first observer go to the first observer', async (t) => {
  const directory = t.testdir()
  const garbage = Array.from({ length: 1001 }, (_, n) => `${n.toString(16).padStart(64, '0')}.session`)
  const opened = async (names: string[]): Promise<FileStore> => {
    await Promise.all(names.map((name) => writeFile(join(directory, name), 'garbage')))
    const store = new FileStore({ directory })
    await listed(store, 'p')
    return store
  }
  const told = (store: FileStore): StoreReport[] => {
    const reports: StoreReport[] = []
    store.observe((report) => reports.push(report))
    return reports
  }
  const store = await opened(garbage.slice(0, 5))
  const first = told(store)
  t.same(first.map((report) => 'id' in report && report.id).sort(), garbage.slice(0, 5))
  t.same(told(store), [], 'once')
  await store.close()

  const many = await opened(garbage)
  t.equal(told(many).length, 1000, 'as many as there is room for')
  t.same(await sessionFiles(directory), [])
  await many.close()
})

t.test('files that are not the store\'s are left alone', async (t) => {
  const directory = t.testdir({ 'backup.session': { copy: 'x' }, 'notes.session': 'x', README: 'x' })
  const { store, reports } = open(t, directory)
  await store.create('id', record({ principal: 'p' }))
  t.equal((await listed(store, 'p')).length, 1)
  t.equal(await store.deleteAll('p'), 1)
  await store.close()
  t.same((await readdir(directory)).sort(), ['README', 'backup.session', 'notes.session'])
  t.same(reports, [])
})

t.test('a save flushes the file and its directory, once each', async (t) => {
  const directory = t.testdir({ any: '' })
  const { store } = open(t, directory)
  const file = await openFile(join(directory, 'any'))
  const FileHandle = Object.getPrototypeOf(file) as { sync (): Promise<void> }
  await file.close()
  const calls = t.capture(FileHandle, 'sync', FileHandle.sync)
  await store.create('id', record())
  t.equal(calls().length, 2)
  await store.update('id', record({ version: 2 }))
  t.equal(calls().length, 2)
  await store.delete('id')
  t.equal(calls().length, 1, 'the directory alone')
})

t.test('a store that is out of order rejects: it never says that a session is absent', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store, reports } = open(t, directory)
  await store.create('id', record({ principal: 'p' }))
  const path = await onlyFile(directory)
  const text = await readFile(path)
  await rm(path)
  await mkdir(path)
  await t.rejects(store.read('id'), { code: 'EISDIR' })
  await t.rejects(store.update('id', record({ version: 2 })), { code: 'EISDIR' })
  await t.rejects(listed(store, 'p'), { code: 'EISDIR' })
  await t.rejects(store.deleteAll('p'), { code: 'EISDIR' })
  await rm(path, { recursive: true })
  await writeFile(path, text)
  t.equal((await listed(store, 'p')).length, 1, 'and it is well again by itself')

  await rename(directory, directory + '-gone')
  await t.rejects(store.create('another', record()), { code: 'ENOENT' })
  await t.rejects(store.delete('id').then(() => store.create('id', record())), { code: 'ENOENT' })
  await rename(directory + '-gone', directory)
  t.equal(await store.create('another', record()), true)
  t.same(reports, [])
})

t.test('no part of a file stays behind when it cannot be put in place', async (t) => {
  const directory = t.testdir()
  const { store } = open(t, directory)
  await store.create('id', record())
  const name = (await onlyFile(directory))
  await rm(name)
  t.equal(await store.read('id'), undefined)
  const creating = store.create('id', record({ payload: 'x'.repeat(1_000_000) }))
  await mkdir(name)
  await t.rejects(creating, { code: /EISDIR|ENOTEMPTY|EEXIST/ })
  t.equal((await readdir(dirname(await holderFile(directory)))).length, 1, 'only the name of the holder is left in the lock')
})

t.test('list and deleteAll reject while a file from before the start cannot be read', async (t) => {
  const directory = t.testdir()
  const before = new FileStore({ directory })
  await before.create('a', record({ principal: 'p' }))
  await before.create('b', record({ principal: 'p' }))
  await before.close()
  const [path = ''] = await sessionFiles(directory)
  const text = await readFile(path)
  await rm(path)
  await mkdir(path)
  const { store, reports } = open(t, directory)
  await t.rejects(listed(store, 'p'), { code: 'EISDIR' })
  await t.rejects(store.deleteAll('p'), { code: 'EISDIR' })
  t.match(reports[0], { kind: 'failed', task: 'read the files of earlier sessions' })
  await rm(path, { recursive: true })
  await writeFile(path, text)
  t.equal(await store.deleteAll('p'), 2)
})

/** The callbacks of timers that the store starts, to be called when the test wants time to pass. */
function timers (t: Test): Map<number, () => void> {
  const callbacks = new Map<number, () => void>()
  const { setInterval } = globalThis
  t.intercept(globalThis, 'setInterval', {
    value: (callback: () => void, delay: number) => {
      callbacks.set(delay, callback)
      return setInterval(() => {}, 2 ** 30)
    }
  })
  return callbacks
}

t.test('expired files are removed in the background', async (t) => {
  const callbacks = timers(t)
  const directory = t.testdir()
  const clock = createClock()
  const { store, reports } = open(t, directory, clock.now)
  await Promise.all(Array.from({ length: 250 }, (_, n) =>
    store.create(`${n}`, record({ expiresAt: clock.now() + (n < 20 ? 2 : 1) * MINUTE, principal: 'p' }))))
  const sweep = callbacks.get(10_000)!
  clock.advance(MINUTE)
  sweep()
  sweep()
  const touched = store.touch('1', clock.now() + 5 * MINUTE)
  while ((await sessionFiles(directory)).length > 20) await store.read('0')
  await touched
  t.equal((await store.read('1'))?.expiresAt, clock.now() + 5 * MINUTE)
  t.equal((await listed(store, 'p')).length, 20)

  clock.advance(MINUTE)
  const path = join(directory, (await readdir(directory)).find((name) => name.endsWith('.session'))!)
  await rm(path)
  await mkdir(path)
  sweep()
  await store.close()
  t.ok(reports.length <= 1)
})

t.test('a session that is touched in its last moment is not swept away', async (t) => {
  const callbacks = timers(t)
  const directory = t.testdir()
  const end = Date.now() + MINUTE
  let time = end - 1
  let looks = 0
  const { store } = open(t, directory, () => {
    const now = time
    // The touch has found the session alive; its end comes, and the sweep with it, before the touch is written.
    if (++looks === 3) {
      time = end
      callbacks.get(10_000)!()
    }
    return now
  })
  await store.create('id', record({ expiresAt: end }))
  t.equal(looks, 1)
  looks = 2
  await store.touch('id', end + MINUTE)
  t.equal((await store.read('id'))?.expiresAt, end + MINUTE)
  await store.close()
  t.equal((await sessionFiles(directory)).length, 1)
})

t.test('a directory that cannot be written is reported, not thrown, by the background', async (t) => {
  const callbacks = timers(t)
  const directory = join(t.testdir(), 'sessions')
  const clock = createClock()
  const { store, reports } = open(t, directory, clock.now)
  await store.create('id', record({ expiresAt: clock.now() + MINUTE }))
  clock.advance(MINUTE)
  const path = await onlyFile(directory)
  await rm(path)
  await mkdir(path)
  const reported = new Promise((resolve) => store.observe(resolve))
  callbacks.get(10_000)!()
  t.match(await reported, { kind: 'failed', task: 'remove expired files', error: { code: /EISDIR|EPERM/ } })
  t.same(reports, [await reported], 'and to all who listen')

  const holder = await holderFile(directory)
  await utimes(holder, 0, 0)
  callbacks.get(1000)!()
  while ((await stat(holder)).mtimeMs < MINUTE) await store.read('id')
  const trouble = new Promise((resolve) => store.observe(resolve))
  await rm(holder)
  callbacks.get(1000)!()
  t.match(await trouble, { kind: 'failed', task: 'keep the lock of the directory', error: { code: 'ENOENT' } })
  t.equal(await store.create('another', record()), true, 'the lock itself is there')
})

t.test('wrong options are refused with a sentence', async (t) => {
  for (const options of [undefined, {}, { directory: '' }, { directory: 5 }]) {
    t.throws(() => new FileStore(options as { directory: string }), { code: 'FST_SESSION_OPTIONS', message: /directory must be/ })
  }
  for (const maxPending of [0, -1, 1.5, NaN, '5']) {
    t.throws(() => new FileStore({ directory: t.testdir(), maxPending: maxPending as number }), { code: 'FST_SESSION_OPTIONS', message: /maxPending must be/ })
  }
  const path = join(t.testdir({ file: '' }), 'file')
  t.throws(() => new FileStore({ directory: path }), { code: 'EEXIST' })
})
