/* Faults of a Redis server that any topology has: stopped, busy, emptied, full, its connections and scripts cut away. */
import { sleep } from '../../e2e/support.mjs';
import { command } from '../worlds/resp.mjs';

const node = (world, at) => world.primaries()[at % world.primaries().length];
const target = () => 'redis'; // one thing at a time: what is set is put back on the server that it was set on
const connections = () => 'connections';
const each = (world, words) => Promise.all(world.primaries().map((one) => one.cli(...words)));
/* Also in a failover: who is down has nothing to cut. */
const eachThatIsUp = (world, words) => Promise.allSettled(world.primaries().map((one) => one.cli(...words)));

async function setting(redis, name, value, ms) {
  const [, before] = await redis.cli('CONFIG', 'GET', name);
  await redis.cli('CONFIG', 'SET', name, value);
  await sleep(ms);
  await redis.cli('CONFIG', 'SET', name, before);
}

/* What was sent while the server is stopped cannot be acked before it goes on. */
async function stop({ world, say }, { at, ms }) {
  const redis = node(world, at);
  redis.kill('SIGSTOP');
  const only = world.primaries().length === 1;
  if (only) say('unconfirmable', { edge: 'begin', scope: 'all' });
  await sleep(1000 + ms);
  if (only) say('unconfirmable', { edge: 'end', scope: 'all' });
  redis.kill('SIGCONT');
}

async function killAndRestart({ world }, { at, ms }) {
  const redis = node(world, at);
  await redis.die();
  await sleep(ms / 2);
  await redis.start();
  await redis.answers();
}

const keysOf = async (redis, pattern) => {
  const found = [];
  for (let cursor = '0'; ;) {
    const [next, keys] = await redis.cli('SCAN', cursor, 'MATCH', pattern, 'COUNT', '10000');
    found.push(...keys);
    cursor = next;
    if (cursor === '0') return found;
  }
};

/* One channel's meta expires or is deleted. Its name is the event's. */
async function loseMeta({ world }, { dice, ch }) {
  for (const redis of world.primaries()) {
    for (const key of await keysOf(redis, `*:m:${ch}`)) await redis.cli(...(dice.chance(0.5) ? ['DEL', key] : ['PEXPIRE', key, '1']));
  }
}

/* Less memory than is in use: whatever writes is refused. */
async function fill({ world, say }, { at, ms }) {
  const redis = node(world, at);
  const [, before] = await redis.cli('CONFIG', 'GET', 'maxmemory');
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1000');
  const only = world.primaries().length === 1;
  if (only) say('unconfirmable', { edge: 'begin', scope: 'all' });
  await sleep(ms);
  if (only) say('unconfirmable', { edge: 'end', scope: 'all' });
  await redis.cli('CONFIG', 'SET', 'maxmemory', before);
}

export const REDIS_FAULTS = {
  'redis-kill': { weight: 1.5, worlds: ['standalone'], target, run: killAndRestart },
  'redis-stop': { weight: 3, worlds: ['standalone'], target, run: stop },
  'redis-sleep': { weight: 1, worlds: ['standalone'], target, run: ({ world }, { at, ms }) => command(node(world, at).port, ['DEBUG', 'SLEEP', (ms / 1000).toFixed(2)], ms + 3000) },
  'redis-cut': { weight: 2, target: connections, run: ({ world }) => eachThatIsUp(world, ['CLIENT', 'KILL', 'TYPE', 'normal']) },
  'redis-cut-pubsub': { weight: 2, target: connections, run: ({ world }) => eachThatIsUp(world, ['CLIENT', 'KILL', 'TYPE', 'pubsub']) },
  'script-flush': { weight: 1, target: connections, run: ({ world }) => eachThatIsUp(world, ['SCRIPT', 'FLUSH']) },
  'flushall': { weight: 0.7, target, run: ({ world }) => each(world, ['FLUSHALL']) },
  'meta-lost': { weight: 0.7, target, channel: true, run: loseMeta },
  'redis-oom': { weight: 1.5, target, run: fill },
  'pubsub-limit': { weight: 1, target, run: ({ world }, { at, ms }) => setting(node(world, at), 'client-output-buffer-limit', 'pubsub 1 1 1', ms) },
};
