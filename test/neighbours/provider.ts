import { createHash, randomUUID } from 'node:crypto'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { Test } from 'tap'

interface Query { readonly state: string, readonly redirect_uri: string, readonly code_challenge: string, readonly code_challenge_method: string }
interface TokenRequest { readonly code: string, readonly code_verifier?: string, readonly client_id: string }

/** Starts an OAuth 2.0 provider (RFC 6749) that signs in ada at once, and insists on state and PKCE (RFC 7636). Returns its URL. */
export async function startProvider (t: Test): Promise<string> {
  const provider = Fastify()
  t.teardown(() => provider.close())
  await provider.register(formbody)
  const challenges = new Map<string, string>()
  provider.get('/authorize', async (request, reply) => {
    const query = request.query as Query
    if (!query.state || query.code_challenge_method !== 'S256') return await reply.code(400).send('state and PKCE are required')
    const code = randomUUID()
    challenges.set(code, query.code_challenge)
    return await reply.redirect(`${query.redirect_uri}?code=${code}&state=${encodeURIComponent(query.state)}`)
  })
  provider.post('/token', async (request, reply) => {
    const { code, code_verifier: verifier = '' } = request.body as TokenRequest
    const challenge = challenges.get(code)
    challenges.delete(code)
    const isRight = createHash('sha256').update(verifier).digest('base64url') === challenge
    return isRight ? { access_token: 'token of ada', token_type: 'Bearer' } : await reply.code(400).send({ error: 'invalid_grant' })
  })
  return await provider.listen({ port: 0, host: '127.0.0.1' })
}
