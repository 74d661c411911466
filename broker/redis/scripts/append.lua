-- append: one broker's batch for one partition, all of it or nothing; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 topic  then for each channel, in the order of its argument: positioned: meta, stream;
--       presence: hash; plain: none  then one idempotency key for each keyed item, in the order of the items
-- ARGV  one argument a channel, then the items (a keyed one is followed by the 8 bytes of its payload's hash), last the
--       head, packed: generation c16, known seq I8, link number I4, batch number I4, time in s I4, seed of new epochs
--       c13, idempotency window in ms I4, sharded pub/sub B, channels B, boot id c12, map Hc0 (a byte an item: which
--       channel), keyed Hc0 (empty, or a byte an item: 1 = keyed)
--       channel: kind B; 1 positioned: durability c1, known epoch c16, known top I8, size Bc0, ttl in ms I8, meta ttl
--       in ms I8, name Bc0; 2 plain, 3 presence: name Bc0
--       item: a version byte and a publication; presence: what B (1 set, 2 set silently, 3 clear), client Bc0, value I4c0
-- Reply one string: 'R' NEWREIGN, 'B' BEHIND, 'S' STALE (nothing was done), or 'O' and the results:
--       flags B (1: seq is this batch's own), seq I8, channels B, a channel: epoch c16, first new offset I8;
--       then what is not plain: item I2 (from 1), what B: 1 duplicate (epoch c16, offset I8), 2 KEY_REUSED, 3 CORRUPT,
--       4 joined, 5 left (value I4c0)
-- Topic version B (1), kind B (1), generation c16, seq I8, boot id c12, batch number I4, items I2, channels B, a channel:
--       kind B, name Bc0, epoch c16, first I8; the map (0: not told), the items that were told
-- Errors OOM, MISCONF, NOREPLICAS, READONLY come from the first write: nothing was done. WRONGTYPE: the partition hash.
local byte, sub, ARGV, KEYS = string.byte, string.sub, ARGV, KEYS
local gen, seq, link, n, time, seed, window, sharded, n_channels, boot, map, keyed =
    unpack('<c16I8I4I4I4c13I4BBc12Hc0Hc0', ARGV[#ARGV])
local field = 'b:' .. boot
local p = call('HMGET', KEYS[1], 'reign', 'gen', 'seq', field)
local seq_now = tonumber(p[3] or 0)
local refusal = fence(gen, seq, p[1], p[2], seq_now)
if refusal then
    return refusal
end
if p[4] then
    local last_link, last_n = unpack('<I4I4', p[4])
    if link < last_link or n < last_n then
        return 'S'
    end
    if n == last_n then
        return 'O' .. sub(p[4], 13)
    end
end

-- First pass: everything that can be refused.
local channels, key_at = {}, 3
for i = 1, n_channels do
    local a = ARGV[i]
    local kind = byte(a)
    if kind == 1 then
        local _, durability, known_epoch, known_top, size, ttl, meta_ttl, at = unpack('<Bc1c16I8Bc0I8I8', a)
        local meta, stream = KEYS[key_at], KEYS[key_at + 1]
        local epoch, top, fresh = settle(meta, stream, gen, durability, known_epoch, known_top,
            seed .. format('%03d', i))
        -- 1 kind, 2 epoch (nil: corrupt), 3 top, 4 first, 5 stream, 6 size, 7 meta, 8 ttl, 9 meta ttl, 10 to be settled
        -- as (durability), 11 name
        channels[i] = {1, epoch, top, top and top + 1 or 0, stream, size, meta, ttl, meta_ttl, fresh and durability,
            sub(a, at)}
        key_at = key_at + 2
    elseif kind == 2 then
        channels[i] = {2, NO_EPOCH, 0, 0, nil, nil, nil, nil, nil, nil, sub(a, 2)}
    else
        channels[i] = {3, NO_EPOCH, 0, 0, KEYS[key_at], nil, nil, nil, nil, nil, sub(a, 2)}
        key_at = key_at + 1
    end
end
local n_items, known, same_as = #map, nil, nil
if keyed ~= '' then
    -- known[i]: what the key of item i holds; false: foreign bytes. same_as[i]: an earlier item with the same key.
    known, same_as = {}, {}
    local at, seen, arg = key_at, {}, n_channels
    for i = 1, n_items do
        arg = arg + 1
        if byte(keyed, i) == 1 then
            arg = arg + 1
            local key = KEYS[at]
            at = at + 1
            local first = seen[key]
            if first then
                same_as[i] = first
            else
                seen[key] = i
                local record = pcall('GET', key)
                if record then
                    known[i] = not record.err and #record == 32 and record
                end
            end
        end
    end
end

-- Second pass: the writes. The first one can be refused by the server as a whole, a later one only for foreign bytes.
local blobs, n_blobs, odd, n_odd, silent, wrote = {}, 0, {}, 0, nil, false
local arg, done = n_channels, nil
for i = 1, n_items do
    arg = arg + 1
    local item, c, what = ARGV[arg], channels[byte(map, i)], nil
    local hash, key
    if keyed ~= '' and byte(keyed, i) == 1 then
        arg = arg + 1
        hash, key = ARGV[arg], KEYS[key_at]
        key_at = key_at + 1
        local record = known[i]
        if same_as[i] then
            record = done and done[same_as[i]]
        end
        if record == false then
            what = pack('<HB', i, 3)
        elseif record then
            what = sub(record, 25) == hash and pack('<HB', i, 1) .. sub(record, 1, 24) or pack('<HB', i, 2)
        end
    end
    if not what then
        local kind = c[1]
        if kind == 1 then
            if not c[2] then
                what = pack('<HB', i, 3)
            else
                local offset = format('%.0f', c[3] + 1)
                local id = pcall('XADD', c[5], 'MAXLEN', '~', c[6], offset, 'p', item)
                if not id.err then
                    c[3], c[12] = c[3] + 1, offset
                elseif wrote or find(id.err, 'WRONGTYPE', 1, true) or find(id.err, 'The ID specified', 1, true) then
                    what = pack('<HB', i, 3)
                else
                    return id
                end
            end
        elseif kind == 3 then
            local action, client, value = unpack('<BBc0I4c0', item)
            if action == 3 then
                local old = pcall('HGET', c[5], client)
                if not old or old.err then
                    what = pack('<HB', i, old and 3 or 0)
                else
                    call('HDEL', c[5], client)
                    what = pack('<HBI4c0', i, 5, #old, old)
                    item = pack('<BBc0I4c0', 3, #client, client, #old, old)
                end
            else
                local new = pcall('HSET', c[5], client, value)
                if type(new) == 'table' then
                    if not wrote and not find(new.err, 'WRONGTYPE', 1, true) then
                        return new
                    end
                    what = pack('<HB', i, 3)
                else
                    what = pack('<HB', i, new == 1 and action == 1 and 4 or 0)
                end
            end
            wrote = true
        end
        if key and not what then
            local record = pack('<c16I8', c[2], c[3]) .. hash
            call('SET', key, record, 'PX', window)
            done = done or {}
            done[i] = record
        end
    end
    local code = what and byte(what, 3)
    if not code or code >= 4 then
        wrote = true
        n_blobs = n_blobs + 1
        blobs[n_blobs] = item
    else
        silent = silent or {}
        silent[i] = true
    end
    if code and code > 0 then
        n_odd = n_odd + 1
        odd[n_odd] = what
    end
end

local results, heads = {}, {}
for i = 1, n_channels do
    local c = channels[i]
    local place = pack('<c16I8', c[2] or NO_EPOCH, c[4])
    results[i] = place
    heads[i] = pack('B', c[1]) .. c[11] .. place
    local offset = c[12]
    if offset then
        local meta, stream, ttl = c[7], c[5], c[8]
        if c[10] then
            call('HSET', meta, 'o', offset, 'e', c[2], 'd', c[10], 'g', gen)
        else
            call('HSET', meta, 'o', offset)
        end
        if call('PTTL', stream) * 2 < ttl then
            -- What stood below the mark of the last renewal but one is older than the ttl.
            local marks = call('HMGET', meta, 'w', 'x')
            call('HSET', meta, 'w', offset, 'x', marks[1] or 0)
            if marks[2] then
                call('XTRIM', stream, 'MINID', '~', marks[2])
            end
            call('PEXPIRE', stream, ttl)
            if c[9] > 0 then
                call('PEXPIRE', meta, c[9])
            end
        elseif c[10] and c[9] > 0 then
            call('PEXPIRE', meta, c[9])
        end
    end
end

local flags = 0
if n_blobs > 0 then
    flags, seq_now = 1, seq_now + 1
end
local result = pack('<BI8B', flags, seq_now, n_channels) .. table.concat(results) .. table.concat(odd)
call('HSET', KEYS[1], 'seq', seq_now, field, pack('<I4I4I4', link, n, time) .. result)
if n_blobs > 0 then
    if silent then
        local told = {}
        for i = 1, n_items do
            told[i] = silent[i] and '\0' or sub(map, i, i)
        end
        map = table.concat(told)
    end
    call(sharded == 1 and 'SPUBLISH' or 'PUBLISH', KEYS[2],
        pack('<BBc16I8c12I4HB', 1, 1, gen, seq_now, boot, n, n_items, n_channels) ..
        table.concat(heads) .. map .. table.concat(blobs))
end
return 'O' .. result
