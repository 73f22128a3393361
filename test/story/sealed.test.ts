import t from 'tap'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { anywhere } from './story.js'

// Parallel changes, final sign-outs and lists are what a cookie without a store cannot promise.
t.test('anywhere', async (t) => await anywhere(t, () => sealedCookie({ keys: [makeKey()] }), 1))
