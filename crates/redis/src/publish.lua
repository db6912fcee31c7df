-- Publishes batches, whole or not at all, and no one else's entry comes between. The positions are
-- the lineage's next, never the stream's: where a stream goes back, none is given out again.
--
-- KEYS: the stream, the lineage, the idempotency key if there is one, then the ids and their order if any event
-- has an id.
-- ARGV: the epoch, the last seq of it that the node has heard of, the most entries to keep, how long
--       to remember the key in ms, what the key is sent with; then for each event its topic, type
--       ('' for none), message and extras ('' for none: `p` if it is private with the time to come back, its id,
--       its other topics, a line each).
-- Returns the first id; {'<first id> <count> <content>'} for a key that is known; false if the epoch is over
-- (or there is no event, which is how a node asks whether writes are accepted at all).
--
-- The key and the lineage come before the entries, and are taken back by the very command that wrote
-- them if the first entry is refused. After that one, nothing may raise an error: what is called goes by `pcall`.
-- An id follows its entry: one that cannot be read or written is unknown, which is a gap and no silence. Its place
-- in the order comes first, so that what is kept of it is found again, and nothing is kept of one that has none.

local key = #KEYS % 2 == 1 and KEYS[3]
local ids, order = KEYS[#KEYS - 1], KEYS[#KEYS]
if key then
  local answered = redis.call('GET', key)
  if answered and answered ~= '' then return {answered} end
end
local epoch, seq = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'seq'))
seq = tonumber(seq)
if #ARGV < 6 or epoch ~= ARGV[1] or not seq or seq < tonumber(ARGV[2]) then return false end

-- Numbers become texts by `..`, several times cheaper than string.format, and exact up to 14 digits.
local count = (#ARGV - 5) / 4
local first = epoch .. '-' .. seq + 1
local time = redis.call('TIME')
local now = '' .. time[1] * 1000 + (time[2] - time[2] % 1000) / 1000

local function forget(answer)
  if key then redis.call('SET', key, '', 'PX', 1) end
  return answer
end

if key then
  redis.call('SET', key, first .. ' ' .. count .. ' ' .. ARGV[5], 'PX', ARGV[4])
end
local counted = redis.pcall('HSET', KEYS[2], 'seq', seq + count)
if type(counted) == 'table' then return forget(counted) end
local id = first
for at = 6, #ARGV, 4 do
  if at > 6 then id = epoch .. '-' .. (seq + (at - 2) / 4) end
  local added
  local extras = ARGV[at + 3]
  if extras ~= '' then
    added = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[3], id,
      'a', now, 't', ARGV[at], 'm', ARGV[at + 2], 'e', ARGV[at + 1], 'x', extras)
  elseif ARGV[at + 1] == '' then
    added = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[3], id,
      'a', now, 't', ARGV[at], 'm', ARGV[at + 2])
  else
    added = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[3], id,
      'a', now, 't', ARGV[at], 'm', ARGV[at + 2], 'e', ARGV[at + 1])
  end
  if type(added) ~= 'string' then
    redis.call('HSET', KEYS[2], 'seq', seq)
    return forget(added)
  end
  local called = #KEYS >= 4 and extras ~= '' and extras:match('^p?%d*\n([^\n]+)')
  local known = called and (redis.pcall('HGET', ids, called) or '')
  if type(known) == 'string' and type(redis.pcall('RPUSH', order, id .. ' ' .. called)) == 'number' then
    local earliest, latest = known:match('^(%d+%-%d+) ?(.*)$')
    if not earliest then
      redis.pcall('HSET', ids, called, id)
    else
      -- No id holds a line end.
      if latest == '' then latest = earliest end
      redis.pcall('HSET', ids, '\n' .. latest, id, called, earliest .. ' ' .. id)
    end
  end
end
return first
