import { hashPassword, verifyPassword } from './password.js'

export interface User {
  readonly id: string
  /** What is typed into the login form, in lower case. */
  readonly username: string
  readonly name: string
  readonly roles: readonly string[]
  /** PHC text, see password.ts. */
  readonly passwordHash: string
}

/** The accounts of the example, with passwords named in its README; in a real app, a table. */
const accounts: readonly User[] = [
  {
    id: 'u-1815',
    username: 'ada',
    name: 'Ada Lovelace',
    roles: ['admin'],
    passwordHash: '$scrypt$ln=15,r=8,p=3$kN0PQ2d_wvvfBxWNRQChuw$5ZdU6Vw_1kW15C8ei5i0Y3ygPpH9JExt7HCNoGe3h1U'
  },
  {
    id: 'u-1906',
    username: 'grace',
    name: 'Grace Hopper',
    roles: [],
    passwordHash: '$scrypt$ln=15,r=8,p=3$5FCs5eJaWFaTPlw1mgvq8Q$fTL8u0J3PdrehbUq5rCRTSrOzpui9UjU2FjvK5x0qZQ'
  }
]

// Checked for unknown names, so that they take as long as known ones and the answer's time tells nobody who has an account.
const nobody = await hashPassword('')

/** Every account. */
export function allUsers (): readonly User[] {
  return accounts
}

/** The account with this id; `undefined` when there is none (any more). */
export function userById (id: string | undefined): User | undefined {
  return accounts.find((user) => user.id === id)
}

/** The account that this name and password open; `undefined` when either is wrong, which of them is not told. */
export async function checkPassword (username: string, password: string): Promise<User | undefined> {
  const wanted = username.trim().toLowerCase()
  const user = accounts.find((candidate) => candidate.username === wanted)
  const right = await verifyPassword(password, user?.passwordHash ?? nobody)
  return right ? user : undefined
}
