import assert from 'node:assert/strict'
import { newId, newPrincipal, type Bench } from './bench.js'

/** Text that has been trouble for file systems, databases, patterns and encodings. */
const odd = [
  ' ', 'a b', ' a', 'a ', 'a', 'A', '\u00e9', 'e\u0301', 'ß', 'ss', 'İ', 'i', '.', '..', '../../etc/passwd', '/', '\\', 'C:\\con',
  'nul', '%', '%2e', '_', '*', '?', '[a-z]', '{a}', 'a}{b', ':', 'a:b', '"', '\'', '`', '\'; DROP TABLE sessions; --', '$1', '${a}', '<b>', '&amp;',
  '\n', '\r\n', '\t', '\0', 'a\0b', '\u007f', '\u200b', '\u2028', '\ufeff', '\ufffd', '日本語', '😀', '👩‍👩‍👧', '\ud800', '\udfff', '\ud801',
  '0', '-1', '1e3', 'null', 'undefined', 'true', '__proto__', 'constructor', 'toString', 'hasOwnProperty'
]

/** What is in a record, an id or a principal makes no difference. */
export const payloads = {
  ...Object.fromEntries([['4 KB', 4096], ['1 MB', 1024 * 1024]].map(([name, size]) => [
    `a payload of ${name} is kept letter by letter`,
    async ({ store, record, created }: Bench) => {
      const payload = JSON.stringify({ text: 'ü'.repeat((size as number) / 2 - 7) })
      const id = await created({ payload, principal: newPrincipal() })
      assert.ok((await store.read(id))?.payload === payload)
      const next = JSON.stringify({ text: 'x'.repeat((size as number) - 14) })
      assert.equal(await store.update(id, record({ payload: next, version: 2 })), 'updated')
      assert.ok((await store.read(id))?.payload === next)
    }
  ])),

  async 'a payload is never parsed or changed' ({ store, record, created }: Bench) {
    const texts = [
      '', '{}', 'null', '0', ' { "a" : 1.0 } ', '{"b":1,"a":2,"a":3}', '{"n":12345678901234567890}', '"\\u0000\\ud800"', 'not JSON', 'a\nb\r\nc\t',
      '\u2028\ufeff\u00e9e\u0301日本語😀', '\'"`\\%_*$1${x}', '__proto__'
    ]
    for (const payload of texts) {
      const id = await created({ payload })
      assert.equal((await store.read(id))?.payload, payload)
      await store.update(id, record({ payload: payload + ' ', version: 2 }))
      assert.equal((await store.read(id))?.payload, payload + ' ')
    }
  },

  async 'any text is an id of its own' ({ store, record }: Bench) {
    // The start keeps cases apart in a store that is used again; the plugin's ids are 43 characters long.
    const start = newId().slice(0, 12)
    const ids = [...odd.map((text) => start + text), ...odd.map((text) => text + start)]
    for (const id of ids) assert.equal(await store.create(id, record({ payload: JSON.stringify(id) })), true, `${JSON.stringify(id)} is free`)
    for (const id of ids) assert.equal((await store.read(id))?.payload, JSON.stringify(id))
    for (const id of ids) assert.equal(await store.delete(id), true, `${JSON.stringify(id)} is still there`)
  },

  async 'any text is a principal of its own' ({ store, created }: Bench) {
    const start = newPrincipal()
    const principals = [...odd.map((text) => start + text), ...odd.map((text) => text + start), start + 'x'.repeat(200)]
    const ids = new Map<string, string>()
    for (const principal of principals) ids.set(principal, await created({ principal }))
    for (const principal of principals) {
      const found = await store.list(principal)
      assert.deepEqual(found.map(({ id, record }) => [id, record.principal]), [[ids.get(principal), principal]])
    }
    for (const principal of principals) assert.equal(await store.deleteAll(principal), 1, JSON.stringify(principal))
  }
}
