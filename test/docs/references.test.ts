import t from 'tap'
import { pages, tableUnder, textOf } from './markdown.js'
import { titlesOf } from './titles.js'

const says = (title: string, words: string): boolean => /^[CF]\d+$/.test(words) ? new RegExp(`\\b${words}\\b`).test(title) : title.includes(words)

/** Whether a file has a test, or a case of the store contract, of these words. */
function hasTest (file: string, words: string): boolean {
  return titlesOf(file).some(({ text }) => says(text, words)) || textOf(file).includes(`async '${words}`)
}

t.test('each defect of the others has the test that is named', async (t) => {
  const rows = tableUnder('docs/comparison.md', 'Their defects, and the tests that would find them here')
  t.ok(rows.length > 10)
  for (const [defect = '', , cell = ''] of rows) {
    const tests = [...cell.matchAll(/\[([^\]]+)\]\(\.\.\/([^)]+)\)/g)]
    t.ok(tests.length > 0 || cell.startsWith('there is no'), defect)
    for (const [, words = '', file = ''] of tests) t.ok(hasTest(file, words), `${file}: ${words}`)
  }
})

for (const heading of ['OWASP ASVS 5.0, V7 (session management)', 'OWASP ASVS 5.0, V3 (web frontend)']) {
  t.test(`${heading}: each requirement has a test, which is there, or none with its reason`, async (t) => {
    for (const [id = '', , met = '', cell = ''] of tableUnder('docs/security.md', heading)) {
      const references = [...cell.matchAll(/\]\(\.\.\/([^)]+)\)([^[]*)/g)]
      t.ok(references.length > 0 || /^none(: the app's)?$/.test(cell), `${id}: ${cell}`)
      t.not(met, '', id)
      for (const [, file = '', after = ''] of references) {
        for (const [words, quoted] of after.matchAll(/[CF]\d+|"([^"]+)"/g)) t.ok(hasTest(file, quoted ?? words), `${id}: ${file}: ${words}`)
      }
    }
  })
}

t.test('every requirement of the two chapters has its row', async (t) => {
  const ids = (heading: string): string[] => tableUnder('docs/security.md', heading).map(([id = '']) => id)
  const numbered = (chapter: number, counts: readonly number[]): string[] =>
    counts.flatMap((count, section) => Array.from({ length: count }, (_, index) => `${chapter}.${section + 1}.${index + 1}`))
  t.same(ids('OWASP ASVS 5.0, V7 (session management)'), numbered(7, [3, 4, 2, 5, 3, 2]))
  t.same(ids('OWASP ASVS 5.0, V3 (web frontend)'), numbered(3, [1, 3, 5, 8, 8, 1, 5]))
})

t.test('the values and sentences of the debug line are those that the page explains', async (t) => {
  const heading = 'Why is there no cookie?'
  const code = textOf('lib/diagnosis.ts')
  const values = (nth: number): string[] => tableUnder('docs/errors.md', heading, nth).flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, value = '']) => value))
  const union = (text: string): string[] => [...text.matchAll(/'([\w-]+)'/g)].map(([, value = '']) => value)
  t.same(values(0).sort(), union(/LoadedAs = (.*)/.exec(code)?.[1] ?? '').sort())
  const kinds = [...textOf('lib/backend/backend.ts').matchAll(/readonly kind: '(\w+)'/g)].map(([, kind = '']) => kind).filter((kind) => !['live', 'dead'].includes(kind))
  t.same(values(1).sort(), [...new Set([...kinds, 'failed'])].sort())
  const sentences = [...tableUnder('docs/errors.md', heading).map(([, why = '']) => why), ...tableUnder('docs/errors.md', heading, 2).map(([why = '']) => why)].filter(Boolean)
  t.same([...sentences, 'cookie set'].sort(), [...code.matchAll(/'([a-z][^'`\n]* [^'`\n]*)'/g)].map(([, sentence = '']) => sentence).sort())
  const [, warnings = ''] = textOf('docs/errors.md').split('The plugin warns of')
  for (const [, warning = ''] of warnings.matchAll(/^- "(.*?)"/gms)) t.ok(textOf('lib/response.ts').includes(warning.replaceAll(/\s+/g, ' ')), warning)
})

t.test('a link to a part of a page leads to one of its headings', async (t) => {
  for (const page of pages()) {
    for (const [, target = '', anchor = ''] of textOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)#([^)]+)\)/g)) {
      const file = target === '' ? page : new URL(target, `file:///${page}`).pathname.slice(1)
      // As GitHub makes them: small letters, no punctuation, a hyphen for each space.
      const anchors = [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))
      t.ok(anchors.includes(anchor), `${page} links to ${file}#${anchor}`)
    }
  }
})
