import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { pages } from './markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

// The programs share most of their files, and parsing is most of the work.
const parsed = new Map<string, ts.SourceFile | undefined>()

/** A compiler that finds `files`, which are nowhere written, beside those on the disk. */
function compiler (options: ts.CompilerOptions, files: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, directoryExists = () => true, getSourceFile } = host
  host.fileExists = (file) => files.has(file) || fileExists(file)
  host.readFile = (file) => files.get(file) ?? readFile(file)
  host.directoryExists = (directory) => directory.startsWith(join(root, 'dist')) || directoryExists(directory)
  host.getSourceFile = (file, ...others) => {
    if (!parsed.has(file)) parsed.set(file, getSourceFile(file, ...others))
    return parsed.get(file)
  }
  return host
}

/** The declarations that the package is published with, by file. */
function declarations (): Map<string, string> {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile) as { config: object }
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const written = new Map<string, string>()
  const program = ts.createProgram(fileNames, { ...options, declarationMap: false, noCheck: true }, compiler(options, written))
  program.emit(undefined, (file, text) => written.set(file, text), undefined, true)
  return written
}

/** What people have who copy a block: not the stricter options of this project. */
const plain: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, strict: true, skipLibCheck: true, noEmit: true, types: ['node']
}

interface Block {
  readonly name: string
  /** As if it stood in test/, so that what is imported by a relative path is found from there. */
  readonly file: string
  readonly code: string
}

function blocks (page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ 1: code = '', index }) => {
    const line = text.slice(0, index).split('\n').length
    return { name: `${page}:${line}`, file: join(root, 'test', `${page.replaceAll(/\W/g, '-')}-${line}.ts`), code: `${code}\nexport {}\n` }
  })
}

const published = declarations()

/** What TypeScript has to say of files that are one program of the package as it is published. */
function problems (files: readonly string[], unwritten: ReadonlyArray<readonly [file: string, code: string]> = []): string[] {
  const program = ts.createProgram(files, plain, compiler(plain, new Map([...published, ...unwritten])))
  return files.map((file) => program.getSourceFile(file))
    .flatMap((source) => [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)])
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

// By itself: what a package adds to the types of another, all of a program know.
t.test('every block of TypeScript in README and docs compiles by itself, against what is published', async (t) => {
  const all = pages().flatMap(blocks)
  t.ok(all.length > 20, `${all.length} blocks found`)
  for (const { name, file, code } of all) t.same(problems([file], [[file, code]]), [], name)
})

t.test('the example compiles there, too', async (t) => {
  const files = ts.sys.readDirectory(join(root, 'example'), ['.ts'])
  t.ok(files.length > 10)
  t.same(problems(files), [])
})

t.test('a block that does not compile is found', async (t) => {
  const file = join(root, 'test', 'wrong.ts')
  t.match(problems([file], [[file, "import plugin from 'fastify-openapi-session'\nplugin.nothing()"]]), [/nothing/])
})

t.test('links within the docs lead to a page or a file that is there', async (t) => {
  for (const page of pages()) {
    const prose = readFileSync(join(root, page), 'utf8').replaceAll(/^```.*?^```$/gms, '')
    for (const [, target = ''] of prose.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      t.ok(ts.sys.fileExists(join(root, page, '..', target)), `${page} links to ${target}`)
    }
  }
})
