import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { textOf } from './markdown.js'

/** The names that the drawing in docs/architecture.md gives: before its text, which starts after two spaces or is a list of names. */
const [, drawing = ''] = /^```\nlib\/\n([^]*?)^```$/m.exec(textOf('docs/architecture.md')) ?? []

t.test('every file and directory of lib/, and of lib/backend and lib/security, is in the drawing', async (t) => {
  const named = (name: string): boolean => new RegExp(`(^|[\\s(])${name.replaceAll('.', '\\.')}`, 'm').test(drawing)
  for (const directory of ['lib', 'lib/backend', 'lib/security']) {
    for (const { name } of readdirSync(fileURLToPath(new URL(`../../${directory}`, import.meta.url)), { withFileTypes: true })) {
      // Types that its neighbours implement.
      if (name === 'backend.ts') continue
      t.ok(named(name), `${directory}/${name}`)
    }
  }
})

t.test('and nothing is in the drawing that is not there', async (t) => {
  const names = [...drawing.matchAll(/^ +([\w-]+\.ts|[\w-]+\/)(?: +([\w-]+\.ts))?/gm)].flatMap(([, ...found]) => found.filter(Boolean))
  t.ok(names.length > 20, names.join(' '))
  const there = readdirSync(fileURLToPath(new URL('../../lib', import.meta.url)), { recursive: true, encoding: 'utf8' })
  for (const name of names) t.ok(there.some((path) => `${path}/`.endsWith(`/${name}/`) || `${path}/`.endsWith(`/${name}`) || path === name.replace(/\/$/, '')), name)
})
