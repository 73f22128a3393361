import { readFileSync } from 'node:fs'

/** Returns the version of a development dependency, which may have a name of its own such as `redis5`. */
export function versionOf (name: string): string {
  const { version } = JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')) as { version: string }
  return version
}
