import t from 'tap'
import ts from 'typescript'
import { createHost } from '../support/compiler.js'

/** The compiler's complaints about `file`, and whether it took the types of @fastify/swagger in. */
function compile (file: string): { complaints: string[], knowsSwagger: boolean } {
  const root = `${import.meta.dirname}/../..`
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile).config, ts.sys, root)
  const all = { ...options, skipLibCheck: false }
  const program = ts.createProgram([`${import.meta.dirname}/types/${file}`], all, createHost(all))
  const swagger = program.getSourceFiles().find(({ fileName }) => fileName.includes('/@fastify/swagger/'))
  const complaints = program.getSourceFiles()
    .filter((source) => source === swagger || !source.fileName.includes('/node_modules/'))
    .flatMap((source) => program.getSemanticDiagnostics(source))
  return {
    complaints: complaints.map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
    knowsSwagger: swagger !== undefined
  }
}

t.test('`security` is typed without @fastify/swagger', (t) => {
  t.same(compile('without-swagger.ts'), { complaints: [], knowsSwagger: false })
  t.end()
})

t.test('`security` is typed alike with @fastify/swagger', (t) => {
  t.same(compile('with-swagger.ts'), { complaints: [], knowsSwagger: true })
  t.end()
})
