// Edge and Opera name Chrome too, Chrome names Safari: the most special name comes first.
const browsers: ReadonlyArray<readonly [RegExp, string]> = [
  [/\bEdg/, 'Edge'], [/\bOPR\//, 'Opera'], [/\bFirefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari'], [/^curl\//, 'curl']
]
const systems: ReadonlyArray<readonly [RegExp, string]> = [
  [/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/Linux|X11/, 'Linux']
]

/** What people call the program that sent this `User-Agent`, to tell their sessions apart: "Firefox on Linux". */
export function deviceName (userAgent = ''): string {
  const find = (names: typeof browsers): string | undefined => names.find(([pattern]) => pattern.test(userAgent))?.[1]
  const browser = find(browsers) ?? 'Unknown program'
  const system = find(systems)
  return system === undefined ? browser : `${browser} on ${system}`
}
