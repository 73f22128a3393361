/**
 * Compiles every TypeScript project of the repository without writing anything. An augmentation of `SessionSchemas` holds
 * for a whole program, so a directory whose sessions differ from its neighbours' has a tsconfig.json of its own, and a file that
 * imports the example is in the example's project. Fails, too, when a source file is in no project.
 */
import { execFileSync } from 'node:child_process'
import { relative, resolve } from 'node:path'
import ts from 'typescript'

const root = resolve(import.meta.dirname, '..')

function tracked (...patterns: string[]): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '--', ...patterns]
  const files = execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim().split('\n')
  return files.map((file) => resolve(root, file)).filter((file) => ts.sys.fileExists(file))
}

// The programs share most of their files, and parsing is most of the work.
const parsed = new Map<string, ts.SourceFile | undefined>()

function createHost (options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options)
  const getSourceFile = host.getSourceFile.bind(host)
  host.getSourceFile = (file, parsing) => {
    const format = typeof parsing === 'object' ? parsing.impliedNodeFormat : undefined
    const key = [file, format, options.target, options.module, options.checkJs].join()
    if (!parsed.has(key)) parsed.set(key, getSourceFile(file, parsing))
    return parsed.get(key)
  }
  return host
}

function read (config: string): ts.ParsedCommandLine {
  const onUnRecoverableConfigFileDiagnostic = ({ messageText }: ts.Diagnostic): never => {
    throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'))
  }
  const project = ts.getParsedCommandLineOfConfigFile(config, {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic })
  if (project === undefined) throw new Error(`${config} cannot be read`)
  return project
}

/** What the compiler has to say about a project's own files; for a library that is built, about its dependencies' types as well. */
function check ({ fileNames, options, errors }: ts.ParsedCommandLine): readonly ts.Diagnostic[] {
  const program = ts.createProgram({ rootNames: fileNames, options, host: createHost(options), configFileParsingDiagnostics: errors })
  if (options.skipLibCheck !== true) return ts.getPreEmitDiagnostics(program)
  const own = fileNames.map((file) => program.getSourceFile(file)).filter((file) => file !== undefined)
  return [
    ...program.getConfigFileParsingDiagnostics(), ...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(),
    ...own.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
  ]
}

const seen = new Set<string>()
let problems = 0
// test/types is compiled by its own test, with and without @fastify/swagger.
for (const config of tracked('*tsconfig*.json', ':!test/types')) {
  const start = performance.now()
  const project = read(config)
  for (const file of project.fileNames) seen.add(file)
  const diagnostics = check(project)
  problems += diagnostics.length
  console.log(`${relative(root, config)}: ${diagnostics.length} problems, ${Math.round(performance.now() - start)} ms`)
  const format = { getCanonicalFileName: (file: string) => file, getCurrentDirectory: () => root, getNewLine: () => '\n' }
  if (diagnostics.length > 0) console.log(ts.formatDiagnostics(diagnostics, format))
}
// The tests of other packages, which are run as they are, belong to none of the projects.
for (const file of tracked('*.ts', ':!test/types')) {
  if (seen.has(file)) continue
  problems++
  console.log(`${relative(root, file)} is in no project`)
}
process.exitCode = problems === 0 ? 0 : 1
