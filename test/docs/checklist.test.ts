import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { backends } from '../security/backends.js'
import { linksOf, tableUnder, textOf } from './markdown.js'
import { titlesOf } from './titles.js'

const page = 'docs/security.md'
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Every promise has a number that is never given to another; those that are missing were merged into their neighbours. */
const ids = [
  ...[...numbers(1, 12), ...numbers(14, 16), ...numbers(18, 27), ...numbers(31, 36)].map((number) => `C${number}`),
  ...numbers(1, 10).map((number) => `F${number}`)
]

const rows = tableUnder(page, 'The checklist').map(([id = '', what = '', files = '', stores = '']) => ({ id, what, files: linksOf(files), stores }))

const tests = readdirSync(fileURLToPath(new URL('..', import.meta.url)), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts')).map((name) => join('test', name))

/** The titles in `files` that name an id. */
const titled = (id: string, files: readonly string[]) => files.flatMap(titlesOf).filter(({ text }) => new RegExp(`\\b${id}\\b`).test(text))

t.test('each promise of the checklist has its row, in order, and is said in words', async (t) => {
  t.same(rows.map(({ id }) => id), ids)
  t.same(rows.filter(({ what }) => what.length < 10), [])
})

t.test('each file that a row names has a test that is titled with the id', async (t) => {
  for (const { id, files } of rows) {
    t.ok(files.length > 0, `${id} names files`)
    for (const file of files) t.not(titled(id, [file]).length, 0, `${file} has a test of ${id}`)
  }
})

t.test('each test that is titled with an id is in its row', async (t) => {
  t.ok(tests.length > 80, `${tests.length} files`)
  for (const id of ids) {
    const files = tests.filter((file) => titled(id, [file]).length > 0)
    t.same([...(rows.find((row) => row.id === id)?.files ?? [])].sort(), files.sort(), id)
  }
})

t.test('no test is titled with an id that nobody knows', async (t) => {
  const strange = tests.flatMap((file) => titlesOf(file).flatMap(({ text }) => text.match(/\b[CF]\d+\b/g) ?? []).filter((id) => !ids.includes(id)))
  t.same(strange, [])
})

t.test('the stores of a row are those that its tests run on', async (t) => {
  for (const { id, files, stores } of rows) {
    // The first test of a promise says it whole; those after it look at its edges, some of which only a store has.
    const expected = titled(id, files).find(({ on }) => on !== undefined)?.on
    if (expected !== undefined) t.equal(stores, expected, id)
    else t.ok(stores !== '' && !stores.startsWith('every'), `${id} says where`)
  }
})

t.test('what runs on each backend runs on the database servers, too, which have files of their own', async (t) => {
  const files = tests.filter((file) => titlesOf(file).some(({ on }) => on !== undefined))
  const again = [...textOf('test/security/on-database.ts').matchAll(/^import '\.(?:\/|\.\/)(.*)\.js'/gm)].map(([, name = '']) => `test/${name.includes('/') ? '' : 'security/'}${name}.ts`)
  t.same(again.sort(), files.sort())
})

t.test('and the page says which these are', async (t) => {
  const [, every = ''] = /^`every` is (.*?); `every store`/ms.exec(textOf(page)) ?? []
  t.same(every.replaceAll('\n', ' ').split(/, | and /).sort(), Object.values(backends).map(({ name }) => name).sort())
})
