/** @import { Operation, Scheme } from './document.js' */
/** @import { Input } from './call.js' */

import { alternativesIn, pointer, sessionSchemes } from './document.js'
import { formOf } from './fields.js'
import { requestOf, send } from './call.js'

/**
 * The state of one session, as this page knows it.
 * @typedef {object} SessionState
 * @property {Scheme} scheme
 * @property {'unknown' | 'out' | 'in'} phase What the server responded last. `unknown`: there was no response yet.
 * @property {{ last: Promise<void>, next?: Promise<void> | undefined }} check The last request of the status. `next`: it is not sent yet.
 * @property {unknown} [answer] The response of the status operation.
 * @property {readonly string[] | undefined} [roles] The reader's roles, if the response has them.
 * @property {string | undefined} [doubt] Why the server could not say who is signed in. `phase` is the last known one then.
 * @property {string | undefined} [error] Why signing in or out failed.
 * @property {number} failures The number of failures, so that a repeated error is announced again.
 * @property {boolean} ended True if the session ended on the server, not by this page.
 * @property {boolean} busy
 */

/** @typedef {(state?: SessionState, before?: SessionState) => void} Listener Gets the state that has changed, unless all have. */

/** The messages for a login or logout that succeeded without an effect. */
const NO_EFFECT = {
  login: 'The server accepted the login, but the browser sent no session cookie back. ' +
    'Browsers drop a Secure cookie that came over plain http, and a cookie of another site.',
  logout: 'The logout succeeded, but the session is still alive.'
}

/** Requests which sessions the reader's browser has, and keeps one state for each session scheme of the document. Keeps no typed texts. */
export class Sessions {
  /** By scheme. @type {Map<string, SessionState>} */
  states = new Map()
  /** @type {any} */
  #spec = {}
  /** @type {Set<Listener>} */
  #listeners = new Set()

  /** @param {() => any} getSystem @param {string} pathOfRoles JSON Pointer (RFC 6901) to the roles in the response of the status. */
  constructor (getSystem, pathOfRoles) {
    this.getSystem = getSystem
    this.pathOfRoles = pathOfRoles
  }

  /** Calls `listener` after each change. Returns a function that ends this. @param {Listener} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Reads the document of the page, and requests who is signed in. */
  load () {
    this.#spec = this.getSystem().specSelectors.specJson().toJS()
    this.states = new Map(sessionSchemes(this.#spec).map((scheme) =>
      [scheme.name, { scheme, phase: 'unknown', check: { last: Promise.resolve() }, failures: 0, ended: false, busy: false }]))
    for (const listener of this.#listeners) listener()
    this.checkAll()
  }

  /** @param {Partial<SessionState>} change */
  #set (name, change) {
    const before = this.states.get(name)
    if (before === undefined) return
    const state = { ...before, ...change }
    this.states.set(name, state)
    for (const listener of this.#listeners) listener(state, before)
  }

  /** Changes a state to signed in, with the response of the status operation. */
  #enter (name, answer) {
    const told = pointer(answer, this.pathOfRoles)
    const roles = Array.isArray(told) && told.every((role) => typeof role === 'string') ? told : undefined
    this.#set(name, { phase: 'in', answer, roles, doubt: undefined, error: undefined, ended: false })
  }

  /** Changes a state to signed out. */
  #leave (name) {
    const { phase, busy } = this.states.get(name) ?? {}
    // The error of a failed attempt stays when the reader returns to the page.
    const news = phase === 'in' ? { ended: busy !== true, error: undefined } : {}
    this.#set(name, { phase: 'out', answer: undefined, roles: undefined, doubt: undefined, ...news })
  }

  /** Requests the status of each session that `isDue`. @type {(isDue?: (state: SessionState) => boolean) => void} */
  checkAll (isDue = () => true) {
    for (const [name, state] of this.states) if (isDue(state)) void this.check(name)
  }

  /** Requests the status. Calls during a request share one more request, which is sent after it, and resolve after that. */
  async check (name) {
    const { check, scheme: { status } } = this.states.get(name) ?? { scheme: {} }
    if (check === undefined || status === undefined) return
    check.next ??= check.last = check.last.then(async () => {
      check.next = undefined
      // This request is sent without a click, and a document of another author may name any origin.
      const credentials = this.#url(status)?.origin === location.origin ? 'here' : undefined
      const outcome = await this.#run(status, () => ({ credentials }))
      // A newer request follows, or the page shows another document now.
      if (check.next !== undefined || this.states.get(name)?.check !== check) return
      if (outcome.ok) this.#enter(name, outcome.body)
      else if (outcome.status === 401) this.#leave(name)
      // Neither signed in nor out, such as a 503: the last state stays, with the reason.
      else this.#set(name, { doubt: outcome.message })
    })
    await check.next
  }

  /** Returns the form of the login, unless the login is a page to visit. @param {Scheme} scheme */
  form ({ login }) { return login === undefined || login.method === 'get' ? undefined : formOf(this.#spec, login) }

  /** Signs in or out. @type {(name: string, role: 'login' | 'logout', input: () => Input) => Promise<void>} */
  async change (name, role, input) {
    const { scheme, busy } = this.states.get(name) ?? {}
    const operation = scheme?.[role]
    if (operation === undefined || busy === true) return
    this.#set(name, { busy: true })
    const outcome = await this.#run(operation, () => ({ ...input(), credentials: 'anywhere' }))
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
   */
  observe (path, method, { ok, err }) {
    const alternatives = alternativesIn(this.#spec.paths?.[path]?.[method]?.security ?? this.#spec.security)
    for (const { scheme: { name, status } } of this.states.values()) {
      if (status !== undefined) void this.check(name)
      else if (err?.statusCode === 401 && alternatives.some((need) => need.has(name))) this.#leave(name)
      else if (ok === true && alternatives.length > 0 && alternatives.every((need) => need.has(name))) this.#enter(name)
    }
  }

  /** Returns the address of the login if it is a page to visit, such as the start of an OAuth flow. @param {Scheme} scheme */
  link ({ login }) { return login?.method === 'get' ? this.#url(login)?.href : undefined }

  /** Returns the other origins that the session's operations are sent to. @param {Scheme} scheme */
  elsewhere ({ login, status, logout }) {
    // A request without its required parameters has no URL, but parameters cannot change the origin.
    const bare = (/** @type {Operation} */ { operation, pathItem, ...place }) =>
      ({ ...place, operation: { servers: operation.servers }, pathItem: { servers: pathItem.servers } })
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

  /** @param {Operation} operation @param {Input} input */
  #request (operation, input) { return requestOf(this.getSystem(), this.#spec, operation, this.states, input) }

  /** @param {Operation} operation @param {() => Input} input */
  #run (operation, input) { return send(this.getSystem(), () => this.#request(operation, input())) }
}
