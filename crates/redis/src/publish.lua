-- Publishes batches, whole or not at all, and no one else's entry comes between. The positions are
-- the lineage's next, never the stream's: where a stream goes back, none is given out again.
--
-- KEYS: the stream, the lineage, and the idempotency key if there is one.
-- ARGV: the epoch, the last seq of it that the node has heard of, the most entries to keep, how long
--       to remember the key in ms, what the key is sent with; then for each event its topic, type
--       ('' for none) and message.
-- Returns the first id; {'<first id> <count> <content>'} for a key that is known; false if the epoch is over
-- (or there is no event, which is how a node asks whether writes are accepted at all).
--
-- The key and the lineage come before the entries, and are taken back by the very command that wrote
-- them if the first entry is refused. After that one, nothing can fail.

if KEYS[3] then
  local answered = redis.call('GET', KEYS[3])
  if answered and answered ~= '' then return {answered} end
end
local epoch, seq = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'seq'))
seq = tonumber(seq)
if #ARGV < 6 or epoch ~= ARGV[1] or not seq or seq < tonumber(ARGV[2]) then return false end

-- Numbers become texts by `..`, several times cheaper than string.format, and exact up to 14 digits.
local count = (#ARGV - 5) / 3
local first = epoch .. '-' .. seq + 1
local time = redis.call('TIME')
local now = '' .. time[1] * 1000 + (time[2] - time[2] % 1000) / 1000

local function forget(answer)
  if KEYS[3] then redis.call('SET', KEYS[3], '', 'PX', 1) end
  return answer
end

if KEYS[3] then
  redis.call('SET', KEYS[3], first .. ' ' .. count .. ' ' .. ARGV[5], 'PX', ARGV[4])
end
local counted = redis.pcall('HSET', KEYS[2], 'seq', seq + count)
if type(counted) == 'table' then return forget(counted) end
local id = first
for at = 6, #ARGV, 3 do
  if at > 6 then id = epoch .. '-' .. (seq + at / 3 - 1) end
  local added
  if ARGV[at + 1] == '' then
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
end
return first
