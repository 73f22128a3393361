import { createHash } from 'node:crypto'
import type { SessionRecord } from '../store.js'

/**
 * How long the index keeps an entry after its time, in milliseconds. A session that is expired by the clock of one process may
 * be live by the clock of another, and `deleteAll` must find it. The clocks may differ by up to five minutes; this is twice that.
 */
const GRACE = 600_000

/**
 * The Lua of each call. Its comment is "fields that it uses, besides `now`: reply". A call is atomic. It uses one record
 * or index, `key`. A call that saves a record also uses the index of its owner, `index`, if that is on the same server. Every key
 * that a call writes has a time to live, counted from the `now` of the caller, so that the clocks of the server and of the app may
 * differ.
 *
 * An index contains a session for longer than the record lives. Before a record would outlive its entry, the reply is
 * `enter <until> <owner>`: the caller must add the session to the index of this owner, and then make the call again with this
 * reply in the field `entered`.
 */
const calls = {
  /** All: `taken`, the number of sessions in the index, or `saved` without one. */
  create: `
    local expiresAt, _, _, write = load()
    if expiresAt and expiresAt > now and write ~= nextWrite then return 'taken' end
    if nextExpiresAt <= now then return 'saved' end
    return save(write == nextWrite and expiresAt or 0, 0) or index and redis.call('ZCARD', index) or 'saved'`,

  /** `nextExpiresAt entered`: `touched`. */
  touch: `
    local expiresAt, indexedUntil, _, _, owner = load()
    if not expiresAt or expiresAt <= now or expiresAt >= nextExpiresAt then return 'touched' end
    local indexed, missing = ensureIndexed(owner, nextExpiresAt, indexedUntil)
    if missing then return missing end
    redis.call('SETRANGE', key, 2, instant(nextExpiresAt) .. ' ' .. instant(indexed))
    redis.call('PEXPIRE', key, nextExpiresAt - now)
    return 'touched'`,

  /** All: `missing`; `conflict`; or the owner from whose index the caller must remove the session, `-` for none. */
  update: `
    local expiresAt, indexedUntil, version, write, owner = load()
    if not expiresAt or expiresAt <= now then return 'missing' end
    if write == nextWrite then return '-' end
    if version ~= nextVersion - 1 then return 'conflict' end
    local isMoved = owner ~= nextOwner
    if nextExpiresAt <= now then
      redis.call('DEL', key)
      if isMoved or not index then return owner end
      redis.call('ZREM', index, id)
      return '-'
    end
    return save(expiresAt, isMoved and 0 or indexedUntil) or isMoved and owner or '-'`,

  /**
   * `nextOwner`: the owner of the live record that was deleted; `ended` if there was none; or `kept` if the record has another
   * owner. With an empty `nextOwner`, deletes a record of any owner.
   */
  delete: `
    local expiresAt, _, _, _, owner = load()
    if expiresAt and nextOwner ~= '' and owner ~= nextOwner then return 'kept' end
    redis.call('DEL', key)
    return expiresAt and expiresAt > now and owner or 'ended'`,

  /** `payload`, with a cursor and a pattern: the cursor of the next SCAN step, `0` after the last. Deletes the keys of one step. */
  clear: `
    local cursor, pattern = string.match(payload, '^(%d+) (.*)$')
    local step = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 500)
    for _, found in ipairs(step[2]) do redis.call('UNLINK', found) end
    return step[1]`,

  /** `nextExpiresAt id`: the number of sessions in the index. Adds the session to the index. */
  index: `
    return addToIndex(key, nextExpiresAt)`,

  /** `payload`, with an id on each line: `unindexed`. Removes the sessions from the index. */
  unindex: `
    for member in string.gmatch(payload, '[^\\n]+') do redis.call('ZREM', key, member) end
    return 'unindexed'`,

  /**
   * `payload`, with `after` and a limit: the score of the last id (empty on the last page), and then the ids with a score greater
   * than `after`. Ids with the same score are always on the same page.
   */
  page: `
    local after, limit = string.match(payload, '^(%S+) (%d+)$')
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local last = redis.call('ZRANGEBYSCORE', key, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', limit - 1, 1)[2]
    local page = redis.call('ZRANGEBYSCORE', key, '(' .. after, last or '+inf')
    table.insert(page, 1, last or '')
    return page`
}

export type CallName = keyof typeof calls

const instant = `(${'%d'.repeat(16)})`

/**
 * Makes any number of calls, and returns the reply of each. A call is one argument with all its fields, and its one or two keys.
 * An error is the reply of the call that failed. But if the server has become a replica, it is the reply of the command, so that
 * the client looks for the new primary.
 *
 * `instant` limits a time to 16 digits. `load` returns the fields of a record, nothing for a damaged one. `addToIndex` returns the
 * size of the index.
 * Scores only increase, so that `page` skips no session. A fraction derived from the id keeps pages short if many sessions
 * expire in the same millisecond. An entry is to last twice as long as the session has left to live. `save` keeps the later
 * of the stored expiry and the new one. It writes a new record even if an entry is missing: no client has its cookie yet.
 */
const lua = `
  local key, index, now, nextExpiresAt, nextVersion, nextWrite, nextOwner, id, entered, payload
  local function instant (time) return string.format('%016d', math.min(time, ${Number.MAX_SAFE_INTEGER})) end
  local function load ()
    local value = redis.pcall('GET', key)
    if type(value) ~= 'string' then return end
    local expiresAt, indexedUntil, version, write, owner = string.match(value, '^1 ${instant} ${instant} (%d+) (%S+) ([-=][^\\n]*)\\n')
    return tonumber(expiresAt), tonumber(indexedUntil), tonumber(version), write, owner
  end
  local function addToIndex (index, time)
    local score = time + ${GRACE} + tonumber(string.sub(redis.sha1hex(id), 1, 3), 16) / 4096
    redis.call('ZADD', index, 'GT', score, id)
    redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
    local life = math.floor(score - now)
    if redis.call('PTTL', index) < life then redis.call('PEXPIRE', index, life) end
    return redis.call('ZCARD', index)
  end
  local function ensureIndexed (owner, expiresAt, indexedUntil)
    local time, of = string.match(entered, '^enter (%d+) (.*)$')
    if of == owner then indexedUntil = math.max(indexedUntil, tonumber(time)) end
    if owner == '-' or indexedUntil >= expiresAt then return indexedUntil end
    indexedUntil = 2 * expiresAt - now
    if not index then return indexedUntil, 'enter ' .. instant(indexedUntil) .. ' ' .. owner end
    addToIndex(index, indexedUntil)
    return indexedUntil
  end
  local function save (expiresAt, indexedUntil)
    local expiry = math.max(expiresAt, nextExpiresAt)
    local indexed, missing = ensureIndexed(nextOwner, expiry, indexedUntil)
    if missing and expiresAt > 0 then return missing end
    local head = table.concat({'1', instant(expiry), instant(indexed), nextVersion, nextWrite, nextOwner}, ' ')
    redis.call('SET', key, head .. '\\n' .. payload, 'PX', expiry - now)
    return missing
  end
  local calls = {${Object.entries(calls).map(([name, source]) => `\n  ['${name}'] = function ()${source}\n  end`).join(',')}
  }
  local replies, used = {}, 0
  for number, call in ipairs(ARGV) do
    local name, keys
    name, keys, now, nextExpiresAt, nextVersion, nextWrite, nextOwner, id, entered, payload =
      string.match(call, '^(%a+) (%d) (%S+) (%S+) (%S+) (%S+) ([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    now, nextExpiresAt, nextVersion = tonumber(now), tonumber(nextExpiresAt), tonumber(nextVersion)
    key, index = KEYS[used + 1], keys == '2' and KEYS[used + 2] or nil
    used = used + keys
    local isDone, reply = pcall(calls[name])
    if not isDone then
      if type(reply) ~= 'table' then reply = redis.error_reply(reply) end
      if string.find(reply.err, 'READONLY', 1, true) then return reply end
    end
    replies[number] = reply
  end
  return replies`

/** The script of all calls, and its SHA-1 for EVALSHA. */
export const script = { lua, digest: createHash('sha1').update(lua).digest('hex') }

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
