import type { FastifyBaseLogger, FastifyPluginAsync, FastifyTypeProvider, RawServerBase, RawServerDefault, RegisterOptions } from 'fastify'
import type { SessionPluginOptions } from './types.js'

/** The plugin, as the package exports it by default. */
export interface SessionPlugin extends FastifyPluginAsync<SessionPluginOptions> {
  /** The plugin itself, as `require('fastify-openapi-session').sessionPlugin`. It also tells its type from that of other plugins. */
  readonly sessionPlugin: SessionPlugin
}

declare module 'fastify' {
  // Fastify's own signatures take options or a function that makes them. Beside a function, TypeScript cannot tell by an
  // absent `scheme` that the default one is meant, and `principal: (data) => ...` would get no type.
  interface FastifyRegister<
    T = void,
    RawServer extends RawServerBase = RawServerDefault,
    TypeProviderDefault extends FastifyTypeProvider = FastifyTypeProvider,
    LoggerDefault extends FastifyBaseLogger = FastifyBaseLogger
  > {
    (plugin: SessionPlugin, options: RegisterOptions & SessionPluginOptions): T
  }
}
