/** @import { Operation } from './document.js' */

import { listIn, resolveRef, textIn } from './document.js'

/** @typedef {ReturnType<typeof fieldOf>} Field One input of the sign-in form. */
/** @typedef {{ field: Field, value: unknown }} Value */

// Some schemas lack `format: password`. Hiding a text is a smaller mistake than showing a password.
const SECRET_NAME = /passw(or)?d|passphrase|secret|^pin$/i

/** The content types of a body, the preferred first. */
const CONTENT_TYPES = [/^application\/(.+\+)?json\b/, /^application\/x-www-form-urlencoded\b/, /^multipart\/form-data\b/, /./]

/** Returns a field for each property of an operation's body and each required parameter. @param {any} spec @param {Operation} found */
export function formOf (spec, { operation, pathItem }) {
  const parameters = [...listIn(operation.parameters), ...listIn(pathItem.parameters)]
    .map((parameter) => resolveRef(spec, parameter))
    .filter(({ name, required, in: place }) => typeof name === 'string' && required === true && ['query', 'path', 'header'].includes(place))
    .map((parameter) => fieldOf(spec, parameter.name, parameter.schema, true, parameter.in, parameter.description))
  const content = resolveRef(spec, operation.requestBody).content ?? {}
  const [contentType] = CONTENT_TYPES.flatMap((pattern) => Object.keys(content).filter((type) => pattern.test(type)))
  const body = contentType === undefined ? [] : bodyFields(spec, content[contentType]?.schema)
  return { fields: [...parameters, ...body], contentType }
}

function bodyFields (spec, reference) {
  const { properties, required } = merged(spec, reference)
  const names = Object.keys(properties)
  if (names.length === 0) return [fieldOf(spec, 'body', { title: 'Body (JSON)', type: 'object', default: {} }, true, 'whole')]
  return names.filter((name) => resolveRef(spec, properties[name]).readOnly !== true)
    .map((name) => fieldOf(spec, name, properties[name], required.includes(name), 'body'))
}

/**
 * Returns a schema with the content of `allOf`, of an only alternative, and the properties of the first alternative that has any. The
 * alternative `null` does not count, because an empty field is not sent. Each schema counts once, because a schema may refer to itself.
 */
function merged (spec, reference, seen = new Set()) {
  const own = resolveRef(spec, reference)
  if (seen.has(own)) return { properties: {}, required: [] }
  seen.add(own)
  const all = (parts) => listIn(parts).filter((part) => resolveRef(spec, part).type !== 'null').map((part) => merged(spec, part, seen))
  const alternatives = [...all(own.oneOf), ...all(own.anyOf)]
  const values = alternatives.map((part) => 'const' in part ? [part.const] : part.enum)
  const choice = alternatives.filter(({ properties }) => Object.keys(properties).length > 0).slice(0, 1)
  const parts = [...all(own.allOf), ...(alternatives.length === 1 ? alternatives : []), own]
  return {
    ...Object.assign({}, ...parts),
    type: parts.flatMap(({ type }) => type ?? []).find((type) => type !== 'null'),
    ...(values.length > 0 && values.every(Array.isArray) && { enum: values.flat() }),
    properties: Object.assign({}, ...[...choice, ...parts].map(({ properties }) => properties)),
    required: [...choice, ...parts].flatMap(({ required }) => listIn(required))
  }
}

/**
 * Returns an input of the form. `choices` are JSON texts, of a select. `initial` is the text of a text field, else a JSON text.
 * @param {'body' | 'whole' | 'query' | 'path' | 'header'} place `whole`: the value is the entire body. @param {string} [description]
 */
function fieldOf (spec, name, reference, required, place, description) {
  const schema = merged(spec, reference)
  const values = 'const' in schema ? [schema.const] : listIn(schema.enum).filter((value) => value !== null)
  const choices = values.map((value) => JSON.stringify(value))
  const kind = choices.length > 0 ? 'select' : kindOf(name, schema)
  const isText = typeof schema.default === 'string' && kind !== 'select' && kind !== 'json'
  const preset = schema.default == null ? undefined : isText ? schema.default : JSON.stringify(schema.default)
  return {
    name,
    in: place,
    label: textIn(schema.title) ?? name,
    help: textIn(schema.description) ?? textIn(description),
    // `required` would force the reader to check the box.
    required: required && kind !== 'checkbox',
    kind,
    choices,
    initial: preset ?? (required && choices.length === 1 ? choices[0] : ''),
    autocomplete: completionOf(name, kind)
  }
}

function kindOf (name, schema) {
  if (schema.type === 'boolean') return 'checkbox'
  if (schema.type === 'integer' || schema.type === 'number') return 'number'
  if (schema.type !== undefined && schema.type !== 'string') return 'json'
  if (schema.format === 'password' || SECRET_NAME.test(name)) return 'password'
  return schema.format === 'email' ? 'email' : 'text'
}

function completionOf (name, kind) {
  if (/otp|one.?time|^code$|token/i.test(name)) return 'one-time-code'
  if (kind === 'password') return 'current-password'
  return kind === 'email' || /^(user|login|e?-?mail|account)/i.test(name) ? 'username' : 'off'
}

/**
 * Converts the text of each field to the value that the operation expects. Leaves out optional fields that are empty.
 * @throws an error with a sentence for the reader if a JSON field does not hold JSON
 * @type {(fields: Field[], texts: string[]) => Value[]}
 */
export function valuesOf (fields, texts) {
  return fields.flatMap((field, index) => {
    const text = texts[index] ?? ''
    return text === '' && !field.required ? [] : [{ field, value: parsed(field, text) }]
  })
}

/** @param {Field} field */
function parsed ({ kind, label }, text) {
  if (kind === 'number') return Number(text)
  if (kind === 'text' || kind === 'password' || kind === 'email') return text
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${label} is not JSON.`)
  }
}
