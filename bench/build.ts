/**
 * Makes one plain file of a program in this folder: `tsx bench/build.ts --source memory`. What runs the measured code is node
 * alone: tsx would name every function at run time, closures of each request included, which is a good part of a small figure.
 */
import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = new URL('../', import.meta.url)
export const SOURCE = '@fastify-openapi-session/source'

/** `fromSource` takes this package from lib/ without a check of its types; otherwise it is imported from dist/ as by its users. */
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
