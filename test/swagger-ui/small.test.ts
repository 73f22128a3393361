import t from 'tap'
import { Type } from '@sinclair/typebox'
import { openChromium } from '../support/browser.js'
import { docsApp, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const names = ['one', 'two', 'three', 'four', 'five', 'six']
const Login = Type.Object(Object.fromEntries(names.map((name) => [name, Type.String({ description: `The field ${name}` })])))

t.test('a login of six fields can be filled in and sent on a small screen', async (t) => {
  const browser = await openChromium()
  for (const end of ends) {
    for (const [width, height] of [[400, 800], [740, 360]] as const) {
      await t.test(`${width} x ${height}: ${end.name}`, async (t) => {
        const { url, seen } = await docsApp(t, {
          ...end,
          routes (app) {
            app.post('/login', { schema: { operationId: 'login', security: [{ account: [] }, {}], body: Login } }, async (request) => { request.account.start({ user: 'ada', roles: [] }) })
            app.get('/me', { schema: { operationId: 'status', security: [{ account: [] }] } }, async (request) => request.account.data)
            app.post('/logout', { schema: { operationId: 'logout', security: [{ account: [] }, {}] } }, async (request) => { request.account.destroy() })
          }
        })
        const context = await browser.newContext({ viewport: { width, height } })
        t.teardown(() => context.close())
        const docs = await DocsPage.open(t, context, url)
        await docs.openDialog()
        await docs.says('Signed out')
        for (const name of names) {
          const field = docs.field(name)
          await field.fill(name)
          const box = await field.boundingBox()
          t.ok(box !== null && box.width >= 250 && box.x >= 0 && box.x + box.width <= width, `${name}: ${JSON.stringify(box)}`)
        }
        await docs.button('Authorize').click()
        await docs.says('Signed in')
        t.strictSame(seen.find(({ method }) => method === 'POST')?.body, Object.fromEntries(names.map((name) => [name, name])))
        await docs.closeDialog()
        await context.close()
      })
    }
  }
})
