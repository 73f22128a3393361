import t from 'tap'
import { Script } from 'node:vm'
import { sessionUi } from 'fastify-openapi-session/swagger-ui'

t.test('into nothing', async (t) => {
  const { theme, uiConfig, ...rest } = sessionUi()
  t.strictSame(rest, {})
  t.strictSame(theme.js?.map(({ filename }) => filename), ['session-ui.js'])
  t.strictSame(theme.css?.map(({ filename }) => filename), ['session-ui.css'])
  t.strictSame(Object.keys(uiConfig), ['plugins'])
  t.strictSame((uiConfig.plugins as Array<() => unknown>)[0]?.(), {}, 'it is for the page: here it does nothing')
  t.equal(String(uiConfig.plugins?.[0]), '(system) => globalThis.fastifyOpenapiSessionUi(system, {"poll":30,"roles":"/roles"})')
})

t.test('beside what is there, which stays as it is', async (t) => {
  const js = [{ filename: 'a.js', content: '' }]
  const css = [{ filename: 'a.css', content: '' }]
  const plugin = () => ({})
  const options = { routePrefix: '/docs', staticCSP: true, theme: { title: 'Mine', js, css }, uiConfig: { persistAuthorization: true, plugins: [plugin] } }
  const before = structuredClone({ ...options, uiConfig: { persistAuthorization: true } })
  const merged = sessionUi(options)
  t.match(merged, { routePrefix: '/docs', staticCSP: true, theme: { title: 'Mine' }, uiConfig: { persistAuthorization: true } })
  t.equal(merged.theme.js?.[0], js[0])
  t.equal(merged.theme.css?.[0], css[0])
  t.equal(merged.uiConfig.plugins?.[0], plugin)
  t.equal(merged.uiConfig.plugins?.length, 2)
  t.strictSame({ ...options, uiConfig: { persistAuthorization: true } }, before)
  t.strictSame(options.uiConfig.plugins, [plugin])
})

t.test('the script is a classic one that leaves one name behind', async (t) => {
  const content = sessionUi().theme.js?.[0]?.content ?? ''
  t.doesNotThrow(() => new Script(content))
  const page: Record<string, unknown> = {}
  page['globalThis'] = page
  new Script(content).runInNewContext(page)
  t.strictSame(Object.keys(page), ['globalThis', 'fastifyOpenapiSessionUi'])
})

t.test('its modules become one script: none takes a name from another', async (t) => {
  const content = sessionUi().theme.js?.[0]?.content ?? ''
  const names = [...content.matchAll(/^(?:async )?(?:function|class|const|let) (\w+)/gm)].map(([, name]) => name)
  t.ok(names.length > 30)
  t.strictSame(names.filter((name, index) => names.indexOf(name) !== index), [])
})

t.test('refuses what cannot work, saying what to write', async (t) => {
  for (const poll of [-1, Number.NaN, Infinity, 86_401]) {
    t.throws(() => sessionUi({}, { poll }), { code: 'FST_SESSION_OPTIONS', message: /^sessionUi: poll must be seconds from 0 to 86400/ })
  }
  t.throws(() => sessionUi({}, { roles: 'roles' }), { code: 'FST_SESSION_OPTIONS', message: /JSON Pointer such as "\/user\/roles", not "roles"/ })
  t.doesNotThrow(() => sessionUi({}, { poll: 0, roles: '' }))
})
