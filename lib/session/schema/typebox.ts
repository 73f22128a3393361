import { createRequire } from 'node:module'
import type { TSchema } from '@sinclair/typebox'
import { attempt } from '../../attempt.js'
import { invalidOptions, must } from '../../errors.js'
import type { Data } from '../json.js'
import { checkedBy, type DataSchema, type Fault } from './schema.js'

type Classic = typeof import('@sinclair/typebox')

/** Returns whether @sinclair/typebox made a schema, in any of its module copies. */
export const isClassicTypeBox = (schema: object): boolean => Symbol.for('TypeBox.Kind') in schema

/** Returns whether the package `typebox` made a schema. */
export const isTypeBox = (schema: object): boolean => '~kind' in schema

/** Compiles a schema of @sinclair/typebox. @throws `FST_SESSION_OPTIONS` for a schema that could never be checked */
export async function classicTypeBoxSchema (schema: TSchema): Promise<DataSchema> {
  const missing = notInstalled('@sinclair/typebox')
  // A bundler lets a package be absent only where its import() has a catch() of its own.
  const [typebox, { TypeCompiler }, { Value }] = await Promise.all([
    import('@sinclair/typebox').catch(missing), import('@sinclair/typebox/compiler').catch(missing), import('@sinclair/typebox/value').catch(missing)
  ])
  shareRegistries(typebox)
  const format = JSON.stringify(unknownFormat(schema, typebox.FormatRegistry))
  must(format === undefined, `schema uses the format ${format}, which TypeBox does not know, so that no session would ever fit: call FormatRegistry.Set(${format}, (value) => ...) before you register the plugin`)
  return compiledBy(schema, () => TypeCompiler.Compile(schema), (data) => Value.Default(schema, data))
}

/** Compiles a schema of the package `typebox`. @throws `FST_SESSION_OPTIONS` for a schema that could never be checked */
export async function typeBoxSchema (schema: object): Promise<DataSchema> {
  const { Compile } = await import('typebox/compile').catch(notInstalled('typebox'))
  return compiledBy(schema, () => Compile(schema), (data, compiled) => compiled.Default(data))
}

interface Compiled { Check (data: unknown): boolean, Errors (data: unknown): Iterable<Fault> }

function compiledBy<T extends Compiled> (schema: object, compile: () => T, fill: (data: Data, compiled: T) => unknown): DataSchema {
  try {
    const compiled = compile()
    return checkedBy(schema, {
      check: (data) => compiled.Check(data), errors: (data) => compiled.Errors(data), fill: (data) => fill(data, compiled)
    })
  } catch (cause) {
    throw invalidOptions('schema is not a TypeBox schema that can be compiled: write it with Type.Object({ ... }), and register kinds of your own before you register the plugin', cause)
  }
}

/** Returns a function that throws the error for a schema library that cannot be loaded. Only apps that use it need it. */
function notInstalled (name: string): (cause: unknown) => never {
  return (cause) => { throw invalidOptions(`schema was made with ${name}, which the plugin cannot load: install ${name} in the app`, cause) }
}

/** Copies the registries of the CommonJS copy of @sinclair/typebox to the ESM copy, which checks data: a process may have both. */
function shareRegistries (typebox: Classic): void {
  // An app that is bundled into one file has one copy, and no packages to require.
  const common = attempt(() => createRequire(import.meta.url)('@sinclair/typebox') as Classic)
  for (const registry of ['FormatRegistry', 'TypeRegistry'] as const) {
    for (const [name, check] of common?.[registry].Entries() ?? []) {
      if (!typebox[registry].Has(name)) typebox[registry].Set(name, check as () => boolean)
    }
  }
}

function unknownFormat (schema: unknown, registry: Classic['FormatRegistry']): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { format, type } = schema as { format?: unknown, type?: unknown }
  if (type === 'string' && typeof format === 'string' && !registry.Has(format)) return format
  return Object.values(schema).map((part) => unknownFormat(part, registry)).find((found) => found !== undefined)
}
