/** @import { Settings, System } from './types.js' */

import { withRoles } from './document.js'
import { Sessions } from './sessions.js'
import { sentence, sessionPanel } from './panel.js'
import { dialog } from './popup.js'
import { forgetStored, isOpened, withNeeds, writeLocks } from './locks.js'
import { announcer, watch } from './watch.js'

/** Swagger UI calls a plugin more than once for one page. @type {WeakMap<Function, Sessions>} */
const known = new WeakMap()

/**
 * The Swagger UI plugin. The panel replaces the box of a session's scheme, the locks follow the server, and Swagger UI's
 * Authorize and Logout buttons run the login and logout operations.
 * @param {System} system
 * @param {Settings} settings
 */
export function sessionUi (system, settings) {
  const { getSystem, React } = system
  const sessions = known.get(getSystem) ?? start(system, settings)
  const Panel = sessionPanel(system, sessions, settings)
  return {
    wrapComponents: {
      authorizationPopup: (/** @type {any} */ Original) => dialog(system, Original),
      apiKeyAuth: (/** @type {any} */ Original) => function ApiKeyAuth (/** @type {{ name: string }} */ props) {
        return React.createElement(sessions.get(props.name) === undefined ? Original : Panel, props)
      }
    },
    statePlugins: {
      spec: { wrapActions: specActions(sessions) },
      oas3: { wrapActions: serverActions(sessions) },
      auth: {
        wrapActions: authActions(sessions),
        wrapSelectors: {
          isAuthorized: (/** @type {any} */ original) => (/** @type {any} */ _state, /** @type {any} */ securities) =>
            isOpened(getSystem(), sessions, settings, securities) ?? original(securities),
          definitionsForRequirements: (/** @type {any} */ original) => (/** @type {any} */ _state, /** @type {any} */ securities) =>
            withNeeds(getSystem(), sessions, original(securities), securities)
        }
      }
    }
  }
}

/**
 * @param {System} system
 * @param {Settings} settings
 */
function start (system, settings) {
  const { getSystem } = system
  const sessions = new Sessions(system)
  known.set(getSystem, sessions)
  sessions.subscribe(() => writeLocks(getSystem(), sessions))
  sessions.subscribe(announcer(sessions, sentence, () => Boolean(getSystem().authSelectors.shownDefinitions())))
  watch(sessions, settings)
  return sessions
}

/** @typedef {(...args: any[]) => any} Action */

/** @param {Sessions} sessions */
function specActions (sessions) {
  return {
    updateJsonSpec: (/** @type {Action} */ original) => (/** @type {any} */ spec) => {
      const result = original(withRoles(spec))
      void sessions.load()
      forgetStored(sessions)
      return result
    },
    setResponse: (/** @type {Action} */ original) => (/** @type {[string, string, any]} */ ...[path, method, response]) => {
      const result = original(path, method, response)
      sessions.observe(path, method, response)
      return result
    }
  }
}

/** Another server may know another session. @param {Sessions} sessions */
function serverActions (sessions) {
  const ask = (/** @type {Action} */ original) => (/** @type {any[]} */ ...args) => {
    const result = original(...args)
    void sessions.moved()
    return result
  }
  return { setSelectedServer: ask, setServerVariableValue: ask }
}

/** @param {Sessions} sessions */
function authActions (sessions) {
  return {
    authorize: (/** @type {Action} */ original) => (/** @type {Record<string, any>} */ payload) => {
      const others = Object.entries(payload).filter(([name]) => sessions.get(name) === undefined)
      for (const [name, entry] of Object.entries(payload)) {
        if (typeof entry?.value?.typed === 'function') void sessions.signIn(name, entry.value.typed())
      }
      return others.length > 0 ? original(Object.fromEntries(others)) : undefined
    },
    logout: (/** @type {Action} */ original) => (/** @type {string[]} */ names) => {
      for (const name of names) void sessions.signOut(name)
      const others = names.filter((name) => sessions.get(name) === undefined)
      return others.length > 0 ? original(others) : undefined
    },
    persistAuthorizationIfNeeded: (/** @type {Action} */ original) => (/** @type {any[]} */ ...args) => {
      const result = original(...args)
      forgetStored(sessions)
      return result
    }
  }
}
