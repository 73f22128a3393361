import { readdirSync, readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)

/** A file of the project as text. `file` is relative to its root. */
export function textOf (file: string): string {
  return readFileSync(new URL(file, root), 'utf8')
}

/** The pages that people read, relative to the project's root. */
export function pages (): string[] {
  const docs = readdirSync(new URL('docs', root), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'example/README.md', ...docs.sort()]
}

/** The cells of the first table under a heading of a Markdown file, row by row, without its head; `nth` is for those after it. */
export function tableUnder (file: string, heading: string, nth = 0): string[][] {
  const section = textOf(file).split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`${file} has no heading "${heading}"`)
  const [table = ''] = [...section.matchAll(/(?:^\|.*\n)+/gm)][nth] ?? []
  // `\|` is a bar within a cell.
  return table.trimEnd().split('\n').slice(2).map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
}

/** Where the links of a cell of `docs/*.md` lead, relative to the project's root. */
export function linksOf (cell: string): string[] {
  return [...cell.matchAll(/\]\(\.\.\/([^)#]+)/g)].map(([, target = '']) => target)
}
