/** @import { Create, Field, FormValues } from './types.js' */

/**
 * A labelled input of the sign-in form of a scheme. What is typed is kept by the browser alone: {@link typedIn} reads it.
 * @type {(h: Create, scheme: string, field: Field, failed: boolean) => any}
 */
export function fieldInput (h, scheme, field, failed) {
  const { key, name, label, required, help, autocomplete } = field
  const id = `session-${scheme}-${key}`.replaceAll(/\s/g, '_')
  const described = [help !== undefined && `${id}-help`, failed && `session-error-${scheme}`].filter(Boolean).join(' ')
  const props = {
    id,
    name,
    required,
    autoComplete: autocomplete,
    'data-key': key,
    'aria-describedby': described === '' ? undefined : described,
    'aria-invalid': failed ? true : undefined
  }
  return h('div', { key, className: 'session-field' },
    h('label', { htmlFor: id }, label, required ? null : h('span', { className: 'session-optional' }, ' (optional)')),
    control(h, field, props),
    help !== undefined && h('p', { id: `${id}-help`, className: 'session-help' }, help))
}

/** @type {(h: Create, field: Field, props: object) => any} */
function control (h, { kind, initial, choices = [] }, props) {
  switch (kind) {
    case 'checkbox':
      return h('input', { ...props, type: 'checkbox', value: 'true', defaultChecked: initial !== '' })
    case 'select':
      return h('select', { ...props, defaultValue: initial },
        h('option', { value: '' }),
        choices.map((choice) => h('option', { key: choice, value: choice }, String(JSON.parse(choice)))))
    case 'json':
      return h('textarea', { ...props, defaultValue: initial, rows: 4, spellCheck: false })
    case 'number':
      return h('input', { ...props, type: 'number', step: 'any', defaultValue: initial })
    default:
      return h('input', { ...props, type: kind, defaultValue: initial, autoCapitalize: 'none', spellCheck: false })
  }
}

/**
 * Returns what the inputs inside of `element` hold.
 * @type {(element: HTMLElement | null) => FormValues}
 */
export function typedIn (element) {
  /** @type {NodeListOf<HTMLInputElement> | undefined} */
  const inputs = element?.querySelectorAll('[data-key]')
  return Object.fromEntries([...inputs ?? []].map(({ dataset, type, checked, value }) => [dataset['key'] ?? '', type === 'checkbox' && !checked ? '' : value]))
}
