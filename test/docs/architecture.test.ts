import { readdirSync } from 'node:fs'
import t from 'tap'
import { root, textOf } from './markdown.js'

/** The picture of lib/ in docs/architecture.md: a folder or file of lib/ begins a line, after two spaces. */
const [, picture = ''] = /^```\nlib\/\n([^]*?)^```$/m.exec(textOf('docs/architecture.md')) ?? []

t.test('the picture has each folder and file of lib/, and nothing else', async (t) => {
  const there = readdirSync(new URL('lib', root), { withFileTypes: true }).map((entry) => entry.isDirectory() ? `${entry.name}/` : entry.name)
  const drawn = [...picture.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name)
  t.same(drawn.sort(), there.sort())
})

t.test('each file that the page names is there', async (t) => {
  const names = [...textOf('docs/architecture.md').matchAll(/\b[\w/.-]+\.ts\b/g)].map(([name]) => name)
  const there = ['lib', 'test', 'bench'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`))
  t.ok(names.length > 10)
  t.same(names.filter((name) => !there.some((file) => file.endsWith(`/${name}`) || file === name)), [])
})
