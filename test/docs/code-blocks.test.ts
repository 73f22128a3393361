import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { pages } from './markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object }
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)

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
    return { name: `${page}:${line}`, file: join(root, 'test', `${page.replaceAll(/\W/g, '-')}-${line}.ts`), code }
  })
}

const parsed = new Map<string, ts.SourceFile | undefined>()

/** What TypeScript has to say of blocks that are compiled as one program. */
function problems (group: readonly Block[]): Map<Block, string[]> {
  const host = ts.createCompilerHost(options)
  const codes = new Map(group.map(({ file, code }) => [file, `${code}\nexport {}\n`]))
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (file) => codes.has(file) || fileExists(file)
  host.readFile = (file) => codes.get(file) ?? readFile(file)
  host.getSourceFile = (file, languageVersion, ...others) => {
    const code = codes.get(file)
    if (code !== undefined) return ts.createSourceFile(file, code, languageVersion)
    if (!parsed.has(file)) parsed.set(file, getSourceFile(file, languageVersion, ...others))
    return parsed.get(file)
  }
  const program = ts.createProgram({ rootNames: [...codes.keys()], options, host })
  return new Map(group.map((block) => {
    const source = program.getSourceFile(block.file)
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    return [block, found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))]
  }))
}

const all = pages().flatMap(blocks)
const augmenting = all.filter(({ code }) => code.includes('declare module'))

t.test('every block of TypeScript in README and docs compiles as it stands', async (t) => {
  t.ok(all.length > 20, `${all.length} blocks found`)
  // Two blocks that say what a session holds do not fit into one program.
  for (const group of [all.filter((block) => !augmenting.includes(block)), ...augmenting.map((block) => [block])]) {
    for (const [{ name }, found] of problems(group)) t.same(found, [], name)
  }
})

t.test('a block that does not compile is found', async (t) => {
  const wrong: Block = { name: 'wrong', file: join(root, 'test', 'wrong.ts'), code: "import plugin from 'fastify-openapi-session'\nplugin.nothing()" }
  t.match([...problems([wrong]).values()], [[/nothing/]])
})

t.test('links within the docs lead to a page or a file that is there', async (t) => {
  for (const page of pages()) {
    const prose = readFileSync(join(root, page), 'utf8').replaceAll(/^```.*?^```$/gms, '')
    for (const [, target = ''] of prose.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      t.ok(ts.sys.fileExists(join(root, page, '..', target)), `${page} links to ${target}`)
    }
  }
})
