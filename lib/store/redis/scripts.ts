import { createHash } from 'node:crypto'
import type { SessionRecord } from '../store.js'

/**
 * How long the index keeps an entry after its time, in milliseconds. A session that is expired by the clock of one process may
 * be live by the clock of another, and `deleteAll` must find it. The clocks may differ by up to five minutes; this is twice that.
 */
const GRACE = 600_000

/**
 * The scripts, each with a comment of the form "arguments: reply". A script is atomic. It uses one record or index, `KEYS[1]`.
 * A script that saves a record also uses the index of its owner, `KEYS[2]`, if that is on the same server. Every key that a script
 * writes has a time to live, counted from the `now` of the caller, so that the clocks of the server and of the app may differ.
 *
 * An index contains a session for longer than the record lives. Before a record would outlive its entry, the reply is
 * `enter <until> <owner>`: the caller must add the session to the index of this owner, and then run the script again with this
 * reply as the argument `entered`.
 */
const sources = {
  /** `now expiresAt entered version write owner payload id`: `taken`, the number of sessions in the index, or `saved` without one. */
  create: `
    local expiresAt, _, _, write = load()
    if expiresAt and expiresAt > now and write ~= ARGV[5] then return 'taken' end
    if tonumber(ARGV[2]) <= now then return 'saved' end
    return save(write == ARGV[5] and expiresAt or 0, 0) or KEYS[2] and redis.call('ZCARD', KEYS[2]) or 'saved'`,

  /** `now expiresAt entered`: `touched`. */
  touch: `
    local expiresAt, indexedUntil, _, _, owner = load()
    local nextExpiresAt = tonumber(ARGV[2])
    if not expiresAt or expiresAt <= now or expiresAt >= nextExpiresAt then return 'touched' end
    local indexed, missing = ensureIndexed(owner, nextExpiresAt, indexedUntil)
    if missing then return missing end
    redis.call('SETRANGE', KEYS[1], 2, instant(nextExpiresAt) .. ' ' .. instant(indexed))
    redis.call('PEXPIRE', KEYS[1], nextExpiresAt - now)
    return 'touched'`,

  /**
   * `now expiresAt entered version write owner payload id`: `missing`; `conflict`; or the owner from whose index the caller must
   * remove the session, `-` for none.
   */
  update: `
    local expiresAt, indexedUntil, version, write, owner = load()
    if not expiresAt or expiresAt <= now then return 'missing' end
    if write == ARGV[5] then return '-' end
    if version ~= ARGV[4] - 1 then return 'conflict' end
    local isMoved = owner ~= ARGV[6]
    if tonumber(ARGV[2]) <= now then
      redis.call('DEL', KEYS[1])
      if isMoved or not KEYS[2] then return owner end
      redis.call('ZREM', KEYS[2], ARGV[8])
      return '-'
    end
    return save(expiresAt, isMoved and 0 or indexedUntil) or isMoved and owner or '-'`,

  /**
   * `now owner`: the owner of the live record that was deleted; `ended` if there was none; or `kept` if the record has another
   * owner. With an empty `owner`, deletes a record of any owner.
   */
  delete: `
    local expiresAt, _, _, _, owner = load()
    if expiresAt and ARGV[2] ~= '' and owner ~= ARGV[2] then return 'kept' end
    redis.call('DEL', KEYS[1])
    return expiresAt and expiresAt > now and owner or 'ended'`,

  /** `cursor pattern count`: the cursor of the next SCAN step, `0` after the last. Deletes the keys of one step. */
  clear: `
    local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
    for _, key in ipairs(step[2]) do redis.call('UNLINK', key) end
    return step[1]`,

  /** `now id until`: the number of sessions in the index. Adds the session to the index. */
  index: `
    return addToIndex(KEYS[1], ARGV[2], tonumber(ARGV[3]))`,

  /**
   * `now after limit`: the score of the last id (empty on the last page), and then the ids with a score greater than `after`.
   * Ids with the same score are always on the same page.
   */
  page: `
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    local after = '(' .. ARGV[2]
    local last = redis.call('ZRANGEBYSCORE', KEYS[1], after, '+inf', 'WITHSCORES', 'LIMIT', ARGV[3] - 1, 1)[2]
    local page = redis.call('ZRANGEBYSCORE', KEYS[1], after, last or '+inf')
    table.insert(page, 1, last or '')
    return page`
}

const instant = `(${'%d'.repeat(16)})`

/**
 * Common functions. `load` returns the fields of a record, nothing for a damaged one. `addToIndex` returns the size of the index.
 * Scores only increase, so that `page` skips no session. A fraction derived from the id keeps pages short if many sessions
 * expire in the same millisecond. An entry is to last twice as long as the session has left to live. `save` keeps the later
 * of the stored expiry and the new one. It writes a new record even if an entry is missing: no client has its cookie yet.
 */
const prelude = `
  local now = tonumber(ARGV[1])
  local function instant (time) return string.format('%016d', time) end
  local function load ()
    local value = redis.pcall('GET', KEYS[1])
    if type(value) ~= 'string' then return end
    local expiresAt, indexedUntil, version, write, owner = string.match(value, '^1 ${instant} ${instant} (%d+) (%S+) ([-=][^\\n]*)\\n')
    return tonumber(expiresAt), tonumber(indexedUntil), tonumber(version), write, owner
  end
  local function addToIndex (key, id, time)
    local score = time + ${GRACE} + tonumber(string.sub(redis.sha1hex(id), 1, 3), 16) / 4096
    redis.call('ZADD', key, 'GT', score, id)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local life = math.floor(score - now)
    if redis.call('PTTL', key) < life then redis.call('PEXPIRE', key, life) end
    return redis.call('ZCARD', key)
  end
  local function ensureIndexed (owner, expiresAt, indexedUntil)
    local time, of = string.match(ARGV[3], '^enter (%d+) (.*)$')
    if of == owner then indexedUntil = math.max(indexedUntil, tonumber(time)) end
    if owner == '-' or indexedUntil >= expiresAt then return indexedUntil end
    indexedUntil = 2 * expiresAt - now
    if not KEYS[2] then return indexedUntil, 'enter ' .. instant(indexedUntil) .. ' ' .. owner end
    addToIndex(KEYS[2], ARGV[8], indexedUntil)
    return indexedUntil
  end
  local function save (expiresAt, indexedUntil)
    local nextExpiresAt = math.max(expiresAt, tonumber(ARGV[2]))
    local indexed, missing = ensureIndexed(ARGV[6], nextExpiresAt, indexedUntil)
    if missing and expiresAt > 0 then return missing end
    local head = table.concat({'1', instant(nextExpiresAt), instant(indexed), ARGV[4], ARGV[5], ARGV[6]}, ' ')
    redis.call('SET', KEYS[1], head .. '\\n' .. ARGV[7], 'PX', nextExpiresAt - now)
    return missing
  end`

export type ScriptName = keyof typeof sources

/** Each script, and its SHA-1 for EVALSHA. */
export const scripts = Object.fromEntries(Object.entries(sources).map(([name, source]) => {
  const lua = prelude + source
  return [name, { lua, digest: createHash('sha1').update(lua).digest('hex') }]
})) as Record<ScriptName, { readonly lua: string, readonly digest: string }>

/**
 * Matches the first line of a string in Redis, `1 expiresAt indexedUntil version write owner`. The payload follows. The two
 * times have a fixed width, so that a touch can overwrite them in place. The index of the owner contains the session until
 * `indexedUntil`, at least. `write` is the unique name of the last write. `load` in the scripts has the same pattern.
 */
const head = /^1 (\d{16}) \d{16} (\d+) \S+ ([-=][^\n]*)\n/

/** Escapes control characters, and lone surrogates, which UTF-8 does not have. Different texts have different results. */
export const quote = (text: string): string => /^[\w:.@-]*$/.test(text) ? text
  : text.replace(/[\\\p{Cc}\p{Cs}]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
export const unquote = (text: string): string => !text.includes('\\') ? text
  : text.replace(/\\u([\da-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** Returns the owner of a session as the scripts use it: `=` and the principal, or `NO_OWNER` without a principal. */
export const ownerOf = (principal: string | undefined): string => principal === undefined ? NO_OWNER : `=${quote(principal)}`
export const NO_OWNER = '-'

/** Reads the value of a session in Redis. Returns `undefined` for a text that no script wrote. */
export function decode (text: string): SessionRecord | undefined {
  const found = head.exec(text)
  if (found === null) return undefined
  const [line, expiresAt, version, owner = NO_OWNER] = found
  const payload = text.slice(line.length)
  // Two literals: V8 is slow to spread one into the other, and each read does it.
  if (owner === NO_OWNER) return { payload, version: Number(version), expiresAt: Number(expiresAt) }
  return { payload, version: Number(version), expiresAt: Number(expiresAt), principal: unquote(owner.slice(1)) }
}

/** Returns the error for a reply that no script returns. */
export const unexpectedReply = (reply: unknown): Error => new Error(`RedisStore: unexpected reply from the server (${typeof reply})`)
