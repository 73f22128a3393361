const here = 'http://same-site.invalid'

/**
 * Where to go after signing in: `value` when it is a path of this site, else `/`. It comes from the address bar, so it
 * may point anywhere (OWASP Unvalidated Redirects and Forwards Cheat Sheet): it is read as a browser would read it.
 */
export function safeNext (value: string | undefined): string {
  if (value === undefined || !URL.canParse(value, here)) return '/'
  const { origin, pathname, search } = new URL(value, here)
  // "/.//evil.example" is a path of this site whose normal form, sent as a Location, names another.
  return origin === here && !pathname.startsWith('//') ? pathname + search : '/'
}
