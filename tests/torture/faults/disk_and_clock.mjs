/* A disk that is full, a clock that jumps, an entry whose bytes have flipped. */
import fs from 'node:fs';
import path from 'node:path';
import { sleep } from '../../e2e/support.mjs';
import { whyNoShift } from '../clock/clock.mjs';

const MIB = Buffer.alloc(1 << 20);

/* Writes until nothing fits any more, at last byte by byte. */
function fill(file) {
  const out = fs.openSync(file, 'w');
  for (let size = MIB.length; size > 0;) {
    try {
      fs.writeSync(out, MIB, 0, size);
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error;
      size = Math.floor(size / 4);
    }
  }
  fs.closeSync(out);
}

/* everysec: writes are refused until there is room again. always: the server ends, and is started again when there is. */
async function fullDisk({ world }, { ms }) {
  const { redis } = world;
  const ballast = path.join(redis.folder, 'ballast');
  fill(ballast);
  await sleep(ms);
  fs.rmSync(ballast);
  if (redis.exited) {
    await redis.start();
    await redis.answers();
  }
}

/* Wall clocks of brokers and gateways, up to an hour to and fro; what counts time by the other clock must not mind. */
async function jump({ world }, { ms, dice }) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(500)) world.setClock(Math.round(dice.between(-3600, 3600)));
  world.setClock(0);
}

/* The clock of one Redis server, or of a Sentinel, is set ahead and does not come back: a little now and then, less in all than any time
 * that Redis counts for us; or hours at once, and what expires has expired. Cluster nodes and Sentinels that see it go back by more than
 * moments do nothing until it is again as late as it was, however long that takes: so nobody should do that, and back it goes by moments. */
async function setAhead({ clock }, { ms, dice }) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(500)) clock.advance(dice.chance(0.7) ? dice.between(1, 15) : -dice.between(0, 1));
}

const onClock = (servers, run) => ({ world }, fault) => run(fault.at % servers(world).length, servers(world), fault);
const nudge = (at, servers, fault) => setAhead(servers[at], fault);
const leap = (at, servers, { dice }) => servers[at].clock.advance(dice.between(3600, 14400));
const redis = (world) => world.primaries();
const sentinels = (world) => world.sentinels;

/* Streams take no changes, so it is written anew, with one entry other than it was. */
const FLIP = `local all = redis.call('XRANGE', KEYS[1], '-', '+')
if #all == 0 then return 0 end
local at = tonumber(ARGV[1]) % #all + 1
redis.call('DEL', KEYS[1])
for i, entry in ipairs(all) do
  local fields = entry[2]
  if i == at then
    local text = fields[2]
    local place = tonumber(ARGV[2]) % #text + 1
    fields[2] = string.sub(text, 1, place - 1) .. string.char((string.byte(text, place) + 64) % 256) .. string.sub(text, place + 1)
  end
  redis.call('XADD', KEYS[1], entry[1], unpack(fields))
end
return #all`;

async function flip({ world }, { dice, ch }) {
  for (const redis of world.primaries()) {
    const [, keys] = await redis.cli('SCAN', '0', 'MATCH', `*:s:${ch}`, 'COUNT', '100000');
    for (const key of keys) await redis.cli('EVAL', FLIP, 1, key, dice.below(1e6), dice.below(1e6));
  }
}

export const DISK_AND_CLOCK_FAULTS = {
  'disk-full': { weight: 2, worlds: ['standalone'], needs: (world) => world?.whyNoDisk, target: () => 'redis', run: fullDisk },
  'clock-jump': { weight: 2, needs: (world) => world?.whyNoClock, target: () => 'clock', run: jump },
  'redis-clock-near': { weight: 1, needs: whyNoShift, target: () => 'redis clock', run: onClock(redis, nudge) },
  'redis-clock-far': { weight: 0.7, needs: whyNoShift, target: () => 'redis clock', run: onClock(redis, leap) },
  'sentinel-clock': { weight: 1, worlds: ['sentinel'], needs: whyNoShift, target: () => 'redis clock', run: onClock(sentinels, nudge) },
  'entry-flipped': { weight: 0.7, channel: true, target: () => 'redis', run: flip },
};
