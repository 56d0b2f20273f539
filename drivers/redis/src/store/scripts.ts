import { Script } from "../link/script.ts";

/*
 * A record is a hash. Its key is also in a sorted set without scores, which the server keeps in the
 * order of bytes, and in another by its expiry. A version is the time of the server in
 * microseconds, or one more than the last version where that is not larger.
 */

/**
 * Changes a record. KEYS: the record, all keys, those that expire, the last version, the largest
 * tokens. ARGV: the key, `write` or `delete`, the time of the caller, the expected version, the
 * lock, its token, the channel; of a write also the value, the metadata and the expiry. Absent
 * values are empty.
 */
export const changeRecord: Script = new Script(`
local key, action, now, expected, lock, token, channel = unpack(ARGV, 1, 7)
local found = redis.call('HMGET', KEYS[1], 'version', 'expires')
local exists = found[1] and (found[2] == '' or tonumber(found[2]) > tonumber(now))
local current = exists and found[1] or '0'
if expected ~= '' and expected ~= current then return {'version', current} end
if lock ~= '' then
  local largest = redis.call('HGET', KEYS[5], lock) or '0'
  if #token < #largest or (#token == #largest and token < largest) then
    return {'fence', largest}
  end
end
if action == 'delete' and not found[1] then
  if lock ~= '' then redis.call('HSET', KEYS[5], lock, token) end
  return {'done', '0', 0}
end
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[4]) or '0')
local version = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[4], version)
if lock ~= '' then redis.call('HSET', KEYS[5], lock, token) end
if action == 'delete' then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], key)
  redis.call('ZREM', KEYS[3], key)
  redis.call('PUBLISH', channel, 'deleted ' .. version .. ' ' .. #key .. ' 0 \\n' .. key)
  return {'done', version, exists and 1 or 0}
end
local value, metadata, expires = ARGV[8], ARGV[9], ARGV[10]
redis.call('HSET', KEYS[1], 'value', value, 'metadata', metadata, 'expires', expires, 'version', version)
redis.call('ZADD', KEYS[2], 0, key)
if expires == '' then redis.call('ZREM', KEYS[3], key) else redis.call('ZADD', KEYS[3], expires, key) end
redis.call('PUBLISH', channel, 'written ' .. version .. ' ' .. #key .. ' ' .. #metadata .. ' '
  .. expires .. '\\n' .. key .. metadata .. value)
return {'done', version, exists and 1 or 0}
`);

/**
 * Reads a page of records. KEYS: all keys, the last version. ARGV: what record keys begin with, the
 * lower and the upper bound, the number of keys, and the bytes after which a page ends.
 * @returns the last version, the last key of the page (empty at the end), and five values a record.
 */
export const readPage: Script = new Script(`
local keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local page = {redis.call('GET', KEYS[2]) or '0', ''}
local bytes = 0
for index, key in ipairs(keys) do
  local found = redis.call('HMGET', ARGV[1] .. key, 'value', 'metadata', 'expires', 'version')
  if found[4] then
    page[#page + 1] = key
    for _, value in ipairs(found) do page[#page + 1] = value end
    bytes = bytes + #key + #found[1] + #found[2]
  end
  if bytes >= tonumber(ARGV[5]) or index == tonumber(ARGV[4]) then
    page[2] = key
    break
  end
end
return page
`);

/**
 * Removes records that expired by the clock of the caller and by that of the server. KEYS: all
 * keys, those that expire. ARGV: what record keys begin with, the time before which they expired,
 * the largest number to remove, and for how long they must have expired on the server, in
 * milliseconds.
 * @returns how many were removed.
 */
export const removeExpired: Script = new Script(`
local time = redis.call('TIME')
local before = math.min(tonumber(ARGV[2]), time[1] * 1000 - ARGV[4])
local keys = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', before, 'LIMIT', 0, ARGV[3])
for _, key in ipairs(keys) do
  redis.call('DEL', ARGV[1] .. key)
  redis.call('ZREM', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
end
return #keys
`);
