/** @import { FormValues, Operation, Outcome, Scheme, System } from './types.js' */
/** @import { Input } from './call.js' */

import { securityOf, sessionSchemes } from './document.js'
import { requestOf, send } from './call.js'
import { formOf, valuesOf } from './fields.js'
import { States } from './states.js'

/**
 * Asks the server which sessions the reader's browser has, and keeps one state for each session scheme of the document.
 * Typed values pass through and are kept nowhere.
 */
export class Sessions extends States {
  /**
   * Checks under way, by scheme; `again` if something happened since they began.
   * @type {Map<string, { done: Promise<void>, again: boolean }>}
   */
  #checks = new Map()
  /** The URL of the last status request, by scheme. @type {Map<string, string | undefined>} */
  #asked = new Map()
  /** @type {any} */
  #spec = {}

  /** @param {System} system */
  constructor (system) {
    super()
    this.getSystem = system.getSystem
  }

  /** Takes up the document that the page shows now, and asks who is signed in. */
  load () {
    this.#spec = this.getSystem().specSelectors.specJson().toJS()
    this.#checks.clear()
    this.reset(sessionSchemes(this.#spec))
    return this.checkAll()
  }

  checkAll () {
    return Promise.all(this.names.map((name) => this.check(name)))
  }

  /** The reader chose another server: what it knows may differ. */
  moved () {
    const differs = (/** @type {Scheme} */ { name, status }) => status !== undefined && this.#url(status)?.href !== this.#asked.get(name)
    return Promise.all(this.states.filter(({ scheme }) => differs(scheme)).map(({ scheme }) => this.check(scheme.name)))
  }

  /**
   * Asks the status operation. Calls during a check end with an answer that was asked for after the call.
   * @param {string} name
   * @returns {Promise<void>}
   */
  check (name) {
    const running = this.#checks.get(name)
    if (running !== undefined) {
      running.again = true
      return running.done
    }
    const check = { done: Promise.resolve(), again: false }
    this.#checks.set(name, check)
    check.done = this.#ask(name, check).finally(() => {
      if (this.#checks.get(name) === check) this.#checks.delete(name)
    })
    return check.done
  }

  /**
   * @param {string} name
   * @param {{ again: boolean }} check
   */
  async #ask (name, check) {
    const status = this.get(name)?.scheme.status
    if (status === undefined) return
    do {
      check.again = false
      const url = this.#url(status)
      this.#asked.set(name, url?.href)
      // This is sent without a click, and another author's document may name any origin.
      const outcome = await this.#run(status, () => ({ credentials: url?.origin === location.origin }))
      if (!check.again && this.get(name)?.scheme.status === status) this.#believe(name, outcome)
    } while (check.again)
  }

  /**
   * @param {string} name
   * @param {Outcome} outcome Of the status operation.
   */
  #believe (name, outcome) {
    if (outcome.ok) this.enter(name, outcome.body)
    else if (outcome.status === 401) this.leave(name)
    // Neither yes nor no, such as a store that is down: what was true last stands, with the reason.
    else this.set(name, { doubt: outcome.message })
  }

  /**
   * @param {string} name
   * @param {FormValues} typed
   */
  async signIn (name, typed) {
    const state = this.get(name)
    const login = state?.scheme.login
    if (login === undefined || state?.busy === true) return
    this.set(name, { busy: true })
    const outcome = await this.#run(login, () => {
      const { fields, contentType } = formOf(this.#spec, login)
      return { credentials: true, contentType, values: valuesOf(fields, typed) }
    })
    if (state?.scheme.status === undefined && outcome.ok) this.enter(name)
    await this.check(name)
    this.set(name, { busy: false })
    if (this.get(name)?.phase !== 'in') this.fail(name, outcome.ok ? NO_COOKIE : outcome.message)
  }

  /** @param {string} name */
  async signOut (name) {
    const state = this.get(name)
    const logout = state?.scheme.logout
    if (logout === undefined || state?.busy === true) return
    this.set(name, { busy: true })
    const outcome = await this.#run(logout, () => ({ credentials: true }))
    if (state?.scheme.status === undefined && (outcome.ok || outcome.status === 401)) this.leave(name)
    await this.check(name)
    this.set(name, { busy: false })
    if (this.get(name)?.phase === 'in') this.fail(name, outcome.ok ? STILL_IN : outcome.message)
  }

  /**
   * An operation was run by hand: the status may have changed. Without a status operation its answer is all there is:
   * 401 means signed out, success of an operation that cannot do without the session means signed in.
   * @param {string} path
   * @param {string} method
   * @param {{ ok?: boolean, err?: { statusCode?: number } }} response As Swagger UI keeps it: an error status is an error.
   */
  observe (path, method, { ok, err }) {
    const security = securityOf(this.#spec, path, method)
    for (const { scheme } of this.states) {
      const { name } = scheme
      if (scheme.status !== undefined) void this.check(name)
      else if (err?.statusCode === 401 && security.some((need) => name in need)) this.leave(name)
      else if (ok === true && security.length > 0 && security.every((need) => name in need)) this.enter(name)
    }
  }

  /** The fields of the sign-in form; none when the operation is a page to visit. @param {Scheme} scheme */
  fields ({ login }) {
    return login === undefined || login.method === 'get' ? [] : formOf(this.#spec, login).fields
  }

  /** Returns where to sign in if that is a page to visit, such as the start of an OAuth flow. @param {Scheme} scheme */
  link ({ login }) {
    return login?.method === 'get' ? this.#url(login)?.href : undefined
  }

  /** The origins other than the page's own that the session's operations are sent to. @param {Scheme} scheme */
  elsewhere ({ login, status, logout }) {
    const origins = [login, status, logout].map((operation) => operation && this.#url(operation)?.origin)
    return [...new Set(origins)].filter((origin) => origin !== undefined && origin !== location.origin)
  }

  /** Returns where a request goes to. @param {Operation} operation */
  #url (operation) {
    try {
      const url = new URL(this.#request(operation).url, document.baseURI)
      // Any author's document may be shown here, and a link to `javascript:` would be a script of this page.
      return ['http:', 'https:'].includes(url.protocol) ? url : undefined
    } catch {
      // A parameter that only the reader knows is missing, or the server's address is invalid.
      return undefined
    }
  }

  /**
   * @param {Operation} operation
   * @param {Input} [input]
   */
  #request (operation, input) {
    return requestOf(this.getSystem(), this.#spec, operation, this.names, input)
  }

  /**
   * @param {Operation} operation
   * @param {() => Input} input Throws a sentence for the reader if what is typed cannot be sent.
   * @returns {Promise<Outcome>}
   */
  async #run (operation, input) {
    try {
      return await send(this.getSystem(), this.#request(operation, input()))
    } catch (error) {
      return { ok: false, status: 0, body: undefined, message: /** @type {Error} */ (error).message }
    }
  }
}

const NO_COOKIE = 'The server took the sign-in, but the browser sent no session back. ' +
  'It drops a Secure cookie that came over plain http, and a cookie of another site.'
const STILL_IN = 'The server answered, but the session is still alive.'
