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

/** Lets the requests in flight finish and the store close. A second signal ends the process at once. */
async function shutdown (signal: NodeJS.Signals): Promise<void> {
  app.log.info(`${signal}: closing`)
  await app.close()
  await close()
}

process.once('SIGINT', shutdown)
process.once('SIGTERM', shutdown)

await app.listen({ port: Number(env.PORT ?? 3000), host: env.HOST ?? 'localhost' })
