import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MemoryStore } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t from 'tap'
import { ask, makeApp, managerOf, optional, plugin, sessionOf } from '../support/harness.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const SESSIONS = 300
const LENGTH = 16_000

/** Returns how many bytes of memory are in use after `work` for each of many sessions, for each of them. */
async function keptBy (work: (header: (start: string) => string) => Promise<unknown>, sessions = SESSIONS): Promise<number> {
  const used = async (): Promise<number> => {
    await turn()
    for (let n = 0; n < 3; n++) collect()
    return process.memoryUsage().heapUsed
  }
  const before = await used()
  // A new text in one piece, as the HTTP parser makes it.
  for (let n = 0; n < sessions; n++) {
    await work((start) => Buffer.from(`${start}${n}`.padEnd(LENGTH, '-')).toString())
    await turn()
  }
  return (await used() - before) / sessions
}

for (const [name, make] of Object.entries({ 'a store': () => new MemoryStore(), 'sealed cookies': () => sealedCookie({ keys: [makeKey()] }) })) {
  t.test(`with ${name}, the header of a cookie is not kept in memory`, async (t) => {
    const { app } = makeApp(t)
    await app.register(plugin, { store: make() })
    const manager = managerOf(app)
    const kept = await keptBy(async (header) => {
      const { cookie } = await manager.issue({ a: 1 })
      if (await manager.fromCookie(header(`${cookie}; other=`)) === undefined) throw new Error('no session')
    })
    t.ok(kept < LENGTH / 2, `${Math.round(kept)} bytes`)
  })
}

t.test('of a text whose part is in the data, the rest is not kept in memory', async (t) => {
  const { app } = makeApp(t)
  await app.register(plugin, { store: new MemoryStore(), principal: (data) => data.userId })
  const manager = managerOf(app)
  const begun = await keptBy((header) => manager.issue({ userId: header('user').slice(0, 20) }))
  t.ok(begun < LENGTH / 2, `${Math.round(begun)} bytes, of a principal`)
  const ids: string[] = []
  while (ids.length < SESSIONS) ids.push((await manager.issue({ userId: `user-${ids.length}` })).id)
  const changed = await keptBy((header) => manager.update(ids.pop() as string, (data) => { data.list = [{ text: header('text').slice(0, 20) }] }))
  t.ok(changed < LENGTH / 2, `${Math.round(changed)} bytes, of a change`)
})

t.test('of a sealed session that has ended, the data are not kept in memory', async (t) => {
  const { app } = makeApp(t)
  await app.register(plugin, { store: sealedCookie({ keys: [makeKey()] }) })
  app.get('/logout', { schema: optional }, async (request) => { sessionOf(request).destroy() })
  const end = async (): Promise<void> => {
    const { cookie } = await managerOf(app).issue({ text: '-'.repeat(2500) })
    if ((await ask(app, '/logout', cookie)).headers['set-cookie'] === undefined) throw new Error('no session')
  }
  // The cache of open cookies, which keeps the data of some hundred sessions, fills up first.
  await keptBy(end, 700)
  const kept = await keptBy(end, 1500)
  t.ok(kept < 2000, `${Math.round(kept)} bytes`)
})
