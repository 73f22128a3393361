import { readFileSync } from 'node:fs'
import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'
import { invalidOptions } from '../../errors.js'
import { style } from './style.js'

export interface SessionUiOptions {
  /**
   * Seconds between two polls of the status operation, while a reader is signed in and at the page. 0 asks only on
   * an occasion. Default 30. Give that route `config: { session: { touch: false } }`, or reading the documentation
   * counts as using the session.
   */
  poll?: number
  /** JSON Pointer (RFC 6901) to the list of role names in the status answer. Default `/roles`. */
  roles?: string
}

/** `options` with the session's panel in them. */
export type WithSessionUi<Options> = Options & Required<Pick<FastifySwaggerUiOptions, 'theme' | 'uiConfig'>>

/** Each file after those that it imports. */
const parts = ['document', 'fields', 'call', 'sessions', 'panel', 'popup', 'buttons', 'locks', 'watch', 'plugin']
const globalName = 'fastifyOpenapiSessionUi'

/**
 * Options of @fastify/swagger-ui that make "Authorize" sign in: with the form of the login operation, an HttpOnly cookie
 * and locks that follow the server. Whatever `options` hold is kept, their own `theme` and `uiConfig.plugins` too.
 * The operations are those named in the session plugin's `openapi` option. Throws `FST_SESSION_OPTIONS`.
 */
export function sessionUi<Options extends FastifySwaggerUiOptions> (
  options: Options = {} as Options,
  { poll = 30, roles = '/roles' }: SessionUiOptions = {}
): WithSessionUi<Options> {
  // Longer delays overflow a browser's timer and fire at once.
  if (!Number.isFinite(poll) || poll < 0 || poll > 86_400) {
    throw invalidOptions(`sessionUi: poll is seconds from 0 to 86400, not ${poll}`)
  }
  if (roles !== '' && !roles.startsWith('/')) {
    throw invalidOptions(`sessionUi: roles is a JSON Pointer such as "/user/roles", not "${roles}"`)
  }
  const { theme, uiConfig } = options
  return {
    ...options,
    theme: {
      ...theme,
      js: [...theme?.js ?? [], { filename: 'session-ui.js', content: script() }],
      css: [...theme?.css ?? [], { filename: 'session-ui.css', content: style }]
    },
    uiConfig: { ...uiConfig, plugins: [...uiConfig?.plugins ?? [], plugin({ poll, roles })] }
  }
}

/** The browser modules as one classic script, which is what @fastify/swagger-ui loads: their imports point at each other. */
function script (): string {
  const sources = parts.map((part) => readFileSync(new URL(`./${part}.js`, import.meta.url), 'utf8'))
  const body = sources.join('\n').replaceAll(/^import .*$/gm, '').replaceAll(/^export (?=\w+ )/gm, '')
  return `(() => {\n'use strict'\n${body}\nglobalThis.${globalName} = sessionUi\n})()\n`
}

/** @fastify/swagger-ui writes a function into its page as the text of `toString`, which tools that rewrite code may have changed. */
function plugin (settings: Required<SessionUiOptions>) {
  const text = `(system) => globalThis.${globalName}(system, ${JSON.stringify(settings)})`
  return Object.assign(() => ({}), { toString: () => text })
}
