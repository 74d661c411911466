-- tops: where channels of one partition stand, to find those that missed something. Reads only.
--
-- KEYS  1 partition hash  then the meta keys
-- ARGV  1 generation c16
-- Reply packed: 'O', seq I8, then for each meta key: state c1 ('1' settled in this generation, '0' in an older one, '-'
--       gone or foreign bytes), epoch c16, top I8; 'R' NEWREIGN
local gen, call, sub, reply = ARGV[1], redis.pcall, string.sub, {}
local s = redis.call('HGET', KEYS[1], 's')
if not s or sub(s, 1, 16) ~= gen then
    return 'R'
end
reply[1] = 'O' .. sub(s, 17)
local gone = '-' .. string.rep('\0', 24)
for i = 2, #KEYS do
    local m = call('HGET', KEYS[i], 'c')
    reply[i] = m and not m.err and #m == 41 and (sub(m, 17, 32) == gen and '1' or '0') .. sub(m, 1, 16) .. sub(m, 34) or gone
end
return table.concat(reply)
