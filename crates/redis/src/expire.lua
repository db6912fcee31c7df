-- Trims what is older than so long, by the clock that dated it: the server's. Entries of an epoch are
-- dense and in the order of their times, near enough, so the first young one is found by bisection; one
-- epoch per call. One write.
--
-- KEYS: the stream. ARGV: the age in ms; older entries go.

local time = redis.call('TIME')
local cutoff = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(ARGV[1])

local function old(entry)
  return entry[2][1] ~= 'a' or (tonumber(entry[2][2]) or 0) < cutoff
end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or not old(first) then return 0 end

local epoch, low = first[1]:match('^(%d+)-(%d+)$')
local last = redis.call('XREVRANGE', KEYS[1], epoch, epoch, 'COUNT', 1)[1]
local high = tonumber(last[1]:match('-(%d+)$')) + 1
low = tonumber(low)
while low < high do
  local middle = math.floor((low + high) / 2)
  local id = string.format('%s-%.0f', epoch, middle)
  local entry = redis.call('XRANGE', KEYS[1], id, epoch, 'COUNT', 1)[1]
  if entry and old(entry) then
    low = tonumber(entry[1]:match('-(%d+)$')) + 1
  else
    high = middle
  end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%s-%.0f', epoch, low))
