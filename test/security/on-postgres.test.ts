import { runOn } from './selection.js'

runOn('sql (PostgreSQL)')
await import('./on-database.js')
