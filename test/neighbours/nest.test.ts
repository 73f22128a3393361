import 'reflect-metadata'
import { type ArgumentsHost, applyDecorators, Body, Catch, Controller, type ExceptionFilter, Get, HttpCode, type LoggerService, Module, Post, Req, Session as SessionOf } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication, RouteSchema } from '@nestjs/platform-fastify'
import { ApiSecurity, DocumentBuilder, SwaggerModule } from '@nestjs/swagger'
import type { FastifyReply, FastifyRequest } from 'fastify'
import sessionPlugin, { optional, required, SessionError } from 'fastify-openapi-session'
import t, { type Test } from 'tap'
import { Browser, visit, withName } from './support.js'

// The package has a copy of Fastify of its own here, whose types know nothing of `security`.
/** Guards a route, and says so in the document of @nestjs/swagger. */
const SignedIn = (...roles: string[]): MethodDecorator => applyDecorators(RouteSchema({ security: required('session', ...roles) } as object), ApiSecurity('session', roles))
const Anyone = (): MethodDecorator => applyDecorators(RouteSchema({ security: optional('session') } as object), ApiSecurity('session'), ApiSecurity({}))

class Shop {
  login (request: FastifyRequest, data: Record<string, unknown>): string {
    request.session.start(data)
    return 'welcome'
  }

  me (session: { data: Record<string, unknown> }): unknown { return session.data['name'] }
  admin (): string { return 'admin' }
  open (session: { exists: boolean }): string { return session.exists ? 'in' : 'out' }

  logout (request: FastifyRequest): string {
    request.session.destroy()
    return 'bye'
  }
}

// oxlint-disable-next-line typescript/no-extraneous-class -- Nest's modules are classes
class ShopModule {}

/** Answers as Fastify does. Without it, Nest leaves `code` out of the response and logs each 401 as an error. */
class SessionErrors implements ExceptionFilter<SessionError> {
  catch ({ statusCode, code, message }: SessionError, host: ArgumentsHost): void {
    void host.switchToHttp().getResponse<FastifyReply>().code(statusCode).send({ statusCode, code, message })
  }
}
Catch(SessionError)(SessionErrors)

/** Applies decorators as TypeScript does with `experimentalDecorators`. */
function decorate (method: keyof Shop, decorators: MethodDecorator[], parameters: ParameterDecorator[] = []): void {
  parameters.forEach((decorator, index) => { decorator(Shop.prototype, method, index) })
  for (const decorator of decorators) decorator(Shop.prototype, method, Object.getOwnPropertyDescriptor(Shop.prototype, method) as PropertyDescriptor)
}

decorate('login', [Post('login'), HttpCode(200), Anyone()], [Req(), Body()])
decorate('me', [Get('me'), SignedIn()], [SessionOf()])
decorate('admin', [Get('admin'), SignedIn('admin')])
decorate('open', [Get('open')], [SessionOf()])
decorate('logout', [Post('logout'), HttpCode(200), Anyone()], [Req()])
Controller()(Shop)
Module({ controllers: [Shop] })(ShopModule)

async function shop (t: Test, filters: ExceptionFilter[] = []): Promise<{ nest: NestFastifyApplication, browser: Browser, errors: unknown[] }> {
  const errors: unknown[] = []
  const logger: LoggerService = { log: () => {}, warn: () => {}, error: (...args: unknown[]) => { errors.push(args) } }
  const nest = await NestFactory.create<NestFastifyApplication>(ShopModule, new FastifyAdapter(), { logger })
  t.teardown(() => nest.close())
  await nest.register(sessionPlugin as never, { ...withName, roles: (data: Record<string, unknown>) => data['roles'] ?? [] } as never)
  const config = new DocumentBuilder().addSecurity('session', { type: 'apiKey', in: 'cookie', name: '__Host-session' }).build()
  SwaggerModule.setup('docs', nest, () => SwaggerModule.createDocument(nest, config), { ui: false })
  nest.useGlobalFilters(...filters)
  await nest.listen(0, '127.0.0.1')
  return { nest, errors, browser: new Browser(await nest.getUrl()) }
}

for (const [title, filters, code, logged] of [
  ['', [], undefined, 5],
  [', with a filter for SessionError', [new SessionErrors()], 'FST_SESSION_REQUIRED', 0]
] as const) {
  t.test(`Nest 11${title}: a controller signs in, is guarded and signs out`, async (t) => {
    const { browser, errors } = await shop(t, [...filters])
    await visit(t, browser, async () => {
      t.equal((await browser.get('/admin')).status, 403)
      t.equal((await browser.get('/open')).body, 'out', 'the session of a route that declares none is inert')
    })
    const { status, headers, json } = await browser.get('/me')
    t.equal(status, 401)
    t.match(headers.get('www-authenticate'), /^Cookie/)
    t.match(json, { statusCode: 401, message: 'Authentication required. Sign in first.' })
    t.equal(json.code, code)
    t.equal(errors.length, logged)
  })
}

t.test('Nest 11: the document of @nestjs/swagger names the session', async (t) => {
  const { browser } = await shop(t)
  const { json } = await browser.get('/docs-json')
  t.same(json.components.securitySchemes, { session: { type: 'apiKey', in: 'cookie', name: '__Host-session' } })
  t.same(json.paths['/me'].get.security, [{ session: [] }])
  t.same(json.paths['/admin'].get.security, [{ session: ['admin'] }])
  t.same(json.paths['/login'].post.security, [{ session: [] }, {}])
})
