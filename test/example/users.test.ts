import { createHook } from 'node:async_hooks'
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

t.test('the check of an unknown name costs the same work as that of a known one', async (t) => {
  let hashed = 0
  const hook = createHook({ init (_id, type) { if (type === 'SCRYPTREQUEST') hashed++ } }).enable()
  t.teardown(() => { hook.disable() })
  const work = async (username: string): Promise<number> => {
    hashed = 0
    t.equal(await checkPassword(username, 'wrong'), undefined)
    return hashed
  }
  t.equal(await work(ada.username), 1)
  t.equal(await work('nobody'), 1)
})
