-- Gives a notice, keeps no more than so many, and none when there has been no further for long. One
-- that has just been given is not given again: whoever lost the answer repeats it.
--
-- KEYS: the stream of notices. ARGV: how many to keep, how long to keep them in ms, the notice, by
--       what to know it again, among how many of the latest.

for _, given in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[5])) do
  if given[2][4] == ARGV[4] then return end
end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 't', ARGV[3], 'n', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
