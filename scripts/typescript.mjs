/**
 * Lets Node.js run the project's TypeScript in tests: `node --import ./scripts/typescript.mjs file.ts`. tap's own way
 * compiles every file anew in each process, which took half of the time of the tests; tsx joins all lines to one, of
 * which no coverage by lines can be told.
 */
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
