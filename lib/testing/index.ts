export { createClock } from './clock.js'
export type { Clock, ManualClock } from './clock.js'
export { documentMatrix } from './document-matrix.js'
export type {
  DocumentCase, DocumentMatrixOptions, MatrixAnswer, MatrixRequest, MatrixRequestMaker, MatrixState, StageParts
} from './document-matrix.js'
export { Client, CookieJar } from './jar.js'
export { storeContract } from './store-contract.js'
export type { MakeStore, StoreCase, StoreUnderTest } from './store-contract.js'
