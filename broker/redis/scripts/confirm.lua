-- confirm: who is this server, in this unbroken time as primary? And a small write, for WAIT to wait for.
--
-- KEYS  1 a key of ours that lives here
-- ARGV  1 what to write; empty: only read
-- Reply the replid; empty: not to be seen. Errors of the write: READONLY, NOREPLICAS, OOM, MISCONF: nothing was done.
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if ARGV[1] ~= '' then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
end
return replid or ''
