-- lease: keeps a gateway's lease alive; one that has run out, or of another start of that gateway, is made anew with a
-- new number. The gateway is put on the list in the same step: on it, with a lease that ran out, it may be taken off.
--
-- KEYS  1 lease  2 the set of gateways
-- ARGV  1 number for a new one  2 boot nonce of the gateway  3 its figures as text  4 ms  5 its id
-- Reply the number in force. The value is "number nonce figures".
local old = redis.call('GET', KEYS[1])
local number = ARGV[1]
if old then
    local n, nonce = string.match(old, '^(%d+) (%d+) ')
    if nonce == ARGV[2] then
        number = n
    end
end
redis.call('SET', KEYS[1], number .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
redis.call('SADD', KEYS[2], ARGV[5])
return number
