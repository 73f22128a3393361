import { readFileSync } from 'node:fs'

/** The fenced code of a language under a heading of a Markdown file, up to the next heading. `file` is relative to the project's root. */
export function blockUnder (file: string, heading: string, language: string): string {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`))
  const block = section?.match(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm'))?.[1]
  if (block === undefined) throw new Error(`${file} has no ${language} under "${heading}"`)
  return block
}
