import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import { rounds } from '../security/rounds.js'
import { bare, bundle } from '../support/bundle.js'
import { generator } from '../support/random.js'

const PROCESSES = 3
const USERS = 6
const STEPS = Number(process.env.SCALE_STEPS ?? rounds(25, 1000))

interface Process { readonly child: ChildProcess, readonly port: number }

async function startProcess (t: Test, program: string, url: string): Promise<Process> {
  const child = fork(program, [url], bare)
  t.teardown(() => { child.kill('SIGKILL') })
  const [port] = await once(child, 'message', { signal: AbortSignal.timeout(240_000) }) as [number]
  return { child, port }
}

/** A browser of one person, whose requests go to any of the processes, one after the other. */
class Person {
  #cookie = ''
  readonly name: string
  readonly processes: Process[]
  readonly pick: (limit: number) => number

  constructor (name: string, processes: Process[], pick: (limit: number) => number) {
    this.name = name
    this.processes = processes
    this.pick = pick
  }

  async send (method: string, path: string, cookie = this.#cookie): Promise<{ status: number, body: any }> {
    const { port } = this.processes[this.pick(this.processes.length)] as Process
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { cookie } })
    const [line] = response.headers.getSetCookie()
    if (line !== undefined) this.#cookie = line.split(';')[0] as string
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
  }

  get cookie (): string { return this.#cookie }
}

/** What a person's session must be after what was answered, looked at through all processes in turn. */
async function history (t: Test, person: Person, steps: number): Promise<void> {
  let count = 0
  const set: Record<string, string> = {}
  const dead: string[] = []
  t.equal((await person.send('POST', `/login/${person.name}`)).status, 200)
  for (let step = 0; step < steps; step++) {
    const before = person.cookie
    const choice = person.pick(10)
    if (choice < 3) {
      const answers = await Promise.all([1, 2, 3].map(async () => await person.send('POST', '/count')))
      count += answers.filter(({ status }) => status === 200).length
    } else if (choice < 6) {
      await Promise.all(['a', 'b'].map(async (key) => {
        const value = String(person.pick(1000))
        if ((await person.send('POST', `/set/${key}/${value}`)).status === 200) set[key] = value
      }))
    } else if (choice < 8) {
      t.equal((await person.send('POST', '/renew')).status, 200)
      dead.push(before)
    } else {
      t.equal((await person.send('POST', choice === 8 ? '/logout' : '/everywhere')).status, 200)
      dead.push(before)
      t.equal((await person.send('POST', `/login/${person.name}`, '')).status, 200)
      count = 0
      for (const key of Object.keys(set)) delete set[key]
    }
    t.match(await person.send('GET', '/me'), { status: 200, body: { user: person.name, count, ...set } }, `${person.name}, step ${step}`)
    for (const cookie of dead.slice(-3)) {
      const late = await fetch(`http://127.0.0.1:${(person.processes[step % person.processes.length] as Process).port}/me`, { headers: { cookie } })
      t.equal(late.status, 401, 'what ended stays ended, in every process')
    }
  }
}

/** Drives several processes of one app on the store at `url`, at random, and holds what they answer against a model. */
export async function severalProcesses (t: Test, url: string): Promise<void> {
  const program = await bundle(t, new URL('app.ts', import.meta.url))
  const processes = await Promise.all(Array.from({ length: PROCESSES }, async () => await startProcess(t, program, url)))
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const people = Array.from({ length: USERS }, (_, index) => new Person(`user-${index}`, processes, generator(seed + index)))
  await t.test('each person sees one consistent session, and what ended stays ended', async (t) => {
    await Promise.all(people.map(async (person) => { await history(t, person, STEPS) }))
  })

  await t.test('sign-out everywhere is final in all processes', async (t) => {
    const devices = Array.from({ length: 5 }, (_, index) => new Person('ada', processes, generator(seed + 100 + index)))
    await Promise.all(devices.map(async (device) => await device.send('POST', '/login/ada')))
    const cookies = devices.map(({ cookie }) => cookie)
    const others = devices.slice(1).flatMap((device) => [device.send('POST', '/renew'), device.send('POST', '/count'), device.send('POST', '/set/a/1')])
    t.match(await devices[0]?.send('POST', '/everywhere'), { status: 200 })
    await Promise.all(others)
    for (const { port } of processes) {
      for (const cookie of [...cookies, ...devices.map((device) => device.cookie)]) {
        t.equal((await fetch(`http://127.0.0.1:${port}/me`, { headers: { cookie } })).status, 401)
      }
    }
  })

  await t.test('killing a process loses nothing that was acknowledged', async (t) => {
    const person = people[0] as Person
    t.equal((await person.send('POST', '/login/user-0', '')).status, 200)
    let acknowledged = 0
    let unknown = 0
    const victim = processes[0] as Process
    const gone = once(victim.child, 'exit')
    const count = async (): Promise<void> => {
      try {
        const { status } = await person.send('POST', '/count')
        if (status !== 200) unknown++
        else if (++acknowledged === 10) victim.child.kill('SIGKILL')
      } catch {
        unknown++ // the process died with it: it may have happened or not
      }
    }
    for (let round = 0; round < 12; round++) await Promise.all([count(), count(), count()])
    await gone
    person.processes.splice(0, 1)
    const { body } = await person.send('GET', '/me')
    t.ok(acknowledged >= 10 && body.count >= acknowledged && body.count <= acknowledged + unknown, `${acknowledged} acknowledged, ${unknown} unknown, ${body.count} stored`)
  })
}
