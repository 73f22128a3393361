/** @import { Field, FormValues, Settings, SessionState, System } from './types.js' */
/** @import { Sessions } from './sessions.js' */

import { fieldInput } from './input.js'
import { missingRoles, rolesOf } from './roles.js'

/**
 * Returns the component that the dialog shows for a session in place of Swagger UI's box for pasting a key. Swagger UI's own form, with its
 * Authorize, Logout and Close buttons, stays around it.
 * @param {System} system
 * @param {Sessions} sessions
 * @param {Settings} settings
 */
export function sessionPanel ({ React }, sessions, settings) {
  const h = React.createElement
  const input = fieldInput(React)

  /** @param {{ name: string, schema: any, onChange: (auth: any) => void, getComponent: any }} props */
  return function SessionPanel ({ name, schema, onChange, getComponent }) {
    const state = /** @type {SessionState} */ (React.useSyncExternalStore(sessions.subscribe, () => sessions.get(name)))
    const [typed, setTyped] = React.useState(/** @type {FormValues} */ ({}))
    const root = React.useRef(/** @type {HTMLElement | null} */ (null))
    // Beside the state, since Enter may come before the page is drawn again.
    const latest = React.useRef(typed)
    const type = (/** @type {FormValues} */ next) => { setTyped(latest.current = next) }
    const { phase, busy } = state
    // What Swagger UI hands to `authorize` when its form is submitted; it forgets it on a logout.
    React.useEffect(() => onChange({ name, schema, value: { typed: () => latest.current } }), [phase, busy])
    React.useEffect(() => { if (phase === 'in') type({}) }, [phase])
    useFocus(React, root, state)

    const fields = phase === 'in' ? [] : sessions.fields(state.scheme)
    const Markdown = getComponent('Markdown', true)
    return h('div', { ref: root, className: 'session-panel', 'data-buttons': buttonsOf(state) },
      h('h4', null, h('code', null, name), ' (cookie session)'),
      h('div', { className: 'session-state', role: 'status', tabIndex: -1, 'data-phase': phase }, sentence(state)),
      phase !== 'in' && about(h, Markdown, schema.get('description'), fields.length > 0),
      doubt(h, state),
      elsewhere(h, sessions.elsewhere(state.scheme)),
      phase === 'in' ? h('div', null, answer(h, state.answer), need(h, schema, rolesOf(state.answer, settings.roles))) : null,
      phase !== 'in' && howTo(h, state, sessions.link(state.scheme)),
      ...fields.map((field) => input({
        name,
        field,
        text: typed[field.key] ?? field.initial,
        invalid: state.error !== undefined,
        change: (/** @type {string} */ text) => type({ ...latest.current, [field.key]: text })
      })),
      h('div', { role: 'alert', id: `session-error-${name}`, className: 'session-error' },
        state.error !== undefined && h('p', { key: state.failures }, state.error))
    )
  }
}

/**
 * Moves the focus to what has just appeared: the error's field after a failure, the news after signing in, the form after signing out.
 * It stays where it is when the reader is busy with another scheme of the dialog.
 * @param {System['React']} React
 * @param {{ current: HTMLElement | null }} root
 * @param {SessionState} state
 */
function useFocus (React, root, { phase, failures }) {
  const last = React.useRef({ phase, failures })
  React.useEffect(() => {
    const before = last.current
    last.current = { phase, failures }
    if (before.phase === phase && before.failures === failures) return
    const panel = root.current
    const active = document.activeElement
    if (active !== document.body && active?.getAttribute('role') !== 'dialog' && !panel?.closest('form')?.contains(active)) return
    const secret = failures > before.failures ? '[type=password]' : 'none'
    const target = panel?.querySelector(secret) ?? panel?.querySelector('input, select, textarea, :scope > p a') ?? panel?.querySelector('.session-state')
    if (target instanceof HTMLElement) target.focus()
  }, [phase, failures])
}

/** Which of Swagger UI's buttons would do something; the style sheet takes the others away. @param {SessionState} state */
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
 * The scheme's own description. It has to say how to sign in, for readers of the bare document: beside the form it steps back.
 * @param {System['React']['createElement']} h
 * @param {any} Markdown
 * @param {string | undefined} description
 * @param {boolean} withForm
 */
function about (h, Markdown, description, withForm) {
  if (description === undefined) return null
  const text = h(Markdown, { source: description })
  return withForm ? h('details', { className: 'session-about' }, h('summary', null, 'About this session'), text) : text
}

/**
 * @param {System['React']['createElement']} h
 * @param {SessionState} state
 */
function doubt (h, { doubt }) {
  return doubt === undefined ? null : h('p', { className: 'session-note' }, `The server could not say who is signed in: ${doubt}`)
}

/**
 * @param {System['React']['createElement']} h
 * @param {ReadonlyArray<string | undefined>} origins
 */
function elsewhere (h, origins) {
  if (origins.length === 0) return null
  const names = origins.flatMap((origin, index) => [index === 0 ? ' ' : ' and ', h('code', { key: origin }, origin)])
  return h('p', { className: 'session-note' }, `Calls go to ${origins.length === 1 ? 'another origin' : 'other origins'},`, ...names,
    ': the browser sends the session there only if that server and this page allow it.')
}

/**
 * How to sign in or out when no form can do it.
 * @param {System['React']['createElement']} h
 * @param {SessionState} state
 * @param {string | undefined} link
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
 * The status answer: a JSON object as a list, anything else as text.
 * @param {System['React']['createElement']} h
 * @param {unknown} value
 */
function answer (h, value) {
  if (value === null || value === undefined || value === '') return null
  if (typeof value !== 'object' || Array.isArray(value)) return h('p', null, plain(value))
  const rows = Object.entries(value).flatMap(([key, item]) => [h('dt', { key: `t-${key}` }, key), h('dd', { key: `d-${key}` }, plain(item))])
  return h('dl', { className: 'session-answer' }, rows)
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function plain (value) {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.length === 0 ? 'none' : value.join(', ')
  if (typeof value === 'string') return value
  return value === null ? 'none' : JSON.stringify(value)
}

/**
 * Names the roles that the operation whose lock was pressed asks for and the reader lacks.
 * @param {System['React']['createElement']} h
 * @param {any} schema
 * @param {readonly string[] | undefined} roles
 */
function need (h, schema, roles) {
  const missing = missingRoles(schema.get('x-session-needs')?.toJS() ?? [], roles ?? [])
  if (missing.length === 0) return null
  const names = missing.map((role) => `“${role}”`).join(' and ')
  const noun = missing.length === 1 ? 'the role' : 'the roles'
  return h('p', { className: 'session-missing' }, roles === undefined
    ? `This operation needs ${noun} ${names}.`
    : `This operation needs ${noun} ${names}, which you do not have.`)
}
