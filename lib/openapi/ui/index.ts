import { readFileSync } from 'node:fs'
import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'
import { must, refuseUnknown } from '../../errors.js'

export interface SessionUiOptions {
  /**
   * Seconds between two requests of the status operation, while the reader is signed in and active. 0 turns polling off. Default 30.
   * Give that route `config: { session: { touch: false } }`, so that an open page does not keep the session alive.
   */
  poll?: number
  /** JSON Pointer (RFC 6901) to the list of role names in the response of the status operation. Default `/roles`. */
  roles?: string
}

/** Each file after those that it imports. */
const parts = ['document', 'fields', 'call', 'sessions', 'panel', 'locks', 'watch', 'plugin']
const globalName = 'fastifyOpenapiSessionUi'

/**
 * Returns options of @fastify/swagger-ui with which "Authorize" signs in: with the form of the login operation, an HttpOnly cookie and
 * locks that follow the server. Keeps all of `options`, also `theme` and `uiConfig.plugins`. The option `openapi` of the session plugin
 * names the operations.
 * @throws `FST_SESSION_OPTIONS` if a setting is wrong
 */
export function sessionUi<Options extends FastifySwaggerUiOptions> (
  options: Options = {} as Options, session: SessionUiOptions = {}
): Options & Required<Pick<FastifySwaggerUiOptions, 'theme' | 'uiConfig'>> {
  refuseUnknown(session, ['poll', 'roles'], 'option * of sessionUi(), in its second argument')
  const { poll = 30, roles = '/roles' } = session
  // Longer delays overflow a browser's timer and fire at once.
  must(Number.isFinite(poll) && poll >= 0 && poll <= 86_400, `sessionUi: poll must be seconds from 0 to 86400, not ${poll}`)
  must(roles === '' || roles.startsWith('/'), `sessionUi: roles must be a JSON Pointer such as "/user/roles", not "${roles}"`)
  const { theme, uiConfig } = options
  const js = [...theme?.js ?? [], { filename: 'session-ui.js', content: script() }]
  const css = [...theme?.css ?? [], { filename: 'session-ui.css', content: read('style.css') }]
  // The plugin is written into the page as text. @fastify/swagger-ui calls `toString`, whose own result tools may have rewritten.
  const text = `(system) => globalThis.${globalName}(system, ${JSON.stringify({ poll, roles })})`
  const plugins = [...uiConfig?.plugins ?? [], Object.assign(() => ({}), { toString: () => text })]
  return { ...options, theme: { ...theme, js, css }, uiConfig: { ...uiConfig, plugins } }
}

function read (file: string): string { return readFileSync(new URL(file, import.meta.url), 'utf8') }

/** Joins the browser modules into one classic script, as @fastify/swagger-ui loads it. They import only each other. */
function script (): string {
  const body = parts.map((part) => read(`${part}.js`)).join('\n').replaceAll(/^import .*$/gm, '').replaceAll(/^export (?=\w+ )/gm, '')
  return `(() => {\n'use strict'\n${body}\nglobalThis.${globalName} = sessionUi\n})()\n`
}
