-- Publishes a batch, whole or not at all: nothing can fail after the first XADD has succeeded, and
-- no one else's entry comes between.
--
-- KEYS: the stream, and the idempotency key if there is one.
-- ARGV: '<epoch>-*', the most entries to keep, how long to remember the key in ms, the time of
--       publication in ms, what the key is sent with; then for each event its topic, type ('' for
--       none) and message.
-- Returns the first id; {'<first id> <count> <content>'} for a key that is known; false if there is
-- no stream (or no event, which is how a node asks whether writes are accepted at all).

if KEYS[2] then
  local answered = redis.call('GET', KEYS[2])
  if answered then return {answered} end
end

local first = false
for i = 6, #ARGV, 3 do
  local id
  if ARGV[i + 1] == '' then
    id = redis.call('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[2], ARGV[1],
      'a', ARGV[4], 't', ARGV[i], 'm', ARGV[i + 2])
  else
    id = redis.call('XADD', KEYS[1], 'NOMKSTREAM', 'MAXLEN', '~', ARGV[2], ARGV[1],
      'a', ARGV[4], 't', ARGV[i], 'm', ARGV[i + 2], 'e', ARGV[i + 1])
  end
  if not id then return false end
  first = first or id
end
if KEYS[2] and first then
  local answer = string.format('%s %d %s', first, (#ARGV - 5) / 3, ARGV[5])
  redis.call('SET', KEYS[2], answer, 'PX', ARGV[3])
end
return first
