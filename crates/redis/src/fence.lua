-- Begins a new epoch where this server may have lost writes since it was last fenced. That is so
-- if another process, or this one in another role, was fenced before; if stream and lineage do not
-- agree on what was last given out; or if a node has heard of more.
--
-- KEYS: the stream, the lineage, the notices (whose type alone is of interest).
-- ARGV: 'check' to write nothing, else the name of an epoch, should one have to begin; how many
--       ancestors to remember, and how many of the latest although nothing happened in them; whether this
--       server syncs every write before it answers ('always'); as which server this connection fenced this one a
--       moment ago, '' if it did not; then the last positions the node heard of, one for each epoch.
-- Returns the stream's last id, its first entry's ('' where it is empty), its length, 1 where something is to be
-- noted, which a check does not, and as which server it is fenced; or the greatest epoch that is known and the
-- time in ms, if an epoch has to begin and only a check was asked for, or the name is not greater.
--
-- Two writes at most, and each is whole: the lineage, then the marker. A lineage whose epoch is not
-- the stream's was written by a fence that was stopped between the two, and is mended by the next.

for i, kind in ipairs({'stream', 'hash', 'stream'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply(string.format(
      'WRONGTYPE %s is a %s and should be a %s: rename or delete it', KEYS[i], found, kind))
  end
end

-- Epochs are compared as texts: Lua does not count so far.
local function later(a, b) return #a > #b or (#a == #b and a > b) end

local function parse(position)
  local epoch, seq = position:match('^(%d+)-(%d+)$')
  return epoch, tonumber(seq)
end

local function stream()
  if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
  local found = {first = ''}
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then
      found.last = facts[i + 1]
      found.epoch, found.seq = parse(found.last)
    elseif facts[i] == 'first-entry' and facts[i + 1] then
      found.first = facts[i + 1][1]
    elseif facts[i] == 'length' then
      found.length = facts[i + 1]
    end
  end
  return found
end

local function state(found, to_note, fenced)
  return {found.last, found.first, found.length, to_note and 1 or 0, fenced}
end

local info = redis.call('INFO', 'server', 'replication', 'persistence')
local process = info:match('run_id:(%x+)')
local server = process .. ':' .. info:match('master_replid:(%x+)')
-- Whether what is acknowledged now cannot be lost: it is on disk, and no replica can take over that lacks it.
local safe = ARGV[4] == 'always' and info:match('aof_enabled:(%d+)') == '1'
  and info:match('connected_slaves:(%d+)') == '0'
local rewrites = info:match('aof_rewrite_in_progress:(%d+)') ~= '0'
  or info:match('aof_rewrite_scheduled:(%d+)') ~= '0'

-- What the lineage knows: by epoch, what is left of it, and whether more is known to have been lost.
local known = {}
local epoch, seq, fenced, ancestors, safe_epoch =
  unpack(redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'server', 'ancestors', 'safe'))
local intact = epoch and seq and ancestors and epoch:match('^%d+$') and seq:match('^%d+$')
  and (ancestors == '' or (ancestors .. ' '):gsub('%d+%-%d+ [01] ', '') == '')
if intact then
  seq = tonumber(seq)
  for ancestor, stop, lossy in ancestors:gmatch('(%d+)%-(%d+) ([01])') do
    known[ancestor] = {stop = tonumber(stop), lossy = lossy == '1'}
  end
  known[epoch] = {stop = seq, lossy = false}
else
  epoch, seq = nil, nil
end

local found = stream()
-- A server whose first replica comes, or that expects none any more, calls its history by another name, which it then
-- has no second one beside; a promotion leaves a second. Whoever fenced this process a moment ago, over a connection
-- that has not broken, knows that there was no promotion before that.
local renamed = fenced and fenced ~= server and fenced == ARGV[5] and fenced:match('^%x+') == process
  and info:match('role:(%a+)') == 'master' and info:match('second_repl_offset:(%-?%d+)') == '-1'
local continues = found and epoch == found.epoch and seq == found.seq and (fenced == server or renamed)
local greatest = epoch or '0'
if found and later(found.epoch, greatest) then greatest = found.epoch end

-- What the node has heard of beyond that. Where nobody who crossed the loss so far was told, they all
-- cross another: the epoch ends that they are in.
local last, left = epoch, seq
if found then last, left = found.epoch, found.seq end
local told_late, is_witness = false, false
-- An epoch between two that are known was begun by a server that has been replaced: what was heard of it is
-- lost. Not where so many are known that some had to be forgotten.
local oldest, count = nil, 0
for ancestor in pairs(known) do
  count = count + 1
  if not oldest or later(oldest, ancestor) then oldest = ancestor end
end
local function is_lost(heard_epoch, heard)
  return heard > 0 and oldest and count < tonumber(ARGV[2]) and later(heard_epoch, oldest)
end
for i = 6, #ARGV do
  local heard_epoch, heard = parse(ARGV[i])
  local its = known[heard_epoch]
  is_witness = is_witness or (heard_epoch == last and heard >= left)
  if later(heard_epoch, greatest) then greatest = heard_epoch end
  if epoch and later(heard_epoch, epoch) then
    continues = false
  elseif its and heard > its.stop and not its.lossy then
    continues = false
    if heard_epoch ~= epoch then its.lossy, told_late = true, true end
  elseif epoch and not its and is_lost(heard_epoch, heard) then
    continues, told_late = false, true
  end
end
if continues then
  -- From now on, or from before this epoch began, something can be lost: never the other way round. A replica that
  -- has come may take over.
  local to_note = renamed or (safe_epoch == epoch and not safe)
  if to_note and ARGV[1] ~= 'check' then
    redis.call('HSET', KEYS[2], 'server', server, 'safe', '')
    fenced = server
  end
  return state(found, to_note, fenced)
end

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local name = ARGV[1]
if name == 'check' or not later(name, greatest) then return {greatest, now} end

local function end_at(its, stop)
  its.lossy, its.stop = its.lossy or stop < its.stop, stop
end

local most, recent = tonumber(ARGV[2]), tonumber(ARGV[3])
if found then
  -- The stream's markers lead back to what the lineage knows, or nothing before them is to be
  -- relied on. What the lineage knows beside that way is lost.
  local way, steps, at, stop, lossy = {}, 0, found.epoch, found.seq, false
  while at and not known[at] do
    way[at] = {stop = stop, lossy = lossy}
    steps = steps + 1
    local marker = redis.call('XRANGE', KEYS[1], at .. '-0', at .. '-0')[1]
    local before = marker and marker[2][3] == 'parent' and parse(marker[2][4])
    if before and later(at, before) and steps < most then
      at, stop = parse(marker[2][4])
      lossy = marker[2][6] == '1'
    else
      at = nil
    end
  end
  if at then
    end_at(known[at], stop)
    known[at].lossy = known[at].lossy or lossy
    for ancestor, its in pairs(known) do
      if later(ancestor, at) then end_at(its, 0) end
    end
  else
    known = {}
  end
  for ancestor, its in pairs(way) do known[ancestor] = its end
end
for i = 6, #ARGV do
  local heard_epoch, heard = parse(ARGV[i])
  local its = known[heard_epoch]
  if its then
    its.lossy = its.lossy or heard > its.stop
  elseif last and later(heard_epoch, last) then
    known[heard_epoch] = {stop = 0, lossy = heard > 0}
  elseif is_lost(heard_epoch, heard) then
    known[heard_epoch] = {stop = 0, lossy = true}
  end
end
if told_late then known[last].lossy = true end
-- Another server, or this one after a restart, may lack the latest of what was acknowledged. Where it was
-- not safe, this must be feared, unless the node vouches for it: it has heard of all that is left.
if last and fenced ~= server and not is_witness and not (safe and safe_epoch == last) then
  known[last].lossy = true
end

local order = {}
for ancestor, its in pairs(known) do
  -- One that is later than the stream's, and of which nothing was heard, never began.
  if its.lossy or not later(ancestor, last) then order[#order + 1] = ancestor end
end
table.sort(order, function(a, b) return later(b, a) end)
-- Those in which nothing happened are the first to be forgotten, the recent excepted; then the oldest.
-- The same rule as that of Lineage in Rust, which must name what is named here.
local function is_void(i)
  local its, following = known[order[i]], known[order[i + 1]]
  return its.stop == 0 and (not its.lossy or (following.stop == 0 and following.lossy))
end
while #order > most do
  local forgotten = 1
  for i = 1, #order - recent do
    if is_void(i) then forgotten = i break end
  end
  table.remove(order, forgotten)
end
local named = {}
for i, ancestor in ipairs(order) do
  local its = known[ancestor]
  named[i] = string.format('%s-%.0f %d', ancestor, its.stop, its.lossy and 1 or 0)
end
local ends = table.concat(named, ' ')

redis.call('HSET', KEYS[2], 'epoch', name, 'seq', '0', 'server', server,
  'safe', safe and not rewrites and name or '', 'ancestors', ends)
redis.call('XADD', KEYS[1], name .. '-0', 'a', now, 'parent', found and found.last or '',
  'lossy', last and known[last].lossy and '1' or '0')
return state(stream(), false, server)
