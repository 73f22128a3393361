/**
 * The types of the other files. Swagger UI has no types for plugins, so `System` lists the parts that are used here. Compare this list
 * when Swagger UI is upgraded.
 */

/** @typedef {{ paths?: Record<string, any>, components?: any, security?: any }} Spec The document. */

/**
 * An operation of the document, with all that is needed to run it. `method` is in lower case, as in the document.
 * @typedef {{ path: string, method: string, pathItem: any, operation: any }} Operation
 */

/**
 * A session scheme of the document. An operation is absent if the document does not name it.
 * @typedef {{ name: string, cookie: string, login?: Operation, status?: Operation, logout?: Operation }} Scheme
 */

/**
 * The state of one session, as this page knows it.
 * - `unknown`: there was no response yet
 * - `out`, `in`: the last response of the server
 * @typedef {object} SessionState
 * @property {Scheme} scheme
 * @property {'unknown' | 'out' | 'in'} phase
 * @property {unknown} [answer] The response of the status operation.
 * @property {readonly string[]} [roles] The reader's roles, if the response has them.
 * @property {string} [doubt] Why the server could not say who is signed in. `phase` is the last known one then.
 * @property {string} [error] Why signing in or out failed.
 * @property {number} failures The number of failures, so that a repeated error is announced again.
 * @property {boolean} ended True if the session ended on the server, not by this page.
 * @property {boolean} busy
 */

/**
 * The result of an operation. `status` is 0 if there was no response.
 * @typedef {{ ok: boolean, status: number, body: unknown, message: string }} Outcome
 */

/**
 * One input of the sign-in form.
 * @typedef {object} Field
 * @property {string} key Unique in the form.
 * @property {string} name
 * @property {'body' | 'whole' | 'query' | 'path' | 'header'} in `whole`: the value is the entire body.
 * @property {string} label
 * @property {string | undefined} [help]
 * @property {boolean} required
 * @property {'text' | 'password' | 'email' | 'number' | 'checkbox' | 'select' | 'json'} kind
 * @property {string[] | undefined} [choices] JSON texts.
 * @property {string} initial The text of a text field, 'true' or '' of a checkbox, JSON text of the others.
 * @property {string} autocomplete
 */

/** @typedef {Record<string, string>} FormValues Typed text, by `key` of the field. */
/** @typedef {{ field: Field, value: unknown }} Value */

/**
 * The parts of a request. With `credentials`, it has the credentials of other schemes that the reader entered. With `stays`, it
 * follows no redirect if it has some.
 * @typedef {{ credentials?: boolean, stays?: boolean, contentType?: string | undefined, values?: Value[] }} Input
 */

/**
 * `poll`: seconds between two polls, 0 for none. `roles`: JSON Pointer (RFC 6901) to the roles in the status answer.
 * @typedef {{ poll: number, roles: string }} Settings
 */

/** @typedef {(type: any, props?: any, ...children: any[]) => any} Create */
/** @typedef {(effect: () => void | (() => void), dependencies?: unknown[]) => void} UseEffect */

/**
 * The React of Swagger UI.
 * @typedef {object} React
 * @property {Create} createElement
 * @property {<T>(subscribe: (listener: () => void) => () => void, snapshot: () => T) => T} useSyncExternalStore
 * @property {<T>(initial: T) => { current: T }} useRef
 * @property {UseEffect} useEffect
 * @property {UseEffect} useLayoutEffect
 */

/**
 * The parts of Swagger UI's system used here. `any` stands for values of Immutable.js.
 * @typedef {object} System
 * @property {() => System} getSystem
 * @property {() => any} getConfigs
 * @property {(name: string) => any} getComponent
 * @property {React} React
 * @property {any} Im
 * @property {{ buildRequest: (options: any) => any, fetch: (request: any) => Promise<any> }} fn
 * @property {{ specJson: () => any, url: () => string, securityDefinitions: () => any }} specSelectors
 * @property {{ authorized: () => any, shownDefinitions: () => any }} authSelectors
 * @property {{ restoreAuthorization: (payload: { authorized: any }) => void, showDefinitions: (shown: false) => void }} authActions
 * @property {{ selectedServer: (place?: string) => any, serverVariables: (of: { server: any, namespace?: string }) => any }} oas3Selectors
 */

export {}
