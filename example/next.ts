const here = 'http://same-site.invalid'

/**
 * Returns the path to go to after the login: `value` if it is a path of this site, else `/`. `value` comes from the address bar, so it
 * can be the address of any other site (OWASP Unvalidated Redirects and Forwards Cheat Sheet). It is parsed as browsers parse it.
 */
export function safeNext (value: string | undefined): string {
  if (value === undefined || !URL.canParse(value, here)) return '/'
  const { origin, pathname, search } = new URL(value, here)
  // "/.//evil.example" is a path of this site. Its normal form "//evil.example" is the address of another site.
  return origin === here && !pathname.startsWith('//') ? pathname + search : '/'
}
