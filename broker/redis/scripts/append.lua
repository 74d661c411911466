-- append: one broker's batch for one partition, all of it or nothing; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 topic  then for each channel, in the order of its argument: positioned: meta, stream;
--       presence: hash; plain: none  then one idempotency key for each keyed item, in the order of the items
-- ARGV  one argument a channel, then the items (a keyed one is followed by the 8 bytes of its payload's hash, a versioned
--       one, behind that, by its version I8 and its version epoch to the end), last the head, packed: known generation c16, master_replid:<its reign> c54, known seq I8, link number I4, batch number I4, time in s I4, seed
--       of new epochs c13, idempotency window in ms I4, sharded pub/sub B, channels B, b:<boot id> c14, map Hc0 (a byte an
--       item: which channel), marks Hc0 (empty, or a byte an item: 1 = keyed, 2 = versioned, 3 = both)
--       channel: kind B; 1 positioned: durability c1, known epoch c16, known top I8, size Bc0, the next offset as text
--       (where the known top is right) Bc0, ttl in ms I8, meta ttl in ms I8, name Bc0; 2 plain, 3 presence: name Bc0
--       item: a version byte, a hash of 8 bytes and a publication; presence: what B (1 set, 2 set silently, 3 clear),
--             client Bc0, value I4c0 (3: what the stored value has to begin with, else it stays)
-- Reply one string: 'R' NEWREIGN, 'B' BEHIND, 'S' STALE (nothing was done), or 'O' and the results:
--       flags B (1: seq is this batch's own), seq I8, channels B, a channel: epoch c16, first new offset I8;
--       then what is not plain: item I2 (from 1), what B: 1 duplicate (epoch c16, offset I8), 2 KEY_REUSED, 3 CORRUPT,
--       4 joined, 5 left (value I4c0), 6 suppressed: no newer version than the channel's (epoch c16, top I8)
-- Topic version B (1), kind B (1), generation c16, seq I8, b:<boot id> c14, batch number I4, items I2, channels B, a channel:
--       kind B (4: positioned, of a safe channel), name Bc0, epoch c16, first I8; the map (0: not told), the items that were told
-- Errors OOM, MISCONF, NOREPLICAS, READONLY come from the first write: nothing was done. WRONGTYPE: the partition hash.
local ARGV, KEYS, concat = ARGV, KEYS, table.concat
local gen, mark, seq, link, n, time, seed, window, sharded, n_channels, field, map, marks =
    unpack('<c16c54I8I4I4I4c13I4BBc14Hc0Hc0', ARGV[#ARGV])
local p = call('HMGET', KEYS[1], 's', field)
local seq_now, refusal = fence(gen, mark, seq, p[1])
if refusal then
    return refusal
end
local last = p[2]
if last then
    local last_link, last_n = unpack('<I4I4', last)
    if link < last_link or n < last_n then
        return 'S'
    end
    if n == last_n and #last > 12 then
        return sub(last, 13)
    end
end

-- First pass: everything that can be refused.
local channels, key_at = {}, 3
for i = 1, n_channels do
    local a = ARGV[i]
    local kind = byte(a)
    if kind == 1 then
        local _, durability, known_epoch, known_top, size, next_text, ttl, meta_ttl, at =
            unpack('<Bc1c16I8Bc0Bc0I8I8', a)
        local meta, stream = KEYS[key_at], KEYS[key_at + 1]
        local epoch, top, fresh = settle(meta, stream, gen, durability, known_epoch, known_top, seed, i)
        -- 1 kind, 2 epoch (nil: corrupt), 3 top, 4 first, 5 stream, 6 size, 7 meta, 8 ttl, 9 meta ttl, 10 fresh,
        -- 11 name, 12 durability, 13 the next offset as text
        channels[i] = {1, epoch, top, top and top + 1 or 0, stream, size, meta, ttl, meta_ttl, fresh, sub(a, at),
            durability, top == known_top and next_text}
        key_at = key_at + 2
    elseif kind == 2 then
        channels[i] = {2, NO_EPOCH, 0, 0, false, false, false, false, false, false, sub(a, 2)}
    else
        channels[i] = {3, NO_EPOCH, 0, 0, KEYS[key_at], false, false, false, false, false, sub(a, 2)}
        key_at = key_at + 1
    end
end
-- Does a stored member say the same as this value, or is it of a newer lease of the same gateway? (A value: gateway id
-- Bc0, lease number I8, info.) Then the set has nothing to change: it is a retry, or waited somewhere.
local function is_old(value, stored)
    local size = byte(value) + 1
    return stored == value or (#stored >= size + 8 and sub(stored, 1, size) == sub(value, 1, size) and
        unpack('<I8', stored, size + 1) > unpack('<I8', value, size + 1))
end

local n_items, is_marked, known, same_as = #map, marks ~= '', nil, nil
if is_marked then
    -- known[i]: what the key of item i holds; false: foreign bytes. same_as[i]: an earlier item with the same key.
    known, same_as = {}, {}
    local at, seen = key_at, {}
    for i = 1, n_items do
        local mark_of = byte(marks, i)
        if mark_of % 2 == 1 then
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
        local c = channels[byte(map, i)]
        if mark_of >= 2 and c[2] and not c[14] then
            -- 14 the newest version, 15 its epoch, 16 there is a newer one (foreign bytes are as good as none)
            local v = pcall('HGET', c[7], 'v')
            c[14], c[15] = 0, ''
            if v and not v.err and #v >= 8 then
                c[14], c[15] = unpack('<I8', v), sub(v, 9)
            end
        end
    end
end

-- Second pass: the writes. The first one can be refused by the server as a whole, a later one only for foreign bytes.
local blobs, n_blobs, odd, silent, wrote, done = {}, 0, nil, nil, false, nil
local arg, has_suppressed = n_channels, false
for i = 1, n_items do
    arg = arg + 1
    local item, c, what, hash, key, version, version_epoch = ARGV[arg], channels[byte(map, i)], nil, nil, nil, nil, nil
    local mark_of = is_marked and byte(marks, i) or 0
    if mark_of % 2 == 1 then
        arg = arg + 1
        hash, key = ARGV[arg], KEYS[key_at]
        key_at = key_at + 1
        local record = known[i]
        if same_as[i] then
            -- The earlier one was published just now, or was itself known from before.
            record = done and done[same_as[i]] or known[same_as[i]]
        end
        if record == false then
            what = pack('<HB', i, 3)
        elseif record then
            what = sub(record, 25) == hash and pack('<HB', i, 1) .. sub(record, 1, 24) or pack('<HB', i, 2)
        end
    end
    if mark_of >= 2 then
        arg = arg + 1
        version, version_epoch = unpack('<I8', ARGV[arg]), sub(ARGV[arg], 9)
    end
    if not what then
        local kind = c[1]
        if kind == 1 then
            if not c[2] then
                what = pack('<HB', i, 3)
            elseif version and version <= c[14] and (version_epoch == '' or version_epoch == c[15]) then
                what, has_suppressed = pack('<HBc16I8', i, 6, c[2], c[3]), true
            else
                local offset = c[3] + 1
                local id = pcall('XADD', c[5], 'MAXLEN', '~', c[6], c[13] or format('%.0f', offset), 'p', item)
                if not id.err then
                    c[3], c[13] = offset, false
                    if version then
                        c[14], c[15], c[16] = version, version_epoch, true
                    end
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
                elseif sub(old, 1, #value) ~= value then
                    what = pack('<HB', i, 0)
                else
                    call('HDEL', c[5], client)
                    wrote = true
                    what = pack('<HBI4c0', i, 5, #old, old)
                    item = pack('<BBc0I4c0', 3, #client, client, #old, old)
                end
            else
                local old = pcall('HGET', c[5], client)
                local is_news = type(old) ~= 'string' or not is_old(value, old)
                local new = is_news and pcall('HSET', c[5], client, value)
                if not new then
                    what = pack('<HB', i, 0)
                elseif type(new) == 'number' then
                    wrote = true
                    what = pack('<HB', i, new == 1 and action == 1 and 4 or 0)
                elseif wrote or find(new.err, 'WRONGTYPE', 1, true) then
                    what = pack('<HB', i, 3)
                else
                    return new
                end
            end
        end
        if key and not what then
            local record = pack('<c16I8', c[2], c[3]) .. hash
            call('SET', key, record, 'PX', window)
            done = done or {}
            done[i] = record
        end
    end
    local code = what and byte(what, 3)
    if not code or code == 4 or code == 5 then
        wrote = true
        n_blobs = n_blobs + 1
        blobs[n_blobs] = item
    else
        silent = silent or {}
        silent[i] = true
    end
    if code and code > 0 then
        odd = odd and odd .. what or what
    end
end

-- places: what the reply says of each channel; heads: what the topic says of it.
local places, heads = {}, {}
for i = 1, n_channels do
    local c = channels[i]
    local epoch, top, first = c[2] or NO_EPOCH, c[3], c[4]
    local place = pack('<c16I8', epoch, first)
    places[i] = place
    heads[i] = (c[1] == 1 and (c[12] == 's' and '\4' or '\1') or c[1] == 2 and '\2' or '\3') .. c[11] .. place
    -- A position that is only told, not taken, has to be kept as well.
    if c[1] == 1 and c[2] and (top >= first or (has_suppressed and c[10])) then
        local meta, stream, ttl = c[7], c[5], c[8]
        local settled = pack('<c16c16c1I8', epoch, gen, c[12], top)
        if c[16] then
            call('HSET', meta, 'c', settled, 'v', pack('<I8', c[14]) .. c[15])
        else
            call('HSET', meta, 'c', settled)
        end
        if call('PTTL', stream) * 2 < ttl then
            -- w, x: the tops at the last renewal and the one before it. Renewals are half a ttl apart or more, so what
            -- stood at x is older than the ttl. They are a ttl apart at most, or the stream has expired: so nothing stays
            -- for more than three, or one and a half where there is always something published. Not with ~: that would
            -- keep a whole node of old entries, for ever in a channel that publishes less than that in a ttl.
            local marks = call('HMGET', meta, 'w', 'x')
            call('HSET', meta, 'w', format('%.0f', top), 'x', marks[1] or 0)
            if marks[2] then
                call('XTRIM', stream, 'MINID', marks[2])
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
local result = pack('<c1BI8Bc0c0', 'O', flags, seq_now, n_channels, n_channels == 1 and places[1] or concat(places), odd or '')
call('HSET', KEYS[1], 's', pack('<c16I8', gen, seq_now), field, pack('<I4I4I4c0', link, n, time, result))
if n_blobs > 0 then
    if silent then
        local told = {}
        for i = 1, n_items do
            told[i] = silent[i] and '\0' or sub(map, i, i)
        end
        map = concat(told)
    end
    call(sharded == 1 and 'SPUBLISH' or 'PUBLISH', KEYS[2],
        pack('<BBc16I8c14I4HB', 1, 1, gen, seq_now, field, n, n_items, n_channels) ..
            (n_channels == 1 and heads[1] or concat(heads)) .. map .. (n_blobs == 1 and blobs[1] or concat(blobs)))
end
return result
