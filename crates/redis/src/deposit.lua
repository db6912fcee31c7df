-- Keeps a value for a while: one write, the value and its end at once.
--
-- KEYS: where. ARGV: the value, how long in ms.

redis.call('SET', KEYS[1], ' ' .. ARGV[1], 'PX', ARGV[2])
