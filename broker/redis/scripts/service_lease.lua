-- service_lease: a lease that services hold, its token, and which broker's turn it is; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 the lease  3 topic
-- ARGV  1 head, packed: generation c16, master_replid:<its reign> c54, known seq I8, verb B (1 acquire, 2 renew,
--       3 release, 4 leave: this broker waits no more), ttl in ms I8, token I8 (acquire: one that the new one has to be
--       above), waits B, sharded pub/sub B, b:<boot id> c14  2 acquire: its nonce
-- Reply 'O', done B (1: granted, renewed, released), token I8 (granted), ms left I8 (of whoever holds it; 0: nobody)
--       'R' NEWREIGN, 'B' BEHIND, 'C' CORRUPT: nothing was done.
-- Topic where it was released and somebody waits: version B (1), kind B (4), generation c16, seq I8 (not a new one), 14 and
--       4 zero bytes, name Bc0
--
-- The hash: t: the last token; e: when it ends, in us of this server's clock (0: it is free); k: the nonce that acquired
-- it; q: brokers that wait, in the order they came: b:<boot id> c14, when they asked last I8. A broker that has not asked
-- for three seconds has lost its place. Who comes first in q is granted a free lease; nobody passes by.
--
-- A token is above the one before, above this server's clock in us since 1970, and above what the broker saw: so it rises
-- also where a failover, a restart or FLUSHALL forgot the lease, as long as clocks go on. The hash stays for a week after
-- the lease ended.
local STALE, REST, QUEUED_MAX = 3000000, 604800000, 64
local gen, mark, seq, verb, ttl, token, waits, sharded, broker = unpack('<c16c54I8BI8I8BBc14', ARGV[1])
local seq_now, refusal = fence(gen, mark, seq, call('HGET', KEYS[1], 's'))
if refusal then
    return refusal
end
local lease, time = KEYS[2], call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local r = pcall('HMGET', lease, 't', 'e', 'k', 'q')
if r.err then
    return 'C'
end
local last, ends, nonce, queue = tonumber(r[1]) or 0, tonumber(r[2]) or 0, r[3], r[4] or ''
local is_held = ends > now

local function answer(done, granted)
    return pack('<c1BI8I8', 'O', done, granted or 0, ends > now and math.ceil((ends - now) / 1000) or 0)
end

-- The other brokers that wait, and whether one of them came before us.
local others, n_others, is_queued, is_behind = '', 0, false, false
for i = 1, #queue - 21, 22 do
    local who, seen = unpack('<c14I8', queue, i)
    if who == broker then
        is_queued = true
        is_behind = n_others > 0
    elseif math.abs(now - seen) < STALE then
        others = others .. sub(queue, i, i + 21)
        n_others = n_others + 1
    end
end
is_behind = is_behind or (not is_queued and n_others > 0)

local function tell_freed()
    if n_others == 0 and not is_queued then
        return
    end
    local name = sub(lease, #KEYS[3] + 4)
    call(sharded == 1 and 'SPUBLISH' or 'PUBLISH', KEYS[3],
        pack('<BBc16I8c14I4Bc0', 1, 4, gen, seq_now, string.rep('\0', 14), 0, #name, name))
end

if verb == 1 then
    if is_held and nonce == ARGV[2] then
        return answer(1, last)
    end
    if not is_held and not is_behind then
        local granted = math.max(last + 1, now, token + 1)
        ends = now + ttl * 1000
        call('HSET', lease, 't', format('%.0f', granted), 'e', format('%.0f', ends), 'k', ARGV[2], 'q', others)
        call('PEXPIRE', lease, format('%.0f', ttl + REST))
        return answer(1, granted)
    end
    if waits == 1 and n_others < QUEUED_MAX then
        -- Our place stays; of the others only those that still ask do.
        local entry, written, before = pack('<c14I8', broker, now), '', true
        for i = 1, #queue - 21, 22 do
            local who, seen = unpack('<c14I8', queue, i)
            if who == broker then
                written, before = written .. entry, false
            elseif math.abs(now - seen) < STALE then
                written = written .. sub(queue, i, i + 21)
            end
        end
        call('HSET', lease, 'q', before and written .. entry or written)
    end
    return answer(0)
end
if verb == 4 then
    if is_queued then
        call('HSET', lease, 'q', others)
        if not is_held then
            tell_freed()
        end
    end
    return answer(1)
end
if not is_held or last ~= token then
    return answer(0)
end
if verb == 2 then
    ends = now + ttl * 1000
    call('HSET', lease, 'e', format('%.0f', ends))
    call('PEXPIRE', lease, format('%.0f', ttl + REST))
else
    ends = 0
    call('HSET', lease, 'e', 0, 'k', '')
    tell_freed()
end
return answer(1)
