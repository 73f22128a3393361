import { fork } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { bare, bundle } from '../support/bundle.js'
import { temporaryDirectory } from '../support/servers-process.js'

t.test('stores that are open keep no process alive', async (t) => {
  const program = await bundle(t, new URL('./fixtures/open-stores.ts', import.meta.url))
  const child = fork(program, [temporaryDirectory(t, 'open')], bare)
  t.teardown(() => { child.kill('SIGKILL') })
  const kept = once(child, 'message')
  // Sooner than the second look of any timer in them; a process that one of them keeps would never end.
  const exit = once(child, 'exit', { signal: AbortSignal.timeout(240_000) })
  t.same(await kept, ['kept', undefined])
  t.same(await exit, [0, null])
})
