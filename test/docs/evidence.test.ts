import { existsSync, readdirSync } from 'node:fs'
import t from 'tap'
import { backends } from '../security/backends.js'
import { root, tableUnder, textOf } from './markdown.js'

/** A test file that a row of a table names as its proof, and the checklist ids that it names beside the file. */
interface Evidence {
  readonly file: string
  readonly ids: readonly string[]
}

/** Reads a cell such as `[life](../test/security/life.test.ts) C10, F5; [late](../test/security/late.test.ts)`. */
function evidenceIn (cell: string): Evidence[] {
  return [...cell.matchAll(/\]\(\.\.\/([^)#]+)\)([^[]*)/g)]
    .map(([, file = '', after = '']) => ({ file, ids: after.match(/\b[CF]\d+\b/g) ?? [] }))
}

/** The checklist: the test files of each promise, by its id. */
const checklist = new Map(tableUnder('docs/security.md', 'The checklist').map(([id = '', , cell = '']) => [id, evidenceIn(cell)]))

/** Returns what is wrong with the evidence: a file that is not there, or an id whose promise does not name the file. */
function problemsOf (evidence: readonly Evidence[]): string[] {
  return evidence.flatMap(({ file, ids }) => [
    ...existsSync(new URL(file, root)) ? [] : [`${file} is not there`],
    ...ids.filter((id) => checklist.get(id)?.some((proof) => proof.file === file) !== true).map((id) => `${id} does not name ${file}`)
  ])
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

t.test('each promise of the checklist has its number, its words and test files', async (t) => {
  const rows = tableUnder('docs/security.md', 'The checklist')
  // A number is never given to another promise. Those that are missing were merged into their neighbours.
  const ids = [...numbers(1, 12), ...numbers(14, 16), ...numbers(18, 27), ...numbers(31, 36)].map((number) => `C${number}`)
  t.same(rows.map(([id]) => id), [...ids, ...numbers(1, 10).map((number) => `F${number}`)])
  for (const [id = '', promise = '', cell = '', stores = ''] of rows) {
    const evidence = evidenceIn(cell)
    t.ok(promise.length > 10 && stores !== '' && evidence.length > 0, id)
    t.same(problemsOf(evidence), [], id)
  }
})

t.test('each promise of the stores has test files', async (t) => {
  const rows = tableUnder('docs/stores.md', 'What each promises')
  t.ok(rows.length > 6)
  for (const row of rows) {
    const [promise = ''] = row
    const evidence = evidenceIn(row.at(-1) ?? '')
    t.ok(evidence.length > 0, promise)
    t.same(problemsOf(evidence), [], promise)
  }
})

for (const [heading, chapter, counts] of [
  ['OWASP ASVS 5.0, V7 (session management)', 7, [3, 4, 2, 5, 3, 2]],
  ['OWASP ASVS 5.0, V3 (web frontend)', 3, [1, 3, 5, 8, 8, 1, 5]]
] as const) {
  t.test(`${heading}: each requirement has its row, with test files or a reason to have none`, async (t) => {
    const rows = tableUnder('docs/security.md', heading)
    t.same(rows.map(([id]) => id), counts.flatMap((count, section) => numbers(1, count).map((number) => `${chapter}.${section + 1}.${number}`)))
    for (const [id = '', , met = '', cell = ''] of rows) {
      const evidence = evidenceIn(cell)
      t.ok(met !== '' && (evidence.length > 0 || /^none(: the app's)?$/.test(cell)), `${id}: ${cell}`)
      t.same(problemsOf(evidence), [], id)
    }
  })
}

t.test('each defect of other packages has test files that would find it here', async (t) => {
  const rows = tableUnder('docs/comparison.md', 'Their defects, and the tests that would find them here')
  t.ok(rows.length > 10)
  for (const [defect = '', , cell = ''] of rows) {
    const evidence = evidenceIn(cell)
    t.ok(evidence.length > 0, defect)
    t.same(problemsOf(evidence), [], defect)
  }
})

t.test('each neighbour has test files that try it', async (t) => {
  const rows = tableUnder('docs/neighbours.md', 'The table')
  t.ok(rows.length > 20)
  for (const [neighbour = '', , cell = ''] of rows) {
    const evidence = evidenceIn(cell)
    t.ok(evidence.length > 0, neighbour)
    t.same(problemsOf(evidence), [], neighbour)
  }
})

t.test('evidence that is not there is found', async (t) => {
  t.same(problemsOf(evidenceIn('[a](../test/security/life.test.ts) C11, C1; [b](../test/nowhere.ts) C98')),
    ['C1 does not name test/security/life.test.ts', 'test/nowhere.ts is not there', 'C98 does not name test/nowhere.ts'])
})

t.test('what runs on each backend runs on the database servers, too, which have files of their own', async (t) => {
  const files = readdirSync(new URL('test', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && /^onEach\(/m.test(textOf(`test/${name}`)))
  const again = [...textOf('test/security/on-database.ts').matchAll(/^import '\.(?:\/|\.\/)(.*)\.js'/gm)]
    .map(([, name = '']) => `${name.includes('/') ? '' : 'security/'}${name}.ts`)
  t.same(again.sort(), files.sort())
})

t.test('the page says which backends these are', async (t) => {
  const [, every = ''] = /^`every` is (.*?)\./ms.exec(textOf('docs/security.md')) ?? []
  t.same(every.replaceAll('\n', ' ').split(/, | and /).sort(), Object.values(backends).map(({ name }) => name).sort())
})
