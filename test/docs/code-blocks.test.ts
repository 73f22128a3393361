import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { createHost } from '../support/compiler.js'
import { everything } from '../support/everything.js'
import { pages } from './markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Returns a compiler host that finds `files`, which exist only in memory, beside those on the disk. */
function compiler (options: ts.CompilerOptions, files: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = createHost(options)
  const { fileExists, readFile, directoryExists = () => true } = host
  host.fileExists = (file) => files.has(file) || fileExists(file)
  host.readFile = (file) => files.get(file) ?? readFile(file)
  host.directoryExists = (directory) => directory.startsWith(join(root, 'dist')) || directoryExists(directory)
  return host
}

/** Returns the declarations that the package is published with, by file. */
function declarations (): Map<string, string> {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile) as { config: object }
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const written = new Map<string, string>()
  const program = ts.createProgram(fileNames, { ...options, declarationMap: false, noCheck: true }, compiler(options, written))
  program.emit(undefined, (file, text) => written.set(file, text), undefined, true)
  return written
}

/** The options of a user who copies a block: not the stricter ones of this project. */
const plain: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, strict: true, skipLibCheck: true, noEmit: true, types: ['node']
}

interface Block {
  readonly name: string
  /** A path in test/, so that the packages of the project are found from there. */
  readonly file: string
  readonly code: string
}

/** A file of a project, with its name above it. `test/docs/project.ts` runs these. */
const FILE_OF_PROJECT = /^\*\*[\w./-]+\*\*[^\n]*\n\n```ts\n.*?^```$/gms

function blocks (page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(FILE_OF_PROJECT, (file) => file.replaceAll(/[^\n]/g, ''))
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ 1: code = '', index }) => {
    const line = text.slice(0, index).split('\n').length
    return { name: `${page}:${line}`, file: join(root, 'test', `${page.replaceAll(/\W/g, '-')}-${line}.ts`), code: `${code}\nexport {}\n` }
  })
}

const published = declarations()

/** Compiles files as one program against the package as it is published. Returns the errors in these files. */
function problems (files: readonly string[], unwritten: ReadonlyArray<readonly [file: string, code: string]> = []): string[] {
  const program = ts.createProgram(files, plain, compiler(plain, new Map([...published, ...unwritten])))
  return files.map((file) => program.getSourceFile(file))
    .flatMap((source) => [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)])
    .map(({ file, messageText }) => `${basename(file?.fileName ?? '')}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

/** Compiles blocks as one program. */
function problemsOf (blocks: readonly Block[]): string[] {
  return problems(blocks.map(({ file }) => file), blocks.map(({ file, code }) => [file, code]))
}

// First, while the declarations are those of the files on the disk: the blocks take a minute, and the example may change in it.
if (everything) t.test('the example compiles there, too', async (t) => {
  const files = ts.sys.readDirectory(join(root, 'example'), ['.ts'])
  t.ok(files.length > 10)
  t.same(problems(files), [])
})

const all = pages().flatMap(blocks)
/**
 * Blocks that augment a module. All files of a program see that, so that each of these is a program of its own, which takes
 * seconds. The short form compiles those of the README.
 */
const augmenting = all.filter(({ code }) => code.includes('declare module'))

t.test('every block of TypeScript in README and docs compiles against the published declarations', async (t) => {
  t.ok(all.length > 20, `${all.length} blocks found`)
  t.same(problemsOf(all.filter((block) => !augmenting.includes(block))), [])
  for (const block of augmenting.filter(({ name }) => everything || name.startsWith('README.md'))) t.same(problemsOf([block]), [], block.name)
})

t.test('a block that does not compile is found', async (t) => {
  const file = join(root, 'test', 'wrong.ts')
  t.match(problems([file], [[file, "import plugin from 'fastify-openapi-session'\nplugin.nothing()"]]), [/nothing/])
})
