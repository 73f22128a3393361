import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import ts from 'typescript'
import { guard, temporaryDirectory } from '../support/servers-process.js'
import { root as rootUrl, textOf } from './markdown.js'

const root = fileURLToPath(rootUrl)

/** Packages that npm would install today in another version than the one that the project has under the same name. */
const INSTALLED: Readonly<Record<string, string>> = { '@fastify/type-provider-typebox': 'type-provider-typebox-6' }

/** A section of a tutorial: its files, each under a line with its name in bold, and the lines for a shell. */
export interface Section {
  readonly heading: string
  readonly files: ReadonlyMap<string, string>
  readonly commands: readonly string[]
}

/** Returns the sections of a page, in the order of the page. */
export function sectionsOf (page: string): Section[] {
  return textOf(page).split(/^## /m).slice(1).map((text) => ({
    heading: text.slice(0, text.indexOf('\n')),
    files: new Map([...text.matchAll(/^\*\*([\w./-]+)\*\*[^\n]*\n\n```\w+\n(.*?)^```$/gms)].map(([, name = '', code = '']) => [name, code])),
    commands: [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, lines = '']) => lines.trim().split('\n'))
  }))
}

let built: ReadonlyMap<string, string> | undefined

/** Returns the files that `npm run build` writes, by path. */
function build (): ReadonlyMap<string, string> {
  if (built !== undefined) return built
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile) as { config: object }
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const files = new Map<string, string>()
  const program = ts.createProgram(fileNames, { ...options, declarationMap: false, sourceMap: false, noCheck: true })
  program.emit(undefined, (file, text) => files.set(file.slice(root.length), text))
  built = files
  return files
}

/** A project in a folder of its own, which has the package as it is published, and no package that it did not install. */
export class Project {
  readonly folder: string
  readonly #t: Test

  constructor (t: Test) {
    this.#t = t
    this.folder = temporaryDirectory(t, 'project')
    const own = join(this.folder, 'node_modules/fastify-openapi-session')
    for (const [file, text] of build()) this.write(join('node_modules/fastify-openapi-session', file), text)
    for (const file of ['package.json', 'lib']) cpSync(join(root, file), join(own, file), { recursive: true })
    cpSync(join(root, 'lib/openapi/ui'), join(own, 'dist/openapi/ui'), { recursive: true, filter: (file) => !file.endsWith('.ts') })
    this.install('fastify', ...Object.keys((JSON.parse(textOf('package.json')) as { dependencies: object }).dependencies))
  }

  write (name: string, text: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true })
    writeFileSync(join(this.folder, name), text)
  }

  /** Links packages that the project of the tests has. `npm install` would download them. */
  install (...names: readonly string[]): void {
    for (const name of names.filter((each) => each !== 'fastify-openapi-session')) {
      const link = join(this.folder, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      if (ts.sys.directoryExists(link)) continue
      symlinkSync(join(root, 'node_modules', INSTALLED[name] ?? name), link)
      const { bin = {} } = JSON.parse(textOf(`node_modules/${INSTALLED[name] ?? name}/package.json`)) as { bin?: Record<string, string> | string }
      for (const [command, file] of Object.entries(typeof bin === 'string' ? { [basename(name)]: bin } : bin)) this.#linkCommand(command, join(link, file))
    }
  }

  #linkCommand (command: string, file: string): void {
    mkdirSync(join(this.folder, 'node_modules/.bin'), { recursive: true })
    symlinkSync(file, join(this.folder, 'node_modules/.bin', command))
  }

  #spawn (line: string, stderr: 'inherit' | 'pipe') {
    // A group of its own: npm starts a shell, which starts the app.
    const child = spawn('sh', ['-c', line], {
      cwd: this.folder, detached: true, stdio: ['ignore', 'pipe', stderr], env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', _TAPJS_PROCESSINFO_COVERAGE_: '0' }
    })
    const exit = once(child, 'exit') as Promise<[number | null]>
    const watcher = guard(-(child.pid as number))
    void exit.then(() => watcher.kill('SIGKILL'))
    const stop = async (): Promise<void> => {
      if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGKILL')
      await exit
    }
    this.#t.teardown(stop)
    return { child, exit, stop }
  }

  /** Runs a line as a shell does, and resolves its exit code and what it printed. */
  async run (line: string): Promise<{ code: number | null, output: string }> {
    const { child, exit } = this.#spawn(line, 'pipe')
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => { output += text })
    const [code] = await exit
    return { code, output }
  }

  /** Starts an app, and waits until it listens. */
  async start (line = 'npm start'): Promise<{ url: string, stop: () => Promise<void> }> {
    const { child, stop } = this.#spawn(line, 'inherit')
    for await (const text of createInterface(child.stdout as NodeJS.ReadableStream)) {
      const url = /Server listening at (http:\/\/(?:127\.0\.0\.1|localhost)[^"]+)/.exec(text)?.[1]
      if (url === undefined) continue
      child.stdout?.resume()
      return { url, stop }
    }
    throw new Error('the app ended before it listened')
  }

  /** Writes the files of a section, and installs what its lines install. */
  apply ({ files, commands }: Section): void {
    for (const [name, text] of files) this.write(name, text)
    for (const command of commands) {
      const [, names] = /^npm install (?:--save-dev )?(.*)$/.exec(command) ?? []
      if (names !== undefined) this.install(...names.split(' '))
    }
  }
}
