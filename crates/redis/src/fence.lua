-- Begins a new epoch where this server may have lost writes since it was last fenced. That is so
-- if another process, or this one in another role, was fenced before; if stream and lineage do not
-- agree on what was last given out; or if a node has heard of more.
--
-- KEYS: the stream, the lineage, the notices (whose type alone is of interest).
-- ARGV: 'check' to write nothing, else the name of an epoch, should one have to begin; how many
--       ancestors to remember; then the last positions the node heard of, one for each epoch.
-- Returns the stream's last id, its first entry's ('' where it is empty), its length and the lineage's
-- version; or the greatest epoch that is known and the time in ms, if something is to
-- be written and only a check was asked for, or the name is not greater.
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

local function state(found, version)
  return {found.last, found.first, found.length, version}
end

local info = redis.call('INFO', 'server', 'replication')
local server = info:match('run_id:(%x+)') .. ':' .. info:match('master_replid:(%x+)')

-- What the lineage knows: by epoch, what is left of it and how far it had come.
local known = {}
local epoch, seq, fenced, ancestors, version =
  unpack(redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'server', 'ancestors', 'version'))
local intact = epoch and seq and ancestors and version and epoch:match('^%d+$') and seq:match('^%d+$')
  and (ancestors == '' or (ancestors .. ' '):gsub('%d+%-%d+ %d+ ', '') == '')
if intact then
  seq = tonumber(seq)
  for ancestor, stop, heard in ancestors:gmatch('(%d+)%-(%d+) (%d+)') do
    known[ancestor] = {stop = tonumber(stop), heard = tonumber(heard)}
  end
  known[epoch] = {stop = seq, heard = seq}
else
  epoch, seq = nil, nil
end

local found = stream()
local continues = found and epoch == found.epoch and seq == found.seq and fenced == server
local greatest = epoch or '0'
if found and later(found.epoch, greatest) then greatest = found.epoch end

-- What the node has heard of beyond that.
local reported = false
for i = 3, #ARGV do
  local heard_epoch, heard = parse(ARGV[i])
  local ancestor = known[heard_epoch]
  if later(heard_epoch, greatest) then greatest = heard_epoch end
  if epoch and later(heard_epoch, epoch) then
    continues = false
  elseif ancestor and heard > ancestor.heard then
    ancestor.heard = heard
    if heard_epoch == epoch then continues = false else reported = true end
  end
end
if continues and not reported then return state(found, version) end

local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local name = ARGV[1]
if name == 'check' or not later(name, greatest) then return {greatest, now} end

if not continues and found then
  -- The stream's markers lead back to what the lineage knows, or nothing before them is to be
  -- relied on. What the lineage knows beside that way is lost.
  local way, at, stop, far = {}, found.epoch, found.seq, found.seq
  while at and not known[at] do
    way[at] = {stop = stop, heard = math.max(stop, far)}
    local marker = redis.call('XRANGE', KEYS[1], at .. '-0', at .. '-0')[1]
    local before = marker and marker[2][3] == 'parent' and parse(marker[2][4])
    if before and later(at, before) then
      at, stop = parse(marker[2][4])
      far = tonumber(marker[2][6]) or 0
    else
      at = nil
    end
  end
  if at then
    known[at].stop, known[at].heard = stop, math.max(known[at].heard, stop, far)
    for ancestor, its in pairs(known) do
      if later(ancestor, at) then its.stop = 0 end
    end
  else
    known = {}
  end
  for ancestor, its in pairs(way) do known[ancestor] = its end
  for i = 3, #ARGV do
    local heard_epoch, heard = parse(ARGV[i])
    local its = known[heard_epoch]
    if its then
      its.heard = math.max(its.heard, heard)
    elseif later(heard_epoch, found.epoch) then
      known[heard_epoch] = {stop = 0, heard = heard}
    end
  end
end

local order = {}
for ancestor, its in pairs(known) do
  -- An epoch of which nothing was ever heard has not begun, or need not be remembered.
  local ended = not continues or ancestor ~= epoch
  if ended and (its.heard > 0 or not found or not later(ancestor, found.epoch)) then
    order[#order + 1] = ancestor
  end
end
table.sort(order, function(a, b) return later(b, a) end)
local lines = {}
for i = math.max(1, #order - tonumber(ARGV[2]) + 1), #order do
  local its = known[order[i]]
  lines[#lines + 1] = string.format('%s-%.0f %.0f', order[i], its.stop, its.heard)
end
lines = table.concat(lines, ' ')

if continues then
  redis.call('HSET', KEYS[2], 'ancestors', lines, 'version', name)
  return state(found, name)
end
redis.call('HSET', KEYS[2], 'epoch', name, 'seq', '0', 'server', server, 'ancestors', lines,
  'version', name)
redis.call('XADD', KEYS[1], name .. '-0', 'a', now, 'parent', found and found.last or '',
  'heard', found and string.format('%.0f', known[found.epoch].heard) or '')
return state(stream(), name)
