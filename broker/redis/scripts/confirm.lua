-- confirm: who is this server, in this unbroken time as primary? And a small write, for WAIT to wait for.
--
-- KEYS  1 a key of ours that lives here
-- ARGV  1 what to write; empty: only read
-- Reply the replid; empty: not to be seen. Where it only read: and the replicas that follow, a blank before each: in step, and
--       having said so in the last ten seconds (what Redis calls good ones), or being copied to (who has no port takes a backup).
--       Errors of the write: READONLY, NOREPLICAS, OOM, MISCONF: nothing was done.
local info = redis.call('INFO', 'replication')
local replid = string.match(info, 'master_replid:(%x+)')
if ARGV[1] ~= '' then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
    return replid or ''
end
local followers = replid or ''
for ip, port, state, lag in string.gmatch(info, 'slave%d+:ip=([^,\r\n]*),port=(%d+),state=([%a_]+)[^\r\n]*lag=(%d+)') do
    if tonumber(lag) <= 10 and (state == 'online' or port ~= '0') then
        followers = followers .. ' ' .. ip .. ':' .. port
    end
end
return followers
