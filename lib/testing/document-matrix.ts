import { AssertionError, ok as assert } from 'node:assert'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { statusOf } from '../errors.js'
import type { IssuedSession, SessionManager } from '../manager/manager.js'
import { errorsOf, isDocumented, requirementOf } from '../openapi/document/errors.js'
import { operationsOf, type OpenApiDocument, type PlacedOperation } from '../openapi/document/openapi.js'
import { MemoryStore } from '../store/memory.js'
import type { Awaitable, SessionStore } from '../store/store.js'
import { createClock, type ManualClock } from './clock.js'

/** The store and the clock of the app under test. The matrix can make the store fail and move the clock. */
export interface StageParts { readonly store: SessionStore, readonly now: () => number }

/** A request without its session. `params` are the parameters of the path. */
export interface MatrixRequest {
  params?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, string>>
  headers?: Readonly<Record<string, string>>
  body?: InjectOptions['body']
}

/** Returns a request that will be sent with the cookie of `session`. */
export type MatrixRequestMaker = (app: FastifyInstance, session: IssuedSession) => MatrixRequest | Promise<MatrixRequest>

export interface DocumentMatrixOptions {
  /** Returns a new app that uses the given `store` and `now`. Called for each operation. The matrix closes the app. */
  build: (parts: StageParts) => FastifyInstance | Promise<FastifyInstance>
  /** The data of a session that has all roles. */
  session: object
  /** The data of a session without the required roles. Without this option, no request is sent with a wrong role. */
  lesserSession?: object
  /**
   * Requests by operationId, or by method and path of the document, such as `GET /users/{id}`. Together they must lead to each
   * documented status. An operation without requests gets one without a body, with `1` for each parameter of its path.
   */
  requests?: Readonly<Record<string, ReadonlyArray<MatrixRequest | MatrixRequestMaker>>>
  /** Default `session`. */
  scheme?: string
  /** The decorator of @fastify/swagger. Default `swagger`. */
  decorator?: string
}

/** The states of a session. In `wrong role`, it is live but lacks the required role. */
export type MatrixState = keyof typeof states

export interface MatrixAnswer { readonly state: MatrixState, readonly status: number }

/** One operation of the document. */
export interface DocumentCase {
  /** Such as `GET /me (whoAmI)`. */
  readonly name: string
  /**
   * Sends each request in each state. Returns the statuses of the responses.
   * @throws `AssertionError` of `node:assert` that lists undocumented statuses, documented statuses that were never returned, and
   *   requests that succeeded without the session or role that the document requires
   */
  readonly run: () => Promise<MatrixAnswer[]>
}

/**
 * Compares an app with its OpenAPI document. Returns a test case for each operation that names the session scheme, for any test
 * runner: `for (const { name, run } of await documentMatrix(...)) test(name, run)`. A case tries each state of a session.
 */
export async function documentMatrix (options: DocumentMatrixOptions): Promise<DocumentCase[]> {
  const { scheme = 'session', decorator = 'swagger' } = options
  const document = await onStage(options, ({ app }): OpenApiDocument => {
    const generate = (app as unknown as Record<string, unknown>)[decorator] as (() => OpenApiDocument) | undefined
    assert(generate, `the app has no app.${decorator}(): register @fastify/swagger, or name its decorator here`)
    return generate()
  })
  const { url = '/' } = (document.servers as ReadonlyArray<{ url: string }> | undefined)?.[0] ?? {}
  const base = new URL(url, 'http://localhost').pathname.replace(/\/$/, '')
  const declaring = operationsOf(document)
    .filter(({ operation: { security } }) => security?.some((requirement) => Object.hasOwn(requirement, scheme)))
  return declaring.map((subject) => {
    const { method, path, operation: { operationId } } = subject
    const name = `${method} ${path}${operationId === undefined ? '' : ` (${operationId})`}`
    const run = async (): Promise<MatrixAnswer[]> => {
      const answers = await onStage(options, (stage) => play(stage, subject, base, options))
      const faults = faultsOf(subject, answers, scheme)
      if (faults.length > 0) throw new AssertionError({ message: [`${name}:`, ...faults].join('\n  ') })
      return answers
    }
    return { name, run }
  })
}

/** An app under test, with the means to move its clock and to make its store fail: its methods reject while `outage.down` is set. */
interface Stage { app: FastifyInstance, manager: SessionManager<object>, clock: ManualClock, outage: { down: boolean } }

/** Returns the result of `act` on a new app, and closes the app. */
async function onStage<T> ({ build, scheme = 'session' }: DocumentMatrixOptions, act: (stage: Stage) => Awaitable<T>): Promise<T> {
  const [clock, outage] = [createClock(), { down: false }]
  const fail = async (): Promise<never> => { throw new Error('the store is down, for a test') }
  const store = new Proxy(new MemoryStore({ now: clock.now }), {
    get (target, name) {
      const member: unknown = Reflect.get(target, name)
      return typeof member !== 'function' ? member : outage.down ? fail : member.bind(target) as unknown
    }
  })
  const app = await build({ store, now: clock.now })
  try {
    await app.ready()
    const manager = (app as unknown as Record<string, SessionManager<object> | undefined>)[scheme]
    assert(manager, `the app has no session "${scheme}": name its scheme here`)
    return await act({ app, manager, clock, outage })
  } finally {
    await app.close()
  }
}

/** Brings a live session or its store into a state. Returns the headers of the request, by default those with its cookie. */
type Become = (stage: Stage, session: IssuedSession) => Awaitable<InjectOptions['headers'] | void>

const states = {
  live () {},
  'no cookie': () => ({}),
  malformed: (_stage, { cookie }) => ({ cookie: cookie.replace(/=.*/s, '=%00"not-a-token') }),
  async revoked ({ manager }, { id }) { await manager.revoke(id) },
  async expired ({ manager, clock }, { id }) {
    const { expiresAt } = await manager.find(id) as { expiresAt: number }
    clock.advance(expiresAt - clock.now())
  },
  'cross-site': (_stage, { cookie }) => ({ cookie, 'sec-fetch-site': 'cross-site', origin: 'https://another.example' }),
  'store down' ({ outage }) { outage.down = true },
  'wrong role' () {}
} as const satisfies Record<string, Become>

async function play (stage: Stage, subject: PlacedOperation, base: string, options: DocumentMatrixOptions): Promise<MatrixAnswer[]> {
  const { method, path, operation: { operationId = '' } } = subject
  const { requests = {}, session, lesserSession } = options
  const answers: MatrixAnswer[] = []
  for (const request of requests[operationId] ?? requests[`${method} ${path}`] ?? [{}]) {
    for (const [state, become] of Object.entries<Become>(states)) {
      const data = state === 'wrong role' ? lesserSession : session
      if (data === undefined) continue
      const issued = await stage.manager.issue(data)
      const { params = {}, ...parts } = typeof request === 'function' ? await request(stage.app, issued) : request
      const url = base + path.replace(/\{([^}]+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? '1'))
      const headers = { ...parts.headers, ...(await become(stage, issued) ?? { cookie: issued.cookie }) }
      const { statusCode } = await stage.app.inject({ ...parts as InjectOptions, method: method as 'GET', url, headers })
      stage.outage.down = false
      answers.push({ state: state as MatrixState, status: statusCode })
    }
  }
  return answers
}

function faultsOf ({ method, operation }: PlacedOperation, answers: readonly MatrixAnswer[], scheme: string): string[] {
  const { security, responses = {}, 'x-required-roles': withRoles } = operation
  // In OpenAPI 3.0, `security` cannot contain roles, so an extension has them.
  const requirement = requirementOf(withRoles as typeof security ?? security, (name) => name === scheme)
  const possible = errorsOf(requirement, method, []).map((code) => statusOf[code])
  const alternatives = requirement.alternatives.map((conditions) => conditions.filter((condition) => condition.scheme === scheme))
  const isRequired = alternatives.every((conditions) => conditions.length > 0)
  const isForRoles = alternatives.every((conditions) => conditions.some(({ scopes }) => scopes.length > 0))
  const faults = new Set<string>()
  for (const status of possible) if (!isDocumented(status, responses)) faults.add(`${status} can be returned and is not documented`)
  for (const { state, status } of answers) {
    if (!isDocumented(status, responses)) faults.add(`${state}: ${status} is returned and not documented`)
    if (status >= 400) continue
    if (isRequired && ['no cookie', 'malformed', 'revoked', 'expired'].includes(state)) faults.add(`${state}: ${status} is returned, although "${scheme}" is required`)
    if (isForRoles && state === 'wrong role') faults.add(`${state}: ${status} is returned, although a role of "${scheme}" is required`)
  }
  const answered = new Set(answers.map(({ status }) => String(status)))
  const missing = Object.keys(responses).filter((status) => /^\d+$/.test(status) && !answered.has(status))
  for (const status of missing) faults.add(`${status} is documented and was never returned: add a request that leads to it`)
  return [...faults]
}
