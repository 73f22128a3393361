/** @import { FormValues, Input, Operation, Outcome, Scheme, SessionState, Settings, Spec, System } from './types.js' */

import { pointer, sessionSchemes } from './document.js'
import { requestOf, send } from './call.js'
import { formOf, valuesOf } from './fields.js'

/** @typedef {(state?: SessionState, before?: SessionState) => void} Listener Gets the state that has changed, unless all have. */

/** @typedef {{ done: Promise<void>, again: boolean }} Check `again`: something has happened since it began, so it is repeated. */

/** The messages for a login or logout that succeeded without an effect. */
const NO_EFFECT = {
  login: 'The server accepted the login, but the browser sent no session cookie back. ' +
    'Browsers drop a Secure cookie that came over plain http, and a cookie of another site.',
  logout: 'The logout succeeded, but the session is still alive.'
}

/**
 * Requests which sessions the reader's browser has, and keeps one state for each session scheme of the document. Keeps no typed values.
 */
export class Sessions {
  /** By scheme. @type {Map<string, SessionState>} */
  states = new Map()
  /** @type {Set<Listener>} */
  #listeners = new Set()
  /** Running checks, by scheme. @type {Map<string, Check>} */
  #checks = new Map()
  /** @type {Spec} */
  #spec = {}

  /**
   * @param {System} system
   * @param {Settings} settings
   */
  constructor ({ getSystem }, { roles }) {
    this.getSystem = getSystem
    this.pathOfRoles = roles
  }

  /** Calls `listener` after each change. Returns a function that ends this. @param {Listener} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** @type {(name: string, change: { [K in keyof SessionState]?: SessionState[K] | undefined }) => void} */
  #set (name, change) {
    const before = this.states.get(name)
    if (before === undefined) return
    const state = /** @type {SessionState} */ ({ ...before, ...change })
    this.states.set(name, state)
    for (const listener of this.#listeners) listener(state, before)
  }

  /** Changes a state to signed in, with the response of the status operation. @type {(name: string, answer?: unknown) => void} */
  #enter (name, answer) {
    const told = pointer(answer, this.pathOfRoles)
    const roles = Array.isArray(told) && told.every((role) => typeof role === 'string') ? told : undefined
    this.#set(name, { phase: 'in', answer, roles, doubt: undefined, error: undefined, ended: false })
  }

  /** Changes a state to signed out. @type {(name: string) => void} */
  #leave (name) {
    const { phase, busy, ended, error } = this.states.get(name) ?? {}
    // The error of a failed attempt stays when the reader returns to the page.
    const news = phase === 'in' ? { ended: !busy, error: undefined } : { ended, error }
    this.#set(name, { phase: 'out', answer: undefined, roles: undefined, doubt: undefined, ...news })
  }

  /** Reads the document of the page, and requests who is signed in. */
  load () {
    this.#spec = this.getSystem().specSelectors.specJson().toJS()
    this.#checks = new Map()
    const schemes = sessionSchemes(this.#spec)
    this.states = new Map(schemes.map((scheme) => [scheme.name, { scheme, phase: 'unknown', failures: 0, ended: false, busy: false }]))
    for (const listener of this.#listeners) listener()
    this.checkAll()
  }

  checkAll () {
    for (const name of this.states.keys()) void this.check(name)
  }

  /**
   * Requests the status. A call during a check resolves after one more request, which was sent after the call.
   * @type {(name: string) => Promise<void>}
   */
  check (name) {
    const checks = this.#checks
    const running = checks.get(name)
    if (running !== undefined) {
      running.again = true
      return running.done
    }
    const check = { done: Promise.resolve(), again: false }
    checks.set(name, check)
    check.done = this.#ask(name, check).finally(() => checks.delete(name))
    return check.done
  }

  /** @type {(name: string, check: Check) => Promise<void>} */
  async #ask (name, check) {
    const status = this.states.get(name)?.scheme.status
    if (status === undefined) return
    do {
      check.again = false
      // This request is sent without a click, and a document of another author may name any origin.
      const credentials = this.#url(status)?.origin === location.origin
      const outcome = await this.#run(status, () => ({ credentials, stays: credentials }))
      // The page may show another document now.
      if (check.again || this.states.get(name)?.scheme.status !== status) continue
      if (outcome.ok) this.#enter(name, outcome.body)
      else if (outcome.status === 401) this.#leave(name)
      // Neither signed in nor out, such as a 503: the last state stays, with the reason.
      else this.#set(name, { doubt: outcome.message })
    } while (check.again)
  }

  /** @type {(name: string, typed: FormValues) => Promise<void>} */
  signIn (name, typed) {
    return this.#change(name, 'login', (login) => {
      const { fields, contentType } = formOf(this.#spec, login)
      return { credentials: true, contentType, values: valuesOf(fields, typed) }
    })
  }

  /** @type {(name: string) => Promise<void>} */
  signOut (name) {
    return this.#change(name, 'logout', () => ({ credentials: true }))
  }

  /** @type {(name: string, role: 'login' | 'logout', input: (operation: Operation) => Input) => Promise<void>} */
  async #change (name, role, input) {
    const { scheme, busy } = this.states.get(name) ?? {}
    const operation = scheme?.[role]
    if (operation === undefined || busy === true) return
    this.#set(name, { busy: true })
    const outcome = await this.#run(operation, () => input(operation))
    if (scheme?.status !== undefined) await this.check(name)
    else if (role === 'login' && outcome.ok) this.#enter(name)
    else if (role === 'logout' && (outcome.ok || outcome.status === 401)) this.#leave(name)
    this.#set(name, { busy: false })
    const { phase, failures = 0 } = this.states.get(name) ?? {}
    if ((phase === 'in') === (role === 'login')) return
    this.#set(name, { error: outcome.ok ? NO_EFFECT[role] : outcome.message, failures: failures + 1, ended: false })
  }

  /**
   * Updates the states after a "Try it out". Without a status operation, 401 means signed out, and the success of an operation that
   * requires the session means signed in.
   * @param {string} path
   * @param {string} method
   * @param {{ ok?: boolean, err?: { statusCode?: number } }} response As Swagger UI keeps it: an error status is an error.
   */
  observe (path, method, { ok, err }) {
    /** @type {Array<Record<string, string[]>>} */
    const security = this.#spec.paths?.[path]?.[method]?.security ?? this.#spec.security ?? []
    for (const { scheme: { name, status } } of this.states.values()) {
      if (status !== undefined) void this.check(name)
      else if (err?.statusCode === 401 && security.some((need) => name in need)) this.#leave(name)
      else if (ok === true && security.length > 0 && security.every((need) => name in need)) this.#enter(name)
    }
  }

  /** Returns the fields of the login form; none if the login is a page to visit. @param {Scheme} scheme */
  fields ({ login }) {
    return login === undefined || login.method === 'get' ? [] : formOf(this.#spec, login).fields
  }

  /** Returns the address of the login if it is a page to visit, such as the start of an OAuth flow. @param {Scheme} scheme */
  link ({ login }) {
    return login?.method === 'get' ? this.#url(login)?.href : undefined
  }

  /** Returns the other origins that the session's operations are sent to. @param {Scheme} scheme */
  elsewhere ({ login, status, logout }) {
    // A request without its required parameters has no URL, but parameters cannot change the origin.
    const bare = (/** @type {Operation} */ { operation, pathItem, ...place }) =>
      ({ ...place, operation: { ...operation, parameters: [] }, pathItem: { ...pathItem, parameters: [] } })
    const origins = [login, status, logout].map((operation) => operation && this.#url(bare(operation))?.origin)
    return [...new Set(origins)].filter((origin) => origin !== undefined && origin !== location.origin)
  }

  /** Returns the address of an operation. @param {Operation} operation */
  #url (operation) {
    try {
      const url = new URL(this.#request(operation, {}).url, document.baseURI)
      // The document may come from any author, and a link to `javascript:` would run a script in this page.
      return ['http:', 'https:'].includes(url.protocol) ? url : undefined
    } catch {
      // A parameter that only the reader knows is missing, or the server's address is invalid.
      return undefined
    }
  }

  /** @type {(operation: Operation, input: Input) => any} */
  #request (operation, input) {
    return requestOf(this.getSystem(), this.#spec, operation, this.states, input)
  }

  /** @type {(operation: Operation, input: () => Input) => Promise<Outcome>} */
  async #run (operation, input) {
    try {
      return await send(this.getSystem(), this.#request(operation, input()))
    } catch (error) {
      return { ok: false, status: 0, body: undefined, message: /** @type {Error} */ (error).message }
    }
  }
}
