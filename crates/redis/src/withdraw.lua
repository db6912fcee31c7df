-- Gives what is kept to the first who asks, and to them again: whoever lost the answer repeats the
-- question. What was given goes when its time is over.
--
-- KEYS: where. ARGV: who asks.
-- Returns the value, or false where there is none, or none left.

local value, taker = unpack(redis.call('HMGET', KEYS[1], 'value', 'taker'))
if not value or (taker and taker ~= ARGV[1]) then return false end
redis.call('HSET', KEYS[1], 'taker', ARGV[1])
return value
