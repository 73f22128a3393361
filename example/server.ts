import type { ServerResponse } from 'node:http'
import { buildApp } from './app.js'
import { openStore } from './stores.js'

const { env } = process
const { store, close } = await openStore(env)
const app = await buildApp({
  store,
  // Safari refuses Secure cookies on http://localhost; Chromium and Firefox keep them.
  secureCookie: env.INSECURE_COOKIE !== '1',
  logger: true
})

/** Milliseconds that requests in flight have to finish after a signal. */
const grace = 5000

let closing = false
/** What is being answered now. */
const answers = new Set<ServerResponse>()

app.server.on('request', (_request, response) => {
  answers.add(response)
  response.once('close', () => {
    answers.delete(response)
    if (closing) dropIdle()
  })
})

/** Browsers open connections ahead; one that has not carried a request yet would hold the process for a minute. */
function dropIdle (): void {
  if (answers.size === 0) app.server.closeAllConnections()
}

/** Takes no more requests, finishes those in flight, closes the store. A second signal ends the process at once. */
async function shutdown (signal: NodeJS.Signals): Promise<void> {
  app.log.info(`${signal}: closing`)
  closing = true
  const deadline = setTimeout(() => app.server.closeAllConnections(), grace)
  const closed = app.close()
  dropIdle()
  await closed
  await close()
  clearTimeout(deadline)
}

process.once('SIGINT', shutdown)
process.once('SIGTERM', shutdown)

await app.listen({ port: Number(env.PORT ?? 3000), host: env.HOST ?? 'localhost' })
