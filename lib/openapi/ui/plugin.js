import { withRoles } from './document.js'
import { Sessions } from './sessions.js'
import { dialog, forms } from './panel.js'
import { forgetStored, isOpened, roleLock, withNeeds, without, writeLocks } from './locks.js'
import { announce, share, watch } from './watch.js'

/** Swagger UI calls a plugin several times for one page. @type {WeakMap<Function, Sessions>} */
const known = new WeakMap()

/**
 * The Swagger UI plugin. A session gets a form of its own in the dialog, which runs the login and logout operations, and the locks follow
 * the server. `settings` are those of `sessionUi` on the server.
 */
export function sessionUi (system, settings) {
  const sessions = known.get(system.getSystem) ?? start(system.getSystem, settings)
  // The session may not exist on another server.
  const ask = after(() => sessions.checkAll())
  return {
    wrapComponents: { authorizationPopup: dialog(system), auths: forms(system, sessions), authorizeOperationBtn: roleLock(system) },
    statePlugins: {
      spec: {
        wrapActions: {
          updateJsonSpec: (original) => after(() => sessions.load())((spec) => original(withRoles(spec))),
          setResponse: after((path, method, response) => sessions.observe(path, method, response))
        }
      },
      oas3: { wrapActions: { setSelectedServer: ask, setServerVariableValue: ask } },
      auth: {
        wrapActions: {
          // Only the server says who is signed in. Code of the page could enter a value, such as with `preauthorizeApiKey`.
          authorize: (original) => (entries) => original(without(sessions, entries)),
          persistAuthorizationIfNeeded: after(() => forgetStored(sessions))
        },
        wrapSelectors: {
          isAuthorized: (original) => (_state, securities) => isOpened(sessions, securities, original),
          definitionsForRequirements: (original) => (_state, securities) => withNeeds(sessions, original(securities), securities)
        }
      }
    }
  }
}

function start (getSystem, { poll, roles }) {
  const sessions = new Sessions(getSystem, roles)
  known.set(getSystem, sessions)
  sessions.subscribe(() => writeLocks(sessions))
  sessions.subscribe(() => forgetStored(sessions))
  announce(sessions)
  share(sessions)
  watch(sessions, poll)
  return sessions
}

/** Wraps an action, and calls `effect` after it. */
const after = (effect) => (original) => (...args) => {
  const result = original(...args)
  effect(...args)
  return result
}
