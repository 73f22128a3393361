/** True in `npm run test:all`, which also tries other versions, other databases and other stores of the same kind. */
export const everything = process.env['TEST_ALL'] === '1'
