import t from 'tap'
import { libraries } from './libraries.js'
import { cookie, keep, kept, refusal, setUp } from './support.js'

const ada = { userId: 'ada', visits: 3, theme: 'dark', profile: { name: 'Ada', tags: ['first'] } }

for (const { name, visitor, strict, renamed, dated, unstorable, text, transforming, asynchronous, secretlyTransforming, secretlyAsynchronous } of libraries) {
  t.test(name, async (t) => {
    t.test('data that fit are stored and read as they are', async (t) => {
      const { client, app } = await setUp(t, visitor)
      t.equal((await client.post('/start', ada)).statusCode, 200)
      t.same((await client.get('/')).json(), ada)
      t.equal((await client.post('/set', { visits: 4 })).statusCode, 200)
      t.same((await client.get('/')).json(), { ...ada, visits: 4 })
      const issued = await app.session.issue({ userId: 'ada' } as never)
      t.same((await app.session.find(issued.id))?.data, { userId: 'ada', visits: 0 }, 'so are those that are issued')
    })

    t.test('data that do not fit are refused with a sentence that names the path and shows no value', async (t) => {
      const wrong: Array<[object, RegExp]> = [
        [{}, /userId/],
        [{ userId: 5551234 }, /\/userId: .*string/i],
        [{ userId: 'ada', visits: 'hunter2' }, /\/visits: .*(number|integer)/i],
        [{ userId: 'ada', visits: '5' }, /\/visits: .*(number|integer)/i],
        [{ userId: 'ada', visits: 1.5551234 }, /\/visits: /],
        [{ userId: 'ada', theme: 'hunter2' }, /\/theme: /],
        [{ userId: 'ada', profile: { name: 'Ada', tags: ['hunter2', 5551234] } }, /\/profile\/tags\/1: .*string/i],
        [{ userId: 'ada', profile: [] }, /\/profile: .*object|\/profile/i],
        [[ada], /object/]
      ]
      const { client } = await setUp(t, visitor)
      for (const [data, complaint] of wrong) {
        const { statusCode, body } = await client.post('/start', data)
        t.equal(statusCode, 500, JSON.stringify(data))
        t.match(JSON.parse(body), { code: 'FST_SESSION_INVALID_DATA', message: complaint }, JSON.stringify(data))
        t.notMatch(body, /hunter2|5551234/, JSON.stringify(data))
      }
      t.equal((await client.get('/')).body, 'no session')
      await client.post('/start', ada)
      t.match((await client.post('/set', { visits: 'hunter2' })).json(), { code: 'FST_SESSION_INVALID_DATA', message: /\/visits/ })
      t.same((await client.get('/')).json(), ada, 'and nothing of it was stored')
    })

    t.test('defaults are filled in, at every depth', async (t) => {
      const { client, store } = await setUp(t, visitor)
      await client.post('/start', { userId: 'ada', profile: { name: 'Ada' } })
      t.same((await client.get('/')).json(), { userId: 'ada', visits: 0, profile: { name: 'Ada', tags: [] } })
      keep(store, { userId: 'grace' })
      t.same((await client.get('/', { cookie })).json(), { userId: 'grace', visits: 0 }, 'also for data stored before the schema had them')
      t.equal(kept(store)?.version, 1, 'and by themselves are no change')
      t.equal((await client.post('/set', { theme: 'light' }, { cookie })).statusCode, 200)
      t.match(kept(store)?.payload, '"data":{"userId":"grace","visits":0,"theme":"light"}}')
    })

    t.test('an optional key may be absent', async (t) => {
      const { client } = await setUp(t, visitor)
      await client.post('/start', ada)
      t.equal((await client.post('/unset', ['theme', 'profile'])).statusCode, 200)
      t.same((await client.get('/')).json(), { userId: 'ada', visits: 3 })
      t.equal((await client.post('/unset', ['userId'])).statusCode, 500, 'another may not')
    })

    t.test('keys that the schema does not know stay', async (t) => {
      const { client } = await setUp(t, visitor)
      await client.post('/start', { userId: 'ada', of: 'another plugin', profile: { name: 'Ada', nick: 'A' } })
      t.same((await client.get('/')).json(), { userId: 'ada', visits: 0, of: 'another plugin', profile: { name: 'Ada', nick: 'A', tags: [] } })
      await client.post('/set', { more: [1] })
      t.match((await client.get('/')).json(), { of: 'another plugin', more: [1] })
    })

    t.test('keys that the schema forbids are refused', async (t) => {
      const { client } = await setUp(t, strict)
      t.equal((await client.post('/start', { userId: 'ada', hunter2: 'hunter3' })).statusCode, 500)
      t.equal((await client.post('/start', { userId: 'ada' })).statusCode, 200)
      const refused = await client.post('/set', { a: 'hunter3' })
      t.match(refused.json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA' })
      t.notMatch(refused.body, /hunter3/)
      t.same((await client.get('/')).json(), { userId: 'ada', visits: 0 })
    })

    t.test('migrate makes data of an older schema fit, and the defaults of the new one are filled in', async (t) => {
      const migrate = ({ userId }: { userId: string }): object => ({ fullName: userId })
      const { client, store, events } = await setUp(t, renamed, { migrate })
      keep(store, ada)
      t.same((await client.get('/', { cookie })).json(), { fullName: 'ada', level: 1 })
      t.equal((await client.post('/set', { level: 2 }, { cookie })).statusCode, 200)
      t.same((await client.get('/', { cookie })).json(), { fullName: 'ada', level: 2 })
      t.same(events, [])
    })

    t.test('a record whose data do not fit is an absent session, and the event says why', async (t) => {
      const { client, store, events } = await setUp(t, renamed)
      keep(store, { fullName: 'X', hunter2: 'hunter2' })
      t.equal((await client.get('/', { cookie })).body, 'no session')
      t.match(events, [{ type: 'discarded', reason: 'unfit', detail: /\/fullName/ }])
      t.notMatch(JSON.stringify(events), /hunter2/)
    })

    t.test('a key named __proto__ is data', async (t) => {
      const { client, store } = await setUp(t, visitor)
      keep(store, JSON.parse('{"userId":"ada","visits":1,"__proto__":{"isAdmin":true}}'))
      t.equal(JSON.stringify((await client.get('/', { cookie })).json().isAdmin), undefined)
      t.equal(({} as Record<string, unknown>)['isAdmin'], undefined)
    })

    // A library in which such a schema cannot be written has nothing to refuse.
    for (const [schema, complaint] of unstorable) {
      t.test(`a schema of what JSON cannot hold stops the boot: ${complaint.source}`, async (t) => {
        const { code, message } = await refusal(t, schema)
        t.equal(code, 'FST_SESSION_OPTIONS')
        t.match(message, complaint)
        t.match(message, /session data are JSON.*let the schema check the stored form, such as the text of a date/)
      })
    }

    if (dated) {
      t.test('a default that JSON cannot hold stops the boot', async (t) => {
        t.match(await refusal(t, dated), { code: 'FST_SESSION_OPTIONS', message: /schema has a default that JSON cannot hold, such as a Date/ })
      })
    }

    if (text) {
      t.test('a schema that is not of objects stops the boot', async (t) => {
        t.match(await refusal(t, text), { code: 'FST_SESSION_OPTIONS', message: /schema must be the schema of an object/ })
      })
    }

    if (transforming.length + secretlyTransforming.length > 0) t.test('a schema that transforms stops the boot', async (t) => {
      for (const [schema, where] of transforming) {
        const error = await refusal(t, schema)
        t.match(error, { code: 'FST_SESSION_OPTIONS', message: /schema transforms data \(at .*let the schema check the stored form/ }, String(where))
        t.match(error.message, where)
      }
      for (const schema of secretlyTransforming) {
        const { client } = await setUp(t, schema)
        const { statusCode, body } = await client.post('/start', { word: 'hunter2' })
        t.equal(statusCode, 500)
        t.match(JSON.parse(body), { code: 'FST_SESSION_INVALID_DATA', message: /the schema transforms \/word, but/ }, 'or refuses data, where it does not show')
        t.notMatch(body, /hunter2/)
      }
    })

    if (asynchronous.length + secretlyAsynchronous.length > 0) t.test('an asynchronous schema stops the boot', async (t) => {
      for (const schema of asynchronous) {
        t.match(await refusal(t, schema), { code: 'FST_SESSION_OPTIONS', message: /schema .*is asynchronous/ })
      }
      for (const schema of secretlyAsynchronous) {
        const { client } = await setUp(t, schema)
        t.match((await client.post('/start', { word: 'hunter2' })).json(), { code: 'FST_SESSION_INVALID_DATA', message: /the schema is asynchronous/ }, 'or refuses data')
      }
    })
  })
}
