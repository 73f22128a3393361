import t from 'tap'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SwaggerOptions } from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import type { SessionPluginOptions } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { documentOf, faultsOf, nothing, openapi30, openapi31, openapi32 } from '../openapi/documents.js'

const run = promisify(execFile)
const redocly = join(import.meta.dirname, '../../node_modules/@redocly/cli/bin/cli.js')

const about = {
  info: { title: 'Test', version: '1.0.0', license: { name: 'MIT', url: 'https://shop.test/license' } },
  servers: [{ url: 'https://api.shop.test' }]
}
const operation = (operationId: string, security?: Array<Record<string, string[]>>): object =>
  ({ schema: { operationId, summary: operationId, ...(security && { security }), response: { 200: { type: 'string' }, 404: { type: 'string' } } } })

/** Every kind of declaration at once. */
function routes (app: FastifyInstance): void {
  app.post('/login', operation('login', [{}, { session: [] }]), nothing)
  app.get('/me', operation('me', [{ session: [] }]), nothing)
  app.post('/logout', operation('logout', [{ session: [] }, {}]), nothing)
  app.delete('/things/:id', operation('removeThing', [{ session: ['admin'] }]), nothing)
  app.put('/things/:id', operation('putThing', [{ session: [], csrf: [] }, { bearer: [] }]), nothing)
  app.get('/open', operation('open', []), nothing)
  app.get('/plain', operation('plain'), nothing)
}

/** The options that show in a document, one after the other, each on top of the same app. */
const sessions: Record<string, SessionPluginOptions> = {
  plain: {},
  'named operations': { openapi: { login: 'login', status: 'me', logout: 'logout' } },
  'a description': { openapi: { description: 'Ask the front desk.' } },
  'another cookie': { cookie: { name: 'sid', secure: false } },
  'no cross-origin check': { crossOrigin: false },
  'a sealed cookie': { store: sealedCookie({ keys: [makeKey()] }) },
  'a default': { security: [{ session: [] }] }
}

t.test('OpenAPI 3.0, 3.1 and 3.2 documents of every kind pass two validators and the recommended rules of Redocly', async (t) => {
  const directory = t.testdir()
  const files: string[] = []
  for (const version of [openapi30, openapi31, openapi32]) {
    for (const [title, session] of Object.entries(sessions)) {
      const swagger: SwaggerOptions = {
        openapi: {
          ...version,
          ...about,
          components: { securitySchemes: { csrf: { type: 'apiKey', in: 'header', name: 'x-csrf' }, bearer: { type: 'http', scheme: 'bearer' } } }
        },
        exposeHeadRoutes: files.length % 2 === 0
      }
      const options = { roles: (): string[] => [], verifiers: { csrf: () => true, bearer: () => true }, ...session }
      const document = await documentOf({ swagger, session: options, routes })
      t.same(await faultsOf(document), [], `${version.openapi}, ${title}`)
      const file = join(directory, `${version.openapi}-${title.replaceAll(' ', '-')}.json`)
      await writeFile(file, JSON.stringify(document))
      files.push(file)
    }
  }
  t.equal(files.length, 21)
  // The app decides whether an operation needs a session; the rule wants one everywhere.
  const rules = ['--extends=recommended', '--skip-rule=security-defined', '--format=json']
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  const { stdout } = await run(process.execPath, [redocly, 'lint', ...files, ...rules], { cwd: directory, env, maxBuffer: 2 ** 24 })
    .catch((error: { stdout: string }) => error)
  // One report after the other, a file each.
  const reports = JSON.parse(`[${stdout.replaceAll(/^\}\{/gm, '},{')}]`) as Array<{ totals: object, problems: Array<{ ruleId: string, message: string }> }>
  t.same(reports.flatMap(({ problems }) => problems.map(({ ruleId, message }) => `${ruleId}: ${message}`)), [])
  t.same(reports.map(({ totals }) => totals), files.map(() => ({ errors: 0, warnings: 0, ignored: 0 })))
})
