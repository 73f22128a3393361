import type { InjectOptions } from 'fastify'
import t from 'tap'
import { type App, Findings, User } from './support.js'

const [LOOK, SAVE] = [0.5, 0]

/** An app that answers one request after the other with these counts, or with 503 where there is none. */
function answering (...counts: Array<number | undefined>): App {
  const inject = async (request: InjectOptions): Promise<unknown> => {
    const count = request.url === '/login' ? 0 : counts.shift()
    const headers = count === undefined ? { 'retry-after': '1' } : {}
    return { statusCode: count === undefined ? 503 : 200, headers, body: '', json: () => ({ count }) }
  }
  return { inject } as unknown as App
}

async function judge (acts: number[], ...counts: Array<number | undefined>): Promise<Findings> {
  const findings = new Findings()
  const user = new User(answering(...counts), 'ada', findings)
  for (const act of [SAVE, ...acts]) await user.act(act)
  return findings
}

t.test('the judge of the faults takes a save that was not acknowledged for one that may be made at any later time', async (t) => {
  t.same((await judge([SAVE, LOOK, LOOK, SAVE], undefined, 0, 1, 2)).faults, Findings.none)
  t.same((await judge([SAVE, SAVE, LOOK, LOOK, LOOK], undefined, undefined, 1, 2, 2)).faults, Findings.none)
})

t.test('the judge of the faults finds a save that no user made, and one that was lost', async (t) => {
  t.equal((await judge([SAVE, LOOK, LOOK], undefined, 1, 2)).inventedWrites, 1, 'one save is made once')
  t.equal((await judge([LOOK], 1)).inventedWrites, 1)
  t.equal((await judge([SAVE, LOOK], 1, 0)).lostWrites, 1)
})
