import type { Readable } from 'node:stream'
import { Parser, type Result } from 'tap-parser'
import { stringify } from 'tap-yaml'

export interface Tally {
  passed: number
  failed: number
}

type Say = (text: string) => void

/**
 * Reads the TAP of a run: says a line for each file, and what failed in full. Returns the sum of the assertions. A run, a file or a
 * subtest without an assertion counts as a failure.
 */
export async function sumUp (input: Readable, say: Say): Promise<Tally> {
  const parser = new Parser()
  const sum = tally(parser, '', say)
  parser.on('bailout', (reason: string) => {
    sum.failed++
    show(say, '', { name: `bailed out: ${reason}`, diag: null })
  })
  // What the runner says beside the tests: coverage that is missing.
  parser.on('extra', (text: string) => { say(text.replace(/\n$/, '')) })
  await new Promise((resolve) => {
    parser.on('complete', resolve)
    input.pipe(parser)
  })
  if (sum.passed + sum.failed === 0) sum.failed++
  return sum
}

function show (say: Say, where: string, point: Pick<Result, 'name' | 'diag'>): void {
  say(`not ok: ${where}${point.name}`)
  if (point.diag) say(stringify(point.diag).replace(/^/gm, '    '))
}

/** Counts the leaves. A subtest's closing line counts only when nothing inside it says why it failed, as after a timeout. */
function tally (parser: Parser, path: string, say: Say): Tally {
  const sum = { passed: 0, failed: 0 }
  let subtest: { name: string, tally: Tally } | undefined
  parser.on('child', (child: Parser) => {
    subtest = { name: child.name, tally: tally(child, `${path}${child.name} > `, say) }
  })
  parser.on('assert', (point: Result) => {
    const inside = subtest?.tally ?? { passed: 0, failed: 0 }
    const empty = inside.passed + inside.failed === 0
    // A leaf, a file or a subtest without any assertion, or a failure that no assertion explains.
    const ok = point.ok && !point.skip && !point.todo && (subtest === undefined || !empty)
    if (ok && empty) sum.passed++
    if (!ok && inside.failed === 0) {
      sum.failed++
      show(say, path, subtest !== undefined && point.ok ? { name: `${point.name}: no assertion in it`, diag: null } : point)
    }
    sum.passed += inside.passed
    sum.failed += inside.failed
    if (path === '') say(`${ok ? 'ok' : 'not ok'}: ${point.name} (${inside.passed} passed, ${inside.failed} failed, ${Math.round(point.time ?? 0)} ms)`)
    subtest = undefined
  })
  return sum
}
