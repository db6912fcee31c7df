-- Gives what is kept to the first who asks, and to them again: whoever lost the answer repeats the
-- question. What was given goes when its time is over. One write: it is given to nobody else because
-- it is taken before it is returned.
--
-- KEYS: where. ARGV: who asks.
-- Returns the value, or false where there is none, or none left.

local taker, value = (redis.call('GET', KEYS[1]) or ''):match('^(%d*) (.*)$')
if not value or (taker ~= '' and taker ~= ARGV[1]) then return false end
if taker == '' then
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. value, 'KEEPTTL')
end
return value
