import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openChromium } from '../support/browser.js'
import { uncovered } from '../support/tsx.js'
import { pages as sources, root as rootUrl, textOf } from './markdown.js'

const root = fileURLToPath(rootUrl)
const { homepage } = JSON.parse(textOf('package.json')) as { homepage: string }
const base = new URL(homepage).pathname
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2' }

/** Serves the site as GitHub Pages does: below the path of its repository, pages also without `.html`. */
async function serve (t: Test): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://localhost')
    const file = join(root, '.cache/docs', decodeURIComponent(pathname.slice(base.length)))
    const found = pathname.startsWith(base) ? [file, `${file}.html`, join(file, 'index.html')].find((path) => existsSync(path) && statSync(path).isFile()) : undefined
    if (found === undefined) return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(found)] ?? 'application/octet-stream' }).end(readFileSync(found))
  })
  t.teardown(() => { server.close().closeAllConnections() })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The links, heads and anchors of the page that a browser shows. Runs there. */
const LOOK = `({
  links: [...document.querySelectorAll('a[href]')].map(({ href }) => href),
  ids: [...document.querySelectorAll('[id]')].map(({ id }) => id),
  title: document.title,
  images: [...document.images].filter((image) => image.complete && image.naturalWidth === 0).map(({ src }) => src)
})`

interface Seen { readonly links: string[], readonly ids: string[], readonly title: string, readonly images: string[] }

/** What a new user types into the search, and the start of a page that has to be among the first three hits. */
const QUESTIONS = {
  'how do I log in': 'questions#how-do-i-log-a-user-in',
  'log out': 'questions#how-do-i-log-a-user-out',
  'log out everywhere': 'questions#how-do-i-log-out-everywhere',
  '401 in tests': 'questions#why-do-i-get-401',
  'cookie is not set': 'errors/#why-is-there-no-cookie',
  'cookie not set on http': 'questions#why-is-the-cookie-not-set',
  'Set-Cookie missing in Swagger': 'questions#why-is-set-cookie-missing',
  CORS: 'questions#which-cors-settings',
  'Safari localhost': 'recipes/local-https',
  'property session does not exist on type FastifyRequest': 'questions#typescript',
  'session undefined': 'questions#why-is-requestsession-empty',
  'where is the session stored': 'questions#where-are-sessions-stored',
  'lost after restart': 'questions#where-are-sessions-stored',
  'how long does a session last': 'questions#how-long-does-a-session-last',
  'remember me': 'questions#how-do-i-keep-a-user-signed-in',
  'redirect to login page': 'questions#how-do-i-redirect',
  CSRF: 'questions#do-i-need-csrf-tokens',
  '403 cross origin': 'errors/FST_SESSION_CROSS_ORIGIN',
  Redis: 'questions#how-do-i-use-redis',
  zod: 'questions#can-i-use-zod',
  'role admin': 'questions#how-do-i-protect-a-route-for-a-role',
  'current user': 'questions#how-do-i-get-the-current-user',
  JWT: 'questions#can-a-route-accept-a-session-or-a-jwt',
  'behind nginx': 'recipes/behind-a-proxy',
  docker: 'recipes/deploy',
  'require is not defined ESM': 'questions#require-of-es-module-not-supported',
  Jest: 'recipes/testing#jest',
  WebSocket: 'recipes/websocket',
  'change data of session': 'questions#how-do-i-change-the-data',
  'rate limit': 'questions#how-do-i-limit-login-attempts',
  'custom store': 'write-a-store',
  Lambda: 'recipes/serverless',
  NestJS: 'questions#does-it-work-with-nestjs',
  'flash message': 'questions#how-do-i-show-a-flash-message'
}

t.test('the documentation site is built, each of its links leads to a page and an anchor, and nothing comes from elsewhere', async (t) => {
  execFileSync('npm', ['run', '--silent', 'docs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...uncovered, NODE_OPTIONS: '' } })
  const origin = await serve(t)
  const browser = await openChromium()
  const context = await browser.newContext({ colorScheme: 'light' })
  const page = await context.newPage()
  const asked: string[] = []
  page.on('request', (request) => { asked.push(request.url()) })
  page.on('pageerror', (error) => { t.fail(error.message) })
  const missing: string[] = []
  page.on('response', (response) => { if (response.status() >= 400) missing.push(response.url()) })

  const visited = new Map<string, Seen>()
  const anchors: Array<readonly [from: string, url: URL]> = []
  const waiting = [`${origin}${base}`]
  for (const address of waiting) {
    if (visited.has(address)) continue
    await page.goto(address)
    const seen = await page.evaluate<Seen>(LOOK)
    visited.set(address, seen)
    for (const url of seen.links.map((link) => new URL(link)).filter((link) => link.origin === origin)) {
      if (url.hash !== '') anchors.push([address, url])
      const target = `${origin}${url.pathname}`
      if (!visited.has(target)) waiting.push(target)
    }
  }

  t.ok(visited.size > 40, `${visited.size} pages`)
  t.same(missing, [], 'each page and file that a page names is there')
  t.same(asked.filter((url) => !url.startsWith(origin) && !url.startsWith('data:')), [], 'nothing is loaded from elsewhere')
  for (const [address, { images }] of visited) t.same(images, [], `the pictures of ${address.slice(origin.length)}`)
  const lost = anchors.filter(([, { pathname, hash }]) => !visited.get(`${origin}${pathname}`)?.ids.includes(decodeURIComponent(hash.slice(1))))
  t.same(lost.map(([from, url]) => `${from.slice(origin.length)} -> ${url.pathname}${url.hash}`), [], 'each anchor is there')

  const paths = new Set([...visited.keys()].map((url) => url.slice(origin.length + base.length)))
  const expected = sources().filter((file) => file.startsWith('docs/') && file !== 'docs/errors.md').map((file) => file.slice('docs/'.length, -'.md'.length))
  t.same(expected.filter((path) => !paths.has(path)), [], 'each page of docs/ can be reached')
  for (const [code] of textOf('lib/errors.ts').matchAll(/FST_SESSION_\w+(?=: \d{3})/g)) {
    t.ok(paths.has(`errors/${code}`), `the address in ${code} is a page`)
    t.match(visited.get(`${origin}${base}errors/${code}`)?.title, code)
  }

  await page.goto(`${origin}${base}session`)
  const color = async (): Promise<string> => await page.evaluate<string>('getComputedStyle(document.querySelector(".drawing")).color')
  const light = await color()
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.locator('html.dark').waitFor({ state: 'attached' })
  t.not(await color(), light, 'a drawing follows the colors of the page')
  await page.keyboard.press('Control+k')
  await page.locator('#localsearch-input').fill('stale-secret')
  await page.locator('#localsearch-list a').first().waitFor()
  t.match(await page.locator('#localsearch-list').innerText(), /Options|Errors/)
  for (const [question, answer] of Object.entries(QUESTIONS)) {
    await page.locator('#localsearch-input').fill(question)
    const found = await page.waitForFunction(`[...document.querySelectorAll('#localsearch-list a')].slice(0, 3).some((hit) => hit.getAttribute('href').startsWith('${base}${answer}'))`, null, { timeout: 60_000 })
      .then(() => true, () => false)
    t.ok(found, `${question}: ${answer} is among the first three hits`)
  }
  t.same(asked.filter((url) => !url.startsWith(origin) && !url.startsWith('data:')), [], 'the search asks no other host')
})
