/**
 * Holds the coverage of `lib/` that tap measured to its marks, and names the files below them. The marks find code that no
 * test reaches at all; they are not a goal. Some lines stand for systems and races that no test can bring about.
 */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

type Metric = 'statements' | 'lines' | 'functions' | 'branches'
type Summary = Record<string, Record<Metric, { pct: number }>>

const marks: Record<Metric, number> = { statements: 99, lines: 99, functions: 98, branches: 98 }

const summary = JSON.parse(readFileSync('.tap/report/coverage-summary.json', 'utf8')) as Summary
const { total, ...files } = summary
const missed = Object.entries(marks).filter(([metric, mark]) => !((total?.[metric as Metric].pct ?? 0) >= mark))
for (const [metric, mark] of missed) {
  console.error(`coverage: ${metric} are at ${total?.[metric as Metric].pct} %, and ${mark} % are asked for`)
  for (const [file, metrics] of Object.entries(files)) {
    if (metrics[metric as Metric].pct < mark) console.error(`  ${relative('.', file)}: ${metrics[metric as Metric].pct} %`)
  }
}
if (missed.length > 0 || Object.keys(files).length === 0) process.exit(1)
