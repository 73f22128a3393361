import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t from 'tap'
import { bundle } from '../support/bundle.js'

t.test('a hash is HalfSipHash-1-3 of pairs of characters and of their number, as another implementation has it', async (t) => {
  const key = [0x03020100, 0xf7060504]
  t.teardown(syncBuiltinESMExports)
  t.intercept(crypto, 'randomInt', { value: () => key.shift() })
  syncBuiltinESMExports()
  // A copy that has hashed nothing yet.
  const copy = await bundle(t, new URL('../../lib/store/shared/seeded-hash.ts', import.meta.url))
  const { hashOf } = await import(copy) as { hashOf: (text: string) => number }
  // The empty text comes first, as the first text of a process, and again after others.
  const texts = ['', 'a', 'ab', 'abc', '\0', '\ud800\uffff\udfff', 'user@example.com', '']
  const hashes = [0xe8477073, 0xa5599673, 0x6e150cb2, 0x3ca2b111, 0xe18cec0e, 0xa5c88c33, 0x58a0507a, 0xe8477073]
  t.strictSame(texts.map((text) => hashOf(text) >>> 0), hashes)
})
