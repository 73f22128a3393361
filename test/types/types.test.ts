import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/*
 * Types are tested by compiling: a line below `@ts-expect-error` must not compile, everything else must. An augmentation
 * holds for a whole program, so each directory here is a program of its own.
 */
const directory = import.meta.dirname
const cases = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name)

// The files whose augmentations of Fastify have to agree with those of others; `npm run types` checks the rest of lib.
const augmenting = ['index.ts', 'register.ts', 'openapi/fastify-schema.ts'].map((file) => join(directory, '../../lib', file))

// The programs share most of their files, and parsing is most of the work.
const parsed = new Map<string, ts.SourceFile | undefined>()

/** What the compiler has to say about a case. */
function compile (name: string): string[] {
  const read = ts.getParsedCommandLineOfConfigFile(join(directory, name, 'tsconfig.json'), {}, {
    ...ts.sys, onUnRecoverableConfigFileDiagnostic: ({ messageText }) => { throw new Error(String(messageText)) }
  })
  if (read === undefined || read.errors.length > 0) throw new Error(`${name}/tsconfig.json: ${JSON.stringify(read?.errors.map(({ messageText }) => messageText))}`)
  const host = ts.createCompilerHost(read.options, true)
  const getSourceFile = host.getSourceFile.bind(host)
  host.getSourceFile = (file, options) => {
    const key = `${file} ${typeof options === 'object' ? options.impliedNodeFormat : ''}`
    if (!parsed.has(key)) parsed.set(key, getSourceFile(file, options))
    return parsed.get(key)
  }
  // As for people who have not installed it; `security` of a schema has to be known nevertheless.
  if (name !== 'one') {
    const fileExists = host.fileExists.bind(host)
    host.fileExists = (file) => !file.includes('/node_modules/@fastify/swagger/') && fileExists(file)
  }
  const program = ts.createProgram({ rootNames: read.fileNames, options: read.options, host })
  const checked = [...read.fileNames, ...augmenting].map((file) => program.getSourceFile(file) as ts.SourceFile)
  const diagnostics = [
    ...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(),
    ...checked.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
  ]
  return diagnostics.map(({ file, start = 0, messageText }) => {
    const at = file ? `${relative(directory, file.fileName)}:${file.getLineAndCharacterOfPosition(start).line + 1} ` : ''
    return at + ts.flattenDiagnosticMessageText(messageText, '\n')
  })
}

t.same(cases, ['named', 'none', 'one', 'several'])

for (const name of cases) {
  t.test(`the program "${name}" compiles, and nothing in it that must not`, async (t) => {
    t.same(compile(name), [])
  })
}
