import t from 'tap'
import { Type } from '@sinclair/typebox'
import { openChromium } from '../support/browser.js'
import { endSession, quiet } from './docs-api.js'
import { docsApp, type DocsOptions, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const names = ['tenant', 'username', 'password', 'code', 'device', 'reason']

const options: DocsOptions = {
  routes: (app) => {
    const session = [{ account: [] }]
    const body = Type.Object(Object.fromEntries(names.map((name) => [name, Type.String()])))
    app.post('/login', { schema: { operationId: 'login', security: [{}, ...session], body } }, async (request) => {
      request.account.start({ user: (request.body as { username: string }).username, roles: [] })
      return {}
    })
    app.get('/me', { config: quiet, schema: { operationId: 'status', security: session } }, async (request) => ({ user: request.account.data.user }))
    app.post('/logout', { schema: { operationId: 'logout', security: session } }, endSession)
  },
  settings: { poll: 0 }
}

interface Box { readonly x: number, readonly y: number, readonly width: number, readonly height: number }

t.test('a login of six fields can be filled in on a phone, upright and on its side', async (t) => {
  const browser = await openChromium()
  for (const end of ends) {
    const { url } = await docsApp(t, { ...end, ...options })
    for (const viewport of [{ width: 400, height: 800 }, { width: 740, height: 360 }, { width: 320, height: 568 }]) {
      await t.test(`${end.name}, ${viewport.width} x ${viewport.height}`, async (t) => {
        const context = await browser.newContext({ viewport })
        t.teardown(() => context.close())
        const docs = await DocsPage.open(t, context, url)
        await docs.openDialog()
        await docs.says('Signed out')
        const box = async (selector: string): Promise<Box> => await docs.dialog.locator(selector).first().boundingBox() as Box
        const inside = ({ x, y, width, height }: Box): boolean => x >= 0 && y >= 0 && x + width <= viewport.width && y + height <= viewport.height
        t.ok(inside(await box('.modal-ux')), JSON.stringify(await box('.modal-ux')))
        for (const name of names) {
          await docs.field(name).fill(name)
          await docs.field(name).scrollIntoViewIfNeeded()
          const field = await box(`[name=${name}]`)
          t.ok(field.width >= Math.min(420, viewport.width - 90), `${name}: ${field.width} px wide`)
          t.ok(inside(field), `${name}: ${JSON.stringify(field)}`)
        }
        await docs.button('Sign in').scrollIntoViewIfNeeded()
        t.ok(inside(await box('.auth-btn-wrapper .authorize')))
        t.ok(inside(await box('.close-modal')), 'the button that closes')
        await docs.button('Sign in').click()
        await docs.says('Signed in')
      })
    }
  }
})
