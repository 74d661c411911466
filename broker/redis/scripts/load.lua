-- load: the settled position of a channel and the wanted entries, in one step; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 meta  3 stream
-- ARGV  1 head, packed: generation c16, master_replid:<its reign> c54, known seq I8, seed of a new
--       epoch c13, durability c1, known epoch c16 and top I8 (a
--       broker's or gateway's own, evidence; empty: none), size I4, meta ttl in ms I8, limit I4, bytes I8, from I8 (first
--       offset wanted; reverse: last), backwards B
-- Reply an array: head ('O', seq I8, epoch c16, top I8, oldest kept offset I8 packed), then offset and entry in turn.
--       'R' NEWREIGN, 'B' BEHIND, 'C' CORRUPT as a plain string: nothing was done.
local gen, mark, seq, seed, durability, known_epoch, known_top, size, meta_ttl, limit, bytes, from, backwards =
    unpack('<c16c54I8c13c1c16I8I4I8I4I8I8B', ARGV[1])
local seq_now, refusal = fence(gen, mark, seq, call('HGET', KEYS[1], 's'))
if refusal then
    return refusal
end
local epoch, top, fresh = settle(KEYS[2], KEYS[3], gen, durability, known_epoch, known_top, seed, 0)
if not epoch then
    return 'C'
end
local first = pcall('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)
if first.err then
    return 'C'
end
if fresh then
    call('HSET', KEYS[2], 'c', pack('<c16c16c1I8', epoch, gen, durability, top))
end
if meta_ttl > 0 and (fresh or call('PTTL', KEYS[2]) * 2 < meta_ttl) then
    call('PEXPIRE', KEYS[2], meta_ttl)
end

-- MAXLEN ~ keeps some entries more than asked: the size counts.
local oldest = first[1] and tonumber(string.match(first[1][1], '^%d+')) or top + 1
if oldest < top + 1 - size then
    oldest = top + 1 - size
end
local reply, n, used = {pack('<c1I8c16I8I8', 'O', seq_now, epoch, top, oldest)}, 1, 0
local low, high = oldest, top
if backwards == 1 then
    high = math.min(high, from)
else
    low = math.max(low, from)
end
while limit > 0 and low <= high and (used == 0 or used < bytes) do
    local count = math.min(limit, 64)
    local part
    if backwards == 1 then
        part = call('XREVRANGE', KEYS[3], format('%.0f', high), format('%.0f', low), 'COUNT', count)
    else
        part = call('XRANGE', KEYS[3], format('%.0f', low), format('%.0f', high), 'COUNT', count)
    end
    for i = 1, #part do
        local entry = part[i][2][2]
        used = used + #entry
        if used > bytes and n > 1 then
            break
        end
        local offset = string.match(part[i][1], '^%d+')
        reply[n + 1], reply[n + 2] = offset, entry
        n = n + 2
        if backwards == 1 then
            high = tonumber(offset) - 1
        else
            low = tonumber(offset) + 1
        end
    end
    limit = limit - #part
    if #part < count then
        break
    end
end
return reply
