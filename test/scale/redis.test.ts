import t from 'tap'
import { startRedis } from '../support/servers.js'
import { severalProcesses } from './processes.js'

t.test('several processes on one Redis', async (t) => {
  await severalProcesses(t, (await startRedis(t)).url)
})
