import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

const target = `node${process.versions.node}`

/** Imports name what the compiler will write, `./a.js`; here only what it is written from exists, `./a.ts`. */
export async function resolve (specifier, context, next) {
  if (!/^\.{1,2}\/.*\.js$/.test(specifier) || !context.parentURL?.startsWith('file:')) return await next(specifier, context)
  const source = new URL(specifier.replace(/js$/, 'ts'), context.parentURL)
  return await next(existsSync(source) ? source.href : specifier, context)
}

export async function load (url, context, next) {
  if (!/^file:.*\.ts$/.test(url)) return await next(url, context)
  const sourcefile = fileURLToPath(url)
  const { code } = await transform(await readFile(sourcefile, 'utf8'), {
    loader: 'ts', sourcefile, sourcemap: 'inline', sourcesContent: false, target, tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } }
  })
  return { format: 'module', source: code, shortCircuit: true }
}
