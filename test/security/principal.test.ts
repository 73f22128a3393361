import t from 'tap'
import { managerOf, reported } from '../support/harness.js'
import { createWorld, onEach, payloadOf, plant, replay, sessionsOf, stored } from './support.js'

onEach(t, 'a record whose data name another principal than the record opens no session', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { value } = await plant(world, (secret) => payloadOf(world, secret, { data: { userId: 'adb', roles: ['admin'] } }), 'ada')
  t.equal(await replay(world, value), 401)
  t.equal(await replay(world, value, '/admin'), 401)
  t.same(await sessionsOf(world.app, 'ada'), [])
  t.equal(reported(world.events)[0], 'discarded:unfit')
}, stored)

onEach(t, 'sessions from before the option principal are entered in the list when they are used', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { id, value } = await plant(world, (secret) => payloadOf(world, secret, { data: { userId: 'ada', roles: [] } }))
  t.same(await sessionsOf(world.app, 'ada'), [])
  t.equal(await replay(world, value), 200)
  t.same((await sessionsOf(world.app, 'ada')).map((session) => session.id), [id])
  const written = (await world.place.atRest()).match(/^update /gm)?.length
  t.equal(await replay(world, value), 200)
  t.equal((await world.place.atRest()).match(/^update /gm)?.length, written, 'once')
  t.equal(await managerOf(world.app).revokeAll('ada'), 1)
  t.equal(await replay(world, value), 401)
}, stored)
