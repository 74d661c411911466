-- hello: fences the broker's older links, and opens the partition where this server, in this unbroken time as primary,
-- has not seen it yet. Idempotent; whoever comes first opens.
--
-- KEYS  1 partition hash  2 topic
-- ARGV  1 head, packed: boot id c12, link number I4, time in s I4, new generation c16, known generation c16 and seq I8
--       (empty and 0: none), sharded pub/sub B
-- Reply packed: 'O', opened B (1: by this call), generation c16, seq I8, number of this broker's last batch I4;
--       'S': a newer link of this broker was here (nothing was done)
-- Topic where it opened: version B (1), kind B (2), generation c16, seq I8, boot id c12, batch number I4 (0)
-- Errors those of the first write; WRONGTYPE: the partition hash holds something else.
local unpack, pack, call = struct.unpack, struct.pack, redis.call
local boot, link, time, new_gen, known_gen, known_seq, sharded = unpack('<c12I4I4c16c16I8B', ARGV[1])
local field = 'b:' .. boot
local p = call('HMGET', KEYS[1], 'reign', 'gen', 'seq', field)
local reign, gen, seq = p[1], p[2], tonumber(p[3] or 0)
local replid = string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
local last_n, results = 0, ''
if p[4] then
    local last_link
    last_link, last_n = unpack('<I4I4', p[4])
    if last_link > link then
        return 'S'
    end
    results = string.sub(p[4], 13)
end
local opened = 0
if reign ~= replid or not gen or #gen ~= 16 or (gen == known_gen and seq < known_seq) then
    opened, gen, seq = 1, new_gen, math.max(seq, known_seq) + 1
end
call('HSET', KEYS[1], 'reign', replid, 'gen', gen, 'seq', string.format('%.0f', seq), field,
    pack('<I4I4I4', link, last_n, time) .. results)
if opened == 1 then
    call(sharded == 1 and 'SPUBLISH' or 'PUBLISH', KEYS[2], pack('<BBc16I8c12I4', 1, 2, gen, seq, boot, 0))
end
-- Brokers that are gone leave their field behind: ten minutes without a batch or a hello and it goes.
local all = call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
    if #all[i] == 14 and string.sub(all[i], 1, 2) == 'b:' and #all[i + 1] >= 12 then
        local _, _, at = unpack('<I4I4I4', all[i + 1])
        if at + 600 < time then
            call('HDEL', KEYS[1], all[i])
        end
    end
end
return pack('<c1Bc16I8I4', 'O', opened, gen, seq, last_n)
