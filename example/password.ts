import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

interface Cost {
  /** Base-2 logarithm of scrypt's N. */
  readonly ln: number
  readonly r: number
  readonly p: number
}

// 32 MiB a hash: one of the settings the OWASP Password Storage Cheat Sheet calls equally strong.
const COST: Cost = { ln: 15, r: 8, p: 3 }
const HASH_BYTES = 32

function derive (password: string, salt: Buffer, { ln, r, p }: Cost): Promise<Buffer> {
  const N = 2 ** ln
  return new Promise((resolve, reject) => {
    // One text can be typed as different code points; NFKC makes them one again.
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

/** A salted scrypt hash of `password` as PHC text, `$scrypt$ln=15,r=8,p=3$salt$hash`: it carries its own cost. */
export async function hashPassword (password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, salt, COST)
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

/** Whether `password` is the one that `phc` was made from; compared in constant time. */
export async function verifyPassword (password: string, phc: string): Promise<boolean> {
  const [, , cost = '', salt = '', hash = ''] = phc.split('$')
  const [ln = 0, r = 0, p = 0] = cost.split(',').map((part) => Number(part.slice(part.indexOf('=') + 1)))
  const expected = Buffer.from(hash, 'base64url')
  const actual = await derive(password, Buffer.from(salt, 'base64url'), { ln, r, p })
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}
