import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findExecutable, freePort, startServer, temporaryDirectory } from '../support/servers-process.js'
import { textOf } from './markdown.js'
import { runBlock } from './recipe.js'

const page = 'docs/recipes/behind-a-proxy.md'
const [, location = ''] = /^```nginx\n(.*?)^```$/ms.exec(textOf(page)) ?? []

/** Starts nginx in front of an app. Returns its origin. */
async function nginx (t: Test, api: string, location: string): Promise<string> {
  const port = await freePort()
  const folder = temporaryDirectory(t, 'nginx')
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ')
  const config = join(folder, 'nginx.conf')
  writeFileSync(config, `daemon off; master_process off; pid ${join(folder, 'pid')}; error_log stderr notice; events {}
http {
  access_log off; ${paths}
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 127.0.0.1:${port}; ${location.replace('http://127.0.0.1:3000', api)} }
}`)
  await startServer(t, { command: findExecutable('nginx'), args: ['-c', config], ready: /event method/, stopSignal: 'SIGQUIT' })
  return `http://127.0.0.1:${port}`
}

/** Sends a request of a page, as a browser without Fetch Metadata does. */
async function post (proxy: string, from: string): Promise<Response> {
  return await fetch(`${proxy}/cart`, { method: 'POST', headers: { origin: from } })
}

t.test('nginx, configured as the recipe says, passes on the host and the protocol of the browser', async (t) => {
  const { app } = await runBlock(t, page)
  const proxy = await nginx(t, await app.listen({ port: 0, host: '127.0.0.1' }), location)
  const own = await post(proxy, proxy)
  t.same(await own.json(), { origin: proxy })
  t.match(own.headers.get('set-cookie'), /^__Host-session=.*Secure/)
  t.equal((await post(proxy, 'http://evil.example')).status, 403)
})

t.test('nginx without the headers of the recipe: the refusal names the two hosts that differ', async (t) => {
  const { app } = await runBlock(t, page)
  const api = await app.listen({ port: 0, host: '127.0.0.1' })
  const proxy = await nginx(t, api, 'location / { proxy_pass http://127.0.0.1:3000; }')
  const refused = await post(proxy, proxy)
  t.equal(refused.status, 403)
  const { message } = await refused.json() as { message: string }
  for (const part of [`Origin: ${proxy}`, `Host: ${api.replace('http://', '')}`]) t.match(message, part)
})
