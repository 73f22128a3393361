import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Scope, temporaryDirectory } from './servers-process.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What CommonJS modules inside the one ES module ask for at run time. */
const banner = 'import { createRequire as createRequireOfBundle } from \'node:module\'; const require = createRequireOfBundle(import.meta.url);'

/**
 * One file of plain JavaScript, packages included, of a program that a test starts again and again: without it each of
 * those processes would spend seconds in finding and compiling the same modules.
 *
 * @param program its address, `new URL('app.ts', import.meta.url)`
 * @returns the path of the file, which ends with `t`; fork it with `bare`
 */
export async function bundle (t: Scope, program: URL): Promise<string> {
  const outfile = `${temporaryDirectory(t, 'program')}/program.mjs`
  await build({
    entryPoints: [fileURLToPath(program)],
    outfile,
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: `node${process.versions.node}`,
    conditions: ['@fastify-openapi-session/source'],
    banner: { js: banner },
    logLevel: 'error'
  })
  return outfile
}

/** Options of `fork` for a bundle: a Node.js without the loaders of the tests. */
export const bare = { execArgv: [] as string[], env: Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_OPTIONS')) }
