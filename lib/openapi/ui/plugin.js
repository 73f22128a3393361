/** @import { Settings, System } from './types.js' */

import { withRoles } from './document.js'
import { Sessions } from './sessions.js'
import { sessionPanel } from './panel.js'
import { dialog } from './popup.js'
import { form, lock } from './buttons.js'
import { forgetStored, isOpened, withNeeds, writeLocks } from './locks.js'
import { announce, share, watch } from './watch.js'

/** @typedef {(...args: any[]) => any} Action */
/** @typedef {Record<string, (original: Action) => Action>} Wrappers */
/** @typedef {{ wrapActions: Wrappers, wrapSelectors?: Wrappers }} StatePlugin */

/** Swagger UI calls a plugin several times for one page. @type {WeakMap<Function, Sessions>} */
const known = new WeakMap()

/**
 * The Swagger UI plugin. The panel replaces the box of a session's scheme, the locks follow the server, and the buttons of
 * Swagger UI's form run the login and logout operations.
 * @type {(system: System, settings: Settings) => { wrapComponents: Wrappers, statePlugins: Record<string, StatePlugin> }}
 */
export function sessionUi (system, settings) {
  const sessions = known.get(system.getSystem) ?? start(system, settings)
  const Panel = sessionPanel(system, sessions)
  // The session may not exist on another server.
  const ask = after(() => sessions.checkAll())
  return {
    wrapComponents: {
      authorizationPopup: (Original) => dialog(system, Original),
      auths: (Original) => form(system, sessions, Original),
      authorizeOperationBtn: (Original) => lock(system, Original),
      apiKeyAuth: (Original) => function ApiKeyAuth (props) {
        return system.React.createElement(sessions.states.has(props.name) ? Panel : Original, props)
      }
    },
    statePlugins: {
      spec: {
        wrapActions: {
          updateJsonSpec: (original) => after(() => sessions.load())((spec) => original(withRoles(spec))),
          setResponse: after((path, method, response) => sessions.observe(path, method, response))
        }
      },
      oas3: { wrapActions: { setSelectedServer: ask, setServerVariableValue: ask } },
      auth: {
        wrapActions: { ...buttons(sessions), persistAuthorizationIfNeeded: after(() => forgetStored(sessions)) },
        wrapSelectors: {
          isAuthorized: (original) => (_state, securities) => {
            const opened = isOpened(sessions, securities)
            return opened === undefined ? original(securities) : opened
          },
          definitionsForRequirements: (original) => (_state, securities) => withNeeds(sessions, original(securities), securities)
        }
      }
    }
  }
}

/** @type {(system: System, settings: Settings) => Sessions} */
function start (system, settings) {
  const sessions = new Sessions(system, settings)
  known.set(system.getSystem, sessions)
  sessions.subscribe(() => writeLocks(sessions))
  sessions.subscribe(() => forgetStored(sessions))
  announce(sessions)
  share(sessions)
  watch(sessions, settings)
  return sessions
}

/** Wraps an action, and calls `effect` after it. @type {(effect: Action) => (original: Action) => Action} */
function after (effect) {
  return (original) => (...args) => {
    const result = original(...args)
    effect(...args)
    return result
  }
}

/** Returns wrappers of the actions behind Swagger UI's buttons. @type {(sessions: Sessions) => Wrappers} */
function buttons (sessions) {
  return {
    authorize: (original) => (/** @type {Record<string, any>} */ payload) => {
      const others = Object.entries(payload).filter(([name]) => !sessions.states.has(name))
      for (const [name, entry] of Object.entries(payload)) {
        if (typeof entry?.value?.typed === 'function') void sessions.signIn(name, entry.value.typed())
      }
      return others.length > 0 ? original(Object.fromEntries(others)) : undefined
    },
    logout: (original) => (/** @type {string[]} */ names) => {
      for (const name of names) void sessions.signOut(name)
      const others = names.filter((name) => !sessions.states.has(name))
      return others.length > 0 ? original(others) : undefined
    }
  }
}
