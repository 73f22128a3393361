/** @import { Create, Field, FormValues, SessionState, System } from './types.js' */
/** @import { Sessions } from './sessions.js' */

/**
 * Returns the component that the dialog shows for a session in place of Swagger UI's box for pasting a key. Swagger UI's own form, with its
 * buttons, stays around it.
 * @type {(system: System, sessions: Sessions) => (props: { name: string, schema: any, onChange: any, getComponent: any }) => any}
 */
export function sessionPanel ({ React }, sessions) {
  const h = React.createElement
  return function SessionPanel ({ name, schema, onChange, getComponent }) {
    const state = /** @type {SessionState} */ (React.useSyncExternalStore(sessions.subscribe, () => sessions.states.get(name)))
    const root = React.useRef(/** @type {HTMLElement | null} */ (null))
    const { scheme, phase, busy, error } = state
    // Swagger UI passes this value to `authorize` when its form is submitted, and drops it at a logout.
    React.useEffect(() => onChange({ name, schema, value: { typed: () => typedIn(root.current) } }), [phase, busy])
    useFocus(React, root, state)

    const fields = phase === 'in' ? [] : sessions.fields(scheme)
    return h('div', { ref: root, className: 'session-panel', 'data-buttons': buttonsOf(state) },
      h('h4', null, h('code', null, name), ' (cookie session)'),
      h('div', { className: 'session-state', role: 'status', tabIndex: -1, 'data-phase': phase }, sentence(state)),
      phase !== 'in' && about(h, getComponent('Markdown', true), schema.get('description'), fields.length > 0),
      state.doubt !== undefined && h('p', { className: 'session-note' }, `The server could not say who is signed in: ${state.doubt}`),
      elsewhere(h, sessions.elsewhere(scheme)),
      phase === 'in' ? h('div', null, answer(h, state.answer), need(h, schema, state.roles)) : howTo(h, state, sessions.link(scheme)),
      ...fields.map((field) => fieldInput(h, name, field, error !== undefined)),
      h('div', { role: 'alert', id: `session-error-${name}`, className: 'session-error' },
        error !== undefined && h('p', { key: state.failures }, error))
    )
  }
}

/**
 * Moves the focus: to the password after a failure, to the state after a login, to the form after a logout. If the reader is in the form
 * of another scheme, the focus stays there.
 * @type {(React: System['React'], root: { current: HTMLElement | null }, state: SessionState) => void}
 */
function useFocus (React, root, { phase, failures }) {
  const last = React.useRef({ phase, failures })
  React.useEffect(() => {
    const before = last.current
    last.current = { phase, failures }
    if (before.phase === phase && before.failures === failures) return
    const panel = root.current
    const active = document.activeElement
    // Methods of a form are hidden by inputs of the same name, so none is called here.
    if (active !== document.body && active?.closest('form') !== panel?.closest('form')) return
    const secret = failures > before.failures ? '[type=password]' : 'none'
    const target = panel?.querySelector(secret) ?? panel?.querySelector('input, select, textarea, :scope > p a') ?? panel?.querySelector('.session-state')
    if (target instanceof HTMLElement) target.focus()
  }, [phase, failures])
}

/** Returns which of Swagger UI's buttons works now. The style sheet hides the others. @param {SessionState} state */
function buttonsOf ({ phase, scheme: { login, logout } }) {
  if (phase === 'in') return logout === undefined ? 'none' : 'logout'
  return login === undefined || login.method === 'get' ? 'none' : 'authorize'
}

/** @param {SessionState} state */
export function sentence ({ phase, busy, ended, scheme, doubt }) {
  if (busy) return phase === 'in' ? 'Signing out…' : 'Signing in…'
  if (phase === 'in') return 'Signed in'
  if (ended) return 'Signed out: the session has ended'
  if (phase === 'out') return 'Signed out'
  if (scheme.status === undefined) return 'This page cannot ask whether you are signed in'
  return doubt === undefined ? 'Asking the server…' : 'Not known whether you are signed in'
}

/**
 * Returns the description of the scheme. Beside a form it is folded, because it says how to sign in without the form.
 * @type {(h: Create, Markdown: any, description: string | undefined, withForm: boolean) => any}
 */
function about (h, Markdown, description, withForm) {
  if (description === undefined) return null
  const text = h(Markdown, { source: description })
  return withForm ? h('details', { className: 'session-about' }, h('summary', null, 'About this session'), text) : text
}

/** @type {(h: Create, origins: ReadonlyArray<string | undefined>) => any} */
function elsewhere (h, origins) {
  if (origins.length === 0) return null
  const names = origins.flatMap((origin, index) => [index === 0 ? ' ' : ' and ', h('code', { key: origin }, origin)])
  return h('p', { className: 'session-note' }, `Calls go to ${origins.length === 1 ? 'another origin' : 'other origins'},`, ...names,
    ': the browser sends the session there only if that server and this page allow it.')
}

/**
 * Returns how to sign in if there is no form for it.
 * @type {(h: Create, state: SessionState, link: string | undefined) => any}
 */
function howTo (h, { scheme }, link) {
  if (link !== undefined) {
    return h('p', null, h('a', { href: link, target: '_blank', rel: 'noopener' }, 'Sign in on its own page'), ', then come back here.')
  }
  if (scheme.login !== undefined) return null
  return h('p', null, 'Sign in to the application itself, in this browser. The calls of this page then carry the cookie ',
    h('code', null, scheme.cookie), ' by themselves: there is nothing to paste here.')
}

/**
 * Returns the response of the status operation: a JSON object as a list, everything else as text.
 * @type {(h: Create, value: unknown) => any}
 */
function answer (h, value) {
  if (value === null || value === undefined || value === '') return null
  if (typeof value !== 'object' || Array.isArray(value)) return h('p', null, plain(value))
  const rows = Object.entries(value).flatMap(([key, item]) => [h('dt', { key: `t-${key}` }, key), h('dd', { key: `d-${key}` }, plain(item))])
  return h('dl', { className: 'session-answer' }, rows)
}

/** @type {(value: unknown) => string} */
function plain (value) {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.length === 0 ? 'none' : value.join(', ')
  if (typeof value === 'string') return value
  return value === null ? 'none' : JSON.stringify(value)
}

/**
 * Names the roles that the reader lacks for the operation of the pressed lock, by the alternative that lacks the fewest.
 * @type {(h: Create, schema: any, roles: readonly string[] | undefined) => any}
 */
function need (h, schema, roles) {
  /** @type {string[][]} */
  const alternatives = schema.get('x-session-needs')?.toJS() ?? []
  const lacking = alternatives.map((needed) => needed.filter((role) => roles?.includes(role) !== true))
  const [missing] = lacking.sort((a, b) => a.length - b.length)
  if (missing === undefined || missing.length === 0) return null
  const names = missing.map((role) => `“${role}”`).join(' and ')
  return h('p', { className: 'session-missing' },
    `This operation needs ${missing.length === 1 ? 'the role' : 'the roles'} ${names}${roles === undefined ? '.' : ', which you do not have.'}`)
}

/**
 * Returns a labelled input of the login form. Only the browser keeps the typed text, and {@link typedIn} reads it.
 * @type {(h: Create, scheme: string, field: Field, failed: boolean) => any}
 */
function fieldInput (h, scheme, field, failed) {
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
 * Returns the values of the inputs in an element.
 * @type {(element: HTMLElement | null) => FormValues}
 */
function typedIn (element) {
  /** @type {NodeListOf<HTMLInputElement> | undefined} */
  const inputs = element?.querySelectorAll('[data-key]')
  return Object.fromEntries([...inputs ?? []].map(({ dataset, type, checked, value }) => [dataset['key'] ?? '', type === 'checkbox' && !checked ? '' : value]))
}
