/** @import { SessionState, Settings } from './types.js' */
/** @import { Sessions } from './sessions.js' */

/**
 * Asks who is signed in when the page is looked at again (another tab may have signed in or out), and from time to time
 * while it is looked at: sessions expire and are revoked. Only a status operation that does not keep the session alive is
 * asked unprompted.
 * @param {Sessions} sessions
 * @param {Settings} settings
 */
export function watch (sessions, { poll }) {
  const look = () => { if (document.visibilityState === 'visible') void sessions.checkAll() }
  document.addEventListener('visibilitychange', look)
  addEventListener('focus', look)
  addEventListener('pageshow', (event) => { if (event.persisted) look() })
  if (poll === 0) return
  setInterval(() => {
    if (document.visibilityState !== 'visible') return
    for (const { scheme, phase } of sessions.states) {
      if (phase === 'in' && scheme.pollable) void sessions.check(scheme.name)
    }
  }, poll * 1000)
}

/**
 * Tells readers who cannot see the locks when they change. The dialog, while it is open, tells it itself.
 * @param {Sessions} sessions
 * @param {(state: SessionState) => string} sentence
 * @param {() => boolean} dialogIsOpen
 */
export function announcer (sessions, sentence, dialogIsOpen) {
  const region = document.createElement('div')
  region.className = 'session-announcer'
  region.setAttribute('role', 'status')
  document.body.append(region)
  /** @type {Map<string, string>} */
  const phases = new Map()
  return () => {
    for (const state of sessions.states) {
      const { name } = state.scheme
      const before = phases.get(name)
      phases.set(name, state.phase)
      const news = state.phase === 'in' ? before !== 'in' : before === 'in'
      if (!news) continue
      region.textContent = dialogIsOpen() ? '' : `${name}: ${sentence(state)}`
    }
  }
}
