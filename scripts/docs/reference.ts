import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { entries, manifest } from './config.js'

/** Writes the API reference, made from the types, into a folder: a page for each entry point of the package. */
export function writeReference (root: string, folder: string): void {
  const raw = `${folder}-raw`
  const options = ['--tsconfig', 'tsconfig.build.json', '--plugin', 'typedoc-plugin-markdown', '--router', 'module', '--readme', 'none']
  const looks = ['--hidePageHeader', '--useHTMLAnchors', '--hideBreadcrumbs', '--disableSources', '--excludePrivate', '--excludeInternal', '--logLevel', 'Error']
  const files = entries.map(({ source }) => source)
  execFileSync(join(root, 'node_modules/.bin/typedoc'), [...options, ...looks, '--out', raw, '--entryPoints', ...files], { cwd: root, stdio: 'inherit' })
  mkdirSync(folder, { recursive: true })
  for (const { name, page, module } of entries) {
    const text = readFileSync(join(raw, `${module}.md`), 'utf8')
      .replace(/^# .*/, `# ${name}`)
      .replaceAll(/\]\(([^)#:\s]+)\.md(#[^)]*)?\)/g, (_all, target: string, anchor = '') => `](./${pageOf(module, target)}.md${anchor})`)
    writeFileSync(join(folder, `${page}.md`), text)
  }
  const list = entries.map(({ name, page }) => `- [\`${name}\`](./${page}.md)`).join('\n')
  writeFileSync(join(folder, 'index.md'), `# API reference\n\nMade from the types of version ${manifest.version}. One page for each entry point:\n\n${list}\n`)
  rmSync(raw, { recursive: true })
}

/** Returns the page of the module that a link of another module leads to. */
function pageOf (from: string, target: string): string {
  const path = new URL(target, `file:///${from}`).pathname.slice(1)
  const found = entries.find(({ module }) => module === path)
  if (found === undefined) throw new Error(`the reference links to ${path}, which is not an entry point`)
  return found.page
}
