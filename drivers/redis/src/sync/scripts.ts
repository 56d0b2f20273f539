import { Script } from "../link/script.ts";

/*
 * Leases are the fields of one hash. A value is the revision of the lease, when it was written in
 * milliseconds, and its bytes, separated by blanks. A revision is the time of the server in
 * microseconds, or one more than the last revision where that is not larger: so it also grows where
 * a replica is promoted that lacks the last ones.
 */

/**
 * Writes or deletes a lease. KEYS: leases, the last revision. ARGV: the lease, the expected
 * revision, the channel, `put` or `delete`, and the bytes.
 * @returns the revision; 0 if the lease has another one than expected.
 */
export const changeLease: Script = new Script(`
local key, expected, channel, action = unpack(ARGV, 1, 4)
local found = redis.call('HGET', KEYS[1], key)
local current = found and string.match(found, '^%d+') or '0'
if current ~= expected then return '0' end
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local revision = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[2], revision)
local stored = revision
if action == 'delete' then
  redis.call('HDEL', KEYS[1], key)
else
  stored = revision .. ' ' .. time[1] * 1000 + math.floor(time[2] / 1000) .. ' ' .. ARGV[5]
  redis.call('HSET', KEYS[1], key, stored)
end
redis.call('PUBLISH', channel, stored)
return revision
`);

/** Reads all leases, after the time of the server. KEYS: leases. */
export const readLeases: Script = new Script(`
local time = redis.call('TIME')
local found = redis.call('HGETALL', KEYS[1])
table.insert(found, 1, tostring(time[1] * 1000 + math.floor(time[2] / 1000)))
return found
`);
