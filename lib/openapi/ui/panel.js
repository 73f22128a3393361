/** @import { Field } from './fields.js' */
/** @import { Sessions, SessionState } from './sessions.js' */

import { valuesOf } from './fields.js'

/** Makes Swagger UI's popup a modal dialog. It takes the focus, closes on Escape and returns the focus to the button that opened it. */
export const dialog = ({ React }) => (Original) => function SessionDialog (props) {
  const root = React.useRef(null)
  React.useLayoutEffect(() => {
    const element = root.current
    element.showModal()
    element.querySelector('.close-modal')?.setAttribute('aria-label', 'Close')
    focusIn(element)
    return () => element.close()
  }, [])
  const onClose = () => props.authActions.showDefinitions(false)
  const attributes = { ref: root, className: 'session-dialog', 'aria-label': 'Available authorizations', onClose, onKeyDown: keepFocusInside }
  return React.createElement('dialog', attributes, React.createElement(Original, props))
}

/** Wraps Swagger UI's form of one scheme. A session gets one that signs in and out. @param {any} system @param {Sessions} sessions */
export const forms = ({ React }, sessions) => (Original) => {
  const Form = sessionForm(React, sessions)
  return function Auths (props) {
    const name = props.definitions.keySeq().first()
    const state = React.useSyncExternalStore(sessions.subscribe, () => sessions.states.get(name))
    return React.createElement(state === undefined ? Original : Form, { ...props, name, state })
  }
}

/** @param {Sessions} sessions */
function sessionForm (React, sessions) {
  const h = React.createElement
  /** @param {{ state: SessionState } & Record<string, any>} props */
  return function SessionForm ({ name, state, definitions, getComponent, authActions }) {
    const root = React.useRef(null)
    useFocus(React, root, state)
    const id = React.useId()
    const { scheme, phase, doubt, error, failures } = state
    const schema = definitions.get(name)
    const form = phase === 'in' ? undefined : sessions.form(scheme)
    const fields = form?.fields ?? []
    const onSubmit = (event) => {
      event.preventDefault()
      const input = () => ({ contentType: form?.contentType, values: valuesOf(fields, textsIn(root.current)) })
      void sessions.change(name, phase === 'in' ? 'logout' : 'login', input)
    }
    return h('div', { className: 'auth-container' }, h('form', { onSubmit, className: 'session-form' },
      h('div', { ref: root, className: 'session-panel' },
        h('h4', null, h('code', null, name), ' (cookie session)'),
        h('div', { className: 'session-state', role: 'status', tabIndex: -1, 'data-phase': phase }, sentence(state)),
        phase !== 'in' && about(h, getComponent('Markdown', true), schema.get('description'), fields.length > 0),
        doubt !== undefined && h('p', { className: 'session-note' }, `The server could not say who is signed in: ${doubt}`),
        elsewhere(h, sessions.elsewhere(scheme)),
        phase === 'in' ? h('div', null, answer(h, state.answer), need(h, schema, state.roles)) : howTo(h, scheme, sessions.link(scheme)),
        ...fields.map((field, index) => fieldInput(h, field, `${id}-${index}`, error === undefined ? undefined : `${id}-error`)),
        h('div', { role: 'alert', id: `${id}-error` }, error !== undefined && h('p', { key: failures, className: 'session-error' }, error))),
      h('div', { className: 'auth-btn-wrapper' },
        phase === 'in' && scheme.logout !== undefined && h('button', { className: 'btn modal-btn auth' }, 'Sign out'),
        form !== undefined && h('button', { className: 'btn modal-btn auth authorize' }, 'Sign in'),
        h('button', { type: 'button', className: 'btn modal-btn auth btn-done', onClick: () => authActions.showDefinitions(false) }, 'Close'))))
  }
}

/**
 * Moves the focus: to the password after a failure, to the state after a login, to the form after a logout. If the reader is in the form
 * of another scheme, the focus stays there. @param {any} React @param {any} root @param {SessionState} state
 */
function useFocus (React, root, { phase, failures }) {
  const before = React.useRef(failures)
  React.useEffect(() => {
    const hasFailed = failures > before.current
    before.current = failures
    const { activeElement: active, body } = document
    // Methods of a form are hidden by inputs of the same name, so none is called here.
    if (active === body || active?.closest('form') === root.current.closest('form')) focusIn(root.current, hasFailed ? '[type=password]' : undefined)
  }, [phase, failures])
}

/** Moves the focus to what `preferred` selects, else to a field or the link to sign in, else to the state. @param {HTMLElement} element */
function focusIn (element, preferred = 'none') {
  const selectors = [preferred, 'input, select, textarea, .session-panel > p a', '.session-state']
  const target = selectors.map((selector) => element.querySelector(selector)).find((found) => found instanceof HTMLElement)
  target?.focus()
}

/** Keeps the focus inside the dialog when Tab is pressed on its first or last button. Otherwise the browser's own buttons get it. */
function keepFocusInside (event) {
  const stops = [...event.currentTarget.querySelectorAll('button')]
  const [end, start] = event.shiftKey ? [stops.at(0), stops.at(-1)] : [stops.at(-1), stops.at(0)]
  if (event.key !== 'Tab' || document.activeElement !== end) return
  event.preventDefault()
  start?.focus()
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

/** Returns the description of the scheme. Beside a form it is folded, because it says how to sign in without the form. */
function about (h, Markdown, source, withForm) {
  const text = source && h(Markdown, { source })
  return text && withForm ? h('details', { className: 'session-about' }, h('summary', null, 'About this session'), text) : text
}

function elsewhere (h, origins) {
  if (origins.length === 0) return null
  const names = origins.flatMap((origin, index) => [index === 0 ? ' ' : ' and ', h('code', { key: origin }, origin)])
  return h('p', { className: 'session-note' }, `Calls go to ${origins.length === 1 ? 'another origin' : 'other origins'},`, ...names,
    ': the browser sends the session there only if that server and this page allow it.')
}

/** Returns how to sign in if there is no form for it. */
function howTo (h, { login, cookie }, link) {
  if (link !== undefined) {
    return h('p', null, h('a', { href: link, target: '_blank', rel: 'noopener' }, 'Sign in on its own page'), ', then come back here.')
  }
  return login === undefined && h('p', null, 'Sign in to the application itself, in this browser. The calls of this page then carry the cookie ',
    h('code', null, cookie), ' by themselves: there is nothing to paste here.')
}

/** Returns the response of the status operation: an object as a list, everything else as text. */
function answer (h, value) {
  if (value == null || value === '') return null
  if (typeof value !== 'object' || Array.isArray(value)) return h('p', null, plain(value))
  const rows = Object.entries(value).flatMap(([key, item]) => [h('dt', { key: `t-${key}` }, key), h('dd', { key: `d-${key}` }, plain(item))])
  return h('dl', { className: 'session-answer' }, rows)
}

function plain (value) {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.length === 0 ? 'none' : value.join(', ')
  if (typeof value === 'string') return value
  return value === null ? 'none' : JSON.stringify(value)
}

/** Names the roles that the reader lacks for the operation of the pressed lock, by the alternative that lacks the fewest. */
function need (h, schema, roles) {
  const alternatives = schema.get('x-session-needs') ?? []
  const lacking = alternatives.map((needed) => needed.filter((role) => roles?.includes(role) !== true))
  const [missing = []] = lacking.sort((a, b) => a.length - b.length)
  if (missing.length === 0) return null
  const names = missing.map((role) => `“${role}”`).join(' and ')
  return h('p', { className: 'session-missing' },
    `This operation needs ${missing.length === 1 ? 'the role' : 'the roles'} ${names}${roles === undefined ? '.' : ', which you do not have.'}`)
}

/** Returns a labelled input of the login form. Only the browser keeps the typed text. @param {any} h @param {Field} field */
function fieldInput (h, { name, label, help, required, kind, choices, initial, autocomplete }, id, errorId) {
  const described = [help !== undefined && `${id}-help`, errorId].filter(Boolean).join(' ')
  const props = {
    id, name, required, defaultValue: initial, autoComplete: autocomplete, autoCapitalize: 'none', spellCheck: false,
    'aria-describedby': described === '' ? undefined : described, 'aria-invalid': errorId === undefined ? undefined : true
  }
  const options = ['', ...choices].map((choice) => h('option', { key: choice, value: choice }, choice && plain(JSON.parse(choice))))
  return h('div', { key: id, className: 'session-field' },
    h('label', { htmlFor: id }, label, required ? null : h('span', { className: 'session-optional' }, ' (optional)')),
    kind === 'select' ? h('select', props, options)
    : kind === 'json' ? h('textarea', { ...props, rows: 4 })
    : h('input', { ...props, type: kind, step: 'any', defaultChecked: initial === 'true' }),
    help !== undefined && h('p', { id: `${id}-help` }, help))
}

/** Returns the texts of the fields in a panel: of a checkbox, whether it is checked. @returns {string[]} */
function textsIn (panel) {
  const inputs = [...panel.querySelectorAll('.session-field :is(input, select, textarea)')]
  return inputs.map(({ type, checked, value }) => type === 'checkbox' ? String(checked) : value)
}
