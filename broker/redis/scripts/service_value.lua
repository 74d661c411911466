-- service_value: what services keep under a key; settle.lua stands before it.
--
-- KEYS  1 partition hash  2 the value
-- ARGV  1 head, packed: generation c16, master_replid:<its reign> c54, known seq I8, verb B (1 get, 2 set, 3 del, 4 exists,
--       5 incr), ttl in ms I8 (0: for ever; incr: of a new value)  2 set: the value; incr: what is added, as text
-- Reply 'O', done B (1: the key was there; incr: it was counted), ms left I8 (0: for ever, or not there), then get: the
--       value, incr: the number, as text. 'R' NEWREIGN, 'B' BEHIND, 'C' CORRUPT: nothing was done.
-- Numbers are whole, below 2^53 on both sides: what Lua and JavaScript count exactly.
local gen, mark, seq, verb, ttl = unpack('<c16c54I8BI8', ARGV[1])
local _, refusal = fence(gen, mark, seq, call('HGET', KEYS[1], 's'))
if refusal then
    return refusal
end
local key = KEYS[2]
local left = call('PTTL', key)
local there = left ~= -2
if left == -2 or left == -1 then
    left = 0
elseif left == 0 then
    left = 1
end
local function answer(done, more)
    return pack('<c1BI8', 'O', done and 1 or 0, left) .. (more or '')
end
local function write(value)
    if ttl > 0 then
        call('SET', key, value, 'PX', format('%.0f', ttl))
    else
        call('SET', key, value)
    end
end

if verb == 2 then
    write(ARGV[2])
    left = ttl
    return answer(there)
end
if verb == 3 then
    if there then
        call('DEL', key)
    end
    left = 0
    return answer(there)
end
if verb == 4 then
    return answer(there)
end
local value = pcall('GET', key)
if value and value.err then
    return 'C'
end
if verb == 1 then
    return answer(value and true, value)
end
local is_number = not value or value == '0' or (#value <= 17 and find(value, '^%-?[1-9]%d*$'))
local number = is_number and (value and tonumber(value) or 0) + tonumber(ARGV[2])
if not number or math.abs(number) > 9007199254740991 then
    return answer(false)
end
local text = format('%.0f', number)
if value then
    call('SET', key, text, 'KEEPTTL')
else
    write(text)
    left = ttl
end
return answer(true, text)
