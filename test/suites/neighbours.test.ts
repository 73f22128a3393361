import { runSuite } from '../support/suite.js'

runSuite('neighbours')
