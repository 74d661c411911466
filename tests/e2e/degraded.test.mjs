/* Redis is full, its disk is, it is slow: what publishers and subscribers are told meanwhile, what health and metrics say, and that
 * everything goes on by itself. (Away and back again: redis_away.test.mjs; away at the start: fallback.test.mjs.) */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { World, get, metric, subscribed, until } from './support.mjs';

let world;
let redis;
let broker;
let gateway;
before(async () => {
  world = new World();
  redis = await world.redis(['--save', '3600', '1', '--enable-debug-command', 'yes', '--enable-protected-configs', 'yes']);
  const settings = `redis:\n  url: ${redis.url}\n  survey: 300ms\n  command_timeout: 1s\n  pipeline_commands: 16\n`;
  broker = await world.broker({ id: 'one', settings });
  gateway = await world.gateway({ brokers: [broker], settings: 'client:\n  commands_per_second: 1000000\n' });
});
after(() => world.close());

const health = async () => JSON.parse((await get(broker.internal, '/health')).body);
const found = (id) => until(`${id} is found`, async () => (await health()).redis.findings.some((finding) => finding.id === id && finding.severity === 'error'), 15000);
const refused = (error) => [100, 111].includes(error.code) && error.temporary;

async function start(channel) {
  const client = await world.connected(gateway, { timeout: 8000 });
  const subscription = await subscribed(client, channel);
  await client.publish(channel, { i: 1 });
  await until('the first', () => subscription.got.length === 1);
  return { client, subscription };
}

/* It goes on without a gap, a double or a new connection. */
async function goesOn({ client, subscription }, channel) {
  await until('a publication is taken', () => client.publish(channel, { i: 2 }).then(() => true, (error) => {
    assert.ok(error.temporary, `refused for good: ${error.code}`);
    return false;
  }), 20000);
  await until('the last', () => subscription.got.some((p) => p.data.i === 2));
  subscription.got.forEach((p, at) => assert.equal(p.offset, at + 1, 'offsets step by one'));
  assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
  client.disconnect();
}

test('Redis is full (OOM): publishes are refused for the moment, reading goes on', async () => {
  const channel = 'demo:full';
  const both = await start(channel);
  redis.cli('config', 'set', 'maxmemory', '1');
  await assert.rejects(both.client.publish(channel, { i: 0 }), refused);
  assert.equal((await both.client.history(channel, { limit: 10 })).publications.length, 1, 'history is read');
  const late = await world.connected(gateway);
  assert.equal((await subscribed(late, channel, { since: { offset: 0, epoch: both.subscription.events.at(-1).streamPosition?.epoch ?? '' } })).events.at(-1).name, 'subscribed');
  await found('redis.memory');
  assert.ok(await metric(broker, 'callboard_broker_publishes_total{result="temporary"}') > 0);
  redis.cli('config', 'set', 'maxmemory', '0');
  await goesOn(both, channel);
  late.disconnect();
});

test('the disk of Redis is full (MISCONF): the same', async () => {
  const channel = 'demo:disk';
  const both = await start(channel);
  const folder = redis.cli('config', 'get', 'dir').split('\n').at(-1);
  const gone = path.join(folder, 'gone');
  fs.mkdirSync(gone);
  redis.cli('config', 'set', 'dir', gone);
  fs.rmdirSync(gone); // snapshots cannot be written any more
  redis.cli('bgsave');
  await until('the snapshot fails', () => redis.cli('info', 'persistence').includes('rdb_last_bgsave_status:err'));
  await assert.rejects(both.client.publish(channel, { i: 0 }), refused);
  assert.equal((await both.client.history(channel, { limit: 10 })).publications.length, 1, 'history is read');
  await found('redis.disk');
  redis.cli('config', 'set', 'dir', folder);
  await until('a snapshot is written', () => {
    try { redis.cli('bgsave'); } catch { /* one is under way */ }
    return redis.cli('info', 'persistence').includes('rdb_last_bgsave_status:ok');
  }, 20000);
  await goesOn(both, channel);
});

test('Redis is slow: what was not sent waits, and is refused when its time is over; what was sent is told once or unknown', async () => {
  const channel = 'demo:slow';
  const both = await start(channel);
  // One command that takes 3 s, three times the command timeout.
  const slept = new Promise((resolve) => execFile('redis-cli', ['-p', String(redis.port), 'debug', 'sleep', '3'], resolve));
  await until('it sleeps', () => new Promise((resolve) => execFile('redis-cli', ['-p', String(redis.port), 'ping'], { timeout: 200 }, (error) => resolve(error !== null))));
  const outcomes = { ok: 0, refused: 0, unknown: 0 };
  const tries = [];
  for (let i = 0; i < 200; i += 1) {
    tries.push(both.client.publish(channel, { i: 1000 + i }).then(() => { outcomes.ok += 1; }, (error) => {
      assert.ok(error.temporary || error.code < 100, `refused for good: ${error.code} ${error.message}`);
      outcomes[error.code === 120 ? 'unknown' : 'refused'] += 1;
    }));
  }
  await until('health says degraded', async () => (await health()).status === 'degraded', 10000);
  await Promise.all(tries);
  await slept;
  assert.equal(outcomes.ok + outcomes.refused + outcomes.unknown, 200, 'every publisher got an answer');
  assert.ok(outcomes.refused + outcomes.unknown > 0, JSON.stringify(outcomes));
  await until('health says ok', async () => (await health()).status === 'ok', 15000);
  await goesOn(both, channel);
  const seen = both.subscription.got.map((p) => p.data.i);
  assert.equal(new Set(seen).size, seen.length, 'nothing came twice');
  assert.ok(seen.length >= outcomes.ok + 2, 'what was acknowledged came');
});
