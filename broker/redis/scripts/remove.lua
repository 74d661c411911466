-- remove: a channel's history goes, its position stays; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 meta  3 stream
-- ARGV  1 head, packed: generation c16, master_replid:<its reign> c54, known seq I8, seed of a new
--       epoch c13, durability c1, meta ttl in ms I8
-- Reply 'O', epoch c16, top I8 packed; or 'R' NEWREIGN, 'B' BEHIND, 'C' CORRUPT: nothing was done.
local gen, mark, seq, seed, durability, meta_ttl = unpack('<c16c54I8c13c1I8', ARGV[1])
local _, refusal = fence(gen, mark, seq, call('HGET', KEYS[1], 's'))
if refusal then
    return refusal
end
local epoch, top, fresh = settle(KEYS[2], KEYS[3], gen, durability, NO_EPOCH, 0, seed, 0)
if not epoch then
    return 'C'
end
if fresh then
    call('HSET', KEYS[2], 'c', pack('<c16c16c1I8', epoch, gen, durability, top))
    if meta_ttl > 0 then
        call('PEXPIRE', KEYS[2], meta_ttl)
    end
end
call('DEL', KEYS[3])
return pack('<c1c16I8', 'O', epoch, top)
