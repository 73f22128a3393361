import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const directory = join(import.meta.dirname, '../../example')

/** Returns the places of a file where the types are not enough: casts, `as const`, `!` and `any`. */
function overruled (name: string, text: string): string[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isAsExpression(node) || ts.isTypeAssertionExpression(node) || ts.isNonNullExpression(node) || node.kind === ts.SyntaxKind.AnyKeyword) {
      found.push(`${name}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${node.getText()}`)
    }
    node.forEachChild(visit)
  }
  visit(source)
  return found
}

t.test('the example needs no cast: the declarations type its sessions and its users', async (t) => {
  const files = readdirSync(directory).filter((file) => file.endsWith('.ts'))
  t.ok(files.includes('session.ts'))
  const texts = files.map((file) => [file, ts.sys.readFile(join(directory, file)) ?? ''] as const)
  t.same(texts.flatMap(([file, text]) => overruled(file, text)), [])
  t.match(texts.map(([, text]) => text).join(), /interface SessionUsers.*request\.session\.user\b/s)
})

t.test('a cast is found', async (t) => {
  t.same(overruled('x.ts', "const list = ['a'] as const\n(user as User).name = user!.id").length, 3)
})
