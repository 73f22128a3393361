/** @import { System } from './types.js' */
/** @import { Sessions } from './sessions.js' */

/** The words of a session, by those that Swagger UI writes on its buttons. @type {Record<string, string>} */
const LABELS = { Authorize: 'Sign in', Logout: 'Sign out' }

/**
 * Wraps the form of Swagger UI. If all of its schemes are sessions, its buttons say "Sign in" and "Sign out".
 * @type {(system: System, sessions: Sessions, Original: any) => (props: any) => any}
 */
export function form ({ React: { createElement }, getSystem }, sessions, Original) {
  const SessionButton = (/** @type {any} */ { children, ...props }) => {
    const label = LABELS[children]
    // The `aria-label` of Swagger UI differs from the visible words, which speech control needs (WCAG 2.5.3).
    return createElement(getSystem().getComponent('Button'), label === undefined ? props : { ...props, 'aria-label': undefined }, label ?? children)
  }
  return function SessionForm (props) {
    const { definitions, getComponent } = props
    if (!definitions.keySeq().every((/** @type {string} */ name) => sessions.states.has(name))) return createElement(Original, props)
    const replaced = (/** @type {string} */ name, /** @type {unknown[]} */ ...rest) => name === 'Button' ? SessionButton : getComponent(name, ...rest)
    return createElement(Original, { ...props, getComponent: replaced })
  }
}

/**
 * Wraps the lock of an operation. It gets a mark if `isAuthorized` is `null`: the reader is signed in and lacks a role.
 * @type {(system: System, Original: any) => (props: any) => any}
 */
export function lock ({ React: { createElement, useLayoutEffect, useRef } }, Original) {
  const RoleLock = (/** @type {any} */ props) => {
    const root = useRef(/** @type {HTMLElement | null} */ (null))
    useLayoutEffect(() => root.current?.firstElementChild?.setAttribute('aria-label', 'authorization button unlocked: a role is missing'), [])
    return createElement('span', { ref: root, className: 'session-role-lock', title: 'You are signed in, but a role is missing' }, createElement(Original, props))
  }
  return (props) => createElement(props.isAuthorized === null ? RoleLock : Original, props)
}
