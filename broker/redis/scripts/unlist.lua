-- unlist: takes a gateway whose lease ran out off the list of gateways, unless it has renewed it since somebody looked.
--
-- KEYS  1 lease  2 the set of gateways
-- ARGV  1 its id
-- Reply how many were taken off.
if redis.call('GET', KEYS[1]) then
    return 0
end
return redis.call('SREM', KEYS[2], ARGV[1])
