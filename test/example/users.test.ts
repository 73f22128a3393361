import t from 'tap'
import { hashPassword, verifyPassword } from '../../example/password.js'
import { checkPassword } from '../../example/users.js'
import { ada } from './visitor.js'

t.test('passwords are salted, and checked', async (t) => {
  const [one, other] = [await hashPassword('Ångström'), await hashPassword('Ångström')]
  t.match(one, /^\$scrypt\$ln=15,r=8,p=3\$[\w-]{22}\$[\w-]{43}$/)
  t.not(one, other)
  t.ok(await verifyPassword('A\u030angstro\u0308m', one), 'typed as other code points')
  t.notOk(await verifyPassword('Angstrom', one))
  t.notOk(await verifyPassword('Ångström', '$scrypt$ln=15,r=8,p=3$$'), 'an empty hash fits nothing')
})

t.test('a name that nobody has takes as long as one that somebody has', async (t) => {
  const fastest = async (username: string): Promise<number> => {
    const times: number[] = []
    for (let run = 0; run < 3; run++) {
      const start = performance.now()
      t.equal(await checkPassword(username, 'wrong'), undefined)
      times.push(performance.now() - start)
    }
    return Math.min(...times)
  }
  const known = await fastest(ada.username)
  t.ok(await fastest('nobody') > known / 3, 'the same work')
})
