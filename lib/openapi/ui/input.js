/** @import { Field, System } from './types.js' */

/**
 * @typedef {object} InputProps
 * @property {string} name Of the scheme.
 * @property {Field} field
 * @property {string} text
 * @property {boolean} invalid The last attempt failed.
 * @property {(text: string) => void} change
 */

/**
 * A labelled input of the sign-in form.
 * @param {System['React']} React
 * @returns {(props: InputProps) => any}
 */
export function fieldInput ({ createElement: h }) {
  return ({ name, field, text, invalid, change }) => {
    const id = `session-${name}-${field.key}`.replaceAll(/\s/g, '_')
    const described = [field.help !== undefined && `${id}-help`, invalid && `session-error-${name}`].filter(Boolean).join(' ')
    const common = {
      id,
      name: field.name,
      required: field.required,
      autoComplete: field.autocomplete ?? 'off',
      'aria-describedby': described === '' ? undefined : described,
      'aria-invalid': invalid ? true : undefined
    }
    return h('div', { key: field.key, className: 'session-field' },
      h('label', { htmlFor: id }, field.label, field.required ? null : h('span', { className: 'session-optional' }, ' (optional)')),
      control(h, field, text, change, common),
      field.help !== undefined && h('p', { id: `${id}-help`, className: 'session-help' }, field.help))
  }
}

/**
 * @param {System['React']['createElement']} h
 * @param {Field} field
 * @param {string} text
 * @param {(text: string) => void} change
 * @param {object} common
 */
function control (h, field, text, change, common) {
  const onChange = (/** @type {any} */ event) => change(event.target.value)
  switch (field.kind) {
    case 'checkbox':
      return h('input', { ...common, type: 'checkbox', checked: text !== '', onChange: (/** @type {any} */ event) => change(event.target.checked ? 'true' : '') })
    case 'select':
      return h('select', { ...common, value: text, onChange },
        h('option', { value: '' }),
        (field.choices ?? []).map((choice) => h('option', { key: choice, value: choice }, String(JSON.parse(choice)))))
    case 'json':
      return h('textarea', { ...common, value: text, rows: 4, spellCheck: false, onChange })
    case 'number':
      return h('input', { ...common, type: 'number', step: 'any', value: text, onChange })
    default:
      return h('input', { ...common, type: field.kind, value: text, autoCapitalize: 'none', spellCheck: false, onChange })
  }
}
