-- Keeps a value for a while.
--
-- KEYS: where. ARGV: the value, how long in ms.

redis.call('HSET', KEYS[1], 'value', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
