import t from 'tap'
import { mint } from '../../lib/token.js'
import { createWorld, managerOf, onEach, replay, stored, told } from './support.js'

onEach(t, 'C21 a record whose data are of another principal than it was stored for is nobody\'s', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { store } = world.place as unknown as { store: any }
  const { token, id } = mint()
  const life = { v: 1, scheme: 'session', createdAt: 1, authenticatedAt: 1, deadline: world.clock.now() + 1e7, persistent: false }
  await store.create(id, { payload: JSON.stringify({ ...life, data: { userId: 'adb', roles: ['admin'] } }), version: 1, expiresAt: world.clock.now() + 1e6, principal: 'ada' })
  t.equal(await replay(world, token), 401)
  t.equal(await replay(world, token, '/admin'), 401)
  t.same(await managerOf(world.app).list('ada'), [])
  t.equal(told(world.events)[0], 'discarded:unfit')
}, stored)

onEach(t, 'C27 sessions from before the option principal are entered in the list when they are used', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { store } = world.place as unknown as { store: any }
  const { token, id } = mint()
  const life = { v: 1, scheme: 'session', createdAt: 1, authenticatedAt: 1, deadline: world.clock.now() + 1e7, persistent: false }
  await store.create(id, { payload: JSON.stringify({ ...life, data: { userId: 'ada', roles: [] } }), version: 1, expiresAt: world.clock.now() + 1e6 })
  t.same(await managerOf(world.app).list('ada'), [])
  t.equal(await replay(world, token), 200)
  t.same((await managerOf(world.app).list('ada')).map((session) => session.id), [id])
  const written = (await world.place.atRest()).match(/^update /gm)?.length
  t.equal(await replay(world, token), 200)
  t.equal((await world.place.atRest()).match(/^update /gm)?.length, written, 'once')
  t.equal(await managerOf(world.app).revokeAll('ada'), 1)
  t.equal(await replay(world, token), 401)
}, stored)
