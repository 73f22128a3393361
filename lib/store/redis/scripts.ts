import type { RedisClient } from './connection.js'

/**
 * What happens in Redis. Each script touches one key, so that it runs in a Cluster whatever slot the key is in, and
 * gives every key that it writes a time to live. Time to live is counted from the caller's `now`: the clocks of the
 * server and of the app need not agree.
 */
const scripts = {
  /** `now touchTo indexedUntil owner`: the value; nothing when it is absent, an empty text when it has expired. */
  read: `
    local value, expiresAt, indexedUntil, _, _, owner = load(KEYS[1])
    if not value then return false end
    if not expiresAt then return value end
    local now, touchTo = tonumber(ARGV[1]), tonumber(ARGV[2])
    if expiresAt <= now then return '' end
    if owner ~= '-' then
      local until_ = tonumber(ARGV[3])
      if until_ > indexedUntil and owner == ARGV[4] then
        indexedUntil = until_
        redis.call('SETRANGE', KEYS[1], 19, instant(indexedUntil))
        value = string.sub(value, 1, 19) .. instant(indexedUntil) .. string.sub(value, 36)
      end
      touchTo = math.min(touchTo, indexedUntil)
    end
    local gained = touchTo - expiresAt
    if gained > 0 and gained >= (touchTo - now) / 10 then
      redis.call('SETRANGE', KEYS[1], 2, instant(touchTo))
      redis.call('PEXPIRE', KEYS[1], touchTo - now)
      value = string.sub(value, 1, 2) .. instant(touchTo) .. string.sub(value, 19)
    end
    return value`,

  /** `now timeToLive write value`: 1, or 0 when a live record has the id. */
  create: `
    local value, expiresAt, _, version, write = load(KEYS[1])
    if expiresAt and expiresAt > tonumber(ARGV[1]) then return version == 1 and write == ARGV[3] and 1 or 0 end
    redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[2])
    return 1`,

  /**
   * `now version expiresAt write owner indexedUntil payload`: `missing`, `conflict`, `unindexed` when the index
   * would know the session for too short, or `updated` and the owner before.
   */
  update: `
    local value, expiresAt, indexedUntil, version, write, owner = load(KEYS[1])
    if not expiresAt then return {'missing'} end
    local now, nextVersion, nextExpiresAt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    if version == nextVersion and write == ARGV[4] then return {'updated', owner} end
    if expiresAt <= now then return {'missing'} end
    if version ~= nextVersion - 1 then return {'conflict'} end
    if nextExpiresAt <= now then
      redis.call('DEL', KEYS[1])
      return {'updated', owner}
    end
    local nextIndexedUntil = tonumber(ARGV[6])
    if owner == ARGV[5] then nextIndexedUntil = math.max(nextIndexedUntil, indexedUntil) end
    if ARGV[5] == '-' then nextIndexedUntil = 0
    elseif nextIndexedUntil < nextExpiresAt then return {'unindexed'} end
    local head = table.concat({'1', instant(nextExpiresAt), instant(nextIndexedUntil), ARGV[2], ARGV[4], ARGV[5]}, ' ')
    redis.call('SET', KEYS[1], head .. '\\n' .. ARGV[7], 'PX', nextExpiresAt - now)
    return {'updated', owner}`,

  /**
   * `now owner`: the owner of the live record that was deleted, an empty text when one was deleted that had
   * expired or was damaged, nothing when there was none, 0 when the record has not the owner that was given.
   */
  delete: `
    local value, expiresAt, _, _, _, owner = load(KEYS[1])
    if not value then return false end
    if ARGV[2] ~= '' and expiresAt and owner ~= ARGV[2] then return 0 end
    redis.call('DEL', KEYS[1])
    return expiresAt and expiresAt > tonumber(ARGV[1]) and owner or ''`,

  /** `now until id`: adds the id to a principal's index. What is over is forgotten, the whole index with its last id. */
  index: `
    local now, until_ = tonumber(ARGV[1]), tonumber(ARGV[2])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    local score = redis.call('ZSCORE', KEYS[1], ARGV[3])
    if not score or tonumber(score) < until_ then redis.call('ZADD', KEYS[1], until_, ARGV[3]) end
    local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    return redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(last[2]) - now))`,

  /** `now`: the ids of a principal's index. */
  ids: `
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
    return redis.call('ZRANGE', KEYS[1], 0, -1)`
}

/** Reads a value and its head, as `value.ts` writes it. Of a damaged one there is only the value. */
const prelude = `
  local function instant (time) return string.format('%016d', time) end
  local function load (key)
    local value = redis.pcall('GET', key)
    if type(value) == 'table' then return '?' end
    if not value then return false end
    local expiresAt, indexedUntil, version, write, owner =
      string.match(value, '^1 (%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d) (%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d) (%d+) (%S+) ([-=][^\\n]*)\\n')
    return value, tonumber(expiresAt), tonumber(indexedUntil), tonumber(version), write, owner
  end`

export type Script = keyof typeof scripts

/** The name of a script's command on the client: it belongs to the app, so the names must not be anybody else's. */
export const commandOf = (script: Script): string => `fastifyOpenapiSession_${script}`

/** The client sends a script once on each connection, and its digest from then on (EVALSHA). */
export function defineScripts (client: RedisClient): void {
  for (const [name, lua] of Object.entries(scripts)) {
    client.defineCommand(commandOf(name as Script), { lua: prelude + lua, numberOfKeys: 1 })
  }
}
