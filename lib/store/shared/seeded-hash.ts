import { randomInt } from 'node:crypto'

const KEY0 = randomInt(2 ** 32)
const KEY1 = randomInt(2 ** 32)
/** The last text and its hash, because a store searches for a key before it adds or deletes the item. */
let last: { readonly text: string, readonly hash: number } | undefined

/**
 * Returns a hash of 32 bits: HalfSipHash-1-3 of the characters, two to a word, with a random key of this process. Users choose their
 * names. If they could predict the hash, they could choose names that share a hash, and each login would be compared with all of them.
 */
export function hashOf (text: string): number {
  if (text === last?.text) return last.hash
  let v0 = KEY0 | 0
  let v1 = KEY1 | 0
  let v2 = KEY0 ^ 0x6c796765
  let v3 = KEY1 ^ 0x74656462
  // After the characters come their number and three rounds to finish. The code of a character after the end is NaN and counts as 0.
  for (let at = 0; at < text.length + 8; at += 2) {
    const word = at < text.length ? text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16) : at < text.length + 2 ? text.length : 0
    v3 ^= word
    v0 = (v0 + v1) | 0
    v2 = (v2 + v3) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (((v0 << 16) | (v0 >>> 16)) + v3) | 0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
    if (at >= text.length && at < text.length + 2) v2 ^= 0xff
  }
  return (last = { text, hash: v1 ^ v3 }).hash
}
