import t, { type Test } from 'tap'
import { FileStore } from 'fastify-openapi-session/file'
import { temporaryDirectory } from '../support/servers-process.js'
import { anywhere, onServer } from './story.js'

const make = (t: Test): FileStore => new FileStore({ directory: temporaryDirectory(t, 'story') })

t.test('anywhere', async (t) => await anywhere(t, make))
t.test('on the server', async (t) => await onServer(t, make))
