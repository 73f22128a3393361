import { AssertionError, ok as assert } from 'node:assert'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { statusOf } from '../errors.js'
import type { IssuedSession } from '../manager/manager.js'
import { errorsOf, isDocumented, requirementOf } from '../openapi/document/errors.js'
import { operationsOf, type OpenApiDocument, type PlacedOperation } from '../openapi/document/openapi.js'
import { type Become, type Build, type MatrixState, setStage, type Stage, states } from './matrix/stage.js'

export type { MatrixState, StageParts } from './matrix/stage.js'

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
  build: Build
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

export interface MatrixAnswer {
  readonly state: MatrixState
  readonly status: number
}

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
  const { build, scheme = 'session', decorator = 'swagger' } = options
  const document = await documentOf(await setStage(build, scheme), decorator)
  const declaring = operationsOf(document)
    .filter(({ operation: { security } }) => security?.some((requirement) => Object.hasOwn(requirement, scheme)))
  return declaring.map((subject) => ({
    name: nameOf(subject),
    async run () {
      const stage = await setStage(build, scheme)
      try {
        const answers = await play(stage, subject, basePath(document), options)
        const faults = faultsOf(subject, answers, scheme)
        if (faults.length > 0) throw new AssertionError({ message: [`${nameOf(subject)}:`, ...faults].join('\n  ') })
        return answers
      } finally {
        await stage.app.close()
      }
    }
  }))
}

async function documentOf ({ app }: Stage, decorator: string): Promise<OpenApiDocument> {
  try {
    const generate = (app as unknown as Record<string, unknown>)[decorator] as (() => OpenApiDocument) | undefined
    assert(generate, `the app has no app.${decorator}(): register @fastify/swagger, or name its decorator here`)
    return generate()
  } finally {
    await app.close()
  }
}

function nameOf ({ method, path, operation: { operationId } }: PlacedOperation): string {
  return `${method} ${path}${operationId === undefined ? '' : ` (${operationId})`}`
}

function basePath ({ servers }: OpenApiDocument): string {
  const url = (servers as ReadonlyArray<{ url: string }> | undefined)?.[0]?.url ?? '/'
  return new URL(url, 'http://localhost').pathname.replace(/\/$/, '')
}

async function play (stage: Stage, subject: PlacedOperation, base: string, options: DocumentMatrixOptions): Promise<MatrixAnswer[]> {
  const { method, path, operation: { operationId = '' } } = subject
  const { requests = {}, session, lesserSession } = options
  const answers: MatrixAnswer[] = []
  for (const request of requests[operationId] ?? requests[`${method} ${path}`] ?? [{}]) {
    const send = async (state: MatrixState, data: object, become: Become): Promise<void> => {
      const issued = await stage.manager.issue(data)
      const { params = {}, query = {}, headers, body } = typeof request === 'function' ? await request(stage.app, issued) : request
      const url = base + path.replace(/\{([^}]+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? '1'))
      const added = await become(stage, issued)
      const { statusCode } = await stage.app.inject({
        method: method as 'GET', url, query, headers: { ...headers, ...added }, ...(body !== undefined && { body })
      })
      stage.outage.down = false
      answers.push({ state, status: statusCode })
    }
    for (const [state, become] of Object.entries(states)) await send(state as MatrixState, session, become)
    if (lesserSession !== undefined) await send('wrong role', lesserSession, states.live)
  }
  return answers
}

/** The states without a live session. */
const DEAD: ReadonlySet<MatrixState> = new Set(['no cookie', 'malformed', 'revoked', 'expired'])

function faultsOf ({ method, operation }: PlacedOperation, answers: readonly MatrixAnswer[], scheme: string): string[] {
  const { security, responses = {}, 'x-required-roles': withRoles } = operation
  // In OpenAPI 3.0, `security` cannot contain roles, so an extension has them.
  const requirement = requirementOf(withRoles as typeof security ?? security, (name) => name === scheme)
  const possible = errorsOf(requirement, method, []).map((code) => statusOf[code])
  const isEverywhere = (suits: (scopes: readonly string[]) => boolean): boolean =>
    requirement.alternatives.every((conditions) => conditions.some((condition) => condition.scheme === scheme && suits(condition.scopes)))
  const isRequired = isEverywhere(() => true)
  const isForRoles = isEverywhere((scopes) => scopes.length > 0)
  const faults = new Set<string>()
  for (const status of possible) {
    if (!isDocumented(status, responses)) faults.add(`${status} can be returned and is not documented`)
  }
  for (const { state, status } of answers) {
    if (!isDocumented(status, responses)) faults.add(`${state}: ${status} is returned and not documented`)
    if (status >= 400) continue
    if (isRequired && DEAD.has(state)) faults.add(`${state}: ${status} is returned, although "${scheme}" is required`)
    if (isForRoles && state === 'wrong role') {
      faults.add(`${state}: ${status} is returned, although a role of "${scheme}" is required`)
    }
  }
  const answered = new Set(answers.map(({ status }) => String(status)))
  for (const status of Object.keys(responses)) {
    if (!/^\d+$/.test(status) || answered.has(status)) continue
    faults.add(`${status} is documented and was never returned: add a request that leads to it`)
  }
  return [...faults]
}
