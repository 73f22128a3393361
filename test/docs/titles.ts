import ts from 'typescript'
import { textOf } from './markdown.js'

/** A test as its file names it. */
export interface Title {
  readonly text: string
  /** What `onEach` of test/security runs it on: `every` backend, `every store` of a server; `undefined` for a plain test. */
  readonly on: 'every' | 'every store' | undefined
}

const known = new Map<string, Title[]>()

/** The titles of the tests in a file, with `${...}` where a title is put together. */
export function titlesOf (file: string): Title[] {
  const found = known.get(file) ?? read(ts.createSourceFile(file, textOf(file), ts.ScriptTarget.Latest))
  known.set(file, found)
  return found
}

function read (source: ts.SourceFile): Title[] {
  const titles: Title[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const callee = node.expression.getText(source)
      const each = callee === 'onEach'
      const title = node.arguments[each ? 1 : 0]
      if ((each || callee.endsWith('.test')) && title !== undefined && (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title))) {
        const text = ts.isStringLiteralLike(title) ? title.text : title.getText(source).slice(1, -1)
        titles.push({ text, on: each ? (node.arguments[3] === undefined ? 'every' : 'every store') : undefined })
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return titles
}
