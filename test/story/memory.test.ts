import t from 'tap'
import { MemoryStore } from 'fastify-openapi-session'
import { anywhere, onServer } from './story.js'

const make = (): MemoryStore => new MemoryStore()

t.test('anywhere', async (t) => await anywhere(t, make, 1))
t.test('on the server', async (t) => await onServer(t, make, 1))
