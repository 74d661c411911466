-- tops: where channels of one partition stand, to find those that missed something. Reads only.
--
-- KEYS  1 partition hash  then the meta keys
-- ARGV  1 generation c16
-- Reply packed: 'O', seq I8, then for each meta key: epoch c16, top I8 (empty and 0: it has to be loaded); 'R' NEWREIGN
local gen = ARGV[1]
local p = redis.call('HMGET', KEYS[1], 'gen', 'seq')
if p[1] ~= gen then
    return 'R'
end
local reply = {struct.pack('<c1I8', 'O', tonumber(p[2]))}
for i = 2, #KEYS do
    local m = redis.pcall('HMGET', KEYS[i], 'e', 'o', 'g')
    local sure = not m.err and m[1] and #m[1] == 16 and m[3] == gen and tonumber(m[2] or nil)
    reply[i] = struct.pack('<c16I8', sure and m[1] or string.rep('\0', 16), sure or 0)
end
return table.concat(reply)
