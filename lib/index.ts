import * as api from './api.js'

export * from './api.js'
export { default } from './api.js'
// `require()` returns what is exported under this name: the plugin, with the rest of the module as its properties.
// TypeScript before 5.6 cannot read such a name. It takes its types from api.ts, by a condition in package.json.
export { plugin as 'module.exports' }
const plugin = Object.assign(api.default, api)
