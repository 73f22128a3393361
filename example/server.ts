import type { ServerResponse } from 'node:http'
import { buildApp } from './app.js'
import { openStore } from './stores.js'

const { env } = process
const { store, close } = await openStore(env)
const app = await buildApp({
  store,
  // Safari refuses Secure cookies from http://localhost. Chromium and Firefox accept them.
  secureCookie: env.INSECURE_COOKIE !== '1',
  logger: true
})

/** Milliseconds that running requests have to finish after a signal. */
const grace = 5000

let closing = false
/** The responses of running requests. */
const answers = new Set<ServerResponse>()

app.server.on('request', (_request, response) => {
  answers.add(response)
  response.once('close', () => {
    answers.delete(response)
    if (closing) dropIdle()
  })
})

/** Closes the connections that browsers opened in advance. Without a request on them, they would keep the process alive for a minute. */
function dropIdle (): void {
  if (answers.size === 0) app.server.closeAllConnections()
}

/** Accepts no more requests, finishes those that run, and closes the store. A second signal ends the process at once. */
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
