import { hashPassword, verifyPassword } from './password.js'

export interface User {
  readonly id: string
  /** The name for the login form, in lower case. */
  readonly username: string
  readonly name: string
  readonly roles: readonly string[]
  /** PHC text, see password.ts. */
  readonly passwordHash: string
}

/** The accounts of the example. The README has their passwords. A real app reads accounts from a table. */
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

// Checked for an unknown name, so that the response takes as long as for a wrong password. Its time does not tell which names exist.
const unknown = await hashPassword('')

/** Returns all accounts. */
export function allUsers (): readonly User[] {
  return accounts
}

/** Returns the account with an id, or `undefined`. */
export function userById (id: string | undefined): User | undefined {
  return accounts.find((user) => user.id === id)
}

/** Returns the account of a name and a password. `undefined` does not tell which of the two is wrong. */
export async function checkPassword (username: string, password: string): Promise<User | undefined> {
  const wanted = username.trim().toLowerCase()
  const user = accounts.find((candidate) => candidate.username === wanted)
  const right = await verifyPassword(password, user?.passwordHash ?? unknown)
  return right ? user : undefined
}
