-- Lists a node with its line, takes off the list whoever's last heartbeat is too long ago, and returns the
-- lines of all that are there.
--
-- KEYS: the list, a hash of '<ms> <line>' by name. ARGV: the node's name, its line, how long a line
--       stands in ms, how many nodes there may be.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lines, there = {}, false
local nodes = redis.call('HGETALL', KEYS[1])
for i = 1, #nodes, 2 do
  local at, line = nodes[i + 1]:match('^(%d+) (.*)$')
  if nodes[i] == ARGV[1] then
    there = true
  elseif at and now - tonumber(at) <= tonumber(ARGV[3]) then
    lines[#lines + 1] = line
  else
    redis.call('HDEL', KEYS[1], nodes[i])
  end
end
lines[#lines + 1] = ARGV[2]
if there or #lines <= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return lines
