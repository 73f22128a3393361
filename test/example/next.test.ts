import t from 'tap'
import { safeNext } from '../../example/next.js'

t.test('paths of this site are kept', async (t) => {
  for (const path of ['/', '/account', '/account?tab=1&x=%2F%2F', '/a/b', '/?next=https://evil.example']) t.equal(safeNext(path), path)
})

t.test('everything else leads home', async (t) => {
  const elsewhere = [
    undefined, 'https://evil.example', 'https://evil.example/account', '//evil.example', '///evil.example', '/\\evil.example', '\\\\evil.example',
    '/\t/evil.example', '/\n/evil.example', ' //evil.example', '/.//evil.example', '/a/..//evil.example', '/%2e//evil.example',
    'javascript:alert(1)', 'data:text/html,x', 'http://same-site.invalid:81/', '//', 'http://['
  ]
  for (const value of elsewhere) t.equal(safeNext(value), '/', JSON.stringify(value))
})
