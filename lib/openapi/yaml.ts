import { createRequire } from 'node:module'

/**
 * The function by which @fastify/swagger writes YAML, from its own dependency `yaml`, so that both write alike.
 * @param from - path or URL of a file beside which @fastify/swagger is looked for
 */
export function yamlWriter (from: string | URL): (document: object) => string {
  try {
    const swagger = createRequire(from).resolve('@fastify/swagger')
    const { stringify } = createRequire(swagger)('yaml') as { stringify (value: unknown, options: object): string }
    return (document) => stringify(document, { strict: false })
  } catch {
    // In an app bundled into one file there is nothing to look up. YAML 1.2 is a superset of JSON.
    return (document) => `${JSON.stringify(document, null, 2)}\n`
  }
}
