-- tops: where channels of one partition stand, to find those that missed something. Reads only.
--
-- KEYS  1 partition hash  then the meta keys
-- ARGV  1 generation c16
-- Reply packed: 'O', seq I8, then for each meta key: epoch c16, top I8 (empty and 0: it has to be loaded); 'R' NEWREIGN
local gen = ARGV[1]
local s = redis.call('HGET', KEYS[1], 's')
if not s or string.sub(s, 1, 16) ~= gen then
    return 'R'
end
local reply = {'O' .. string.sub(s, 17)}
for i = 2, #KEYS do
    local m = redis.pcall('HGET', KEYS[i], 'c')
    local sure = m and not m.err and #m == 41 and string.sub(m, 17, 32) == gen
    reply[i] = sure and string.sub(m, 1, 16) .. string.sub(m, 34) or string.rep('\0', 24)
end
return table.concat(reply)
