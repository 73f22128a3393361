/** The arguments by which a Node.js of its own runs TypeScript as the scripts of package.json do, the package's name being `lib`. */
export const tsx: readonly string[] = ['--import', import.meta.resolve('tsx'), '--conditions=@fastify-openapi-session/source']

/** Its environment. The loaders of tsx and of tap emit different code: coverage taken under both would add up to nonsense. */
export const uncovered: NodeJS.ProcessEnv = { _TAPJS_PROCESSINFO_COVERAGE_: '0' }
