import { readdirSync } from 'node:fs'
import { extname } from 'node:path'
import t from 'tap'
import { pages, root, textOf } from './markdown.js'

/** Turns of phrase that a reader whose first language is another one stumbles over, with what to write instead. */
const IDIOMS: ReadonlyArray<readonly [found: RegExp, instead: string]> = [
  [/(?<!\b[Tt]here )\bis no (?!longer\b|more\b|later\b)/g, '"is not a ..."'],
  [/, say(?:[,.;:)]|$)/gm, '"such as ..." or "for example"'],
  [/\b[Aa]new\b/g, '"again" or "new"'],
  [/\b([Nn]obody|[Ss]omebody)\b/g, 'the request, process, client or user that does it'],
  [/\/\*\*\s+(?:\* )?(What|Whether|Where|Who)\b/g, '"Returns ..." for a function, a noun or "True if ..." for a property']
]

/** Returns the files of a directory whose text people read. */
function filesIn (directory: string): string[] {
  return readdirSync(new URL(directory, root), { recursive: true, encoding: 'utf8' }).sort()
    .filter((name) => ['.ts', '.js', '.md', '.eta'].includes(extname(name)))
    .map((name) => `${directory}/${name}`)
}

/** Returns the titles of the tests in a file, one a line. */
function titlesIn (file: string): string {
  return [...textOf(file).matchAll(/(?:\.test|\bonEach)\(\s*(?:t, )?(['"`])(.*?)(?<!\\)\1/g)].map(([, , title]) => title).join('\n')
}

function idiomsIn (text: string): string[] {
  return IDIOMS.flatMap(([idiom, instead]) => [...text.matchAll(idiom)].map(({ index }) => {
    const line = text.slice(text.lastIndexOf('\n', index) + 1, (text.indexOf('\n', index + 5) + 1 || text.length + 1) - 1)
    return `${line.trim()} -> write ${instead}`
  }))
}

t.test('comments, messages, pages and test titles are in plain English', async (t) => {
  const sources = [...filesIn('lib'), ...filesIn('example'), ...pages()]
  const tests = filesIn('test').filter((file) => file.endsWith('.test.ts'))
  t.ok(sources.length > 150 && tests.length > 80, 'the files are found')
  const texts = new Map([...sources.map((file) => [file, textOf(file)] as const), ...tests.map((file) => [file, titlesIn(file)] as const)])
  for (const [file, text] of texts) t.same(idiomsIn(text), [], file)
})

t.test('an idiom is found', async (t) => {
  const [first, second] = idiomsIn('/** Whether it works. */\nThere is no rain.\nA token is no key, nobody has it, say.')
  t.match([first, second], [/is no key.* -> write "is not a/, /say\./])
  t.equal(idiomsIn('/** What is it */ /**\n * Where').length, 2)
})
