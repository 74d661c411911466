-- Shared by append, load and remove: it is put before each of them.
--
-- The partition hash: reign: the replid it was opened under; s: generation c16, seq I8 packed; b:<boot id>: link number
-- I4, batch number I4, time in s I4, then the answer to that broker's last batch. A channel's meta hash: c: epoch c16,
-- generation it was checked in c16, durability c1, top I8 packed; w, x: see append; v: newest version I8 and its epoch. Numbers are packed, not printed:
-- printing and reading them costs more than all else in a small batch, and so does every byte of a string that Lua makes.
--
-- fence(known generation, "master_replid:<the reign of that generation>", known seq, s) → seq, or nil and why nothing
-- may be done (a generation belongs to one reign; one that begins with a dash is ours, see hello: nothing to compare):
--   'R' NEWREIGN  the partition was never opened on this server in this unbroken time as primary, or anew since
--   'B' BEHIND    the hash knows fewer batches than the caller saw: it forgot something
-- settle(meta key, stream key, generation, durability, known epoch, known top, seed of new epochs, number of the channel)
--   → epoch, top, fresh (must be written), or nil: foreign bytes in our keys (CORRUPT)
-- Why INFO with every batch, though it is the dearest call of them (1.2 to 1.9 us): docs/durability.md.
-- Both only read; a channel's epoch is settled by these lines and nowhere else.
local call, pcall, find, sub, byte = redis.call, redis.pcall, string.find, string.sub, string.byte
local unpack, pack, format = struct.unpack, struct.pack, string.format
local NO_EPOCH = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

local function fence(gen, mark, seq, s)
    if not s or #s ~= 24 then
        return nil, 'R'
    end
    if find(s, gen, 1, true) ~= 1 or (byte(mark, 15) ~= 45 and not find(call('INFO', 'replication'), mark, 1, true)) then
        return nil, 'R'
    end
    local seq_now = unpack('<I8', s, 17)
    if seq_now < seq then
        return nil, 'B'
    end
    return seq_now
end

local function settle(meta, stream, gen, durability, known_epoch, known_top, seed, number)
    local m = pcall('HGET', meta, 'c')
    if not m then
        -- No meta: what is left of the stream stays, under a new epoch.
        local epoch, last = format('%s%03d', seed, number), pcall('XREVRANGE', stream, '+', '-', 'COUNT', 1)
        if last.err then
            return nil
        end
        if not last[1] then
            return epoch, 0, true
        end
        local top = tonumber(string.match(last[1][1], '^(%d+)%-0$'))
        return top and epoch, top, true
    end
    if m.err or #m ~= 41 then
        return nil
    end
    local epoch, gen_then, durability_then, top = unpack('<c16c16c1I8', m)
    if durability_then ~= durability or (gen_then ~= gen and durability == 'f') or
        (epoch == known_epoch and known_top > top) then
        return format('%s%03d', seed, number), top, true
    end
    return epoch, top, gen_then ~= gen
end
