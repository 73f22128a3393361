import t, { type Test } from 'tap'
import { openChromium } from '../support/browser.js'
import { DocsPage } from '../swagger-ui/docs-page.js'
import { Project, sectionsOf } from './project.js'

const ada = { name: 'ada', password: 'lovelace' }

/** Sends a request of a browser that has `cookie`, and does not follow redirects. */
async function send (url: string, { cookie, json, form, method = 'GET' }: { cookie?: string, json?: object, form?: Record<string, string>, method?: string } = {}): Promise<Response> {
  return await fetch(url, {
    redirect: 'manual',
    method,
    headers: { ...cookie !== undefined && { cookie }, ...json && { 'content-type': 'application/json' }, 'sec-fetch-site': 'same-origin' },
    ...(json ?? form) && { method: 'POST', body: json ? JSON.stringify(json) : new URLSearchParams(form) }
  })
}

function cookieOf (response: Response): string {
  return response.headers.getSetCookie().map((line) => line.split(';', 1).join()).join('; ')
}

async function api (t: Test, url: string): Promise<void> {
  t.equal((await send(`${url}/api/me`)).status, 401)
  t.equal((await send(`${url}/api/login`, { json: { ...ada, password: 'wrong' } })).status, 401)
  t.equal((await send(`${url}/api/login`, { json: { ...ada, name: 'grace' } })).status, 401)
  t.equal((await send(`${url}/api/login`, { json: {} })).status, 400)
  const cookie = cookieOf(await send(`${url}/api/login`, { json: ada }))
  t.same(await (await send(`${url}/api/me`, { cookie })).json(), { id: 'ada', name: 'Ada', roles: ['clerk'] })
  t.equal((await send(`${url}/api/logout`, { cookie, method: 'POST' })).status, 204)
  t.equal((await send(`${url}/api/me`, { cookie })).status, 401)
  const document = await (await send(`${url}/docs/json`)).json() as { paths: Record<string, Record<string, { security: unknown }>>, components: any }
  t.same(Object.keys(document.paths), ['/api/login', '/api/me', '/api/logout'], 'pages are not part of the API')
  t.same(document.paths['/api/me']?.get?.security, [{ session: [] }])
  t.same(document.components.securitySchemes.session['x-session'], { login: 'login', status: 'me', logout: 'logout' })
}

async function pages (t: Test, url: string): Promise<void> {
  const guest = await send(`${url}/?tea=1`)
  t.equal(guest.status, 303)
  t.equal(guest.headers.get('location'), `/login?next=${encodeURIComponent('/?tea=1')}`)
  const form = await send(`${url}${guest.headers.get('location')}`)
  t.equal(form.headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(await form.text(), 'name="next" value="/?tea=1"')
  const wrong = await send(`${url}/login`, { form: { ...ada, name: '<ada>', password: 'wrong', next: '/?tea=1' } })
  t.equal(wrong.status, 401)
  const shown = await wrong.text()
  for (const part of ['Unknown name or wrong password.', 'name="next" value="/?tea=1"', 'name="name" value="&#60;ada&#62;"']) t.match(shown, part)
  const right = await send(`${url}/login`, { form: { ...ada, next: '/?tea=1' } })
  t.same([right.status, right.headers.get('location')], [303, '/?tea=1'])
  const cookie = cookieOf(right)
  t.match(await (await send(`${url}/`, { cookie })).text(), 'Hello Ada')
  for (const next of ['https://evil.example/', '//evil.example', '/\\evil.example', '/.//evil.example', 'javascript:alert(1)']) {
    t.equal((await send(`${url}/login`, { form: { ...ada, next } })).headers.get('location'), '/', next)
  }
  const logout = await send(`${url}/logout`, { cookie, form: {} })
  t.same([logout.status, logout.headers.get('location')], [303, '/login'])
  t.equal((await send(`${url}/`, { cookie })).status, 303)
}

/** What an app has to do after each section that ends with one. */
const afterSection: Readonly<Record<string, (t: Test, project: Project) => Promise<void>>> = {
  '2.': async (t, project) => {
    const { url, stop } = await project.start()
    await api(t, url)
    await stop()
  },
  '3.': async (t, project) => {
    const { url, stop } = await project.start()
    await api(t, url)
    await pages(t, url)
    await stop()
  },
  '4.': async (t, project) => {
    const { code, output } = await project.run('npm test')
    t.equal(code, 0, output)
    t.match(output, /pass 1/)
  },
  '5.': async (t, project) => {
    const first = await project.start()
    const cookie = cookieOf(await send(`${first.url}/api/login`, { json: ada }))
    await first.stop()
    const second = await project.start()
    t.equal((await send(`${second.url}/api/me`, { cookie })).status, 200, 'signed in after a restart')
  }
}

for (const [page, typed] of [['docs/getting-started.md', true], ['docs/getting-started-javascript.md', false]] as const) {
  t.test(`${page} runs in an empty folder as it is pasted, section by section`, async (t) => {
    const project = new Project(t)
    const sections = sectionsOf(page).filter(({ heading }) => /^\d/.test(heading))
    t.same(sections.map(({ heading }) => heading.slice(0, 2)), ['1.', '2.', '3.', '4.', '5.'])
    for (const section of sections) {
      project.apply(section)
      if (typed && /^[235]/.test(section.heading)) t.same(await project.run('npm run --silent types'), { code: 0, output: '' }, section.heading)
      await afterSection[section.heading.slice(0, 2)]?.(t, project)
    }
  })
}

t.test('the app of the README has at most 25 lines, and runs in an empty folder as it is pasted', async (t) => {
  const [section] = sectionsOf('README.md').filter(({ heading }) => heading === 'One screen')
  const code = section?.files.get('app.mts') ?? ''
  const lines = code.split('\n').filter((line) => line !== '').length
  t.ok(lines > 10 && lines <= 25, `${lines} lines`)
  const project = new Project(t)
  // What `npm init -y` writes.
  project.write('package.json', '{ "type": "commonjs" }')
  project.write('tsconfig.json', '{ "compilerOptions": { "target": "es2023", "module": "nodenext", "strict": true, "noEmit": true, "skipLibCheck": true } }')
  if (section !== undefined) project.apply(section)
  project.install('tsx', 'typescript', '@types/node')
  t.same(await project.run('npx tsc'), { code: 0, output: '' })
  const { url } = await project.start('npx tsx app.mts')
  t.equal((await send(`${url}/auth/me`)).status, 401)
  t.equal((await send(`${url}/auth/login`, { json: { username: 'ada', password: 'wrong' } })).status, 401)
  const cookie = cookieOf(await send(`${url}/auth/login`, { json: { username: 'ada', password: 'lovelace' } }))
  t.same(await (await send(`${url}/ledger`, { cookie })).json(), { for: 'ada' })
  t.same(await (await send(`${url}/auth/me`, { cookie })).json(), { principal: 'ada', roles: ['clerk'] })
  const document = await (await send(`${url}/docs/json`)).json() as { paths: object, components: any }
  t.same(Object.keys(document.paths).length, 6)
  t.same(document.components.securitySchemes.session['x-session'], { login: 'login', status: 'me', logout: 'logout' })

  const docs = await DocsPage.open(t, await openChromium(), url.replace('127.0.0.1', 'localhost'))
  await docs.openDialog()
  await docs.enter({ username: 'ada', password: 'wrong' }, 'session')
  await docs.field('password', 'session').press('Enter')
  await docs.warns('Unknown user name or wrong password.', 'session')
  await docs.enter({ username: 'ada', password: 'lovelace' }, 'session')
  await docs.field('password', 'session').press('Enter')
  await docs.says('Signed in', 'session')
  t.match(await docs.form('session').locator('dl').innerText(), /ada\s+roles\s+clerk/)
})
