-- Forgets the ids of events that are no longer retained, oldest first; an id that several events have goes on to
-- the next of them, and is marked (a field of two line ends and the id): its first event has gone, and whoever
-- comes back with it may lack what lies before the next. Taken up again, it goes on where it was
-- stopped: an id goes before its place in the order does.
--
-- KEYS: the stream, the ids, their order. ARGV: the most to forget in one call.
-- Returns how many were forgotten.

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
-- Of an empty stream nothing is retained.
local epoch, seq
if first then epoch, seq = first[1]:match('^(%d+)-(%d+)$') end

-- Numbers of up to twenty digits, as texts: the longer is the greater.
local function before(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

for forgotten = 0, tonumber(ARGV[1]) - 1 do
  local oldest = redis.call('LINDEX', KEYS[3], 0)
  if not oldest then return forgotten end
  local position, its_epoch, its_seq, id = oldest:match('^((%d+)-(%d+)) (.*)$')
  if position and epoch then
    local is_gone
    if its_epoch == epoch then is_gone = before(its_seq, seq) else is_gone = before(its_epoch, epoch) end
    if not is_gone then return forgotten end
  end
  if position then
    local earliest, latest = (redis.call('HGET', KEYS[2], id) or ''):match('^(%d+%-%d+) ?(.*)$')
    local following = redis.call('HGET', KEYS[2], '\n' .. position)
    if earliest == position and following then
      local left = following
      if latest ~= following then left = following .. ' ' .. latest end
      redis.call('HSET', KEYS[2], id, left, '\n\n' .. id, '')
    elseif earliest == position then
      redis.call('HDEL', KEYS[2], id, '\n\n' .. id)
    end
    if following then redis.call('HDEL', KEYS[2], '\n' .. position) end
  end
  redis.call('LPOP', KEYS[3])
end
return tonumber(ARGV[1])
