import { Script } from "../link/script.ts";

/**
 * Adds an event unless one with its identity was added lately. KEYS: the stream, and the identity
 * where there is one. ARGV: for how long an identity is remembered, the channel to wake members or
 * nothing, and the fields.
 */
export const addEvent: Script = new Script(`
if KEYS[2] and not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return '' end
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
if ARGV[2] ~= '' then redis.call('PUBLISH', ARGV[2], KEYS[1]) end
return id
`);

/**
 * Creates a group unless it exists. KEYS: the stream. ARGV: the group, and the id after which it
 * begins.
 * @returns the id of the last event that was delivered to the group.
 */
export const beginGroup: Script = new Script(`
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for index = 1, #group, 2 do about[group[index]] = group[index + 1] end
  if about['name'] == ARGV[1] then return about['last-delivered-id'] end
end
return '0-0'
`);

/** The id of the last event in each stream, 0-0 for none. KEYS: the streams. */
export const lastIds: Script = new Script(`
local last = {}
for index, stream in ipairs(KEYS) do
  last[index] = '0-0'
  if redis.call('EXISTS', stream) == 1 then
    local about = redis.call('XINFO', 'STREAM', stream)
    for at = 1, #about, 2 do
      if about[at] == 'last-generated-id' then last[index] = about[at + 1] end
    end
  end
end
return last
`);

/*
 * The commands of a member name events that may belong to another one by now: XACK and XCLAIM do
 * not check that. ARGV of all of them begins with the group and the member.
 */
const isMine = `
local group, me = ARGV[1], ARGV[2]
local function is_mine(id)
  return #redis.call('XPENDING', KEYS[1], group, id, id, 1, me) > 0
end
`;

/** Acknowledges events. ARGV: also the channel to wake members or nothing, and the ids. */
export const acknowledge: Script = new Script(`${isMine}
local mine = {}
for index = 4, #ARGV do
  if is_mine(ARGV[index]) then mine[#mine + 1] = ARGV[index] end
end
if #mine == 0 then return 0 end
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3], KEYS[1]) end
return redis.call('XACK', KEYS[1], group, unpack(mine))
`);

/**
 * Keeps events for the member. ARGV: also the ids.
 * @returns those that belong to another member.
 */
export const keepEvents: Script = new Script(`${isMine}
local lost = {}
for index = 3, #ARGV do
  local id = ARGV[index]
  if is_mine(id) then redis.call('XCLAIM', KEYS[1], group, me, 0, id, 'JUSTID')
  else lost[#lost + 1] = id end
end
return lost
`);

/** Records a handling. ARGV: also the id, and its number. @returns whether the event is ours. */
export const countHandling: Script = new Script(`${isMine}
if not is_mine(ARGV[3]) then return 0 end
redis.call('XCLAIM', KEYS[1], group, me, 0, ARGV[3], 'RETRYCOUNT', ARGV[4], 'JUSTID')
return 1
`);

/**
 * Leaves events to other members. ARGV: also the channel to wake them, the idle time that lets them
 * take it, and an id and its number of handlings for each.
 */
export const giveBack: Script = new Script(`${isMine}
for index = 5, #ARGV, 2 do
  local id = ARGV[index]
  if is_mine(id) then
    redis.call('XCLAIM', KEYS[1], group, me, 0, id, 'IDLE', ARGV[4], 'RETRYCOUNT', ARGV[index + 1], 'JUSTID')
  end
end
redis.call('PUBLISH', ARGV[3], KEYS[1])
return 1
`);

/**
 * Takes the events whose members were silent. ARGV: also for how long, and the largest number.
 * @returns the ids of those that were trimmed; and an id, the number of deliveries before and the
 * fields for each other one.
 */
export const takeOver: Script = new Script(`
local group, me = ARGV[1], ARGV[2]
local due = redis.call('XPENDING', KEYS[1], group, 'IDLE', ARGV[3], '-', '+', ARGV[4])
local trimmed, taken = {}, {}
for _, pending in ipairs(due) do
  local entry = redis.call('XCLAIM', KEYS[1], group, me, ARGV[3], pending[1])[1]
  if entry and entry[2] then taken[#taken + 1] = {pending[1], pending[4], entry[2]}
  else
    redis.call('XACK', KEYS[1], group, pending[1])
    trimmed[#trimmed + 1] = pending[1]
  end
end
return {trimmed, taken}
`);

/** Takes the next event of a partition, unless a member has one. */
export const takeNext: Script = new Script(`
local group, me = ARGV[1], ARGV[2]
if redis.call('XPENDING', KEYS[1], group)[1] > 0 then return false end
return redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', 1, 'STREAMS', KEYS[1], '>')
`);

/**
 * Removes events that are older than an id and that every group has handled. KEYS: the stream.
 * ARGV: the id.
 */
export const trimStream: Script = new Script(`
local function before(one, other)
  local ms, sequence = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_sequence = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms < other_ms or (ms == other_ms and tonumber(sequence) < tonumber(other_sequence))
end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local least = ARGV[1]
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local about = {}
  for index = 1, #group, 2 do about[group[index]] = group[index + 1] end
  local needed = about['last-delivered-id']
  local pending = redis.call('XPENDING', KEYS[1], about['name'])
  if pending[1] > 0 and before(pending[2], needed) then needed = pending[2] end
  if before(needed, least) then least = needed end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', least)
`);
