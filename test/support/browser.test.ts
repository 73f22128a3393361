import t from 'tap'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openChromium } from './browser.js'

t.test('Chromium opens a page of this machine and keeps its cookie', async (t) => {
  const server = createServer((request, response) => {
    response.setHeader('Set-Cookie', 'seen=1; Path=/; HttpOnly')
    response.setHeader('Content-Type', 'text/html')
    response.end(`<title>${request.headers.cookie ?? 'none'}</title>`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const browser = await openChromium()
  const page = await browser.newPage()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await page.goto(url)
  t.equal(await page.title(), 'none')
  await page.goto(url)
  t.equal(await page.title(), 'seen=1')
})
