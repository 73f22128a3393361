/** @import { Settings } from './types.js' */
/** @import { Sessions } from './sessions.js' */

import { sentence } from './panel.js'

/** Milliseconds after the last input for which a reader counts as active. */
const ATTENTION = 300_000

/**
 * Requests who is signed in when the reader returns to the page, and every `poll` seconds while the reader is active, because sessions
 * expire and are revoked. Polling stops without a reader, so that it does not keep an unused session alive.
 * @type {(sessions: Sessions, settings: Settings) => void}
 */
export function watch (sessions, { poll }) {
  let lastActivity = Date.now()
  const checkIfVisible = () => { if (document.visibilityState === 'visible') sessions.checkAll() }
  const onActivity = () => {
    const away = Date.now() - lastActivity
    lastActivity = Date.now()
    if (away > ATTENTION) checkIfVisible()
  }
  document.addEventListener('visibilitychange', checkIfVisible)
  addEventListener('focus', checkIfVisible)
  for (const event of ['pointermove', 'pointerdown', 'keydown', 'wheel']) addEventListener(event, onActivity, { passive: true, capture: true })
  if (poll === 0) return
  setInterval(() => {
    if (document.visibilityState !== 'visible' || Date.now() - lastActivity > ATTENTION) return
    for (const { scheme, phase, doubt } of sessions.states.values()) {
      if (phase === 'in' || doubt !== undefined) void sessions.check(scheme.name)
    }
  }, poll * 1000)
}

/**
 * Tells the other tabs of this browser when the reader signs in or out here. They request the status then.
 * @type {(sessions: Sessions) => void}
 */
export function share (sessions) {
  const tabs = new BroadcastChannel('fastify-openapi-session')
  tabs.addEventListener('message', () => sessions.checkAll())
  sessions.subscribe((state, before) => {
    if (state === undefined || before?.phase === 'unknown' || state.phase === before?.phase) return
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has one origin
    tabs.postMessage(state.scheme.name)
  })
}

/**
 * Announces changes of the state to screen readers. An open dialog announces them itself.
 * @type {(sessions: Sessions) => void}
 */
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
