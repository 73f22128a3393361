import { Redis } from 'ioredis'
import { makeKey } from 'fastify-openapi-session/sealed'
import t, { type Test } from 'tap'
import { startRedis } from '../support/servers.js'
import { Project } from './project.js'
import { textOf } from './markdown.js'

const page = 'docs/recipes/serverless.md'
const [, index = ''] = /^\*\*index\.mjs\*\*.*?^```js\n(.*?)^```$/ms.exec(textOf(page)) ?? []

/** An instance of the function: a process that gets three requests, with a cookie that it is given or signs in for. */
const instance = `
import { handler } from './index.mjs'
const send = async (method, rawPath, cookie) => await handler({ version: '2.0', headers: {}, rawPath, requestContext: { http: { method } }, ...cookie && { cookies: [cookie] } }, {})
const cookie = process.argv[2] ?? (await send('POST', '/login')).cookies[0].split(';')[0]
const responses = []
for (let n = 0; n < 3; n++) responses.push((await send('GET', '/me', cookie)).body)
console.log(JSON.stringify({ cookie, responses }))
process.exit()
`

async function run (t: Test, env: string): Promise<void> {
  const project = new Project(t)
  project.install('@fastify/aws-lambda', 'ioredis')
  project.write('index.mjs', index)
  project.write('instance.mjs', instance)
  let cookie = ''
  for (const name of ['the first instance signs in', 'the second one knows the session']) {
    const { code, output } = await project.run(`${env} node instance.mjs ${cookie}`)
    t.equal(code, 0, output)
    const shown = JSON.parse(output) as { cookie: string, responses: string[] }
    t.same(shown.responses, Array.from({ length: 3 }, () => '{"userId":"ada"}'), name)
    cookie = `'${shown.cookie}'`
  }
}

t.test('serverless: two instances share the sessions in a sealed cookie', async (t) => {
  await run(t, `SESSION_KEY=${makeKey()}`)
})

t.test('serverless: two instances share the sessions in Redis, with one connection each', async (t) => {
  const { url } = await startRedis(t)
  const client = new Redis(url)
  t.teardown(() => { client.disconnect() })
  await client.ping()
  await run(t, `REDIS_URL=${url}`)
  t.match(await client.info('stats'), 'total_connections_received:3', 'this test is one of the three')
})
