import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { root, textOf } from './markdown.js'
import { Project, sectionsOf } from './project.js'

const page = 'docs/recipes/testing.md'
const [, app = ''] = /^\*\*app\.js\*\*.*?^```js\n(.*?)^```$/ms.exec(textOf(page)) ?? []

for (const [runner, packages] of [['node:test', []], ['tap', ['tap']]] as const) {
  t.test(`the test for ${runner} runs as it is pasted`, async (t) => {
    const project = new Project(t)
    const section = sectionsOf(page).find(({ heading }) => heading === runner)
    project.install(...packages)
    // tap would build its plugins first, which takes a minute.
    cpSync(fileURLToPath(new URL('.tap/plugins', root)), join(project.folder, '.tap/plugins'), { recursive: true })
    project.write('.taprc', "plugin: ['!@tapjs/typescript']\n")
    project.write('package.json', '{ "type": "module" }')
    project.write('app.js', app)
    if (section !== undefined) project.apply(section)
    const [command = 'false'] = section?.commands ?? []
    const good = await project.run(command)
    t.equal(good.code, 0, good.output)
    t.match(good.output, 'a signed-in user has a profile')
    project.write('app.js', app.replace('request.session.data)', "'nothing')"))
    t.equal((await project.run(command)).code, 1, 'a wrong app fails the test')
  })
}

t.test('each runner tests the same in the same order', async (t) => {
  const steps = sectionsOf(page).map(({ files }) => files.get('me.test.js')).filter((code) => code !== undefined)
    .map((code) => [...code.matchAll(/app\.(?:inject\([^)]*\)|session\.issue\([^)]*\)|close\(\))/g)].map(([call]) => call).toSorted())
  t.equal(steps.length, 4)
  for (const calls of steps) t.same(calls, steps[0])
})
