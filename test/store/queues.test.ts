import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Queues } from '../../lib/store/shared/queues.js'

t.test('work on one key runs one after the other, on others beside it, and keys at rest are forgotten', async (t) => {
  const queue = new Queues()
  const order: string[] = []
  let release = (): void => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  const first = queue.run('a', async () => {
    await held
    order.push('a1')
  })
  const second = queue.run('a', async () => { order.push('a2') })
  const failing = queue.run('b', async () => {
    order.push('b')
    throw new Error('no')
  })
  await t.rejects(failing, /no/)
  t.same(order, ['b'])
  t.equal(queue.size, 1, 'a failed task leaves nothing behind')
  release()
  await Promise.all([first, second])
  t.same(order, ['b', 'a1', 'a2'])
  await setImmediate()
  t.equal(queue.size, 0)
})
