/** @import { System } from './types.js' */
/** @import { Sessions } from './sessions.js' */

/** By what Swagger UI writes on a button of its form. @type {Record<string, string>} */
const LABELS = { Authorize: 'Sign in', Logout: 'Sign out' }

/**
 * Returns the form of Swagger UI, with the words of a session on its buttons if it has nothing but sessions.
 * @type {(system: System, sessions: Sessions, Original: any) => (props: any) => any}
 */
export function form ({ React: { createElement }, getSystem }, sessions, Original) {
  const SessionButton = (/** @type {any} */ { children, ...props }) => {
    const label = LABELS[children]
    // Swagger UI's `aria-label` would hide the words from readers who speak them to press the button.
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
 * Returns the lock of an operation, with a mark if the reader is signed in and lacks a role: `isAuthorized` is `null` then.
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
