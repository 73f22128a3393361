import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import fs, { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { hostname } from 'node:os'
import { join } from 'node:path'
import timers from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FileStore } from 'fastify-openapi-session/file'
import { createClock, storeContract } from 'fastify-openapi-session/testing'
import type { Awaitable, SessionRecord, StoredSession, StoreReport } from 'fastify-openapi-session'
import { bare, bundle } from '../support/bundle.js'
import { full, holdFlushes, holdTimers, newest, open, patch, record, rewritten, silence } from '../support/file-store.js'
import { createGate } from '../support/gate.js'
import { journaled, journalsIn, linesIn } from '../support/journals.js'
import { temporaryDirectory, until } from '../support/servers-process.js'

const MINUTE = 60_000
const child = await bundle(t, new URL('./fixtures/file-child.ts', import.meta.url))

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

t.test('FileStore keeps the store contract', async (t) => {
  let made = 0
  const makeStore = ({ now }: { now: () => number }): FileStore => new FileStore({ directory: join(t.testdir(), `${++made}`), now })
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => { t.equal(await run(makeStore), name.startsWith('a damaged record') ? 'not applicable' : 'passed') })
  }
})

t.test('sessions survive a restart', async (t) => {
  const directory = join(t.testdir(), 'made/for/it')
  const first = new FileStore({ directory })
  const records = new Map<string, SessionRecord>()
  for (let n = 0; n < 250; n++) {
    const given = record({ payload: `"${n} é😀\n\ud800"`, ...(n % 3 > 0 && { principal: `p${n % 3}` }) })
    records.set(`id ${n} \udfff`, given)
    await first.create(`id ${n} \udfff`, given)
  }
  await first.touch('id 5 \udfff', Date.now() + 5 * MINUTE)
  await first.update('id 7 \udfff', { ...records.get('id 7 \udfff')!, version: 2 })
  await first.delete('id 8 \udfff')
  await first.close()
  await t.rejects(async () => await first.read('id 1 \udfff'), /closed/)

  for (const round of [1, 2]) {
    const { store, reports } = open(t, directory)
    t.equal((await listed(store, 'p1')).length, 83)
    t.equal((await listed(store, 'p2')).length, 82)
    t.equal(await store.read('id 8 \udfff'), undefined)
    t.ok((await store.read('id 5 \udfff'))!.expiresAt > Date.now() + 4 * MINUTE)
    t.equal((await store.read('id 7 \udfff'))?.version, 2)
    for (const n of [0, 1, 2, 100, 249]) t.same(await store.read(`id ${n} \udfff`), records.get(`id ${n} \udfff`), `after restart ${round}`)
    await rewritten(directory)
    t.equal(await store.deleteAll('nobody'), 0)
    t.same(reports, [])
    await store.close()
  }
})

t.test('other users of the machine cannot read the files, and the names tell nothing', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store } = open(t, directory)
  await store.create('id', record())
  t.equal((await stat(directory)).mode & 0o777, 0o700)
  t.equal((await stat(newest(directory))).mode & 0o777, 0o600)
  t.match(await readdir(directory), [/^sessions\.\d+\.log$/])
})

t.test('a touch writes the new expiry at once, and a read or a touch without gain writes nothing', async (t) => {
  const directory = t.testdir()
  const clock = createClock()
  const { store } = open(t, directory, { now: clock.now })
  const first = clock.now() + MINUTE
  await store.create('id', record({ expiresAt: first }))
  const writes = async (call: () => Awaitable<unknown>): Promise<boolean> => {
    const before = (await stat(newest(directory))).size
    await call()
    return (await stat(newest(directory))).size !== before
  }
  t.notOk(await writes(() => store.read('id')))
  t.notOk(await writes(() => store.touch('id', first)))
  t.ok(await writes(() => store.touch('id', first + 1)))
  await store.close()
  const { store: next } = open(t, directory, { now: clock.now })
  t.same(await next.read('id'), record({ expiresAt: first + 1 }))
})

t.test('a read needs no promise, unless the session has a change that is not on the disk', async (t) => {
  const directory = t.testdir()
  const { store } = open(t, directory)
  await store.create('saved', record())
  await store.create('deleted', record())
  const { held, release } = await holdFlushes(t)
  const settled: string[] = []
  const watch = (name: string, call: Awaitable<unknown>): Promise<unknown> => Promise.resolve(call).finally(() => settled.push(name))
  const waiting = [watch('create', store.create('new', record())), watch('delete', store.delete('deleted')), watch('update', store.update('gone', record({ version: 2 })))]
  await held
  waiting.push(
    watch('read of the new one', store.read('new')), watch('read of the deleted one', store.read('deleted')), watch('conflict', store.update('new', record({ version: 9 }))),
    watch('second create', store.create('new', record())), watch('missing', store.update('deleted', record({ version: 2 }))), watch('second delete', store.delete('deleted')),
    watch('list', store.list('p', { limit: 1 })), watch('deleteAll', store.deleteAll('p')), watch('create during the flush', store.create('newer', record()))
  )
  t.match(store.read('saved'), { version: 1 }, 'at once')
  for (let n = 0; n < 20; n++) await timers.setImmediate()
  t.same(settled, ['update'], 'what changed nothing and saw nothing of it')
  release()
  t.match(await Promise.all(waiting), [true, true, 'missing', { version: 1 }, undefined, 'conflict', false, 'missing', false, { sessions: [] }, 0, true])
  t.match(store.read('new'), { version: 1 })
})

t.test('a list waits until the sessions that it has seen are on the disk', async (t) => {
  const { store } = open(t, t.testdir())
  await store.create('saved', record({ principal: 'p' }))
  const { held, release } = await holdFlushes(t)
  const settled: string[] = []
  const created = Promise.resolve(store.create('new', record({ principal: 'p' })))
  await held
  const list = Promise.resolve(store.list('p', { limit: 9 })).finally(() => settled.push('list'))
  for (let n = 0; n < 20; n++) await timers.setImmediate()
  t.same(settled, [], 'the new session is being written')
  release()
  t.equal((await list).sessions.length, 2)
  t.equal(await created, 2)
})

t.test('calls that come during a flush share the next one', async (t) => {
  const { store } = open(t, t.testdir())
  await store.create('first', record())
  let flushes = 0
  for (const method of ['datasync', 'utimes'] as const) {
    await patch(t, method, (real) => async function (this: unknown, ...given: unknown[]) {
      flushes++
      await real.apply(this, given)
    })
  }
  await Promise.all(Array.from({ length: 500 }, (_, n) => store.create(`${n}`, record({ principal: 'p' }))))
  t.ok(flushes >= 1 && flushes <= 3, `${flushes} flushes for 500 calls`)
  t.equal((await listed(store, 'p')).length, 500)
})

t.test('a second opener is refused with a sentence', async (t) => {
  const directory = t.testdir()
  const { store } = open(t, directory)
  const names = await readdir(directory)
  t.throws(() => new FileStore({ directory }), { code: 'FST_SESSION_OPTIONS', message: /this process has .* open/ })
  const other = fork(child, [directory], bare)
  t.match((await once(other, 'message'))[0], new RegExp(`process ${process.pid} has the directory "${directory}" open.*its own directory.*RedisStore.*taken over at once.*5 seconds`))
  await once(other, 'exit')
  t.same(await readdir(directory), names, 'the second leaves nothing behind')
  await store.close()
  await store.close()
  for (let n = 0; n < 3; n++) await new FileStore({ directory }).close()
  t.same(await readdir(directory), [names[0]!.replace(/\d+/, (number) => `${Number(number) + 3}`)], 'older journals are removed')
})

t.test('what a killed process acknowledged is there, and its directory is taken over', async (t) => {
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
    for (const [id, version] of acknowledged) {
      const found = await store.read(id)
      t.ok(found && (found.version === version || found.version === version + 1), `${id}: ${found?.version} for ${version}`)
      t.match(found?.payload, new RegExp(`^(${found?.version} )+$`))
    }
    t.same(reports, [])
    await store.deleteAll('p')
    await store.close()
    t.equal((await readdir(directory)).length, 1)
  }
})

t.test('a line that a crash cut short is ignored, wherever it was cut', async (t) => {
  const directory = temporaryDirectory(t, 'cut')
  const before = new FileStore({ directory })
  await before.create('a', record({ principal: 'p' }))
  const kept = statSync(newest(directory)).size
  await Promise.all([before.delete('a'), before.create('b', record({ principal: 'p' })), before.create('c', record({ principal: 'p' }))])
  const text = readFileSync(newest(directory))
  await before.close()
  for (let length = kept; length <= text.length; length += 7) {
    const place = temporaryDirectory(t, 'cut')
    writeFileSync(join(place, 'sessions.1.log'), Buffer.concat([Buffer.from('free'), text.subarray(4, length)]))
    const { store, reports } = open(t, place)
    t.same((await listed(store, 'p')).map(({ id }) => id), length === text.length ? ['b', 'c'] : ['a'])
    t.same(reports, [])
    await store.close()
  }
})

t.test('a damaged line signs out the sessions before it, because one of them may have ended in it', async (t) => {
  const directory = t.testdir()
  const before = new FileStore({ directory })
  for (const id of ['old', 'deleted', 'updated']) await before.create(id, record({ principal: 'p' }))
  await before.delete('deleted')
  await before.update('updated', record({ version: 2, principal: 'p' }))
  await before.create('new', record({ principal: 'p' }))
  await before.close()
  copyFileSync(newest(directory), newest(directory).replace('sessions.', 'sessions.9'))
  const lines = (await readFile(newest(directory), 'utf8')).split('\n')
  lines[4] = lines[4]!.replace('deleted', 'other')
  lines[1] = ''
  await writeFile(newest(directory), lines.join('\n'))
  const beat = holdTimers(t)
  const { store, reports } = open(t, directory)
  t.same((await listed(store, 'p')).map(({ id }) => id).sort(), ['new', 'updated'])
  t.match(reports, [{ kind: 'failed', task: 'read the journal', error: { message: /line 5 of ".*sessions\.9\d+\.log" is damaged.*before it have ended/ } }])
  t.equal(reports.length, 1, 'once for each file')
  await rewritten(directory, beat)
  await store.close()
  const { store: next, reports: later } = open(t, directory)
  t.equal((await listed(next, 'p')).length, 2)
  t.same(later, [], 'and not again')
})

t.test('reports from before the first observer go to the first observer', async (t) => {
  const directory = t.testdir({ 'sessions.1.log': 'free\nbroken\n' })
  const { store, reports } = open(t, directory)
  t.equal(reports.length, 1)
  const others: StoreReport[] = []
  store.observe((report) => others.push(report))
  t.same(others, [])
})

t.test('files that are not the store\'s are left alone', async (t) => {
  const directory = t.testdir({ 'sessions.log': 'x', 'sessions.01.log': 'x', 'sessions.1.log.bak': { copy: 'x' }, README: 'x' })
  const { store, reports } = open(t, directory)
  await store.create('id', record({ principal: 'p' }))
  t.equal((await listed(store, 'p')).length, 1)
  t.equal(await store.deleteAll('p'), 1)
  await store.close()
  t.match((await readdir(directory)).sort(), ['README', 'sessions.01.log', 'sessions.1.log.bak', /^sessions\.\d{13}\.log$/, 'sessions.log'])
  t.same(reports, [])
})

t.test('a session that was evicted stays ended after a restart, and a smaller limit holds from the start', async (t) => {
  const directory = t.testdir()
  const { store, reports } = open(t, directory, { maxSessions: 3 })
  for (const id of ['a', 'b', 'c']) await store.create(id, record({ principal: id }))
  await store.touch('a', Date.now() + 2 * MINUTE)
  await store.create('d', record({ principal: 'd' }))
  t.same(reports, [{ kind: 'evicted', id: 'b', principal: 'b' }])
  await store.close()
  const { store: next, reports: more } = open(t, directory, { maxSessions: 2 })
  t.same(more, [{ kind: 'evicted', id: 'c', principal: 'c' }], 'the one that has been idle for the longest time')
  t.equal(next.read('b'), undefined)
  t.ok(next.read('a') && next.read('d'))
  await rewritten(directory)
  await next.close()
  const { store: last } = open(t, directory)
  t.same(['a', 'b', 'c', 'd'].filter((id) => last.read(id) !== undefined), ['a', 'd'])
  await t.rejects(async () => await last.create('huge', record({ payload: 'x'.repeat(2 ** 28 + 1) })), /FileStore: a session of .* maxBytes/)
})

/** The text that names this process as a holder, with changes: of its machine, or of its container. */
async function holderText (t: Test, over: { pid?: number, start?: string, machine?: string, container?: string } = {}): Promise<string> {
  const directory = temporaryDirectory(t, 'holder')
  const store = new FileStore({ directory })
  const [text = ''] = (await readFile(newest(directory), 'utf8')).split('\n')
  await store.close()
  const [, pid, start, machine, container] = text.split(' ')
  return ['held', over.pid ?? pid, over.start ?? start, over.machine ?? machine, over.container ?? container].join(' ')
}

/** A directory that a holder has, who showed the last sign of life `age` seconds ago. */
async function locked (t: Test, holder: string, age = 0, number: number | string = 3): Promise<{ directory: string, path: string }> {
  const directory = temporaryDirectory(t, 'locked')
  const path = join(directory, `sessions.${number}.log`)
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

t.test('of several that take over at once one succeeds at most', async (t) => {
  const { directory } = await locked(t, `${await holderText(t, { pid: 2 ** 22 + 1 })}\n`)
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

t.test('the directory of a process that is known to be dead is taken over at once', async (t) => {
  const count = waits(t)
  const opens = async (over: object): Promise<string> => await tryOpen((await locked(t, `${await holderText(t, over)}\n`)).directory)
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

t.test('a journal does not name the host: a container that is started again may have another host name', async (t) => {
  t.notMatch(await holderText(t), hostname())
})

t.test('the directory of a process in another container is taken over when that shows no sign of life for five seconds', async (t) => {
  const count = waits(t)
  const waited = async (holder: string, age: number): Promise<number> => {
    const before = count()
    t.equal(await tryOpen((await locked(t, holder, age)).directory), 'open', holder)
    return count() - before
  }
  const container = `${await holderText(t, { container: 'another' })}\n`
  t.equal(await waited(container, 6), 0, 'at once, where it has been silent for longer')
  t.equal(await waited(container, -60), 50)
  // Clocks of machines differ, so that the age of a sign of life says nothing.
  for (const holder of [`${await holderText(t, { machine: 'another' })}\n`, '', '\n', 'held', 'held {\n', 'held 5\n', 'held 5 \n', 'held 5 6\n', 'held x y z\n']) {
    t.same([await waited(holder, 6), await waited(holder, -60)], [50, 50], holder)
  }
})

t.test('a process of another machine whose clock is behind is left alone while it shows signs of life', async (t) => {
  const { directory, path } = await locked(t, `${await holderText(t, { machine: 'another' })}\n`, 60)
  const count = waits(t, () => { if (count() === 3) utimesSync(path, new Date(), new Date(Date.now() - 59_000)) })
  t.match(await tryOpen(directory), /another container or machine has the directory/)
  t.same(await readdir(directory), ['sessions.3.log'])
})

t.test('a process in another container that shows a sign of life is left alone, and the message says how long one waits', async (t) => {
  const { directory, path } = await locked(t, `${await holderText(t, { container: 'another' })}\n`)
  const count = waits(t, () => { if (count() === 3) utimesSync(path, new Date(), new Date(Date.now() + 1000)) })
  t.match(await tryOpen(directory), new RegExp(`process ${process.pid} of another container or machine has the directory "${directory}" open.*5 seconds without a sign of life`))
  t.equal(count(), 3)
  t.same(await readdir(directory), ['sessions.3.log'])
  await writeFile(path, '')
  const text = waits(t, () => { utimesSync(path, 0, text()) })
  t.match(await tryOpen(directory), /another process has/)
})

t.test('a process that created journals while the opener waited for it keeps the directory', async (t) => {
  const silent = `${await holderText(t, { container: 'another' })}\n`
  for (const created of [['sessions.4.log'], ['sessions.9.log'], ['sessions.4.log', 'sessions.5.log']]) {
    const { directory } = await locked(t, silent, -60)
    waits(t, () => { for (const name of created) writeFileSync(join(directory, name), silent) })
    t.match(await tryOpen(directory), /another process has the directory/)
    t.same(await readdir(directory), ['sessions.3.log', ...created])
  }
})

t.test('a directory that cannot be read is not taken', async (t) => {
  const directory = t.testdir({ 'sessions.1.log': {}, 'sessions.2.log': 'free\n' })
  for (let n = 0; n < 2; n++) t.throws(() => new FileStore({ directory }), { code: 'EISDIR' })
  t.same(await readdir(directory), ['sessions.1.log', 'sessions.2.log'])
  await rm(join(directory, 'sessions.2.log'))
  t.throws(() => new FileStore({ directory }), { code: 'EISDIR' })
})

t.test('a process that lost the directory changes nothing any more, and all of its calls fail', async (t) => {
  const calls: Record<string, (store: FileStore) => Awaitable<unknown>> = {
    create: (store) => store.create('new', record()),
    touch: (store) => store.touch('id', Date.now() + 10 * MINUTE),
    update: (store) => store.update('id', record({ version: 2, principal: 'p' })),
    'ending update': (store) => store.update('id', record({ version: 2, expiresAt: 0 })),
    delete: (store) => store.delete('id'),
    deleteAll: (store) => store.deleteAll('p')
  }
  const all = { ...calls, read: (store: FileStore) => store.read('id'), list: (store: FileStore) => store.list('nobody', { limit: 1 }), clear: (store: FileStore) => store.clear() }
  for (const [name, call] of Object.entries(calls)) {
    const beat = holdTimers(t)
    const directory = temporaryDirectory(t, 'lost')
    const { store: paused, reports } = open(t, directory)
    await paused.create('id', record({ principal: 'p' }))
    await silence(directory)
    const { store: next } = open(t, directory)
    const lost = { message: /another process took over the directory.*Restart the app/ }
    await t.rejects(async () => await call(paused), lost, name)
    for (const [name, call] of Object.entries(all)) await t.rejects(async () => await call(paused), lost, name)
    const reported = new Promise((resolve) => paused.observe(resolve))
    beat()
    await reported
    beat()
    await rewritten(directory)
    t.match(reports, [{ kind: 'failed', task: 'write the journal', error: lost }])
    t.equal(reports.length, 1)
    await paused.close()
    t.same((await next.read('id'))?.version, 1)
    t.equal(next.read('new'), undefined)
    t.equal(await next.delete('id'), true)
    t.throws(() => new FileStore({ directory }), /this process has/, 'the journal of the new owner is left alone')
  }
})

t.test('a process that lost the directory does not come back when the files of the other process are removed', async (t) => {
  const directory = t.testdir()
  const { store: paused } = open(t, directory)
  await paused.create('id', record())
  const own = newest(directory)
  await silence(directory)
  const bytes = await readFile(own)
  const { store: next } = open(t, directory)
  t.equal(await next.delete('id'), true)
  await t.rejects(paused.create('new', record()), /took over/)
  await next.close()
  await rm(newest(directory))
  await writeFile(own, bytes)
  await t.rejects(paused.create('newer', record()), /took over/)
  await t.rejects(async () => await paused.read('id'), /took over/)
})

t.test('a process that was paused looks who has the directory before it answers a read', async (t) => {
  const directory = t.testdir()
  const { store: paused } = open(t, directory)
  await paused.create('id', record())
  await silence(directory)
  const { store: next } = open(t, directory)
  await next.delete('id')
  const { now } = Date
  const later = t.intercept(Date, 'now', { value: () => now() + 4000 })
  await t.rejects(async () => await paused.read('id'), /took over/)
  await t.rejects(async () => await paused.list('p', { limit: 1 }), /took over/)
  t.equal(await next.read('id'), undefined, 'one that has the directory answers')
  later.restore()
})

t.test('a write that was under way when the directory was lost is not acknowledged and undoes no logout', async (t) => {
  for (const change of ['touch', 'update', 'create'] as const) {
    const directory = temporaryDirectory(t, 'lost')
    const { store: paused } = open(t, directory)
    await paused.create('id', record())
    const { held, release } = await holdFlushes(t)
    const writing: Promise<unknown> = {
      touch: () => paused.touch('id', Date.now() + 10 * MINUTE),
      update: () => paused.update('id', record({ version: 2 })),
      create: () => paused.create('id 2', record())
    }[change]()
    await held
    await silence(directory)
    const { store: next } = open(t, directory)
    const ended = next.deleteAll('p').then(() => Promise.all([next.delete('id'), next.delete('id 2')]))
    release()
    await t.rejects(writing, /another process took over/)
    await ended
    t.equal(await next.read('id'), undefined, change)
    await rewritten(directory)
    t.same([...journaled(directory)], [])
    await next.close()
  }
})

t.test('a process that is stopped while it writes acknowledges nothing after another has taken over', async (t) => {
  const directory = t.testdir()
  const writer = fork(child, [directory, 'write'], bare)
  t.teardown(() => { writer.kill('SIGKILL') })
  const acknowledged = new Map<string, number>()
  let enough = (): void => {}
  const warm = new Promise<void>((resolve) => { enough = resolve })
  const failed = new Promise<string>((resolve) => {
    writer.on('message', ({ id, version, outcome, failure }: { id: string, version: number, outcome?: string, failure?: string }) => {
      if (outcome === 'updated' && acknowledged.set(id, version).size === 10) enough()
      if (failure !== undefined) resolve(failure)
    })
  })
  await warm
  writer.kill('SIGSTOP')
  await until('it is stopped', async () => (await readFile(`/proc/${writer.pid}/stat`, 'utf8')).split(') ')[1]?.[0] === 'T')
  t.throws(() => new FileStore({ directory }), new RegExp(`process ${writer.pid} has`), 'not taken from a process of this machine that is there')
  await silence(directory)
  const { store, reports } = open(t, directory)
  const versions = new Map((await listed(store, 'p')).map(({ id, record }) => [id, record.version]))
  writer.kill('SIGCONT')
  t.match(await failed, /took over/)
  for (const [id, version] of acknowledged) t.ok(version <= versions.get(id)!, `${id}: ${version} was acknowledged, and ${versions.get(id)} is there`)
  t.same((await listed(store, 'p')).map(({ record }) => record.version), [...versions.values()])
  t.same(reports, [])
})

t.test('while the disk hangs, calls beyond maxPending are rejected at once, and the others complete later', async (t) => {
  const { store } = open(t, t.testdir(), { maxPending: 10 })
  const { held, release } = await holdFlushes(t)
  const waiting = Array.from({ length: 10 }, (_, n) => store.create(`${n}`, record({ principal: 'p' })))
  await held
  const more: Array<() => Awaitable<unknown>> = [
    () => store.create('more', record()), () => store.read('0'), () => store.touch('0', 0), () => store.deleteAll('p')
  ]
  for (const call of more) await t.rejects(async () => await call(), /10 calls are waiting.*maxPending/)
  release()
  t.equal(Math.max(...(await Promise.all(waiting)).map(Number)), 10)
  t.equal(await store.deleteAll('p'), 10)
  t.equal(store.read('more'), undefined)
})

t.test('a change that could not be written fails, is not seen by anybody before it is written, and survives then', async (t) => {
  for (const method of ['write', 'datasync'] as const) {
    const directory = temporaryDirectory(t, 'full')
    const { store } = open(t, directory)
    await store.create('saved', record())
    await store.create('deleted', record())
    const before = journaled(directory)
    // A part of the line is written before the disk is full.
    const restore = await patch(t, method, (real) => async function (this: unknown, bytes?: Buffer, ...rest: unknown[]) {
      if (bytes !== undefined) await real.call(this, bytes.subarray(0, 60), 0, 60, rest[2])
      return await full()
    })
    const failing = [store.create('new', record()), store.delete('deleted'), store.touch('saved', Date.now() + 5 * MINUTE)]
    for (const call of failing) await t.rejects(async () => await call, { code: 'ENOSPC' })
    for (const id of ['new', 'deleted', 'saved']) await t.rejects(async () => await store.read(id), { code: 'ENOSPC' }, `${id} is neither here nor there`)
    await t.rejects(store.create('more', record()), { code: 'ENOSPC' })
    t.equal(store.read('more'), undefined, 'while the disk is full no further change is made')
    if (method === 'write') t.same(journaled(directory), before)
    restore()
    t.match(await store.read('new'), { version: 1 }, 'the next call writes what was left')
    t.equal(store.read('deleted'), undefined)
    await store.close()
    const { store: next, reports } = open(t, directory)
    t.match(next.read('new'), { version: 1 })
    t.equal(next.read('deleted'), undefined)
    t.ok((await next.read('saved'))!.expiresAt > Date.now() + 4 * MINUTE)
    t.same(reports, [], 'no line is damaged')
    await next.close()
  }
})

t.test('a line that takes the place of a longer one, which could not be flushed, leaves nothing of it', async (t) => {
  const directory = t.testdir()
  const beat = holdTimers(t)
  const clock = createClock()
  const { store } = open(t, directory, { now: clock.now })
  await store.create('saved', record({ expiresAt: clock.now() + 5 * MINUTE }))
  const restore = await patch(t, 'datasync', () => full)
  await t.rejects(store.create('long', record({ payload: 'x'.repeat(1000), expiresAt: clock.now() + MINUTE })), { code: 'ENOSPC' })
  t.equal(journaled(directory).size, 2)
  restore()
  clock.advance(MINUTE)
  await until('the end of the session is written instead', async () => {
    beat()
    return journaled(directory).size === 1
  })
  await store.close()
  const { store: next, reports } = open(t, directory, { now: clock.now })
  t.match(next.read('saved'), { version: 1 })
  t.same(reports, [])
})

t.test('while the disk is full, sessions are read, and the background writes the rest when there is room', async (t) => {
  const directory = t.testdir()
  const beat = holdTimers(t)
  const { store, reports } = open(t, directory)
  await store.create('saved', record())
  const restore = await patch(t, 'write', () => full)
  await t.rejects(store.create('new', record()), { code: 'ENOSPC' })
  const { now } = Date
  const before = (await stat(newest(directory))).mtimeMs
  t.intercept(Date, 'now', { value: () => now() + 3000 })
  await until('it shows a sign of life', async () => {
    beat()
    return (await stat(newest(directory))).mtimeMs > before + 2000
  })
  t.intercept(Date, 'now', { value: () => now() + 6000 })
  t.match(store.read('saved'), { version: 1 })
  restore()
  await until('the background has written it', async () => {
    beat()
    return journaled(directory).has('new')
  })
  t.match(await store.read('new'), { version: 1 })
  t.same(reports, [], 'the call that failed has told of it')
})

t.test('a session that is live from the first page to the last is on one of them', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory)
  const ids = Array.from({ length: 300 }, (_, n) => `${n}`)
  await Promise.all(ids.map((id) => before.create(id, record({ principal: 'p' }))))
  await before.close()
  const { store } = open(t, directory)
  t.equal(await store.create('first', record({ principal: 'p' })), 301)
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
  for (const id of ids) if (store.read(id) && (await store.read(id))?.principal === 'p' && !seen.has(id)) t.fail(`${id} is on no page`)
})

t.test('a journal that has grown is rewritten while sessions change', async (t) => {
  const directory = t.testdir()
  const beat = holdTimers(t)
  const { store, reports } = open(t, directory, { maxPending: 10_000 })
  const expected = new Map<string, SessionRecord>()
  const payload = '"x"'.repeat(250)
  const save = async (n: number, version: number): Promise<void> => {
    const given = record({ payload: `${payload}${version}`, version, principal: 'p' })
    t.not(await (version === 1 ? store.create(`${n}`, given) : store.update(`${n}`, given)), version === 1 ? false : 'conflict')
    expected.set(`${n}`, given)
  }
  const count = 1200
  await Promise.all(Array.from({ length: count }, (_, n) => save(n, 1)))
  let version = 1
  for (let rewrites = 0; rewrites < 2; rewrites++) {
    const before = newest(directory)
    for (; newest(directory) === before; beat()) {
      version++
      await Promise.all(Array.from({ length: 300 }, (_, n) => save(n, version)))
    }
    for (let n = count - 1; journalsIn(directory).length > 1; n--) {
      await store.delete(`${n - rewrites * 300}`)
      expected.delete(`${n - rewrites * 300}`)
      await save(n % 300, expected.get(`${n % 300}`)!.version + 1)
    }
    version = Math.max(...[...expected.values()].map((each) => each.version))
    for (let n = 0; n < 300; n++) while (expected.get(`${n}`)!.version < version) await save(n, expected.get(`${n}`)!.version + 1)
  }
  t.same(journaled(directory), expected)
  t.ok(statSync(newest(directory)).size < 10_000_000)
  t.same(reports, [])
  await store.close()
  const { store: next } = open(t, directory)
  for (const [id, given] of expected) t.equal((await next.read(id))?.version, given.version, id)
  t.equal((await listed(next, 'p', 1000)).length, expected.size)
})

t.test('sessions that have expired leave the disk within a minute or so', async (t) => {
  const directory = t.testdir()
  const beat = holdTimers(t)
  const clock = createClock()
  const { store, reports } = open(t, directory, { now: clock.now })
  await Promise.all(Array.from({ length: 250 }, (_, n) =>
    store.create(`${n}`, record({ expiresAt: clock.now() + (n < 20 ? 2 : 1) * MINUTE, principal: 'p' }))))
  clock.advance(MINUTE)
  const touched = store.touch('1', clock.now() + 5 * MINUTE)
  const beats = async (left: number): Promise<void> => {
    await until(`${left} sessions are left`, async () => {
      beat()
      return linesIn(directory) <= 1 && journaled(directory).size === left && journalsIn(directory).length === 1
    })
  }
  await beats(20)
  await touched
  t.equal((await store.read('1'))?.expiresAt, clock.now() + 5 * MINUTE)
  t.equal((await listed(store, 'p')).length, 20)
  clock.advance(MINUTE)
  await beats(1)
  t.same(reports, [])
})

t.test('a copy that fails is made again later, and nothing is removed before', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory, { maxPending: 10_000 })
  await Promise.all(Array.from({ length: 1200 }, (_, n) => before.create(`${n}`, record({ principal: 'p' }))))
  await before.close()
  const beat = holdTimers(t)
  const restore = await patch(t, 'write', () => full)
  const { store, reports } = open(t, directory)
  await new Promise((resolve) => store.observe(resolve))
  t.match(reports, [{ kind: 'failed', task: 'write the journal', error: { code: 'ENOSPC' } }])
  restore()
  await store.delete('0')
  t.equal(journalsIn(directory).length, 2)
  await until('the copy is made', async () => {
    beat()
    return journalsIn(directory).length === 1
  })
  t.equal(journaled(directory).size, 1199)
  t.equal((await listed(store, 'p')).length, 1199)
  t.equal(reports.length, 1)
})

t.test('the older journals are removed in their order, so that a crash in between brings no session back', async (t) => {
  const directory = t.testdir({ 'sessions.1.log': 'free\n' })
  const { store: before } = open(t, directory)
  await before.create('id', record())
  await rewritten(directory)
  await before.close()
  copyFileSync(newest(directory), join(directory, 'sessions.3.log'))
  const { rm } = fs
  const names: string[] = []
  const removing = t.intercept(fs, 'rm', { value: async (...args: Parameters<typeof rm>) => {
    names.push(String(args[0]).slice(directory.length + 1))
    await rm(...args)
  } })
  syncBuiltinESMExports()
  const beat = holdTimers(t)
  const isFlushed = new Promise<void>((resolve) => {
    void patch(t, 'sync', (real) => async function (this: unknown) {
      await real.call(this)
      if (names.length > 0 && names.push('flush') === 4) resolve()
    })
  })
  const { store } = open(t, directory)
  await rewritten(directory, beat)
  await isFlushed
  removing.restore()
  syncBuiltinESMExports()
  t.same(names, ['sessions.2.log', 'flush', 'sessions.3.log', 'flush'], 'a power cut keeps the order, too')
  await store.close()
})

t.test('the name of a new journal is on the disk before a change is acknowledged', async (t) => {
  const done: string[] = []
  for (const method of ['sync', 'datasync'] as const) {
    await patch(t, method, (real) => async function (this: unknown) {
      await real.call(this)
      done.push(method)
    })
  }
  const { store } = open(t, t.testdir())
  await store.create('id', record())
  t.equal(done[0], 'sync')
  t.ok(done.includes('datasync'))
})

t.test('clear of many sessions lets other work have its turn between batches', async (t) => {
  const { store } = open(t, t.testdir(), { maxPending: 10_000 })
  await Promise.all(Array.from({ length: 2600 }, (_, n) => store.create(`${n}`, record({ principal: 'p' }))))
  let turns = 0
  let isOver = false
  const watch = (): void => {
    turns++
    if (!isOver) setImmediate(watch)
  }
  const { setImmediate: next } = timers
  let batches = 0
  t.intercept(timers, 'setImmediate', { value: async () => { batches++; await next() } })
  syncBuiltinESMExports()
  setImmediate(watch)
  await store.clear()
  isOver = true
  t.ok(batches >= 5 && turns > 5, `${batches} batches, ${turns} turns`)
  t.same((await listed(store, 'p')), [])
})

t.test('a journal is not rewritten again if little has changed since', async (t) => {
  const directory = t.testdir()
  const beat = holdTimers(t)
  const { store } = open(t, directory)
  await store.create('id', record())
  for (let version = 2; version < 9; version++) await store.update('id', record({ version }))
  const first = newest(directory)
  await until('it is rewritten', async () => {
    beat()
    return newest(directory) !== first && journalsIn(directory).length === 1
  })
  const second = newest(directory)
  let signs = 0
  await patch(t, 'utimes', (real) => async function (this: unknown, ...given: unknown[]) {
    signs++
    await real.apply(this, given)
  })
  await until('two minutes of signs of life have passed', async () => {
    beat()
    return signs > 130
  })
  t.equal(newest(directory), second)
})

t.test('a store that is closed during a copy keeps the older journals', async (t) => {
  const directory = t.testdir()
  const { store: before } = open(t, directory, { maxPending: 10_000 })
  await Promise.all(Array.from({ length: 5000 }, (_, n) => before.create(`${n}`, record({ principal: 'p' }))))
  await before.close()
  await new FileStore({ directory }).close()
  t.equal(journalsIn(directory).length, 2)
  const beat = holdTimers(t)
  const { store } = open(t, directory)
  t.equal((await listed(store, 'p', 1000)).length, 5000)
  await rewritten(directory, beat)
})

t.test('a journal that cannot be created is made later', async (t) => {
  const directory = t.testdir({ 'sessions.1.log': 'free\n' })
  const beat = holdTimers(t)
  const { store, reports } = open(t, directory)
  await rewritten(directory)
  for (let n = 0; n < 5; n++) await store.create(`${n}`, record({ payload: 'x'.repeat(300_000) }))
  const { writeFile } = fs
  const create = t.intercept(fs, 'writeFile', { value: async (...args: Parameters<typeof writeFile>) => {
    await writeFile(...args)
    await full()
  } })
  syncBuiltinESMExports()
  const reported = new Promise((resolve) => store.observe(resolve))
  beat()
  t.match(await reported, { kind: 'failed', task: 'write the journal', error: { code: 'ENOSPC' } })
  create.restore()
  syncBuiltinESMExports()
  t.same(await readdir(directory), ['sessions.2.log'])
  await store.create('more', record())
  await until('it is made', async () => {
    beat()
    return newest(directory).endsWith('sessions.3.log') && journalsIn(directory).length === 1
  })
  t.equal(reports.length, 1)
  t.equal(journaled(directory).size, 6)

  for (let n = 0; n < 15; n++) await store.create(`more ${n}`, record({ payload: 'x'.repeat(300_000) }))
  await writeFile(join(directory, 'sessions.4.log'), 'held\n')
  const lost = new Promise((resolve) => store.observe(resolve))
  beat()
  t.match(await lost, { error: /took over/ }, 'another process has created it')
  await t.rejects(async () => await store.read('more'), /took over/)
})

t.test('close waits for unfinished calls, and needs neither the directory nor the disk', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store } = open(t, directory)
  await Promise.all(Array.from({ length: 900 }, (_, n) => store.create(`${n}`, record({ principal: 'p' }))))
  const gate = createGate()
  const held = t.intercept(timers, 'setImmediate', { value: gate.pass })
  syncBuiltinESMExports()
  const calls = [store.deleteAll('p'), store.create('last', record({ principal: 'q' }))]
  await gate.reached
  held.restore()
  syncBuiltinESMExports()
  let looks = 0
  await patch(t, 'utimes', (real) => async function (this: unknown, ...given: unknown[]) {
    looks++
    await real.apply(this, given)
  })
  const closed = store.close()
  await t.rejects(store.create('late', record()), /closed/)
  await until('it waits, or has not waited', async () => looks > 3 || readFileSync(newest(directory), 'utf8').startsWith('free'))
  gate.open()
  t.same(await Promise.all(calls), [900, 1])
  await closed
  t.same([...journaled(directory).keys()], ['last'])

  const { store: next } = open(t, directory)
  t.match(await next.read('last'), { version: 1 })
  await rm(directory, { recursive: true })
  await t.rejects(next.create('new', record()), /ENOENT|files were removed/)
  await next.close()
})

t.test('a store whose directory is away rejects, and is well again by itself', async (t) => {
  const directory = join(t.testdir(), 'sessions')
  const { store } = open(t, directory)
  await store.create('id', record({ principal: 'p' }))
  await rename(directory, directory + '-gone')
  await t.rejects(store.create('another', record()), { code: 'ENOENT' })
  await t.rejects(store.delete('id'), { code: 'ENOENT' })
  await rename(directory + '-gone', directory)
  t.equal(await store.create('another', record()), false, 'it was made before the directory was missed')
  t.equal(await store.delete('id'), true)
  t.same([...journaled(directory).keys()], ['another'])
})

t.test('wrong options are refused with a sentence', async (t) => {
  for (const options of [undefined, {}, { directory: '' }, { directory: 5 }]) {
    t.throws(() => new FileStore(options as { directory: string }), { code: 'FST_SESSION_OPTIONS', message: /directory must be/ })
  }
  const misspelt = { directory: t.testdir(), maxSession: 5 }
  t.throws(() => new FileStore(misspelt), { code: 'FST_SESSION_OPTIONS', message: /option maxSession of FileStore: did you mean maxSessions/ })
  for (const wrong of [0, -1, 1.5, NaN, '5']) {
    for (const name of ['maxPending', 'maxSessions', 'maxBytes']) {
      t.throws(() => new FileStore({ directory: t.testdir(), [name]: wrong }), { code: 'FST_SESSION_OPTIONS', message: new RegExp(`FileStore: ${name} must be`) })
    }
  }
  const path = join(t.testdir({ file: '' }), 'file')
  t.throws(() => new FileStore({ directory: path }), { code: 'EEXIST' })
})
