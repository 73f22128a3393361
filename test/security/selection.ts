import type { Backend } from './place.js'

const DATABASES = ['sql (PostgreSQL)', 'sql (MariaDB)']

/**
 * Which backends a file runs its tests on. A database server takes longer to start than most files run, so each of them
 * has one file, `on-*.test.ts`, which runs the others once more with nothing but it.
 */
const selection = { database: undefined as string | undefined }

/** To be called before any file of tests is imported. */
export function runOn (database: string): void {
  if (!DATABASES.includes(database)) throw new Error(`there is no ${database}`)
  selection.database = database
}

export function isSelected ({ name }: Pick<Backend, 'name'>): boolean {
  return selection.database === undefined ? !DATABASES.includes(name) : name === selection.database
}

/** Whether tests that choose their backend by themselves run: not once more for each database. */
export function isFirstRun (): boolean {
  return selection.database === undefined
}
