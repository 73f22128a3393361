/**
 * Compiles the programs of test/types as users do: against the published declarations, with the oldest and the newest TypeScript
 * that the README promises, with the modules of Node.js and with those of a bundler. Run `npm run build` first.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'

const root = resolve(import.meta.dirname, '..')
const [, oldest = ''] = /^- \*\*TypeScript\*\* ([\d.]+) or newer/m.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
const work = mkdtempSync(join(tmpdir(), 'session-types-'))
process.once('exit', () => rmSync(work, { recursive: true, force: true }))

const options = {
  strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true, skipLibCheck: true,
  target: 'es2022', types: ['node'], typeRoots: [join(root, 'node_modules/@types')]
}
const resolutions = {
  'Node.js': { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' }
}

/** Compiles the files of a directory as one program. Returns whether it compiles. */
function compiles (version: string, directory: string, resolution: keyof typeof resolutions): boolean {
  const config = join(work, 'tsconfig.json')
  const files = ts.sys.readDirectory(directory, ['.ts'], undefined, ['*.ts'])
  writeFileSync(config, JSON.stringify({ compilerOptions: { ...options, ...resolutions[resolution] }, files }))
  const { status, stdout, stderr } = spawnSync('npx', ['-y', '-p', `typescript@${version}`, '--', 'tsc', '-p', config], { cwd: work, encoding: 'utf8' })
  console.log(`TypeScript ${version}, ${resolution}, ${relative(root, directory)}: ${status === 0 ? 'ok' : `\n${stdout}${stderr}`}`)
  return status === 0
}

const programs = ts.sys.readDirectory(join(root, 'test/types'), ['.json'], undefined, ['**/tsconfig.json']).map((file) => dirname(file))
const declared = programs.filter((program) => program.endsWith('/route/declared'))
if (oldest === '' || declared.length === 0) throw new Error('the README names no TypeScript, or test/types has no program route/declared')
// The test of test/types compiles all programs with the newest TypeScript. How a bundler finds the types does not depend on the program.
const cells = [
  ...programs.map((program) => [`~${oldest}.0`, program, 'Node.js'] as const),
  ...[`~${oldest}.0`, ts.version].flatMap((version) => declared.map((program) => [version, program, 'bundler'] as const)),
  ...declared.map((program) => [ts.version, program, 'Node.js'] as const)
]
process.exitCode = cells.filter(([version, program, resolution]) => !compiles(version, program, resolution)).length === 0 ? 0 : 1
