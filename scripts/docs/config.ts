import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly homepage: string
  readonly repository: { readonly url: string }
  readonly exports: Record<string, string | Record<string, string>>
}

export const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest

export const REPOSITORY = manifest.repository.url.replace(/^git\+|\.git$/g, '')

/** The entry points of the package: their name, their source, the module as TypeDoc calls it, and their page. */
export const entries = Object.entries(manifest.exports).flatMap(([entry, target]) => {
  if (typeof target === 'string') return []
  const source = Object.values(target)[0] as string
  const module = source.replace(/^\.\/lib\//, '').replace(/(?<=.)\/index\.ts$|\.ts$/, '')
  return [{ name: manifest.name + entry.slice(1), source, module, page: entry === '.' ? 'main' : entry.slice(2) }]
})

const link = (text: string, page: string): { text: string, link: string } => ({ text, link: `/${page}` })

/** The pages beside each other, as the reader finds them. Those of error codes are in the overview of errors. */
export const sidebar = [
  {
    text: 'Guide',
    items: [
      link('Getting started', 'getting-started'), link('In JavaScript', 'getting-started-javascript'), link('Questions and answers', 'questions'), link('Ready routes', 'routes'),
      link('Declaring security', 'security-declaration'), link('The session', 'session'), link('Options', 'options'),
      link('Errors', 'errors/'), link('The OpenAPI document', 'openapi'), link('"Authorize" in Swagger UI', 'swagger-ui')
    ]
  },
  {
    text: 'Stores',
    items: [
      link('Which one', 'stores'), link('SQL', 'stores/sql'), link('express-session', 'stores/express'),
      link('Sealed cookies', 'sealed-cookies'), link('Your own', 'write-a-store')
    ]
  },
  { text: 'Recipes', items: [...recipes(), link('Other plugins and frameworks', 'neighbours')] },
  { text: 'Coming from', items: [link('Another session plugin', 'migration'), link('FastAPI', 'coming-from-fastapi'), link('Comparison', 'comparison')] },
  {
    text: 'Behind it',
    items: [
      link('Security', 'security'), link('Performance', 'performance'), link('Architecture', 'architecture'), link('Changelog', 'changelog'),
      link('Upgrading', 'upgrading'), link('Contributing', 'contributing'), link('Security policy', 'security-policy')
    ]
  },
  { text: 'API reference', items: entries.map(({ name, page }) => link(name.replace(manifest.name, page === 'main' ? 'the package' : '…'), `api/${page}`)) }
]

/** Returns the recipes, by the titles of their pages. */
function recipes (): Array<{ text: string, link: string }> {
  const folder = new URL('../../docs/recipes/', import.meta.url)
  return readdirSync(folder).sort().map((file) => {
    const [, title = file] = /^# (.*)/.exec(readFileSync(new URL(file, folder), 'utf8')) ?? []
    return link(title, `recipes/${file.replace('.md', '')}`)
  })
}

/** Returns the configuration of VitePress. `site` is the folder of the pages. @throws if the sidebar names a page that is not there */
export function config (site: string): object {
  const missing = sidebar.flatMap(({ items }) => items).filter((item) => !existsSync(join(site, `${item.link.replace(/\/$/, '/index')}.md`)))
  if (missing.length > 0) throw new Error(`the sidebar names pages that are not there: ${missing.map((item) => item.link).join(', ')}`)
  return {
    lang: 'en',
    title: manifest.name,
    description: manifest.description,
    base: new URL(manifest.homepage).pathname,
    cleanUrls: true,
    lastUpdated: false,
    themeConfig: {
      sidebar,
      nav: [link('Guide', 'getting-started'), link('Errors', 'errors/'), link('API', 'api/'), link(`Version ${manifest.version}`, 'changelog')],
      search: { provider: 'local' },
      outline: 'deep',
      socialLinks: [{ icon: 'github', link: REPOSITORY }]
    }
  }
}
