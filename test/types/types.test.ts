import { dirname, join, relative } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { createHost } from '../support/compiler.js'
import { everything } from '../support/everything.js'

/*
 * Types are tested by compiling: a line below `@ts-expect-error` must not compile, everything else must. An augmentation
 * holds for a whole program, so each directory with a tsconfig.json is a program of its own.
 */
const directory = import.meta.dirname
const programs = ts.sys.readDirectory(directory, ['.json'], undefined, ['**/tsconfig.json']).map((file) => relative(directory, dirname(file))).sort()

// The file whose augmentations of Fastify have to agree with those of others; `npm run types` checks the rest of lib.
const augmenting = [join(directory, '../../lib/api.ts')]

/**
 * Returns the errors of a program, and how many types the compiler made from generic ones; with `swagger: false`, as an app sees
 * them that has not installed @fastify/swagger.
 */
function compile (name: string, { swagger }: { swagger: boolean }): { errors: string[], instantiations: number } {
  const read = ts.getParsedCommandLineOfConfigFile(join(directory, name, 'tsconfig.json'), {}, {
    ...ts.sys, onUnRecoverableConfigFileDiagnostic: ({ messageText }) => { throw new Error(String(messageText)) }
  })
  if (read === undefined || read.errors.length > 0) throw new Error(`${name}/tsconfig.json: ${JSON.stringify(read?.errors.map(({ messageText }) => messageText))}`)
  const host = createHost(read.options)
  const swaggerTypes = ts.sys.realpath?.(join(directory, '../../node_modules/@fastify/swagger/types/index.d.ts')) as string
  if (!swagger) {
    const fileExists = host.fileExists.bind(host)
    host.fileExists = (file) => !file.includes('/node_modules/@fastify/swagger/') && fileExists(file)
  }
  const rootNames = swagger ? [...read.fileNames, swaggerTypes] : read.fileNames
  const program = ts.createProgram({ rootNames, options: read.options, host })
  if (swagger !== (program.getSourceFile(swaggerTypes) !== undefined)) throw new Error(`${name}: the types of @fastify/swagger are ${swagger ? 'not ' : ''}there`)
  const checked = [...read.fileNames, ...augmenting].map((file) => program.getSourceFile(file) as ts.SourceFile)
  const diagnostics = [
    ...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(),
    ...checked.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
  ]
  const errors = diagnostics.map(({ file, start = 0, messageText }) => {
    const at = file ? `${relative(directory, file.fileName)}:${file.getLineAndCharacterOfPosition(start).line + 1} ` : ''
    return at + ts.flattenDiagnosticMessageText(messageText, '\n')
  })
  return { errors, instantiations: program.getInstantiationCount() }
}

t.same(programs, ['named', 'none', 'one', 'route/declared', 'route/defaults', 'route/guests', 'route/several', 'route/undeclared', 'several'])

/** A program takes seconds: the short form compiles one with @fastify/swagger and one without. */
const short = ['one with', 'route/declared without']

for (const name of programs) {
  // Only "one" says itself that it uses @fastify/swagger.
  const cells = (name === 'one' ? [true] : name.startsWith('route/') ? [true, false] : [false])
    .filter((swagger) => everything || short.includes(`${name} ${swagger ? 'with' : 'without'}`))
  if (cells.length === 0) continue
  t.test(`the program "${name}" compiles, and nothing in it that must not`, async (t) => {
    for (const swagger of cells) {
      const { errors, instantiations } = compile(name, { swagger })
      t.same(errors, [], swagger ? 'with @fastify/swagger' : 'without @fastify/swagger')
      // Fastify's own types make 114,000 for the first route. 1,400,000 took four seconds of CPU.
      t.ok(instantiations < 400_000, `${instantiations} instantiations`)
    }
  })
}
