import { SessionError } from './errors.js'

/**
 * The 401 of a route that asks for other schemes only. Every 401 has a challenge (RFC 9110, 15.5.2): this one names the
 * security scheme that was not satisfied; a verifier that knows a better one throws its own error, with `headers`.
 */
export function schemeRequired (scheme: string, message: string): SessionError {
  return new SessionError('FST_SESSION_REQUIRED', message, { headers: { 'www-authenticate': scheme } })
}

/**
 * The 401 that asks for a session in the cookie `cookieName`. The scheme `Cookie` of the challenge (RFC 9110, 11.6.1) is
 * that of draft-broyer-http-cookie-auth; `maxAge`, in seconds, asks for a younger login in the words of RFC 9470.
 */
export function sessionRequired (cookieName: string, message: string, maxAge?: number): SessionError {
  const stepUp = maxAge === undefined ? '' : `, error="insufficient_user_authentication", max_age=${maxAge}`
  return new SessionError('FST_SESSION_REQUIRED', message, {
    headers: { 'www-authenticate': `Cookie cookie-name="${cookieName}"${stepUp}` }
  })
}
