import t from 'tap'
import { openChromium } from '../support/browser.js'
import { enter, heading, listen, open, signIn } from './browser.js'
import { ada, grace } from './visitor.js'

t.test('in the browser', async (t) => {
  const browser = await openChromium()
  const shop = await listen(t)
  const { url } = shop

  await t.test('visit, sign in wrong, sign in right, cart kept, sign out, back', async (t) => {
    const page = await open(t, browser, url)
    await page.goto('/')
    await page.getByRole('button', { name: 'Add Sencha to cart' }).click()
    t.equal(await page.getByRole('status').innerText(), 'Sencha is in your cart.')
    await page.getByRole('link', { name: 'Cart 1' }).click()
    await page.getByRole('link', { name: 'Sign in to order' }).click()

    await signIn(page, { ...grace, password: 'wrong' }, '/login')
    t.match(await page.getByRole('alert').innerText(), /do not go together/)
    t.match(await page.title(), /^Error/)
    await page.locator('#password:focus').waitFor()
    t.equal(await page.getByLabel('User name').inputValue(), 'grace')

    await signIn(page, grace, '/cart')
    t.equal(await page.getByRole('status').innerText(), 'Welcome, Grace Hopper.', 'back where they were going')
    await page.getByRole('row', { name: /^Total/ }).waitFor()
    t.match(await page.getByRole('row').allInnerTexts(), ['Tea', /^Sencha/, /^Total/])
    await page.reload()
    t.equal(await page.getByRole('status').count(), 0, 'the message is shown once')

    const cookie = (await page.context().cookies()).find(({ name }) => name === '__Host-session')
    t.match(cookie, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' })
    t.equal(await page.evaluate('document.cookie'), '')

    await page.getByRole('link', { name: 'Account', exact: true }).click()
    await heading(page, 'Your account')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await heading(page, 'You are signed out.')
    await page.goBack()
    await page.waitForURL('/login?next=%2Faccount')
    t.notMatch(await page.content(), /Hopper/, 'the back button leads to the login page')
    await page.goBack()
    await page.waitForURL('/cart')
    t.notMatch(await page.content(), /Hopper/)
  })

  await t.test('a second browser is signed out from the first', async (t) => {
    const first = await open(t, browser, url)
    await enter(first, shop, grace)
    const second = await open(t, browser, url, { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' })
    await second.goto('/account')
    await signIn(second, grace, '/account')
    await first.goto('/sessions')
    const entry = first.getByRole('listitem').filter({ hasText: 'Firefox on Linux' })
    await entry.getByRole('button', { name: /^Sign out/ }).click()
    t.equal(await first.getByRole('status').innerText(), 'That session has ended.')
    await second.reload()
    await second.waitForURL('/login?next=%2Faccount')

    await enter(second, shop, grace)
    await second.goto('/account')
    await heading(second, 'Your account')
    await first.reload()
    await first.getByRole('button', { name: 'Sign out everywhere else' }).click()
    t.equal(await first.getByRole('status').innerText(), 'One other session has ended.')
    await second.reload()
    await second.waitForURL('/login?next=%2Faccount')
    await first.getByRole('link', { name: 'Account', exact: true }).click()
    await heading(first, 'Your account')
  })

  await t.test('the admin page', async (t) => {
    const page = await open(t, browser, url)
    await enter(page, shop, grace)
    await page.goto('/admin')
    await heading(page, 'Not for you')
    await page.goto('/')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await heading(page, 'You are signed out.')
    await page.goto('/admin')
    await page.waitForURL('/login?next=%2Fadmin')
    await enter(page, shop, ada)
    await page.reload()
    t.match(await page.getByRole('row', { name: /Grace Hopper/ }).innerText(), /grace/)
  })

  await t.test('a page of another site cannot act as the visitor', async (t) => {
    const page = await open(t, browser, url)
    await enter(page, shop, grace)
    // Same host, another port: another origin that gets the cookie all the same, SameSite or not.
    const evil = await listen(t)
    const attack = await page.context().newPage()
    await attack.route('**/attack', (route) => route.fulfill({
      contentType: 'text/html', body: `<form method="post" action="${url}/logout"><button>Win a prize</button></form>`
    }))
    await attack.goto(`${evil.url}/attack`)
    const answer = attack.waitForResponse(`${url}/logout`)
    await attack.getByRole('button').click()
    t.equal((await answer).status(), 403)
    t.match(await (await answer).request().allHeaders(), { cookie: /__Host-session=/ }, 'though the cookie came along')
    await page.goto('/account')
    await heading(page, 'Your account')
  })

  await t.test('the API\'s documentation', async (t) => {
    const page = await open(t, browser, url)
    await enter(page, shop, grace)
    await page.goto('/docs')
    await page.getByRole('button', { name: /Who is signed in|\/api\/me/ }).first().click()
    await page.getByRole('button', { name: 'Try it out' }).click()
    const answer = page.waitForResponse('**/api/me')
    await page.getByRole('button', { name: 'Execute' }).click()
    t.equal((await answer).status(), 200, 'the session of the pages')
  })
})
