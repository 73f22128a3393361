/** The subjects of the benchmark, and the requests that each of them serves. */

export type StoreKind = 'none' | 'memory' | 'redis' | 'cookie'

export interface SubjectName {
  readonly name: string
  readonly store: StoreKind
  /** True for a subject that serves logins and nothing else. */
  readonly isLoginOnly?: boolean
}

export const BARE: SubjectName = { name: 'bare Fastify', store: 'none' }

/** Bare Fastify in another process. Its distance from 0 shows the error of the other figures. */
export const AGAIN: SubjectName = { name: 'bare Fastify again', store: 'none' }

export const SUBJECTS: readonly SubjectName[] = [
  { name: 'floor', store: 'memory' },
  { name: 'floor of a login', store: 'memory', isLoginOnly: true },
  { name: 'this', store: 'memory' },
  { name: '@fastify/session', store: 'memory' },
  { name: '@mgcrea/fastify-session', store: 'memory' },
  { name: 'floor', store: 'redis' },
  { name: 'this', store: 'redis' },
  { name: '@fastify/session', store: 'redis' },
  { name: '@mgcrea/fastify-session', store: 'redis' },
  { name: 'this', store: 'cookie' },
  { name: '@fastify/secure-session', store: 'cookie' }
]

/** Bytes of the session's data as JSON. */
export const SIZES = { '200 B': 200, '4 KB': 4096 } as const
export type Size = keyof typeof SIZES

export interface Scenario {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly url: string
  /** The login before the requests, which carry its cookie. Without it, they carry no cookie. */
  readonly login?: string
  /** A request after the others. It must return the body of the last response, which shows that the last write was stored. */
  readonly check?: string
}

export const urlOf = (action: 'login' | 'read' | 'write' | 'count', size: Size): string => `/${action}/${SIZES[size]}`

function onSession (size: Size): Scenario[] {
  const login = urlOf('login', size)
  return [
    { name: `read ${size}`, method: 'GET', url: urlOf('read', size), login },
    { name: `write ${size}`, method: 'POST', url: urlOf('write', size), login, check: urlOf('count', size) }
  ]
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'session unused', method: 'GET', url: '/plain', login: urlOf('login', '200 B') },
  ...onSession('200 B'),
  ...onSession('4 KB'),
  { name: 'login 200 B', method: 'POST', url: urlOf('login', '200 B') }
]
