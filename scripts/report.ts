/**
 * Reads the TAP of a run on standard input and shows a line for each file, what failed in full, and the sum.
 *
 *     tap --reporter=tap | tsx scripts/report.ts [file to write "passed failed" to]
 *
 * Fails when anything failed, and when a file or the whole run held no assertion.
 */
import { writeFileSync } from 'node:fs'
import { sumUp } from './tally.js'

const { passed, failed } = await sumUp(process.stdin, console.log)
if (process.argv[2] !== undefined) writeFileSync(process.argv[2], `${passed} ${failed}\n`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
