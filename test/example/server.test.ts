import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { logIn, overRestart, start } from './process.js'

t.test('a restart keeps people signed in', async (t) => {
  await overRestart(t, { SESSION_DIR: t.testdir() })
})

t.test('a signal: the request in flight is answered, an idle connection dropped', async (t) => {
  const server = await start(t, { SESSION_DIR: t.testdir() })
  const idle = connect(Number(new URL(server.url).port), '127.0.0.1')
  idle.on('error', () => {})
  await once(idle, 'connect')

  const logged = once(server.child.stdout as NodeJS.ReadableStream, 'data')
  // Hashing the password takes long enough for the signal to arrive before the answer.
  const answer = logIn(server)
  await logged
  const code = server.stop()
  t.equal((await answer).status, 200)
  t.equal(await code, 0)
})
