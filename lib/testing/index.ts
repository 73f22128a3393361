export { createClock } from './clock.js'
export type { Clock } from './clock.js'
export { storeContract } from './store-contract.js'
export type { MakeStore, StoreCase, StoreUnderTest } from './store-contract.js'
