import { Type as Classic } from '@sinclair/typebox'
import { type } from 'arktype'
import Type from 'typebox'
import * as v from 'valibot'
import { z } from 'zod'

/** The same schemas, written with one library. */
export interface Library {
  readonly name: string
  /** `{ userId: string, visits: integer = 0, theme?: 'dark' | 'light', profile?: { name: string, tags: string[] = [] } }` */
  readonly visitor: object
  /** `{ userId: string, visits: integer = 0 }` and nothing else. */
  readonly strict: object
  /** `{ fullName: string, level: integer = 1 }`, with a `fullName` of at least three characters. */
  readonly renamed: object
  /** `{ at: Date = a date }`, where the library does not show the Date. */
  readonly dated?: object
  /** Schemas of what JSON cannot hold, and what the sentence says of them. */
  readonly unstorable: ReadonlyArray<readonly [object, RegExp]>
  /** A schema of text. ArkType's does not show it. */
  readonly text?: object
  /** Schemas that transform what they check, and where. */
  readonly transforming: ReadonlyArray<readonly [object, RegExp]>
  /** Schemas that are asynchronous. */
  readonly asynchronous: readonly object[]
  /** Schemas of `{ word: string }` that transform it, which only shows when data are checked. */
  readonly secretlyTransforming: readonly object[]
  /** Schemas of `{ word: string }` that are asynchronous, which only shows when data are checked. */
  readonly secretlyAsynchronous: readonly object[]
}

const later = (): Promise<boolean> => Promise.resolve(true)
const day = new Date(0)

export const libraries: readonly Library[] = [{
  name: '@sinclair/typebox 0.34',
  visitor: Classic.Object({
    userId: Classic.String(),
    visits: Classic.Integer({ default: 0 }),
    theme: Classic.Optional(Classic.Union([Classic.Literal('dark'), Classic.Literal('light')])),
    profile: Classic.Optional(Classic.Object({ name: Classic.String(), tags: Classic.Array(Classic.String(), { default: [] }) }))
  }),
  strict: Classic.Object({ userId: Classic.String(), visits: Classic.Integer({ default: 0 }) }, { additionalProperties: false }),
  renamed: Classic.Object({ fullName: Classic.String({ minLength: 3 }), level: Classic.Integer({ default: 1 }) }),
  unstorable: [
    [Classic.Object({ at: Classic.Date({ default: day }) }), /has a Date \(at properties\.at\)/],
    [Classic.Object({ list: Classic.Array(Classic.Optional(Classic.BigInt())) }), /has a bigint \(at properties\.list\.items\)/],
    [Classic.Object({ either: Classic.Union([Classic.String(), Classic.Uint8Array()]) }), /has a Uint8Array \(at properties\.either\.anyOf\.1\)/]
  ],
  text: Classic.String(),
  transforming: [[Classic.Object({ word: Classic.Transform(Classic.String()).Decode(Number).Encode(String) }), /at properties\.word/]],
  asynchronous: [],
  secretlyTransforming: [],
  secretlyAsynchronous: []
}, {
  name: 'typebox 1',
  visitor: Type.Object({
    userId: Type.String(),
    visits: Type.Integer({ default: 0 }),
    theme: Type.Optional(Type.Union([Type.Literal('dark'), Type.Literal('light')])),
    profile: Type.Optional(Type.Object({ name: Type.String(), tags: Type.Array(Type.String(), { default: [] }) }))
  }),
  strict: Type.Object({ userId: Type.String(), visits: Type.Integer({ default: 0 }) }, { additionalProperties: false }),
  renamed: Type.Object({ fullName: Type.String({ minLength: 3 }), level: Type.Integer({ default: 1 }) }),
  dated: Type.Object({ at: Type.Unsafe<Date>({ default: day }) }),
  unstorable: [[Type.Object({ count: Type.Optional(Type.BigInt()) }), /has a bigint \(at properties\.count\)/]],
  text: Type.String(),
  transforming: [[Type.Object({ word: Type.Codec(Type.String()).Decode(Number).Encode(String) }), /at properties\.word/]],
  asynchronous: [],
  secretlyTransforming: [],
  secretlyAsynchronous: []
}, {
  name: 'zod 4',
  visitor: z.object({
    userId: z.string(),
    visits: z.int().default(0),
    theme: z.enum(['dark', 'light']).optional(),
    profile: z.object({ name: z.string(), tags: z.array(z.string()).default([]) }).optional()
  }),
  strict: z.strictObject({ userId: z.string(), visits: z.int().default(0) }),
  renamed: z.object({ fullName: z.string().min(3), level: z.int().default(1) }),
  dated: z.object({ at: z.custom<Date>(() => true).default(day) }),
  unstorable: [
    [z.object({ at: z.date().default(day) }), /has a date \(at shape\.at\.innerType\)/],
    [z.object({ seen: z.array(z.date().optional()) }), /has a date \(at shape\.seen\.element\.innerType\)/],
    [z.object({ tags: z.set(z.string()) }), /has a set \(at shape\.tags\)/],
    [z.object({ of: z.record(z.string(), z.map(z.string(), z.number())) }), /has a map \(at shape\.of\.valueType\)/],
    [z.object({ count: z.int64() }), /has a bigint \(at shape\.count\)/],
    [z.object({ either: z.union([z.string(), z.instanceof(URL)]) }), /has a URL \(at shape\.either\.options\.1\)/]
  ],
  text: z.string(),
  transforming: [
    [z.object({ word: z.string().transform(Number) }), /at shape\.word\.out/],
    [z.object({ words: z.array(z.object({ word: z.string().trim() })) }), /at shape\.words\.element\.shape\.word\.checks\.0/],
    [z.object({ word: z.coerce.number() }), /at shape\.word/],
    [z.object({ word: z.codec(z.string(), z.number(), { decode: Number, encode: String }) }), /at shape\.word/],
    [z.preprocess((data) => data, z.object({})), /at in/],
    [z.object({ word: z.stringbool() }).partial(), /at shape\.word\.innerType/]
  ],
  asynchronous: [
    z.object({ word: z.string().refine(async () => await later()) }),
    z.object({ word: z.string().optional() }).refine(later)
  ],
  secretlyTransforming: [z.object({ word: z.lazy(() => z.string().transform(() => 5)) })],
  secretlyAsynchronous: [z.object({ word: z.string().refine(later) })]
}, {
  name: 'valibot 1',
  visitor: v.object({
    userId: v.string(),
    visits: v.optional(v.pipe(v.number(), v.integer()), 0),
    theme: v.optional(v.picklist(['dark', 'light'])),
    profile: v.optional(v.object({ name: v.string(), tags: v.optional(v.array(v.string()), []) }))
  }),
  strict: v.strictObject({ userId: v.string(), visits: v.optional(v.pipe(v.number(), v.integer()), 0) }),
  renamed: v.object({ fullName: v.pipe(v.string(), v.minLength(3), v.brand('name'), v.readonly()), level: v.optional(v.number(), 1) }),
  dated: v.object({ at: v.optional(v.custom<Date>(() => true), day) }),
  unstorable: [
    [v.object({ at: v.optional(v.date(), day) }), /has a date \(at entries\.at\.wrapped\)/],
    [v.object({ tags: v.set(v.string()) }), /has a set \(at entries\.tags\)/],
    [v.object({ of: v.record(v.string(), v.map(v.string(), v.number())) }), /has a map \(at entries\.of\.value\)/],
    [v.object({ count: v.pipe(v.bigint(), v.minValue(1n)) }), /has a bigint \(at entries\.count/],
    [v.object({ link: v.instance(URL) }), /has a URL \(at entries\.link\)/]
  ],
  text: v.string(),
  transforming: [
    [v.object({ word: v.pipe(v.string(), v.transform(Number)) }), /at entries\.word\.pipe\.1/],
    [v.object({ words: v.array(v.object({ word: v.pipe(v.string(), v.trim()) })) }), /at entries\.words\.item\.entries\.word\.pipe\.1/]
  ],
  asynchronous: [
    v.objectAsync({ word: v.string() }),
    v.objectAsync({ word: v.pipeAsync(v.string(), v.checkAsync(later)) })
  ],
  secretlyTransforming: [v.object({ word: v.lazy(() => v.pipe(v.string(), v.transform(() => 5))) })],
  secretlyAsynchronous: []
}, {
  name: 'arktype 2',
  visitor: type({
    userId: 'string',
    visits: 'number.integer = 0',
    'theme?': "'dark' | 'light'",
    'profile?': { name: 'string', tags: type('string[]').default(() => []) }
  }),
  strict: type({ '+': 'reject', userId: 'string', visits: 'number.integer = 0' }),
  renamed: type({ fullName: 'string >= 3', level: 'number = 1' }),
  dated: type({ at: type('unknown').default(() => day) }),
  unstorable: [
    [type({ at: type('Date').default(() => day) }), /has a Date \(at optional\.0\.value\)/],
    [type({ 'either?': 'string | Date' }), /has a Date \(at optional\.0\.value\.\d\)/],
    [type({ tags: 'Set' }), /has a Set \(at required\.0\.value\)/],
    [type({ count: 'bigint' }), /has a bigint \(at required\.0\.value\)/],
    [type({ link: type.instanceOf(URL).array() }), /has a URL \(at required\.0\.value\.sequence\)/],
    [type({ of: 'Record<string, Date>' }), /has a Date \(at required\.0\.value\.index\.0\.value\)/]
  ],
  transforming: [
    [type({ word: 'string.numeric.parse' }), /at required\.0\.value/],
    [type({ words: type({ word: 'string.trim | number' }).array() }), /at required\.0\.value\.sequence\.required\.0\.value\.1/],
    [type({ word: 'string' }).pipe((data) => ({ ...data, word: 5 })), /at the top/]
  ],
  asynchronous: [],
  secretlyTransforming: [],
  secretlyAsynchronous: []
}, {
  name: 'JSON Schema',
  visitor: {
    type: 'object',
    properties: {
      userId: { type: 'string' },
      visits: { type: 'integer', default: 0 },
      theme: { type: 'string', enum: ['dark', 'light'] },
      profile: { type: 'object', properties: { name: { type: 'string' }, tags: { type: 'array', items: { type: 'string' }, default: [] } }, required: ['name', 'tags'] }
    },
    required: ['userId', 'visits']
  },
  strict: {
    type: 'object', properties: { userId: { type: 'string' }, visits: { type: 'integer', default: 0 } }, required: ['userId', 'visits'], additionalProperties: false
  },
  renamed: { type: 'object', properties: { fullName: { type: 'string', minLength: 3 }, level: { type: 'integer', default: 1 } }, required: ['fullName', 'level'] },
  text: { type: 'string' },
  unstorable: [],
  transforming: [],
  asynchronous: [{ $async: true, type: 'object', properties: { word: { type: 'string' } } }],
  secretlyTransforming: [],
  secretlyAsynchronous: []
}]
