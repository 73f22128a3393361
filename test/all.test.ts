import t from 'tap'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../lib')

// Coverage only knows files that some test has loaded: a file that no test imports would count as covered.
t.test('every file of the library loads', async (t) => {
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.ts'))
  t.ok(files.includes('index.ts'))
  for (const file of files) t.type(await import(join(root, file)), 'object', file)
})
