/** @import { Sessions, SessionState } from './sessions.js' */

import { sentence } from './panel.js'

/** Milliseconds after the last input for which a reader counts as active. */
const ATTENTION = 300_000

/**
 * Requests who is signed in when the reader returns to the page, and every `poll` seconds while the reader is active, because sessions
 * expire and are revoked. Polling stops without a reader, so that it does not keep an unused session alive. `poll` 0 turns it off.
 * @param {Sessions} sessions
 */
export function watch (sessions, poll) {
  let lastActivity = Date.now()
  const isVisible = () => document.visibilityState === 'visible'
  const isActive = () => Date.now() - lastActivity <= ATTENTION
  const isDue = (/** @type {SessionState} */ { phase, doubt }) => phase === 'in' || doubt !== undefined
  const onReturn = () => { if (isVisible()) sessions.checkAll() }
  const onActivity = () => {
    const wasActive = isActive()
    lastActivity = Date.now()
    if (!wasActive) onReturn()
  }
  document.addEventListener('visibilitychange', onReturn)
  addEventListener('focus', onReturn)
  for (const event of ['pointermove', 'pointerdown', 'keydown', 'wheel']) addEventListener(event, onActivity, { passive: true, capture: true })
  if (poll > 0) setInterval(() => { if (isVisible() && isActive()) sessions.checkAll(isDue) }, poll * 1000)
}

/** Tells the other tabs of this browser when the reader signs in or out here. They request the status then. @param {Sessions} sessions */
export function share (sessions) {
  const tabs = new BroadcastChannel('fastify-openapi-session')
  tabs.addEventListener('message', () => sessions.checkAll())
  sessions.subscribe((state, before) => {
    if (state === undefined || before?.phase === 'unknown' || state.phase === before?.phase) return
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has one origin
    tabs.postMessage(state.scheme.name)
  })
}

/** Announces changes of the state to screen readers. An open dialog announces them itself. @param {Sessions} sessions */
export function announce ({ subscribe, getSystem }) {
  const region = document.createElement('div')
  region.className = 'session-announcer'
  region.setAttribute('role', 'status')
  document.body.append(region)
  subscribe((state, before) => {
    if (state === undefined || (state.phase === 'in') === (before?.phase === 'in')) return
    region.textContent = getSystem().authSelectors.shownDefinitions() ? '' : `${state.scheme.name}: ${sentence(state)}`
  })
}
