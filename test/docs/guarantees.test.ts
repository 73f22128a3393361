import t from 'tap'
import { backends } from '../security/backends.js'
import { guarantees, nothing, stores } from './guarantees.js'
import { tableUnder, textOf } from './markdown.js'
import { titlesOf } from './titles.js'

const page = 'docs/stores.md'
const heading = 'What each promises'

t.test('the table of what each store promises is the one whose tests are named', async (t) => {
  t.match(textOf(page), `## ${heading}\n\n| | ${stores.join(' | ')} |`)
  t.same(tableUnder(page, heading), guarantees.map(([promise, ...cells]) => [promise, ...cells.map(([says]) => says)]))
})

t.test('each cell has a test, that runs on its store', async (t) => {
  const names = Object.entries(backends)
  for (const [promise, ...cells] of guarantees) {
    t.equal(cells.length, stores.length, promise)
    for (const [index, [says, ...proofs]] of cells.entries()) {
      const store = stores[index] as string
      if (!nothing.includes(says)) t.not(proofs.length, 0, `${promise}, ${store}: ${says}`)
      for (const [file, title] of proofs) {
        const found = titlesOf(file).find(({ text }) => text === title)
        t.ok(found, `${file}: ${title}`)
        if (found?.on !== undefined) t.ok(names.some(([key, { name, sealed }]) => [key, ...name.split(' ')].includes(store.toLowerCase()) && !(sealed && found.on === 'every store')), `${title} runs on ${store}`)
      }
    }
  }
})
