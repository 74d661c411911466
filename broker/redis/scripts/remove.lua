-- remove: a channel's history goes, its position stays; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 meta  3 stream
-- ARGV  1 head, packed: generation c16, known seq I8, new epoch c16, durability c1, meta ttl in ms I8
-- Reply 'O', epoch c16, top I8 packed; or 'R' NEWREIGN, 'B' BEHIND, 'C' CORRUPT: nothing was done.
local gen, seq, new_epoch, durability, meta_ttl = unpack('<c16I8c16c1I8', ARGV[1])
local p = call('HMGET', KEYS[1], 'reign', 'gen', 'seq')
local refusal = fence(gen, seq, p[1], p[2], tonumber(p[3] or 0))
if refusal then
    return refusal
end
local epoch, top, fresh = settle(KEYS[2], KEYS[3], gen, durability, NO_EPOCH, 0, new_epoch)
if not epoch then
    return 'C'
end
if fresh then
    call('HSET', KEYS[2], 'o', format('%.0f', top), 'e', epoch, 'd', durability, 'g', gen)
    if meta_ttl > 0 then
        call('PEXPIRE', KEYS[2], meta_ttl)
    end
end
call('DEL', KEYS[3])
return pack('<c1c16I8', 'O', epoch, top)
