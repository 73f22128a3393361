/**
 * Builds the documentation site: `npm run docs`. The pages of docs/ are copied, beside pages that are made here: one for each
 * error code, the API reference, the changelog. VitePress writes the site to .cache/docs. The site loads nothing from elsewhere.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, resolve } from 'node:path'
import { build } from 'vitepress'
import { config, manifest, REPOSITORY } from './config.js'
import { writeReference } from './reference.js'

const root = resolve(import.meta.dirname, '../..')
const site = join(root, '.cache/site')

/** Pages of the repository that the site has under another name, by path in the repository. */
const MOVED: Readonly<Record<string, string>> = {
  'README.md': 'index.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security-policy.md',
  'docs/errors.md': 'errors/index.md'
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

function write (page: string, text: string): void {
  mkdirSync(dirname(join(site, page)), { recursive: true })
  writeFileSync(join(site, page), text)
}

/** Returns the address of a file of the repository: a page of the site, or else a file at GitHub. */
function addressOf (path: string, anchor: string, page: string): string {
  const code = anchor.startsWith('#fst_') ? anchor.slice(1).toUpperCase() : undefined
  if (path === 'docs/errors.md' && code !== undefined) return to(`errors/${code}.md`, page)
  const target = MOVED[path] ?? (path.startsWith('docs/') && path.endsWith('.md') ? path.slice('docs/'.length) : undefined)
  return target === undefined ? `${REPOSITORY}/blob/main/${path}${anchor}` : to(target, page) + anchor
}

function to (target: string, page: string): string {
  const path = posix.relative(posix.dirname(page), target)
  return path.startsWith('.') ? path : `./${path}`
}

/** Returns the text of a page with its links and images as the site has them. `page` is its path there. */
function placed (path: string, page: string, text: string): string {
  // Links in code stay as they are.
  return text.split(/(^```.*?^```$)/ms).map((part) => part.startsWith('```') ? part : part
    .replaceAll(/!\[([^\]]*)\]\(([^)]+)\)/g, (_all, alt: string, target: string) => image(posix.join(posix.dirname(path), target), alt, page))
    .replaceAll(/\]\((?!https?:|\.?\/?assets)([^)#\s]*)(#[^)]*)?\)/g, (all, target: string, anchor = '') =>
      target === '' && path !== 'docs/errors.md' ? all : `](${addressOf(target === '' ? path : posix.join(posix.dirname(path), target), anchor, page)})`)
  ).join('')
}

/** Returns a picture. A drawing becomes part of the page, so that it follows the colors that the reader has chosen. */
function image (path: string, alt: string, page: string): string {
  if (!path.endsWith('.svg')) return `<img src="${to(path.replace('docs/', ''), page)}" alt="${alt}">`
  const id = posix.basename(path, '.svg')
  const drawing = read(path).replace(/<style>.*?<\/style>\n/s, '').replaceAll('tip', `tip-${id}`).replaceAll(/\n+/g, '')
  return `<div class="drawing">${drawing}</div>`
}

/** Writes a page for each error code, and the overview without them. */
function writeErrors (): void {
  const [overview = '', ...sections] = read('docs/errors.md').split(/^(?=## )/m)
  const [codes, others] = [sections.filter((text) => text.startsWith('## FST_')), sections.filter((text) => !text.startsWith('## FST_'))]
  write('errors/index.md', placed('docs/errors.md', 'errors/index.md', overview + others.join('')))
  for (const section of codes) {
    const code = section.slice(3, section.indexOf('\n'))
    const status = new RegExp(`\\[${code}\\].*\\| (.*) \\|`).exec(overview)?.[1]
    const text = section.replace(/^## .*\n/, `# ${code}\n\nStatus: ${status}.\n`)
    write(`errors/${code}.md`, placed('docs/errors.md', `errors/${code}.md`, text))
  }
}

function writePages (): void {
  for (const file of readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md') && name !== 'errors.md')) {
    write(file, placed(`docs/${file}`, file, read(`docs/${file}`)))
  }
  for (const [path, page] of Object.entries(MOVED)) {
    if (page === 'index.md') write(page, home() + placed(path, page, read(path).replace(/^# .*?(?=^## )/ms, '')))
    else if (path !== 'docs/errors.md') write(page, placed(path, page, read(path)))
  }
  writeErrors()
  cpSync(join(root, 'docs/images'), join(site, 'images'), { recursive: true })
}

/** The head of the first page. The README goes below it. */
function home (): string {
  const features = [
    ['Loaded', 'Only routes that declare the session touch the store.'],
    ['Enforced', '401 and 403 before the body is read.'],
    ['Typed', 'The type of request.session follows the route.'],
    ['Documented', 'Scheme, lock and errors, and an "Authorize" that signs in.']
  ].map(([title, details]) => ({ title, details }))
  const actions = [{ text: 'Getting started', link: '/getting-started' }, { text: 'In JavaScript', link: '/getting-started-javascript', theme: 'alt' }]
  const hero = { name: manifest.name, text: 'Sessions from one line of OpenAPI', tagline: manifest.description, actions }
  return `---\n${JSON.stringify({ layout: 'home', hero, features })}\n---\n\n`
}

rmSync(site, { recursive: true, force: true })
writePages()
writeReference(root, join(site, 'api'))
// Anchors as GitHub makes them, so that a link within docs/ works in both places.
const slugify = String.raw`(text) => text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').trim().replaceAll(' ', '-')`
// The many short entries of the API reference would come before the guide, and readers search for answers.
const boostDocument = "(id) => id.includes('/api/') ? 0.25 : id.includes('/questions') ? 1.5 : 1"
write('.vitepress/config.mjs', `const config = ${JSON.stringify(config(site))}
config.themeConfig.search.options = { miniSearch: { searchOptions: { boostDocument: ${boostDocument} } } }
export default { ...config, markdown: { anchor: { slugify: ${slugify} } } }
`)
cpSync(join(import.meta.dirname, 'theme'), join(site, '.vitepress/theme'), { recursive: true })
await build(site, { outDir: join(root, '.cache/docs') })
