import t from 'tap'
import { createRequire } from 'node:module'
import { runInNewContext } from 'node:vm'
import * as imported from '@sinclair/typebox'
import { type } from 'arktype'
import Type1 from 'typebox'
import * as v from 'valibot'
import { z } from 'zod'
import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import * as mini from 'zod/mini'
import { z as z3 } from 'zod/v3'
import { cookie, keep, refusal, setUp } from './support.js'

const { FormatRegistry, Kind, Type, TypeRegistry } = imported
const common = createRequire(import.meta.url)('@sinclair/typebox') as typeof imported

t.test('formats and kinds of TypeBox count in whichever module copy they were registered', async (t) => {
  t.not(common.FormatRegistry, FormatRegistry, 'there are two copies')
  common.FormatRegistry.Set('common', (value) => value === 'common')
  common.TypeRegistry.Set('Even', (_schema, value) => typeof value === 'number' && value % 2 === 0)
  FormatRegistry.Set('both', (value) => value === 'both')
  TypeRegistry.Set('Odd', (_schema, value) => typeof value === 'number' && value % 2 === 1)
  for (const { Type, Kind } of [common, imported]) {
    const { client } = await setUp(t, Type.Object({
      a: Type.String({ format: 'common' }),
      b: Type.String({ format: 'both' }),
      even: Type.Unsafe({ [Kind]: 'Even' }),
      odd: Type.Unsafe({ [Kind]: 'Odd' })
    }))
    t.equal((await client.post('/start', { a: 'common', b: 'both', even: 2, odd: 3 })).statusCode, 200)
    for (const [key, value] of Object.entries({ a: 'x', b: 'x', even: 3, odd: 2 })) {
      t.match((await client.post('/set', { [key]: value })).json(), { statusCode: 500, message: new RegExp(`/${key}: `) })
    }
  }
  t.match(await refusal(t, Type.Object({ a: Type.String({ format: 'neither' }) })), { message: /format "neither".*FormatRegistry\.Set\("neither"/ })
  t.match(await refusal(t, Type.Object({ a: Type.Unsafe({ [Kind]: 'Neither' }) })), { message: /register kinds of your own before/ })
})

t.test('a JSON Schema is checked with what the app gave its Ajv, but without coercion', async (t) => {
  const server = {
    ajv: {
      customOptions: { coerceTypes: 'array', removeAdditional: 'all', useDefaults: 'empty', formats: { shout: /^[A-Z]+$/ } },
      plugins: [(ajv: { addKeyword: (definition: object) => unknown }) => ajv.addKeyword({ keyword: 'even', type: 'number', validate: (_: unknown, value: number) => value % 2 === 0 })]
    }
  } as never
  const schema = {
    type: 'object',
    properties: { word: { type: 'string', format: 'shout' }, even: { type: 'number', even: true }, mail: { type: 'string', format: 'email' } },
    required: ['word']
  }
  const { client } = await setUp(t, schema, {}, server)
  t.equal((await client.post('/start', { word: 'ADA', even: 2, mail: 'a@example.com', more: 1 })).statusCode, 200)
  t.same((await client.get('/')).json(), { word: 'ADA', even: 2, mail: 'a@example.com', more: 1 })
  for (const [data, complaint] of [
    [{ word: 'ada' }, '/word: must match format "shout"'], [{ even: 3 }, '/even: must pass "even" keyword'],
    [{ mail: 'ada' }, '/mail: must match format "email"'], [{ word: ['ADA'] }, '/word: must be string'], [{ even: '2' }, '/even: must be number']
  ] as const) {
    t.match((await client.post('/set', data)).json(), { code: 'FST_SESSION_INVALID_DATA', message: complaint })
  }
  t.match(await refusal(t, schema), { code: 'FST_SESSION_OPTIONS', message: /schema is not a JSON Schema that Ajv accepts \(.*"even"/ }, 'another app has no such keyword')
})

t.test('a JSON Schema may refer to the shared schemas of the app, and be one', async (t) => {
  for (const schema of [{ type: 'object', properties: { user: { $ref: 'user#' } }, required: ['user'] }, { $id: 'visitor', type: 'object', properties: { user: { $ref: 'user#' } }, required: ['user'] }]) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.addSchema({ $id: 'user', type: 'object', properties: { id: { type: 'string' }, level: { type: 'integer', default: 1 } }, required: ['id', 'level'] })
    if (schema.$id !== undefined) app.addSchema(schema)
    // The compiler of the routes is one of Zod.
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    await app.register(sessionPlugin, { schema } as never)
    const { id } = await app.session.issue({ user: { id: 'ada' } } as never)
    t.same((await app.session.find(id))?.data, { user: { id: 'ada', level: 1 } }, 'with its defaults')
    await t.rejects(app.session.issue({ user: { id: 5 } } as never), { message: /\/user\/id: must be string/ })
  }
})

t.test('a JSON Schema with defaults where Ajv does not fill them in boots', async (t) => {
  const { client } = await setUp(t, { type: 'object', anyOf: [{ type: 'object', properties: { a: { type: 'string', default: 'x' } } }] })
  t.equal((await client.post('/start', {})).statusCode, 200)
})

t.test('schemas, defaults and data of another realm are taken as those of this one', async (t) => {
  const other = runInNewContext(`({
    json: { type: 'object', properties: { list: { type: 'array', items: { type: 'object' }, default: [{ a: 1 }] } }, required: ['list'] },
    list: [{ a: 1 }],
    data: { list: [{ a: 2 }], deep: { er: {} } }
  })`) as { json: object, list: Array<{ a: number }>, data: object }
  const list = other.list
  t.not(Object.getPrototypeOf(list), Array.prototype, 'which is another')
  for (const [name, schema] of Object.entries({
    'typebox 0.34': Type.Object({ list: Type.Array(Type.Object({}), { default: list }) }),
    'typebox 1': Type1.Object({ list: Type1.Array(Type1.Object({}), { default: list }) }),
    zod: z.object({ list: z.array(z.looseObject({})).default(list) }),
    valibot: v.object({ list: v.optional(v.array(v.looseObject({})), list) }),
    arktype: type({ list: type('object[]').default(() => list) }),
    json: other.json
  })) {
    const { app, client, store } = await setUp(t, schema)
    keep(store, {})
    t.same((await client.get('/', { cookie })).json(), { list: [{ a: 1 }] }, name)
    const { id } = await app.session.issue(other.data as never)
    t.same((await app.session.find(id))?.data, { list: [{ a: 2 }], deep: { er: {} } }, name)
  }
})

t.test('without a schema, data may be any object', async (t) => {
  const { client } = await setUp(t, undefined)
  t.equal((await client.post('/start', { a: [1, { b: null }] })).statusCode, 200)
  t.same((await client.get('/')).json(), { a: [1, { b: null }] })
  t.match((await client.post('/start', [1])).json(), { code: 'FST_SESSION_INVALID_DATA', message: /an object is expected/ })
})

t.test('what describes no objects, and what is not a schema, stops the boot', async (t) => {
  for (const schema of [null, 5, 'object', [], () => ({}), { type: 'array' }]) {
    t.match(await refusal(t, schema), { code: 'FST_SESSION_OPTIONS', message: /schema/ }, String(schema))
  }
})

/** A schema of a library of which nothing is known but the standard. */
function standard (validate: (data: any) => unknown): object {
  return { '~standard': { version: 1, vendor: 'unheard', validate } }
}

t.test('any library will do that follows Standard Schema', async (t) => {
  const { client } = await setUp(t, standard((data) => {
    if (typeof data.name !== 'string') return { issues: [{ message: `not ${data.name}`, path: ['a', { key: 'name' }] }, { message: 'second' }] }
    return { value: { ...data, level: data.level ?? 1 } }
  }))
  t.match((await client.post('/start', { name: 5551234 })).json(), { message: "The session's data do not fit its schema: /a/name: the value is not accepted. Nothing was saved." }, 'whose messages may quote the value')
  t.equal((await client.post('/start', { name: 'ada' })).statusCode, 200)
  t.same((await client.get('/')).json(), { name: 'ada', level: 1 })
  const silent = await setUp(t, standard(() => ({ issues: [] })))
  t.match((await silent.client.post('/start', {})).json(), { message: /the data: the value is not accepted/ })
})

t.test('an array is not session data, even if a schema accepts it, and a default that is missing is the reason', async (t) => {
  for (const schema of [Type.Object({}), Type1.Object({}), z.any(), standard((value) => ({ value }))]) {
    const { client } = await setUp(t, schema)
    t.match((await client.post('/start', [1])).json(), { code: 'FST_SESSION_INVALID_DATA', message: /: an object is expected/ })
  }
  const { client } = await setUp(t, z.object({ cart: z.object({ items: z.number().default(0) }).optional() }))
  await client.post('/start', {})
  t.match((await client.post('/set', { cart: {} })).json(), { code: 'FST_SESSION_INVALID_DATA', message: /: a default of the schema is missing/ })
})

t.test('a schema that throws accepts nothing', async (t) => {
  const { client, store, events } = await setUp(t, standard((data) => { throw new Error(`hunter2 ${data}`) }))
  const { body } = await client.post('/start', {})
  t.match(JSON.parse(body), { code: 'FST_SESSION_INVALID_DATA', message: /the schema threw an error/ })
  t.notMatch(body, /hunter2/)
  keep(store, {})
  t.equal((await client.get('/', { cookie })).body, 'no session')
  t.match(events, [{ reason: 'unfit' }])
})

t.test('data for which a format of TypeBox throws are refused, without the words of its error', async (t) => {
  FormatRegistry.Set('thrower', (value) => { throw new Error(`hunter2 ${value}`) })
  t.teardown(() => { FormatRegistry.Delete('thrower') })
  const { client, store, events } = await setUp(t, Type.Object({ a: Type.String({ format: 'thrower' }) }))
  const { body } = await client.post('/start', { a: 'secret' })
  t.match(JSON.parse(body), { code: 'FST_SESSION_INVALID_DATA', message: /the data: the value is not accepted/ })
  t.notMatch(body, /hunter2|secret/)
  keep(store, { a: 'secret' })
  t.equal((await client.get('/', { cookie })).body, 'no session')
  t.match(events, [{ reason: 'unfit' }])
  t.notMatch(JSON.stringify(events), /hunter2|secret/)
})

t.test('a first look tells that a schema transforms or is asynchronous', async (t) => {
  const transforms = /schema cannot be used for a session: the schema transforms the data, but/
  t.match(await refusal(t, standard(() => ({ value: 'text' }))), { message: transforms })
  t.match(await refusal(t, standard(() => ({ value: new Map() }))), { message: transforms })
  t.match(await refusal(t, standard(() => ({ value: [] }))), { message: transforms })
  t.match(await refusal(t, standard(() => ({ value: null }))), { message: transforms })
  t.match(await refusal(t, standard((data) => ({ value: { n: (data.n ?? 0) + 1 } }))), { message: /the schema transforms \/n, but/ }, 'its own defaults')
  t.match(await refusal(t, standard(() => Promise.reject(new Error('later')))), { message: /the schema is asynchronous/ })
})

t.test('a transform of any part of the data is told from a default', async (t) => {
  const changes: Array<[(data: any) => unknown, string | undefined]> = [
    [(data) => structuredClone(data), undefined],
    [(data) => ({ list: [...data.list], deep: {} }), undefined],
    [(data) => ({ ...data, list: [1, 2] }), '/list'],
    [(data) => ({ ...data, list: { ...data.list } }), '/list'],
    [(data) => ({ ...data, list: [1, 2, 4] }), '/list/2'],
    [(data) => ({ ...data, deep: { a: null } }), '/deep/a'],
    [(data) => ({ ...data, deep: { a: undefined } }), '/deep/a'],
    [(data) => ({ ...data, deep: [] }), '/deep'],
    [(data) => ({ ...data, deep: new Date() }), '/deep']
  ]
  for (const [change, path] of changes) {
    const { app } = await setUp(t, standard((data) => ({ value: 'list' in data ? change(data) : data })))
    const issued = app.session.issue({ list: [1, 2, 3], deep: { a: { b: 1 } } } as never)
    if (path === undefined) await t.resolves(issued)
    else await t.rejects(issued, { code: 'FST_SESSION_INVALID_DATA', message: `the schema transforms ${path}, but` }, path)
  }
})

t.test('what is expected is said for alternatives, too, and never what was found', async (t) => {
  const cases: Array<[object, RegExp]> = [
    [type({ word: "'a' | 'b'" }), /\/word: expected "a" or "b"/],
    [type({ word: 'string > 30 & /^x/' }), /\/word: expected .*\^x and .*31/],
    [type({ word: type('string').narrow((_, ctx) => ctx.mustBe('a palindrome')) }), /\/word: expected a palindrome/],
    [z.object({ word: z.enum(['a', 'b']) }), /\/word: Invalid option: expected one of "a"\|"b"/],
    [z.object({ word: z.union([z.number(), z.literal('a')]) }), /\/word: Invalid input/],
    [z.object({ word: z.string().refine((word) => word === 'a', { error: ({ input }) => `not ${String(input)}` }) }), /\/word: the value is not accepted/],
    [mini.object({ word: mini.number() }), /\/word: expected number/],
    [v.object({ word: v.union([v.number(), v.literal('a')]) }), /\/word: expected \(number \| "a"\)/],
    [v.object({ word: v.pipe(v.string(), v.check((word) => word === 'a', (issue) => `not ${String(issue.input)}`)) }), /\/word: the value is not accepted/],
    [Type1.Object({ word: Type1.Refine(Type1.String(), () => false, () => 'must be a palindrome') }), /\/word: must be a palindrome/]
  ]
  for (const [schema, complaint] of cases) {
    const { client } = await setUp(t, schema)
    const { body } = await client.post('/start', { word: 'hunter2' })
    t.match(JSON.parse(body), { code: 'FST_SESSION_INVALID_DATA', message: complaint })
    t.notMatch(body, /hunter2/)
  }
})

t.test('schemas of Zod Mini are looked through as well', async (t) => {
  t.match(await refusal(t, mini.object({ word: mini.pipe(mini.string(), mini.transform(Number)) })), { message: /schema transforms data \(at shape\.word\.out\)/ })
})

t.test('names of keys are not mistaken for what a schema does', async (t) => {
  const names = { async: true, coerce: true, check: 'overwrite', kind: 'transformation', transform: 'x', morphs: 'x', json: 'x' }
  for (const schema of [
    z.object({ async: z.boolean(), coerce: z.boolean(), check: z.string(), kind: z.string(), transform: z.string(), morphs: z.string(), json: z.string() }).default(names as never),
    v.optional(v.object({ async: v.boolean(), coerce: v.boolean(), check: v.string(), kind: v.string(), transform: v.string(), morphs: v.string(), json: v.string() }), names),
    type({ async: 'boolean', coerce: 'boolean', check: 'string', kind: 'string', transform: 'string', morphs: 'string', json: 'string' }),
    Type.Object({ async: Type.Boolean(), coerce: Type.Boolean(), check: Type.String(), kind: Type.String(), transform: Type.String(), morphs: Type.String(), json: Type.String() }, { default: names }),
    { type: 'object', properties: { async: true, coerce: true, check: true, kind: true, transform: true, morphs: true, json: true } }
  ]) {
    const { client } = await setUp(t, schema)
    t.equal((await client.post('/start', names)).statusCode, 200)
    t.same((await client.get('/')).json(), names)
  }
})

t.test('values and keys that are named like a type are not mistaken for one', async (t) => {
  const data = { type: 'date', proto: 'Map', domain: 'bigint', kind: 'set', value: 'Date' }
  const keys = Object.keys(data) as Array<keyof typeof data>
  for (const schema of [
    z.object({ type: z.enum({ type: 'date' }), proto: z.literal('Map'), domain: z.string().meta({ type: 'date' }), kind: z.enum(['set']), value: z.string() }),
    v.object({ type: v.enum({ type: 'date' }), proto: v.literal('Map'), domain: v.string(), kind: v.picklist(['set']), value: v.string() }),
    type({ type: "'date'", proto: "'Map' | 'Set'", domain: "'bigint'", kind: "'set'", value: "'Date' | 'Map'" }),
    Type.Object({ type: Type.Literal('date'), proto: Type.Literal('Map'), domain: Type.Enum({ type: 'bigint' }), kind: Type.String(), value: Type.String() }),
    Type1.Object({ type: Type1.Literal('date'), proto: Type1.Enum(['Map', 'Set']), domain: Type1.String(), kind: Type1.String(), value: Type1.String() }),
    { type: 'object', properties: Object.fromEntries(keys.map((key) => [key, { type: 'string' }])), required: keys }
  ]) {
    const { client } = await setUp(t, schema)
    t.equal((await client.post('/start', data)).statusCode, 200)
    t.same((await client.get('/')).json(), data)
  }
})

t.test('enumerations, patterns, examples and metadata are not mistaken for a part of the schema', async (t) => {
  const data = { of: 'DOMAIN' }
  const examples = [{ of: 'x', domain: 'Example.com', async: true, coerce: true }]
  for (const schema of [
    z.object({ of: z.enum({ user: 'USER', domain: 'DOMAIN' }) }),
    v.object({ of: v.enum({ user: 'USER', domain: 'DOMAIN' }) }),
    v.object({ of: v.pipe(v.string(), v.metadata({ domain: 'Sales', async: true }), v.examples(examples as never)) }),
    type({ of: /DOMAIN/ }),
    type({ of: type('string').configure({ examples: ['Berlin', 'Date'] }) }),
    Type.Object({ of: Type.String() }, { examples }),
    Type1.Object({ of: Type1.String() }, { examples })
  ]) {
    const { client } = await setUp(t, schema)
    t.equal((await client.post('/start', data)).statusCode, 200)
    t.same((await client.get('/')).json(), data)
  }
})

t.test('schemas of Zod 3 are taken, and what they say never quotes the value', async (t) => {
  const { client } = await setUp(t, z3.object({ userId: z3.string(), visits: z3.number().default(0), theme: z3.enum(['dark', 'light']).optional() }))
  t.equal((await client.post('/start', { userId: 'ada' })).statusCode, 200)
  t.same((await client.get('/')).json(), { userId: 'ada', visits: 0 })
  t.match((await client.post('/set', { userId: 5 })).json(), { message: /\/userId: expected string/ })
  const { body } = await client.post('/set', { theme: 'hunter2' })
  t.match(JSON.parse(body), { code: 'FST_SESSION_INVALID_DATA', message: /\/theme: the value is not accepted/ })
  t.notMatch(body, /hunter2/)
  t.match(await refusal(t, z3.object({ word: z3.string() }).transform(({ word }) => ({ word: Number(word) }))), { message: /schema transforms data/ })
})

t.test('a schema that makes itself again at each look is looked through to an end', async (t) => {
  const make = (): z.ZodObject => z.object({ name: z.string(), get next () { return make().optional() }, get all () { return z.array(make()).optional() } })
  const { client } = await setUp(t, make())
  t.equal((await client.post('/start', { name: 'a', next: { name: 'b' } })).statusCode, 200)
  t.match((await client.post('/set', { next: { name: 5 } })).json(), { message: /\/next\/name/ })
})

t.test('recursive schemas are looked through once', async (t) => {
  const Node = z.object({ name: z.string(), get children () { return z.array(Node).optional() } })
  const scope = type({ name: 'string', 'children?': 'this[]' })
  for (const schema of [Node, scope]) {
    const { client } = await setUp(t, schema)
    t.equal((await client.post('/start', { name: 'a', children: [{ name: 'b', children: [] }] })).statusCode, 200)
    t.match((await client.post('/set', { children: [{ name: 5 }] })).json(), { message: /\/children\/0\/name/ })
  }
})
