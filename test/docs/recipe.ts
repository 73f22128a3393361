import { compileFunction } from 'node:vm'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import ts from 'typescript'
import { textOf } from './markdown.js'

/** Modules that a recipe gets in place of those that it imports, by their name. */
type Modules = Readonly<Record<string, object>>

/** Returns the blocks of TypeScript of a page which are no file of a project. */
export function blocksOf (page: string): string[] {
  return [...textOf(page).replaceAll(/^\*\*[\w./-]+\*\*\n\n```.*?^```$/gms, '').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code)
}

/**
 * Runs a block of a page as it stands, in this process. Returns the values of its names, of which `app` is one.
 * @param modules - in place of those that the block imports
 */
export async function runBlock<Names extends object> (t: Test, page: string, { block = 0, names = 'app', modules = {} }: { block?: number, names?: string, modules?: Modules } = {}) {
  const code = blocksOf(page)[block] ?? ''
  const { outputText } = ts.transpileModule(code, { compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.CommonJS } })
  const loaded = new Map<string, object>()
  for (const [, name = ''] of code.matchAll(/^(?:import [^']*? from|const \w+: string =) '(.+)'$/gm)) {
    const found = modules[name] ?? await import(name) as object
    loaded.set(name, { ...found, __esModule: true })
  }
  const run = compileFunction(`return (async () => { ${outputText}\nreturn { ${names} } })()`, ['require', 'exports']) as (require: object, exports: object) => Promise<Names>
  const values = await run((name: string) => loaded.get(name), {}) as Names & { app: FastifyInstance }
  t.teardown(() => values.app.close())
  await values.app.ready()
  return values
}
