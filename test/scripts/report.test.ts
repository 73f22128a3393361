import t from 'tap'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tsx, uncovered } from '../support/tsx.js'

const script = join(import.meta.dirname, '../../scripts/report.ts')

function report (t: { testdir (): string }, lines: readonly string[]): { last: string | undefined, status: number | null, sum: string } {
  const sum = join(t.testdir(), 'sum')
  const { stdout, status } = spawnSync(process.execPath, [...tsx, script, sum], {
    input: lines.join('\n'), encoding: 'utf8', env: { ...process.env, ...uncovered }
  })
  return { last: stdout.trim().split('\n').at(-1), status, sum: readFileSync(sum, 'utf8') }
}

const passing = ['# Subtest: test/a.test.ts', '    # Subtest: one', '        ok 1 - x', '        ok 2 - y', '        1..2', '    ok 1 - one', '    1..1']

t.test('counts assertions, not the lines that close their subtests', async (t) => {
  const tap = ['TAP version 14', ...passing, 'ok 1 - test/a.test.ts', '1..1']
  t.same(report(t, tap), { last: '2 passed, 0 failed', status: 0, sum: '2 0\n' })
})

t.test('reads past what is not TAP', async (t) => {
  const tap = ['', '> pretest', 'TAP version 14', ...passing, 'ok 1 - test/a.test.ts', '1..1', '# No coverage generated', 'npm warn something']
  t.same(report(t, tap).last, '2 passed, 0 failed')
})

t.test('counts a failure once, however deep it is', async (t) => {
  const failing = passing.map((line) => line.replace('ok 2', 'not ok 2').replace('ok 1 - one', 'not ok 1 - one'))
  t.same(report(t, ['TAP version 14', ...failing, 'not ok 1 - test/a.test.ts', '1..1']), { last: '1 passed, 1 failed', status: 1, sum: '1 1\n' })
})

t.test('a file that fails without a failed assertion is a failure', async (t) => {
  t.equal(report(t, ['TAP version 14', ...passing, 'not ok 1 - test/a.test.ts', '1..1']).last, '2 passed, 1 failed')
})

t.test('nothing passes by not running', async (t) => {
  const cases: Record<string, string[]> = {
    'no test at all': ['TAP version 14', '1..0'],
    'no output': [''],
    'a file without a test': ['TAP version 14', '# Subtest: test/a.test.ts', '    1..0', 'ok 1 - test/a.test.ts', '1..1'],
    'a skipped test': ['TAP version 14', '# Subtest: test/a.test.ts', '    ok 1 - x # SKIP later', '    1..1', 'ok 1 - test/a.test.ts', '1..1'],
    'a test to be done': ['TAP version 14', '# Subtest: test/a.test.ts', '    ok 1 - x # TODO later', '    1..1', 'ok 1 - test/a.test.ts', '1..1']
  }
  for (const [name, tap] of Object.entries(cases)) {
    const { last, status } = report(t, tap)
    t.match({ last, status }, { last: '0 passed, 1 failed', status: 1 }, name)
  }
})

t.test('a run that gives up is a failure', async (t) => {
  t.equal(report(t, ['TAP version 14', ...passing, 'ok 1 - test/a.test.ts', 'Bail out! no server']).status, 1)
})
