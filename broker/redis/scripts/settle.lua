-- Shared by append, load and remove: it is put before each of them.
--
-- fence(known generation, known seq, partition hash values) → nil, or why nothing may be done:
--   'R' NEWREIGN  the partition was never opened on this server in this unbroken time as primary, or anew since
--   'B' BEHIND    the hash knows fewer batches than the caller saw: it forgot something
-- settle(meta key, stream key, generation, durability, known epoch, known top, new epoch)
--   → epoch, top, fresh (must be written), or nil: foreign bytes in our keys (CORRUPT)
-- Both only read; a channel's epoch is settled by these lines and nowhere else.
local call, pcall, find = redis.call, redis.pcall, string.find
local unpack, pack, format = struct.unpack, struct.pack, string.format
local NO_EPOCH = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

local function fence(gen, seq, reign, gen_now, seq_now)
    if gen_now ~= gen or not reign or not find(call('INFO', 'replication'), 'master_replid:' .. reign, 1, true) then
        return 'R'
    end
    if seq_now < seq then
        return 'B'
    end
end

local function settle(meta, stream, gen, durability, known_epoch, known_top, new_epoch)
    local m = pcall('HMGET', meta, 'e', 'o', 'g', 'd')
    if m.err then
        return nil
    end
    local epoch, top = m[1], tonumber(m[2] or nil)
    if not epoch then
        -- No meta: what is left of the stream stays, under a new epoch.
        local last = pcall('XREVRANGE', stream, '+', '-', 'COUNT', 1)
        if last.err then
            return nil
        end
        if not last[1] then
            return new_epoch, 0, true
        end
        top = tonumber(string.match(last[1][1], '^(%d+)%-0$'))
        return top and new_epoch, top, true
    end
    if not top or #epoch ~= 16 then
        return nil
    end
    if m[4] ~= durability or (m[3] ~= gen and durability == 'f') or (epoch == known_epoch and known_top > top) then
        return new_epoch, top, true
    end
    return epoch, top, m[3] ~= gen
end
