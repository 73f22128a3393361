/** @import { Field, FormValues, Operation, Spec, Value } from './types.js' */

import { listIn, resolveRef, textIn } from './document.js'

// Some schemas lack `format: password`. Hiding a text is a smaller mistake than showing a password.
const SECRET_NAME = /passw(or)?d|passphrase|secret|^pin$/i

/**
 * Returns the fields of an operation's form: one for each property of its body and each required parameter.
 * @type {(spec: Spec, found: Operation) => { fields: Field[], contentType: string | undefined }}
 */
export function formOf (spec, { operation, pathItem }) {
  const parameters = [...listIn(operation.parameters), ...listIn(pathItem.parameters)]
    .map((parameter) => resolveRef(spec, parameter))
    .filter((parameter) => parameter.required === true && ['query', 'path', 'header'].includes(parameter.in))
    .map((parameter) => field(spec, parameter.name, parameter.schema, true, parameter.in, parameter.description))
  const content = resolveRef(spec, operation.requestBody).content ?? {}
  const contentType = preferred(Object.keys(content))
  const body = contentType === undefined ? [] : bodyFields(spec, content[contentType].schema)
  return { fields: [...parameters, ...body], contentType }
}

/** @param {string[]} types */
function preferred (types) {
  const order = [/^application\/(.+\+)?json\b/, /^application\/x-www-form-urlencoded\b/, /^multipart\/form-data\b/, /./]
  return order.map((pattern) => types.find((type) => pattern.test(type))).find((type) => type !== undefined)
}

/** @type {(spec: Spec, schema: any) => Field[]} */
function bodyFields (spec, schema) {
  const { properties, required } = objectShape(spec, schema, new Set())
  const names = Object.keys(properties)
  if (names.length === 0) {
    return [{ key: 'whole', name: 'body', in: 'whole', label: 'Body (JSON)', required: true, kind: 'json', initial: '{}', autocomplete: 'off' }]
  }
  return names
    .filter((name) => resolveRef(spec, properties[name]).readOnly !== true)
    .map((name) => field(spec, name, properties[name], required.includes(name), 'body'))
}

/**
 * Returns the properties of an object schema, with those of `allOf` and of the first alternative that has any. Each schema counts once,
 * because a schema may refer to itself.
 * @type {(spec: Spec, schema: any, seen: Set<unknown>) => { properties: Record<string, any>, required: string[] }}
 */
function objectShape (spec, schema, seen) {
  const own = resolveRef(spec, schema)
  if (seen.has(own)) return { properties: {}, required: [] }
  seen.add(own)
  const shapesOf = (/** @type {any[]} */ ...parts) => parts.map((part) => objectShape(spec, part, seen))
  const choices = shapesOf(...listIn(own.oneOf), ...listIn(own.anyOf))
  const choice = choices.find((shape) => Object.keys(shape.properties).length > 0)
  const shapes = [...shapesOf(...listIn(own.allOf)), ...(choice === undefined ? [] : [choice])]
  return {
    properties: Object.assign({}, ...shapes.map((shape) => shape.properties), own.properties),
    required: [...shapes.flatMap((shape) => shape.required), ...listIn(own.required)]
  }
}

/** @type {(spec: Spec, name: string, reference: any, required: boolean, place: Field['in'], description?: string) => Field} */
function field (spec, name, reference, required, place, description) {
  const schema = simpleSchema(spec, reference)
  const choices = choicesOf(schema)
  const kind = choices === undefined ? kindOf(name, schema) : 'select'
  const isText = kind === 'text' || kind === 'password' || kind === 'email'
  const preset = schema.default ?? (required && choices?.length === 1 ? JSON.parse(choices[0] ?? '') : undefined)
  return {
    key: `${place}.${name}`,
    name,
    in: place,
    label: textIn(schema.title) ?? name,
    // `required` would force the reader to check the box.
    required: required && kind !== 'checkbox',
    kind,
    initial: preset === undefined || preset === false ? '' : isText ? String(preset) : JSON.stringify(preset),
    help: textIn(schema.description) ?? textIn(description),
    autocomplete: completionOf(name, kind),
    choices
  }
}

/**
 * Returns the schema without the alternative `null`. An empty field is not sent.
 * @type {(spec: Spec, reference: any) => any}
 */
function simpleSchema (spec, reference) {
  const schema = resolveRef(spec, reference)
  const alternatives = [...listIn(schema.anyOf), ...listIn(schema.oneOf)]
    .map((part) => resolveRef(spec, part))
    .filter((part) => part.type !== 'null')
  const type = [schema.type].flat().find((one) => one !== 'null')
  if (alternatives.length === 1) return { ...alternatives[0], ...schema, type: alternatives[0].type }
  if (alternatives.length > 0 && alternatives.every((part) => 'const' in part || Array.isArray(part.enum))) {
    return { ...schema, type, enum: alternatives.flatMap((part) => 'const' in part ? [part.const] : part.enum) }
  }
  return { ...schema, type }
}

/** @type {(schema: any) => string[] | undefined} */
function choicesOf (schema) {
  if ('const' in schema) return [JSON.stringify(schema.const)]
  if (!Array.isArray(schema.enum)) return undefined
  return schema.enum.filter((/** @type {unknown} */ value) => value !== null).map((/** @type {unknown} */ value) => JSON.stringify(value))
}

/** @type {(name: string, schema: any) => Field['kind']} */
function kindOf (name, schema) {
  if (schema.type === 'boolean') return 'checkbox'
  if (schema.type === 'integer' || schema.type === 'number') return 'number'
  if (schema.type !== undefined && schema.type !== 'string') return 'json'
  if (schema.format === 'password' || SECRET_NAME.test(name)) return 'password'
  return schema.format === 'email' ? 'email' : 'text'
}

/**
 * Returns the `autocomplete` of a field, for password managers (HTML, autofill detail tokens).
 * @type {(name: string, kind: Field['kind']) => string}
 */
function completionOf (name, kind) {
  if (/otp|one.?time|^code$|token/i.test(name)) return 'one-time-code'
  if (kind === 'password') return 'current-password'
  return kind === 'email' || /^(user|login|e?-?mail|account)/i.test(name) ? 'username' : 'off'
}

/**
 * Converts typed text to the values that the operation expects. Leaves out optional fields that are empty.
 * @throws an error with a sentence for the reader if a JSON field does not hold JSON
 * @type {(fields: Field[], typed: FormValues) => Value[]}
 */
export function valuesOf (fields, typed) {
  return fields.flatMap((field) => {
    const text = typed[field.key] ?? field.initial
    if (field.kind === 'checkbox') return [{ field, value: text !== '' }]
    return text === '' && !field.required ? [] : [{ field, value: parsed(field, text) }]
  })
}

/** @type {(field: Field, text: string) => unknown} */
function parsed ({ kind, label }, text) {
  if (kind === 'number') return Number(text)
  if (kind !== 'select' && kind !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${label} is not JSON.`)
  }
}
