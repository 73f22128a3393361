import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

interface Cost {
  /** Base-2 logarithm of scrypt's N. */
  readonly ln: number
  readonly r: number
  readonly p: number
}

// 32 MiB for each hash, as the OWASP Password Storage Cheat Sheet recommends.
const COST: Cost = { ln: 15, r: 8, p: 3 }
const HASH_BYTES = 32

function derive (password: string, salt: Buffer, { ln, r, p }: Cost): Promise<Buffer> {
  const N = 2 ** ln
  return new Promise((resolve, reject) => {
    // The same text can be typed as different code points. NFKC makes them equal.
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

/** Returns a salted scrypt hash as PHC text, with its cost: `$scrypt$ln=15,r=8,p=3$salt$hash`. */
export async function hashPassword (password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, salt, COST)
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

/** Returns `true` if `phc` is a hash of `password`. Compares in constant time. */
export async function verifyPassword (password: string, phc: string): Promise<boolean> {
  const [, , cost = '', salt = '', hash = ''] = phc.split('$')
  const [ln = 0, r = 0, p = 0] = cost.split(',').map((part) => Number(part.slice(part.indexOf('=') + 1)))
  const expected = Buffer.from(hash, 'base64url')
  const actual = await derive(password, Buffer.from(salt, 'base64url'), { ln, r, p })
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}
