import ts from 'typescript'

/** Source files by path and format. The programs of a process share most of their files, and parsing is much of the work. */
const parsed = new Map<string, ts.SourceFile | undefined>()

/** Returns a compiler host that parses a file once for all programs of this process, whose options have one target and one module. */
export function createHost (options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options, true)
  const getSourceFile = host.getSourceFile.bind(host)
  host.getSourceFile = (file, parsing, ...others) => {
    const key = `${file} ${typeof parsing === 'object' ? parsing.impliedNodeFormat : ''}`
    if (!parsed.has(key)) parsed.set(key, getSourceFile(file, parsing, ...others))
    return parsed.get(key)
  }
  return host
}
