-- remove: a channel's history goes, its position stays, and who listens is told; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 meta  3 stream  4 topic
-- ARGV  1 head, packed: generation c16, master_replid:<its reign> c54, known seq I8, seed of a new
--       epoch c13, durability c1, meta ttl in ms I8, sharded pub/sub B
-- Topic version B (1), kind B (3), generation c16, seq I8 (not a new one), 14 and 4 zero bytes, name Bc0, epoch c16, top I8
-- Reply 'O', epoch c16, top I8 packed; or 'R' NEWREIGN, 'B' BEHIND, 'C' CORRUPT: nothing was done.
local gen, mark, seq, seed, durability, meta_ttl, sharded = unpack('<c16c54I8c13c1I8B', ARGV[1])
local seq_now, refusal = fence(gen, mark, seq, call('HGET', KEYS[1], 's'))
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
local name = sub(KEYS[2], #KEYS[4] + 4)
call(sharded == 1 and 'SPUBLISH' or 'PUBLISH', KEYS[4],
    pack('<BBc16I8c14I4Bc0c16I8', 1, 3, gen, seq_now, string.rep('\0', 14), 0, #name, name, epoch, top))
return pack('<c1c16I8', 'O', epoch, top)
