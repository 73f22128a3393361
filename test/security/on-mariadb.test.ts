import { runOn } from './selection.js'

runOn('sql (MariaDB)')
await import('./on-database.js')
