-- Begins a new epoch where this server may have lost writes since it was last fenced. That is so
-- if the stream is missing or shorter than what the node has heard, or if another process, or this
-- one in another role, was fenced before.
--
-- KEYS: the stream, the list of ancestors' ends, the server last fenced.
-- ARGV: 'check' to write nothing; epoch and seq of the greatest position the node has heard of;
--       how many ancestors to remember.
-- Returns the stream's last id, its first entry's id and time ('' where it is empty) and its length,
-- or false if a new epoch is needed and only a check was asked for.

local heard_epoch, heard_seq = tonumber(ARGV[2]), tonumber(ARGV[3])

local info = redis.call('INFO', 'server', 'replication')
local server = info:match('run_id:(%x+)') .. ':' .. info:match('master_replid:(%x+)')

local function state()
  if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
  local last, first, first_at, length = nil, '', '', 0
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then
      last = facts[i + 1]
    elseif facts[i] == 'first-entry' and facts[i + 1] then
      first = facts[i + 1][1]
      if facts[i + 1][2][1] == 'a' then first_at = facts[i + 1][2][2] end
    elseif facts[i] == 'length' then
      length = facts[i + 1]
    end
  end
  return last, first, first_at, length
end

local last, first, first_at, length = state()
local epoch, seq
if last then
  epoch, seq = last:match('^(%d+)-(%d+)$')
  epoch, seq = tonumber(epoch), tonumber(seq)
  local went_back = heard_epoch > epoch or (heard_epoch == epoch and heard_seq > seq)
  if not went_back and redis.call('GET', KEYS[3]) == server then
    return {last, first, first_at, length}
  end
end
if ARGV[1] == 'check' then return false end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local marker = string.format('%.0f-0', math.max(now, heard_epoch + 1, (epoch or 0) + 1))
if last then
  redis.call('RPUSH', KEYS[2], last)
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[4]), -1)
else
  redis.call('DEL', KEYS[2])
end
redis.call('XADD', KEYS[1], marker, 'a', string.format('%.0f', now), 'parent', last or '')
redis.call('SET', KEYS[3], server)
return {state()}
