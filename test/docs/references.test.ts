import { existsSync } from 'node:fs'
import t from 'tap'
import { pages, root, tableUnder, textOf } from './markdown.js'

/** Returns the links of a page: where each leads, relative to the project's root, and the anchor. */
function linksIn (page: string): Array<{ file: string, anchor: string | undefined }> {
  const prose = textOf(page).replaceAll(/^```.*?^```$/gms, '')
  return [...prose.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)/g)]
    .map(([, target = '', anchor]) => ({ file: target === '' ? page : new URL(target, `file:///${page}`).pathname.slice(1), anchor }))
}

/** Returns the anchors of a page, as GitHub makes them: small letters, no punctuation, a hyphen for each space. */
function anchorsOf (page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))
}

t.test('each link leads to a file that is there, and to one of its headings', async (t) => {
  for (const page of pages()) {
    for (const { file, anchor } of linksIn(page)) {
      t.ok(existsSync(new URL(file, root)), `${page} links to ${file}`)
      if (anchor !== undefined) t.ok(anchorsOf(file).includes(anchor), `${page} links to ${file}#${anchor}`)
    }
  }
})

t.test('each page of docs/ can be reached from the README', async (t) => {
  const reached = new Set(['README.md'])
  for (const page of reached) for (const { file } of linksIn(page)) if (file.endsWith('.md')) reached.add(file)
  t.same(pages().filter((page) => page.startsWith('docs/') && !reached.has(page)), [])
})

t.test('each option has its row on the page of options', async (t) => {
  for (const [heading, file, type] of [['Options', 'types', 'SessionOptions'], ['`cookie`', 'cookie', 'CookieOptions']] as const) {
    const [, members = ''] = new RegExp(`interface ${type}\\b.*?\\{\\n(.*?)^\\}`, 'ms').exec(textOf(`lib/options/${file}.ts`)) ?? []
    const names = [...members.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => `\`${name}\``)
    t.same(tableUnder('docs/options.md', heading).map(([name]) => name).sort(), names.sort())
  }
})

t.test('each error code has its entry, with what happened, why and what to write', async (t) => {
  const [, codes = ''] = /statusOf = \{(.*?)\}/s.exec(textOf('lib/errors.ts')) ?? []
  const entries = textOf('docs/errors.md').split(/^## /m).filter((part) => part.startsWith('FST_'))
  t.same(entries.map((entry) => entry.split('\n')[0]).sort(), codes.match(/FST_\w+/g)?.sort())
  for (const entry of entries) for (const part of ['What happened', 'Why', 'What to write']) t.match(entry, `**${part}:**`)
})

t.test('the values and sentences of the debug line are those that the page explains', async (t) => {
  const heading = 'Why is there no cookie?'
  const code = textOf('lib/request/diagnostics.ts')
  const values = (nth: number): string[] => tableUnder('docs/errors.md', heading, { nth })
    .flatMap(([cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, value = '']) => value))
  const union = (name: string): string[] => [...(new RegExp(`${name} = (.*)`).exec(code)?.[1] ?? '').matchAll(/'([\w-]+)'/g)].map(([, value = '']) => value)
  const [, results = ''] = /NOT_LOADED = \{(.*?)\n\}/s.exec(code) ?? []
  t.same(values(0).sort(), [...results.matchAll(/^ {2}'?([\w-]+)'?: /gm)].map(([, value = '']) => value).sort())
  t.same(values(1).sort(), union('SavedAs').sort())
  const sentences = [...tableUnder('docs/errors.md', heading).map(([, why = '']) => why), ...tableUnder('docs/errors.md', heading, { nth: 2 }).map(([why = '']) => why)]
  const explained = code.slice(code.indexOf('NOT_LOADED'), code.indexOf('const warned'))
  const said = [...explained.matchAll(/'([a-z][^'`\n]* [^'`\n]*)'/g)].map(([, sentence = '']) => sentence)
  t.same([...sentences.filter(Boolean), 'cookie set'].sort(), said.sort())
  const [, warnings = ''] = textOf('docs/errors.md').split('The plugin warns of')
  for (const [, warning = ''] of warnings.matchAll(/^- "(.*?)"/gms)) t.ok(code.includes(warning.replaceAll(/\s+/g, ' ')), warning)
})
