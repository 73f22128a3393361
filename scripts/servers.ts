/**
 * Sees to it that the programs which the tests start are there: looks first, and installs what is missing with the
 * system's package manager. Ends with a sentence and a failing exit when it cannot: a test is never skipped in silence.
 */
import { spawnSync } from 'node:child_process'
import { findBrowser } from '../test/support/find-browser.js'
import { findExecutable } from '../test/support/servers-process.js'

interface Program {
  name: string
  find: () => string
  apt: string
  brew: string[]
}

const programs: Program[] = [
  { name: 'Redis', find: () => findExecutable('redis-server', 'valkey-server'), apt: 'redis-server', brew: ['redis'] },
  { name: 'PostgreSQL', find: () => findExecutable('initdb'), apt: 'postgresql', brew: ['postgresql@17'] },
  { name: 'MariaDB', find: () => findExecutable('mariadbd', 'mysqld'), apt: 'mariadb-server', brew: ['mariadb'] },
  { name: 'nginx', find: () => findExecutable('nginx'), apt: 'nginx-light', brew: ['nginx'] },
  { name: 'Chromium', find: findBrowser, apt: 'chromium', brew: ['--cask', 'google-chrome'] },
  // Tells the children of a server, so that a test can kill all of them at once.
  { name: 'ps', find: () => findExecutable('ps'), apt: 'procps', brew: [] }
]

function missing (): Program[] {
  return programs.filter(({ find }) => {
    try {
      return find() === ''
    } catch {
      return true
    }
  })
}

function has (command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

function aptCommands (wanted: readonly Program[]): string[][] {
  const packages = wanted.map(({ apt }) => apt)
  // Debian's packages ask questions and take turns at a lock; neither may hold up a run without a terminal.
  const install = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends']
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  return [[...sudo, 'apt-get', '-o', 'DPkg::Lock::Timeout=300', 'update'], [...sudo, ...install, ...packages]]
}

/** The commands that would bring the programs here, and whether this user may run them. */
function plan (wanted: readonly Program[]): { commands: string[][], allowed: boolean } {
  if (process.platform === 'darwin') {
    const commands = wanted.filter(({ brew }) => brew.length > 0).map(({ brew }) => ['brew', 'install', ...brew])
    return { commands, allowed: has('brew', '--version') }
  }
  if (!has('apt-get', '--version')) return { commands: [], allowed: false }
  return { commands: aptCommands(wanted), allowed: process.getuid?.() === 0 || has('sudo', '-n', 'true') }
}

function give (up: string): never {
  console.error(up)
  process.exit(1)
}

const wanted = missing()
if (wanted.length > 0) {
  const names = wanted.map(({ name }) => name).join(', ')
  const { commands, allowed } = plan(wanted)
  const advice = commands.map((command) => command.join(' ').replace('sudo -n', 'sudo')).join(' && ')
  if (!allowed) give(`The tests need ${names}. Please install ${advice === '' ? 'them with your package manager' : `them: ${advice}`}`)
  console.log(`Installing ${names} for the tests`)
  for (const [command = '', ...args] of commands) {
    const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    if (status !== 0) give(`"${command} ${args.join(' ')}" failed; the tests need ${names}`)
  }
  const still = missing().map(({ name }) => name)
  if (still.length > 0) give(`${still.join(', ')} cannot be found, although the packages were installed`)
}
