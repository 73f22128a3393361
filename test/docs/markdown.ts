import { readdirSync, readFileSync } from 'node:fs'

export const root = new URL('../../', import.meta.url)

/** A file of the project as text. `file` is relative to its root. */
export function textOf (file: string): string {
  return readFileSync(new URL(file, root), 'utf8')
}

/** The pages that people read, relative to the project's root. */
export function pages (): string[] {
  const docs = readdirSync(new URL('docs', root), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'example/README.md', 'test/README.md', ...docs.sort()]
}

/**
 * Returns the cells of a table under a heading of a Markdown file, row by row. `nth` skips tables before it, and `head` adds
 * the row of its heads.
 */
export function tableUnder (file: string, heading: string, { nth = 0, head = false } = {}): string[][] {
  const section = textOf(file).split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`${file} has no heading "${heading}"`)
  const [table = ''] = [...section.matchAll(/(?:^\|.*\n)+/gm)][nth] ?? []
  const [heads = '', , ...rows] = table.trimEnd().split('\n')
  // `\|` is a bar within a cell.
  return [...head ? [heads] : [], ...rows].map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
}
