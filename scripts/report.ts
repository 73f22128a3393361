/**
 * Reads the TAP of a run on standard input and shows a line for each file, what failed in full, and the sum.
 *
 *     tap --reporter=tap | tsx scripts/report.ts [file to write "passed failed" to]
 *
 * Fails when anything failed, and when a file or the whole run held no assertion.
 */
import { writeFileSync } from 'node:fs'
import { Parser, type Result } from 'tap-parser'
import { stringify } from 'tap-yaml'

interface Tally {
  passed: number
  failed: number
}

function fail (where: string, point: Pick<Result, 'name' | 'diag'>): void {
  console.log(`not ok: ${where}${point.name}`)
  if (point.diag) console.log(stringify(point.diag).replace(/^/gm, '    '))
}

/** Counts the leaves. A subtest's closing line counts only when nothing inside it says why it failed, as after a timeout. */
function tally (parser: Parser, path: string): Tally {
  const sum = { passed: 0, failed: 0 }
  let subtest: { name: string, tally: Tally } | undefined
  parser.on('child', (child: Parser) => {
    subtest = { name: child.name, tally: tally(child, `${path}${child.name} > `) }
  })
  parser.on('assert', (point: Result) => {
    const inside = subtest?.tally ?? { passed: 0, failed: 0 }
    const empty = inside.passed + inside.failed === 0
    // A leaf, a file or a subtest without any assertion, or a failure that no assertion explains.
    const ok = point.ok && !point.skip && !point.todo && (subtest === undefined || !empty)
    if (ok && empty) sum.passed++
    if (!ok && inside.failed === 0) {
      sum.failed++
      fail(path, subtest !== undefined && point.ok ? { name: `${point.name}: no assertion in it`, diag: null } : point)
    }
    sum.passed += inside.passed
    sum.failed += inside.failed
    if (path === '') console.log(`${ok ? 'ok' : 'not ok'}: ${point.name} (${inside.passed} passed, ${inside.failed} failed, ${Math.round(point.time ?? 0)} ms)`)
    subtest = undefined
  })
  return sum
}

const parser = new Parser()
const sum = tally(parser, '')
parser.on('bailout', (reason: string) => {
  sum.failed++
  fail('', { name: `bailed out: ${reason}`, diag: null })
})
// What the runner says beside the tests: coverage that is missing.
parser.on('extra', (text: string) => process.stdout.write(text))
await new Promise((resolve) => {
  parser.on('complete', resolve)
  process.stdin.pipe(parser)
})

if (sum.passed + sum.failed === 0) sum.failed++
if (process.argv[2] !== undefined) writeFileSync(process.argv[2], `${sum.passed} ${sum.failed}\n`)
console.log(`${sum.passed} passed, ${sum.failed} failed`)
process.exitCode = sum.failed === 0 ? 0 : 1
