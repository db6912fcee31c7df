-- Gives a notice, keeps no more than so many, and none when there has been no further for long.
--
-- KEYS: the stream of notices. ARGV: how many to keep, how long to keep them in ms, the notice.

redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 't', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
