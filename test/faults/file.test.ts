import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { FileStore } from 'fastify-openapi-session/file'
import { bare, bundle } from '../support/bundle.js'
import { linesIn } from '../support/journals.js'
import { temporaryDirectory } from '../support/servers-process.js'
import { leavesNothing, type Mortal, survivesKills } from './promises.js'
import { type App, isLong } from './support.js'

/** An app in another process, to be asked as one in this process is; while it is dead, that is as good as a 503. */
class RemoteApp implements Mortal {
  readonly #program: string
  readonly #directory: string
  #child: ChildProcess | undefined
  #origin = ''

  constructor (program: string, directory: string) {
    this.#program = program
    this.#directory = directory
  }

  async restart (): Promise<void> {
    this.#child = fork(this.#program, [this.#directory], bare)
    const [origin] = await once(this.#child, 'message', { signal: AbortSignal.timeout(240_000) }) as [string]
    this.#origin = origin
  }

  async kill9 (): Promise<void> {
    if (this.#child === undefined) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
    this.#child = undefined
  }

  readonly app = { inject: async (request: InjectOptions) => await this.#ask(request) } as unknown as App

  async #ask ({ method = 'GET', url, headers, payload }: InjectOptions): Promise<Pick<LightMyRequestResponse, 'statusCode' | 'headers' | 'body' | 'json'>> {
    const body = payload === undefined ? {} : { body: JSON.stringify(payload) }
    try {
      const response = await fetch(`${this.#origin}${String(url)}`, {
        method, headers: { ...headers as Record<string, string>, ...payload === undefined ? {} : { 'content-type': 'application/json' } }, ...body
      })
      const text = await response.text()
      const cookies = response.headers.getSetCookie()
      return { statusCode: response.status, headers: { ...Object.fromEntries(response.headers), ...cookies.length === 0 ? {} : { 'set-cookie': cookies } }, body: text, json: () => JSON.parse(text) }
    } catch {
      // While nobody listens an answer comes at once; who asks on without a pause would take the machine from what starts.
      await pause(50)
      return { statusCode: 503, headers: { 'retry-after': '1' }, body: '', json: () => ({}) as never }
    }
  }
}

t.test('an app on files is killed again and again, and nothing acknowledged is lost', async (t) => {
  const remote = new RemoteApp(await bundle(t, new URL('./fixtures/file-app.ts', import.meta.url)), temporaryDirectory(t, 'killed'))
  t.teardown(() => remote.kill9())
  await remote.restart()
  await survivesKills(t, remote.app, remote, isLong ? [10_000, 20] : [400, 2])
})

t.test('sessions that have expired leave the disk', async (t) => {
  const directory = temporaryDirectory(t, 'expired')
  const { setInterval } = globalThis
  // It looks once a minute; here, every 15 seconds, and fifty times as often in the short form.
  const intercepted = t.intercept(globalThis, 'setInterval', { value: (callback: () => void, delay: number) => setInterval(callback, delay / (isLong ? 4 : 50)) })
  const store = new FileStore({ directory })
  t.teardown(() => store.close())
  const create = (id: string, principal: string): Promise<number | boolean> => store.create(id, { payload: '{}', version: 1, expiresAt: Date.now() + 1000, principal })
  await create('first', 'nobody')
  intercepted.restore()
  // A line that remains has the data of a session.
  await leavesNothing(t, create, async () => linesIn(directory), isLong ? 100_000 : 1000)
})
