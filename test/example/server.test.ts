import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { cookieOf, logIn, start, status } from './process.js'

t.test('a restart keeps people signed in; a signal lets the request in flight end, and drops idle connections', async (t) => {
  const env = { SESSION_DIR: t.testdir() }
  const before = await start(t, env)
  const cookie = await cookieOf(before)
  t.equal(await status(before, cookie), 200)
  t.equal(await before.stop('SIGINT'), 0, 'SIGINT ends it in order')

  const after = await start(t, env)
  t.equal(await status(after, cookie), 200, 'still signed in')
  await fetch(`${after.url}/api/logout`, { method: 'POST', headers: { cookie } })
  t.equal(await status(after, cookie), 401)

  const idle = connect(Number(new URL(after.url).port), '127.0.0.1')
  idle.on('error', () => {})
  await once(idle, 'connect')
  const logged = once(after.child.stdout as NodeJS.ReadableStream, 'data')
  // Hashing the password takes long enough for the signal to arrive before the answer.
  const answer = logIn(after)
  await logged
  const code = after.stop('SIGTERM')
  t.equal((await answer).status, 200)
  t.equal(await code, 0, 'so does SIGTERM')
})
