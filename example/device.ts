// Edge and Opera name Chrome, too, and Chrome names Safari. So the most specific name comes first.
const browsers: ReadonlyArray<readonly [RegExp, string]> = [
  [/\bEdg/, 'Edge'], [/\bOPR\//, 'Opera'], [/\bFirefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari'], [/^curl\//, 'curl']
]
const systems: ReadonlyArray<readonly [RegExp, string]> = [
  [/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/Linux|X11/, 'Linux']
]

/** Returns a name for the browser that sent a `User-Agent`, such as "Firefox on Linux". It tells sessions apart in a list. */
export function deviceName (userAgent = ''): string {
  const find = (names: typeof browsers): string | undefined => names.find(([pattern]) => pattern.test(userAgent))?.[1]
  const browser = find(browsers) ?? 'Unknown program'
  const system = find(systems)
  return system === undefined ? browser : `${browser} on ${system}`
}
