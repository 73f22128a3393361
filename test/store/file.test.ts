import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open as openFile, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FileStore } from 'fastify-openapi-session/file'
import { createClock, storeContract } from 'fastify-openapi-session/testing'
import type { SessionRecord, StoreReport } from 'fastify-openapi-session'
import { bare, bundle } from '../support/bundle.js'
import { until } from '../support/servers-process.js'

const MINUTE = 60_000
const child = await bundle(t, new URL('./fixtures/file-child.ts', import.meta.url))

const record = (over: Partial<SessionRecord> = {}): SessionRecord =>
  ({ payload: '{"n":1}', version: 1, expiresAt: Date.now() + MINUTE, ...over })

const sessionFiles = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => name.endsWith('.session')).map((name) => join(directory, name))

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

t.test('the contract', async (t) => {
  const damaging = [
    (path: string) => writeFile(path, ''),
    async (path: string) => writeFile(path, (await readFile(path)).subarray(0, -1)),
    async (path: string) => writeFile(path, (await readFile(path, 'utf8')).replace('"n"', '"m"'))
  ]
  let made = 0
  const makeStore = (clock: { now: () => number }) => {
    const directory = join(t.testdir(), `${++made}`)
    const before = new Set<string>()
    const store = new FileStore({ directory, now: clock.now })
    return {
      store,
      async damage () {
        const path = (await sessionFiles(directory)).find((path) => !before.has(path))!
        before.add(path)
        await damaging[before.size % damaging.length]!(path)
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
  t.equal((await store.list('p1')).length, 125, 'the index is there before the first read')
  for (const [id, given] of records) t.same(await store.read(id), given)
  t.equal(await store.deleteAll('p0'), 125)
  t.same(reports, [])
})

t.test('nobody else can read the files', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store } = open(t, directory)
  await store.create('id', record())
  t.equal((await stat(directory)).mode & 0o777, 0o700)
  t.equal((await stat(await onlyFile(directory))).mode & 0o777, 0o600)
  t.notMatch(await onlyFile(directory), /id/, 'no id is in a name')
})

t.test('a touch is written when it gains a tenth of the time', async (t) => {
  const directory = t.testdir()
  const clock = createClock()
  const { store } = open(t, directory, clock.now)
  await store.create('id', record({ expiresAt: clock.now() + 100 }))
  const touched = async (): Promise<boolean> => {
    const before = (await stat(await onlyFile(directory))).ino
    await store.read('id', clock.now() + 100)
    return (await stat(await onlyFile(directory))).ino !== before
  }
  clock.advance(9)
  t.notOk(await touched())
  clock.advance(1)
  t.ok(await touched())
  t.notOk(await touched())
})

t.test('a second opener is refused with a sentence', async (t) => {
  const directory = t.testdir()
  const { store } = open(t, directory)
  t.throws(() => new FileStore({ directory }), { code: 'FST_SESSION_OPTIONS', message: /this process has .* open/ })
  const other = fork(child, [directory], bare)
  t.match((await once(other, 'message'))[0], new RegExp(`process ${process.pid} has the directory "${directory}" open.*of its own.*RedisStore`))
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
    t.equal((await store.list('p')).length, 10)
    t.equal((await sessionFiles(directory)).length, 10)
    t.notOk((await readdir(directory)).some((name) => name.endsWith('.new')), 'no unfinished file is left')
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
  const directory = t.testdir({ 'lock.7': JSON.stringify({ pid: 2 ** 22 + 1, place: 'gone', start: '1' }) })
  await utimes(join(directory, 'lock.7'), 0, 0)
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

t.test('whose lock it is', async (t) => {
  const lockOf = async (over: object = {}): Promise<string> => {
    const directory = t.testdir()
    const store = new FileStore({ directory })
    const [name = ''] = await readdir(directory)
    const text = await readFile(join(directory, name), 'utf8')
    await store.close()
    return JSON.stringify({ ...JSON.parse(text), ...over })
  }
  const opens = async (lock: string, age = 0, name = 'lock.3'): Promise<string> => {
    const directory = join(t.testdir(), 'sessions')
    await mkdir(directory)
    await writeFile(join(directory, name), lock)
    const seen = new Date(new Date().getTime() - age * 1000)
    await utimes(join(directory, name), seen, seen)
    try {
      await new FileStore({ directory }).close()
      return 'open'
    } catch (error) {
      return (error as Error).message
    }
  }
  t.match(await opens(await lockOf()), /this process has/)
  t.equal(await opens(await lockOf({ start: '1' })), 'open', 'the pid is in use again by another process')
  t.equal(await opens(await lockOf({ pid: 2 ** 22 + 1 })), 'open', 'no such process')
  // Its parent turned into a program that never asks after it, so that it stays in the list of processes.
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => parent.kill())
  const zombie = Number(String((await once(parent.stdout, 'data'))[0]))
  const state = async (): Promise<string[]> => (await readFile(`/proc/${zombie}/stat`, 'utf8').catch(() => ') ? ')).split(') ')[1]?.split(' ') ?? []
  await until('the process is over', async () => process.platform !== 'linux' || (await state())[0] === 'Z')
  t.equal(await opens(await lockOf({ pid: zombie, start: (await state())[19] ?? '' })), 'open', 'a process that is over and still listed')
  t.match(await opens(await lockOf({ place: 'another container' })), new RegExp(`process ${process.pid} has`))
  t.equal(await opens(await lockOf({ place: 'another container' }), 30), 'open', 'silent for too long')
  for (const text of ['', '{', '5', '{"pid":"1"}', '{"pid":1,"place":"x"}']) {
    t.match(await opens(text), /another process has/, 'it may be in the middle of writing it')
    t.equal(await opens(text, 30), 'open')
  }

  t.equal(await opens('', 30, 'lock.9007199254740991'), 'open')
  t.match(await opens('', 30, 'lock.9007199254740992'), /another process has/, 'the next number is taken by then')
  const directory = t.testdir({ 'lock.4': t.fixture('symlink', 'nowhere') })
  await new FileStore({ directory }).close()
  await mkdir(join(directory, 'lock.4'))
  t.throws(() => new FileStore({ directory }), { code: 'EISDIR' })

  const elsewhere = await lockOf({ place: 'another container' })
  const { now } = Date
  let looks = 0
  t.intercept(Date, 'now', { value: () => now() + (++looks === 1 ? MINUTE : 0) })
  t.match(await opens(elsewhere), /has the directory/, 'it shows that it is alive between the look and the lock')
  t.same(await readdir(join(t.testdirName, 'sessions')), ['lock.3'], 'and its lock is left alone')
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
  t.equal((await store.list('p')).length, 1)
  t.equal(reports.length, 2)
  t.match(reports, [{ kind: 'damaged', error: Error }, { kind: 'damaged', error: Error }])
  t.equal((await sessionFiles(directory)).length, 1)
})

t.test('what is found before anybody listens is told to the first who does', async (t) => {
  const directory = t.testdir()
  const garbage = Array.from({ length: 1001 }, (_, n) => `${n.toString(16).padStart(64, '0')}.session`)
  const opened = async (names: string[]): Promise<FileStore> => {
    await Promise.all(names.map((name) => writeFile(join(directory, name), 'garbage')))
    const store = new FileStore({ directory })
    await store.list('p')
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

t.test('what is no file of the store is in nobody\'s way', async (t) => {
  const directory = t.testdir({ 'backup.session': { copy: 'x' }, 'notes.session': 'x', README: 'x' })
  const { store, reports } = open(t, directory)
  await store.create('id', record({ principal: 'p' }))
  t.equal((await store.list('p')).length, 1)
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
  await t.rejects(store.list('p'), { code: 'EISDIR' })
  await t.rejects(store.deleteAll('p'), { code: 'EISDIR' })
  await rm(path, { recursive: true })
  await writeFile(path, text)
  t.equal((await store.list('p')).length, 1, 'and it is well again by itself')

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
  t.notOk((await readdir(directory)).some((name) => name.endsWith('.new')))
})

t.test('the sessions of a principal are not told while a file from before cannot be read', async (t) => {
  const directory = t.testdir()
  const before = new FileStore({ directory })
  await before.create('a', record({ principal: 'p' }))
  await before.create('b', record({ principal: 'p' }))
  await before.close()
  const [path = ''] = await sessionFiles(directory)
  const text = await readFile(path)
  await rm(path)
  await mkdir(path)
  await writeFile(join(directory, 'unfinished.session.3.new'), 'x')
  const { store, reports } = open(t, directory)
  await t.rejects(store.list('p'), { code: 'EISDIR' })
  await t.rejects(store.deleteAll('p'), { code: 'EISDIR' })
  t.match(reports[0], { kind: 'failed', task: 'read the sessions from before' })
  await rm(path, { recursive: true })
  await writeFile(path, text)
  t.equal(await store.deleteAll('p'), 2)
  t.notOk((await readdir(directory)).some((name) => name.endsWith('.new')), 'what a dead process left unfinished is removed')
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
  const touched = store.read('1', clock.now() + 5 * MINUTE)
  while ((await sessionFiles(directory)).length > 20) await store.read('0')
  t.equal((await touched)?.expiresAt, clock.now() + 5 * MINUTE)
  t.equal((await store.list('p')).length, 20)

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
    // The read has found the session alive; its end comes, and the sweep with it, before the touch is written.
    if (++looks === 4) {
      time = end
      callbacks.get(10_000)!()
    }
    return now
  })
  await store.create('id', record({ expiresAt: end }))
  t.equal(looks, 1)
  looks = 2
  t.equal((await store.read('id', end + MINUTE))?.expiresAt, end + MINUTE)
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
  await rm(path, { recursive: true })

  const lock = (await readdir(directory)).find((name) => name.startsWith('lock'))!
  await utimes(join(directory, lock), 0, 0)
  callbacks.get(5000)!()
  while ((await stat(join(directory, lock))).mtimeMs < MINUTE) await store.read('id')
  const lost = new Promise((resolve) => store.observe(resolve))
  await rm(join(directory, lock))
  callbacks.get(5000)!()
  t.match(await lost, { kind: 'failed', task: 'show that the directory is in use', error: { code: 'ENOENT' } })
})

t.test('wrong options', async (t) => {
  for (const options of [undefined, {}, { directory: '' }, { directory: 5 }]) {
    t.throws(() => new FileStore(options as { directory: string }), { code: 'FST_SESSION_OPTIONS', message: /directory must be/ })
  }
  const path = join(t.testdir({ file: '' }), 'file')
  t.throws(() => new FileStore({ directory: path }), { code: 'EEXIST' })
})
