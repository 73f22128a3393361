import { createRequire } from 'node:module'

/** Returns a function that writes YAML with the dependency `yaml` of the @fastify/swagger that the file `from` resolves. */
export function yamlWriter (from: string | URL): (document: object) => string {
  try {
    const swagger = createRequire(from).resolve('@fastify/swagger')
    const { stringify } = createRequire(swagger)('yaml') as { stringify (value: unknown, options: object): string }
    return (document) => stringify(document, { strict: false })
  } catch {
    // An app that is bundled into one file has no packages. YAML 1.2 is a superset of JSON.
    return (document) => `${JSON.stringify(document, null, 2)}\n`
  }
}
