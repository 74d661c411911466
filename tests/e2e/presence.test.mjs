/* Presence at scale, with two gateways, a broker and a real Redis: it costs nothing while nothing changes, ghosts go, and
 * channels with more members than an answer holds are counted and read page by page. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, metric, sleep, subscribed, until } from './support.mjs';

const PRESENCE_MEMORY = 10;
let world;
let redis;
let broker;
let gateways;
before(async () => {
  world = new World();
  redis = await world.redis();
  broker = await world.broker({ id: 'broker-0', redis, args: ['--set', `broker.presence_memory=${PRESENCE_MEMORY}`] });
  gateways = [await world.gateway({ brokers: [broker] }), await world.gateway({ brokers: [broker] })];
});
after(() => world.close());

function ctl(...args) {
  const result = spawnSync(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', `tcp://127.0.0.1:${broker.router}`, ...args], { encoding: 'utf8', timeout: 20000 });
  return { code: result.status, out: result.stdout.trim(), err: result.stderr.trim() };
}

async function members(n, server, channel, prefix) {
  return Promise.all(Array.from({ length: n }, async (_, i) => {
    const client = await world.connected(server, { user: `${prefix}${i % 7}` });
    return { client, subscription: await subscribed(client, channel) };
  }));
}

const stats = (channel) => JSON.parse(ctl('presence', channel, '--stats').out);
const count = (channel, n) => until(`${n} members`, () => stats(channel).num_clients === n);

/* Calls by command, without those of the question itself. */
function commands() {
  const calls = {};
  for (const line of redis.cli('info', 'commandstats').split('\n')) {
    const found = line.match(/^cmdstat_([^:]+):calls=(\d+)/);
    if (found && !['info', 'ping'].includes(found[1])) calls[found[1]] = Number(found[2]);
  }
  return calls;
}

/* What three quiet seconds cost, by command. */
async function quietCost() {
  const begin = commands();
  await sleep(3000);
  const end = commands();
  return Object.fromEntries(Object.keys(end).map((name) => [name, end[name] - (begin[name] ?? 0)]).filter(([, calls]) => calls > 0));
}

test('while nothing changes presence costs no call, however many members there are', async () => {
  const few = await members(2, gateways[0], 'demo:quiet', 'few');
  await count('demo:quiet', 2);
  await sleep(6000); /* what a join leaves to be looked after is done */
  const before = await quietCost();
  const many = [...await members(20, gateways[0], 'demo:quiet', 'many'), ...await members(20, gateways[1], 'demo:quiet', 'many')];
  await count('demo:quiet', 42);
  await sleep(6000);
  const asked = commands();
  await few[0].subscription.presenceStats();
  stats('demo:quiet');
  const answered = commands();
  const after = await quietCost();
  /* Forty more members: one call for each of them would be forty. What goes on anyhow is some calls more in a wait that got longer. */
  for (const name of ['hset', 'hget', 'hgetall', 'hscan', 'hdel', 'hlen', 'hmget']) {
    assert.ok((after[name] ?? 0) <= (before[name] ?? 0) + 20, `${name}: ${after[name]} calls with 42 members, ${before[name] ?? 0} with 2`);
  }
  const total = (calls) => Object.values(calls).reduce((sum, n) => sum + n, 0);
  /* Leases and sequence numbers go on, for each gateway and each open partition; a second gateway's lease is new. */
  assert.ok(total(after) <= total(before) * 1.5 + 20, `${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  assert.equal((answered.hscan ?? 0) - (asked.hscan ?? 0), 0, 'how many they are is known to the broker');
  for (const { client } of [...few, ...many]) client.disconnect();
  await count('demo:quiet', 0);
});

test('a channel with more members than an answer holds is counted exactly and read page by page', async () => {
  const crowd = [...await members(15, gateways[0], 'demo:crowd', 'u'), ...await members(15, gateways[1], 'demo:crowd', 'u')];
  await count('demo:crowd', 30);
  assert.deepEqual(stats('demo:crowd'), { num_clients: 30, num_users: 7 });
  assert.deepEqual(await crowd[0].subscription.presenceStats(), { numClients: 30, numUsers: 7 });
  await assert.rejects(crowd[0].subscription.presence(), (error) => error.code === 124);
  const whole = ctl('presence', 'demo:crowd');
  assert.equal(whole.code, 1);
  assert.match(whole.err, /124.*limit and cursor/s);
  assert.ok(await metric(broker, 'callboard_broker_presence_too_large_total') >= 2);

  const paged = ctl('presence', 'demo:crowd', '--limit', '5', '--all');
  assert.equal(paged.code, 0, paged.err);
  const told = new Set(paged.out.split('\n').map((line) => JSON.parse(line).client));
  assert.deepEqual([...told].sort(), crowd.map(({ client }) => client.events.find((e) => e.name === 'connected').client).sort());

  /* When half of the bound are left, the infos are there again. */
  for (const { client } of crowd.slice(PRESENCE_MEMORY / 2)) client.disconnect();
  await count('demo:crowd', PRESENCE_MEMORY / 2);
  const { clients } = await until('the list', () => crowd[0].subscription.presence().catch(() => false));
  assert.equal(Object.keys(clients).length, PRESENCE_MEMORY / 2);
  crowd.slice(0, PRESENCE_MEMORY / 2).forEach(({ client }) => client.disconnect());
});

test('a cursor that no answer gave is refused', () => {
  const { code, err } = ctl('presence', 'demo:crowd', '--limit', '5', '--cursor', 'here');
  assert.equal(code, 1);
  assert.match(err, /107.*cursor/s);
});

test('members of a gateway that was killed are gone within five seconds, each with a leave', async () => {
  const [watcher] = await members(1, gateways[0], 'demo:ghosts', 'watcher');
  const ghosts = await members(10, gateways[1], 'demo:ghosts', 'ghost');
  await count('demo:ghosts', 11);
  const began = Date.now();
  ghosts.forEach(({ client }) => client.disconnect = () => {});
  await gateways[1].stop('SIGKILL');
  await until('they left', () => watcher.subscription.events.filter((e) => e.name === 'leave').length === 10, 15000);
  const took = Date.now() - began;
  ghosts.forEach(({ client }) => { delete client.disconnect; client.disconnect(); });
  assert.deepEqual(stats('demo:ghosts'), { num_clients: 1, num_users: 1 });
  assert.ok(took <= 6000, `it took ${took} ms`); /* five, and one for a busy machine */
});
