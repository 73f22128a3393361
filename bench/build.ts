/**
 * Bundles a program of this folder into one JavaScript file: `tsx bench/build.ts --source memory`. Node.js runs it without tsx,
 * because tsx names every function at run time, also the closures of each request. That would change small figures.
 */
import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = new URL('../', import.meta.url)
const SOURCE = '@fastify-openapi-session/source'

/** Bundles a program. With `fromSource`, this package is taken from lib/, without a type check. Otherwise it is imported from dist/, as users do. */
export async function bundle (program: string, fromSource: boolean): Promise<string> {
  const { name, exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { name: string, exports: Record<string, any> }
  const outfile = fileURLToPath(new URL(`.cache/bench/${program}.mjs`, root))
  await build({
    entryPoints: [fileURLToPath(new URL(`bench/${program}.ts`, root))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
    plugins: [{
      name: 'packages',
      setup ({ onResolve }) {
        onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
          if (kind === 'entry-point') return undefined
          const own = fromSource && (path === name || path.startsWith(`${name}/`))
          if (!own) return { path, external: true }
          return { path: fileURLToPath(new URL(exports[`.${path.slice(name.length)}`][SOURCE], root)) }
        })
      }
    }]
  })
  return outfile
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [program = ''] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
  await bundle(program, process.argv.includes('--source'))
}
