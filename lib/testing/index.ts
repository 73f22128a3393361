export { createClock, type Clock, type ManualClock } from './clock.js'
export type { MakeStore, StoreUnderTest } from './contract/bench.js'
export {
  documentMatrix, type DocumentCase, type DocumentMatrixOptions, type MatrixAnswer, type MatrixRequest, type MatrixRequestMaker,
  type MatrixState, type StageParts
} from './document-matrix.js'
export { Client, CookieJar } from './jar.js'
export { storeContract, type StoreCase } from './store-contract.js'
