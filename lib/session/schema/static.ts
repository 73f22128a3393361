/** The type of the data that a schema describes. Values that the schema does not describe are `unknown`. */
export type DataOf<Schema> = TypeOf<Schema, 'output'>

/** The type of the data before the schema's defaults are filled in. TypeBox does not keep defaults in its types. */
export type InputOf<Schema> = TypeOf<Schema, 'input'>

type Side = 'input' | 'output'

type TypeOf<Schema, Of extends Side> = OrAnyObject<
  Schema extends { readonly '~standard': { readonly types?: { readonly [Key in Of]: infer Type } | undefined } } ? Type
    : Schema extends { readonly static: unknown } ? (Schema & { params: [] })['static']
      : Schema extends { readonly '~kind': string } ? StaticOf<Schema>
        : OfJson<Schema, Of>
>

type OrAnyObject<T> = T extends object ? T : Record<string, unknown>

/** @ts-ignore: the package `typebox` is there if a schema of its own is. */
type StaticOf<Schema> = import('typebox').Static<Schema>

/** The type that a JSON Schema describes, if its literals are known (`as const`). */
type OfJson<Schema, Of extends Side> =
  Schema extends { readonly const: infer Value } ? Value
    : Schema extends { readonly enum: ReadonlyArray<infer Value> } ? Value
      : Schema extends { readonly type: infer Type } ? OfType<Schema, Type, Of>
        : unknown

interface Scalars { string: string, number: number, integer: number, boolean: boolean, null: null }

type OfType<Schema, Type, Of extends Side> =
  Type extends keyof Scalars ? Scalars[Type]
    : Type extends 'array' ? Array<Schema extends { readonly items: infer Item } ? OfJson<Item, Of> : unknown>
      : Type extends 'object' ? OfObject<Schema, Of>
        : unknown

type OfObject<Schema, Of extends Side> = Schema extends { readonly properties: infer Properties }
  ? Flat<
    & { -readonly [Name in keyof Properties & Present<Schema, Properties, Of>]: OfJson<Properties[Name], Of> }
    & { -readonly [Name in Exclude<keyof Properties, Present<Schema, Properties, Of>>]?: OfJson<Properties[Name], Of> }
  >
  : Record<string, Schema extends { readonly additionalProperties: infer Value } ? OfJson<Value, Of> : unknown>

/** The properties that are always present: those with a default (in the output), and those that are required. */
type Present<Schema, Properties, Of extends Side> = Of extends 'output'
  ? Defaulted<Properties> | Required<Schema>
  : Exclude<Required<Schema>, Defaulted<Properties>>
type Required<Schema> = Schema extends { readonly required: ReadonlyArray<infer Name> } ? Name : never
type Defaulted<Properties> =
  { [Name in keyof Properties]: Properties[Name] extends { readonly default: unknown } ? Name : never }[keyof Properties]

type Flat<T> = { [Name in keyof T]: T[Name] }
