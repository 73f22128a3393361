/** The type of the data that a schema describes. Values that the schema does not describe are `unknown`. */
export type DataOf<Schema> = OrAnyObject<
  Schema extends { readonly '~standard': { readonly types?: infer Types } } ? OutputOf<Types>
    : Schema extends { readonly static: unknown } ? (Schema & { params: [] })['static']
      : Schema extends { readonly '~kind': string } ? StaticOf<Schema>
        : OfJson<Schema>
>

type OrAnyObject<T> = T extends object ? T : Record<string, unknown>

type OutputOf<Types> = NonNullable<Types> extends { readonly output: infer Output } ? Output : unknown

/** @ts-ignore: the package `typebox` is there if a schema of its own is. */
type StaticOf<Schema> = import('typebox').Static<Schema>

/** The type that a JSON Schema describes, if its literals are known (`as const`). */
type OfJson<Schema> =
  Schema extends { readonly const: infer Value } ? Value
    : Schema extends { readonly enum: ReadonlyArray<infer Value> } ? Value
      : Schema extends { readonly type: infer Type } ? OfType<Schema, Type>
        : unknown

type OfType<Schema, Type> =
  Type extends 'string' ? string
    : Type extends 'number' | 'integer' ? number
      : Type extends 'boolean' ? boolean
        : Type extends 'null' ? null
          : Type extends 'array' ? Array<Schema extends { readonly items: infer Item } ? OfJson<Item> : unknown>
            : Type extends 'object' ? OfObject<Schema>
              : unknown

type OfObject<Schema> = Schema extends { readonly properties: infer Properties }
  ? Flat<
    & { -readonly [Name in keyof Properties & Present<Schema, Properties>]: OfJson<Properties[Name]> }
    & { -readonly [Name in Exclude<keyof Properties, Present<Schema, Properties>>]?: OfJson<Properties[Name]> }
  >
  : Record<string, Schema extends { readonly additionalProperties: infer Value } ? OfJson<Value> : unknown>

/** The properties that are always present: those that are required, and those that have a default. */
type Present<Schema, Properties> =
  | (Schema extends { readonly required: ReadonlyArray<infer Name> } ? Name : never)
  | { [Name in keyof Properties]: Properties[Name] extends { readonly default: unknown } ? Name : never }[keyof Properties]

type Flat<T> = { [Name in keyof T]: T[Name] }
