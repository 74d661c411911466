-- hello: fences the broker's older links, and opens the partition where this server, in this unbroken time as primary,
-- has not seen it yet. Idempotent; whoever comes first opens.
--
-- KEYS  1 partition hash  2 topic
-- ARGV  1 head, packed: b:<boot id> c14, link number I4, time in s I4, new generation c16, known generation c16 and seq I8
--       (empty and 0: none), sharded pub/sub B, cut B (1: a link of this broker failed since its last hello here)
-- Reply packed: 'O', opened B (1: by this call), generation c16, seq I8, reign c40, number of the broker's last batch
--       that happened I4;
--       'S': a newer link of this broker was here (nothing was done)
-- Topic where it opened: version B (1), kind B (2), generation c16, seq I8, b:<boot id> c14, batch number I4 (0)
-- Errors those of the first write; WRONGTYPE: the partition hash holds something else.
--
-- A server that does not show its replid (proxies of some managed services) gets reigns of our own, which begin with a
-- dash: brokers adopt the one they find, and one whose link failed opens a new one, at most once a second: behind it the
-- primary may be another.
local unpack, pack, call = struct.unpack, struct.pack, redis.call
local field, link, time, new_gen, known_gen, known_seq, sharded, cut = unpack('<c14I4I4c16c16I8BB', ARGV[1])
local p = call('HMGET', KEYS[1], 'reign', 's', field, 'at')
local reign, gen, seq = p[1], nil, 0
if p[2] and #p[2] == 24 then
    gen, seq = unpack('<c16I8', p[2])
end
local info = redis.pcall('INFO', 'replication')
local replid = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
if not replid then
    local at = tonumber(p[4]) or 0
    local is_fresh = cut == 0 or math.abs(time - at) < 1
    replid = reign and string.sub(reign, 1, 1) == '-' and is_fresh and reign or '-' .. string.rep(new_gen, 3)
    replid = string.sub(replid, 1, 40)
end
local last_n, answer = 0, ''
if p[3] then
    local last_link
    last_link, last_n = unpack('<I4I4', p[3])
    if last_link > link then
        return 'S'
    end
    answer = string.sub(p[3], 13)
end
local opened = 0
if reign ~= replid or not gen or (gen == known_gen and seq < known_seq) then
    opened, gen, seq = 1, new_gen, math.max(seq, known_seq) + 1
end
call('HSET', KEYS[1], 'reign', replid, 's', pack('<c16I8', gen, seq), field,
    pack('<I4I4I4', link, last_n, time) .. answer)
if opened == 1 and string.sub(replid, 1, 1) == '-' then
    call('HSET', KEYS[1], 'at', time)
end
if opened == 1 then
    call(sharded == 1 and 'SPUBLISH' or 'PUBLISH', KEYS[2], pack('<BBc16I8c14I4', 1, 2, gen, seq, field, 0))
end
-- Brokers that are gone leave their field behind. It knows whether their last batch happened, so it must not go while
-- they live: ten minutes without a batch or a hello, by clocks that may be wrong, and more than 32 brokers besides.
local all, n = call('HGETALL', KEYS[1]), 0
local function is_broker(name)
    return #name == 14 and string.sub(name, 1, 2) == 'b:'
end
for i = 1, #all, 2 do
    n = is_broker(all[i]) and n + 1 or n
end
for i = 1, n > 32 and #all or 0, 2 do
    if n > 32 and is_broker(all[i]) and all[i] ~= field and #all[i + 1] >= 12 then
        local _, _, at = unpack('<I4I4I4', all[i + 1])
        if at + 600 < time then
            call('HDEL', KEYS[1], all[i])
            n = n - 1
        end
    end
end
return pack('<c1Bc16I8c40I4', 'O', opened, gen, seq, replid, last_n)
