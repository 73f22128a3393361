/**
 * Names for what the other files pass around. Swagger UI ships no types for plugins, so `System` lists just the parts
 * of it that are used here: if an upgrade moves one, this is the list to compare.
 */

/** @typedef {{ paths?: Record<string, any>, components?: any, security?: any }} Spec The document. */

/**
 * An operation of the document, with what it takes to run it. `method` is in lower case, as in the document.
 * @typedef {{ path: string, method: string, pathItem: any, operation: any }} Operation
 */

/**
 * A session of the document. An operation is missing when the document does not name it.
 * @typedef {{ name: string, cookie: string, login?: Operation, status?: Operation, logout?: Operation }} Scheme
 */

/**
 * The knowledge of this page about one session.
 * - `unknown`: no server has been asked yet
 * - `out`, `in`: what the server answered last
 * @typedef {object} SessionState
 * @property {Scheme} scheme
 * @property {'unknown' | 'out' | 'in'} phase
 * @property {unknown} [answer] What the status operation answered.
 * @property {readonly string[]} [roles] Those of whoever is signed in, where the answer tells them.
 * @property {string} [doubt] Why the server could not say who is signed in; `phase` is then what was true last.
 * @property {string} [error] Why signing in or out failed.
 * @property {number} failures How often it failed, so that the same error twice is told twice.
 * @property {boolean} ended The session ended on the server, not by this page.
 * @property {boolean} busy
 */

/**
 * How an operation ended. `status` is 0 when no answer came.
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

/** @typedef {Record<string, string>} FormValues What is typed, by `key` of the field. */
/** @typedef {{ field: Field, value: unknown }} Value */

/**
 * The parts of a request. With `credentials`, it carries what the reader authorized for other schemes.
 * @typedef {{ credentials?: boolean, contentType?: string | undefined, values?: Value[] }} Input
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
