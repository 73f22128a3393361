import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { sumUp, type Tally } from '../../scripts/tally.js'
import { tsx, uncovered } from '../support/tsx.js'

const report = async (lines: readonly string[]): Promise<Tally> => await sumUp(Readable.from([lines.join('\n')]), () => {})

const passing = ['# Subtest: test/a.test.ts', '    # Subtest: one', '        ok 1 - x', '        ok 2 - y', '        1..2', '    ok 1 - one', '    1..1']

t.test('the script writes the sum to its output and to a file, and its exit code says whether anything failed', async (t) => {
  for (const [end, last, status, written] of [['ok', '2 passed, 0 failed', 0, '2 0\n'], ['not ok', '2 passed, 1 failed', 1, '2 1\n']] as const) {
    const sum = join(t.testdir(), 'sum')
    const script = join(import.meta.dirname, '../../scripts/report.ts')
    const input = ['TAP version 14', ...passing, `${end} 1 - test/a.test.ts`, '1..1'].join('\n')
    const run = spawnSync(process.execPath, [...tsx, script, sum], { input, encoding: 'utf8', env: { ...process.env, ...uncovered } })
    t.match(run, { status })
    t.equal(run.stdout.trim().split('\n').at(-1), last)
    t.equal(readFileSync(sum, 'utf8'), written)
  }
})

t.test('assertions are counted, and the lines that close their subtests are not', async (t) => {
  t.same(await report(['TAP version 14', ...passing, 'ok 1 - test/a.test.ts', '1..1']), { passed: 2, failed: 0 })
})

t.test('text that is not TAP is ignored', async (t) => {
  const tap = ['', '> pretest', 'TAP version 14', ...passing, 'ok 1 - test/a.test.ts', '1..1', '# No coverage generated', 'npm warn something']
  t.same(await report(tap), { passed: 2, failed: 0 })
})

t.test('a failure is counted once, however deep it is', async (t) => {
  const failing = passing.map((line) => line.replace('ok 2', 'not ok 2').replace('ok 1 - one', 'not ok 1 - one'))
  t.same(await report(['TAP version 14', ...failing, 'not ok 1 - test/a.test.ts', '1..1']), { passed: 1, failed: 1 })
})

t.test('a file that fails without a failed assertion is a failure', async (t) => {
  t.same(await report(['TAP version 14', ...passing, 'not ok 1 - test/a.test.ts', '1..1']), { passed: 2, failed: 1 })
})

t.test('a run, file or test that asserts nothing is a failure', async (t) => {
  const cases: Record<string, string[]> = {
    'no test at all': ['TAP version 14', '1..0'],
    'no output': [''],
    'a file without a test': ['TAP version 14', '# Subtest: test/a.test.ts', '    1..0', 'ok 1 - test/a.test.ts', '1..1'],
    'a skipped test': ['TAP version 14', '# Subtest: test/a.test.ts', '    ok 1 - x # SKIP later', '    1..1', 'ok 1 - test/a.test.ts', '1..1'],
    'a test to be done': ['TAP version 14', '# Subtest: test/a.test.ts', '    ok 1 - x # TODO later', '    1..1', 'ok 1 - test/a.test.ts', '1..1']
  }
  for (const [name, tap] of Object.entries(cases)) t.same(await report(tap), { passed: 0, failed: 1 }, name)
})

t.test('a run that gives up is a failure', async (t) => {
  t.match(await report(['TAP version 14', ...passing, 'ok 1 - test/a.test.ts', 'Bail out! no server']), { failed: 1 })
})
