import { createHash } from 'node:crypto'

/**
 * The scripts, each with a comment of the form "arguments: reply". A script is atomic. It uses one record, and the index of the
 * principal (`KEYS[2]`) if that is on the same server. Every key that it writes has a time to live, counted from the `now` of the
 * caller, so that the clocks of the server and of the app may differ. A reply is a text, a list of texts, or a number.
 */
const sources = {
  /** `now timeToLive write value id score`: `taken`, or the number of sessions in the index, or `created` without an index. */
  create: `
    local value, expiresAt, _, version, write = load(KEYS[1])
    local isLive = expiresAt and expiresAt > tonumber(ARGV[1])
    if isLive and not (version == 1 and write == ARGV[3]) then return 'taken' end
    local reply = KEYS[2] and addToIndex(KEYS[2], ARGV[1], ARGV[6], ARGV[5]) or 'created'
    if not isLive then redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[2]) end
    return reply`,

  /**
   * `now expiresAt until owner`: an empty text, or the owner to whose index the caller must add the session first. The
   * argument `owner` is the owner whose index contains the session until `until`.
   */
  touch: `
    local value, expiresAt, indexedUntil, _, _, owner = load(KEYS[1])
    local now, nextExpiresAt = tonumber(ARGV[1]), tonumber(ARGV[2])
    if not expiresAt or expiresAt <= now or expiresAt >= nextExpiresAt then return '' end
    if owner == ARGV[4] then indexedUntil = math.max(indexedUntil, tonumber(ARGV[3])) end
    if owner ~= '-' and indexedUntil < nextExpiresAt then return owner end
    redis.call('SETRANGE', KEYS[1], 2, instant(nextExpiresAt) .. ' ' .. instant(indexedUntil))
    redis.call('PEXPIRE', KEYS[1], nextExpiresAt - now)
    return ''`,

  /**
   * `now version expiresAt write owner payload id offset until indexed`: `missing`; `conflict`; the time until which the caller
   * must add the session to the index first; or, after the update, the owner from whose index the caller must remove the session,
   * `-` for none. `indexed` is the time until which the caller has added it. A score is its time plus `offset`.
   */
  update: `
    local value, expiresAt, indexedUntil, version, write, owner = load(KEYS[1])
    local now, nextVersion, nextExpiresAt, nextOwner = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[5]
    if not expiresAt then return 'missing' end
    if version == nextVersion and write == ARGV[4] then return '-' end
    if expiresAt <= now then return 'missing' end
    if version ~= nextVersion - 1 then return 'conflict' end
    if nextExpiresAt <= now then
      redis.call('DEL', KEYS[1])
      if not KEYS[2] or owner ~= nextOwner then return owner end
      redis.call('ZREM', KEYS[2], ARGV[7])
      return '-'
    end
    nextExpiresAt = math.max(nextExpiresAt, expiresAt)
    if owner ~= nextOwner then indexedUntil = 0 end
    if nextOwner ~= '-' and indexedUntil < nextExpiresAt then
      indexedUntil = math.max(tonumber(ARGV[9]), nextExpiresAt)
      if KEYS[2] then addToIndex(KEYS[2], ARGV[1], indexedUntil + ARGV[8], ARGV[7])
      elseif tonumber(ARGV[10]) < indexedUntil then return instant(indexedUntil) end
    end
    local head = table.concat({'1', instant(nextExpiresAt), instant(indexedUntil), ARGV[2], ARGV[4], nextOwner}, ' ')
    redis.call('SET', KEYS[1], head .. '\\n' .. ARGV[6], 'PX', nextExpiresAt - now)
    return owner ~= nextOwner and owner or '-'`,

  /**
   * `now owner`: the owner of the live record that was deleted; `ended` if the deleted record had expired or was damaged;
   * `absent`; or `kept` if the record has another owner. With an empty `owner`, deletes a record of any owner.
   */
  delete: `
    local value, expiresAt, _, _, _, owner = load(KEYS[1])
    if not value then return 'absent' end
    if expiresAt and ARGV[2] ~= '' and owner ~= ARGV[2] then return 'kept' end
    redis.call('DEL', KEYS[1])
    return expiresAt and expiresAt > tonumber(ARGV[1]) and owner or 'ended'`,

  /** `cursor pattern count`: the cursor of the next SCAN step, `0` after the last. Deletes the keys of one step. */
  clear: `
    local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
    for _, key in ipairs(step[2]) do redis.call('UNLINK', key) end
    return step[1]`,

  /** `now id score`: the number of sessions in the index. Adds the id to the index. */
  index: `
    return addToIndex(KEYS[1], ARGV[1], ARGV[3], ARGV[2])`,

  /**
   * `now after limit`: the score of the last id (empty on the last page), and then the ids with a score greater than `after`.
   * Ids with the same score are always on the same page.
   */
  page: `
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
    local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
    local last = found[#found]
    if not last then return {''} end
    local page = {#found < 2 * tonumber(ARGV[3]) and '' or last}
    for n = 1, #found, 2 do
      if found[n + 1] ~= last then page[#page + 1] = found[n] end
    end
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], last, last)) do page[#page + 1] = id end
    return page`
}

/** Common functions. `load` returns a value and the fields of its first line. `addToIndex` returns the size of the index. */
const prelude = `
  local function instant (time) return string.format('%016d', time) end
  local function load (key)
    local value = redis.pcall('GET', key)
    if type(value) == 'table' then return '?' end
    if not value then return false end
    local expiresAt, indexedUntil, version, write, owner =
      string.match(value, '^1 (%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d) (%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d) (%d+) (%S+) ([-=][^\\n]*)\\n')
    return value, tonumber(expiresAt), tonumber(indexedUntil), tonumber(version), write, owner
  end
  local function addToIndex (key, now, score, id)
    redis.call('ZADD', key, 'GT', score, id)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local life = math.floor(tonumber(score) - tonumber(now))
    if redis.call('PTTL', key) < life then redis.call('PEXPIRE', key, life) end
    return redis.call('ZCARD', key)
  end`

export interface Script {
  readonly lua: string
  /** The SHA-1 of the script, for EVALSHA. */
  readonly digest: string
}

export type ScriptName = keyof typeof sources

export const scripts = Object.fromEntries(Object.entries(sources).map(([name, source]) => {
  const lua = prelude + source
  return [name, { lua, digest: createHash('sha1').update(lua).digest('hex') }]
})) as Record<ScriptName, Script>
