-- Gives a notice, and keeps no more than so many. One that has just been given is not given again:
-- whoever lost the answer repeats it. Each names the one before it, so that whoever has missed one
-- knows. One write.
--
-- KEYS: the stream of notices. ARGV: how many to keep, the notice, by what to know it again, among how
-- many of the latest.

local before = ''
for i, given in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[4])) do
  if given[2][4] == ARGV[3] then return end
  if i == 1 then before = given[1] end
end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 't', ARGV[2], 'n', ARGV[3], 'b', before)
