/* redis.fallback: memory. Redis cannot be reached at the start: the broker serves from its memory and says so wherever it can; Redis
 * comes: everyone is told, and what is published from then on is kept. No WebSocket closes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, freePort, get, metric, subscribed, until } from './support.mjs';

const SETTINGS = 'redis:\n  fallback: memory\n  fallback_after: 300ms\n';
let world;
let redisPort;
let broker;
let gateway;
let client;
let subscription;
before(async () => {
  world = new World();
  redisPort = await freePort();
  broker = await world.broker({ id: 'alone', settings: `${SETTINGS}  url: redis://127.0.0.1:${redisPort}\n` });
  gateway = await world.gateway({ brokers: [broker] });
});
after(() => world.close());

const json = async (program, where) => JSON.parse((await get(program.internal, where)).body);
function publish(key, data) {
  const { status, stdout, stderr } = spawnSync(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', `tcp://127.0.0.1:${broker.router}`, 'pub', 'demo:fallback', JSON.stringify(data), '--key', key], { encoding: 'utf8', timeout: 20000 });
  return status === 0 ? JSON.parse(stdout) : { error: stderr };
}

test('Redis is down at the start: publications are taken in memory mode, and marked', async () => {
  await until('the broker says that memory stands in', async () => (await json(broker, '/info')).fallback === true, 10000);
  const info = await json(broker, '/info');
  assert.deepEqual([info.engine, info.fallback], ['memory', true]);
  const health = await json(broker, '/health');
  assert.equal(health.status, 'degraded');
  assert.deepEqual([health.redis.connected, health.redis.mode, health.redis.fallback], [false, 'memory', true]);
  await until('both shards are', async () => (await metric(broker, 'callboard_broker_fallback')) === 2);

  await until('the gateway knows', async () => (await json(gateway, '/health')).redis.fallback === true, 10000);
  assert.equal((await get(gateway.internal, '/ready')).status, 200, 'it serves');
  assert.equal((await get(gateway.internal, '/health/redis')).status, 503);
  const stats = await json(gateway, '/ws/stats');
  assert.deepEqual([stats.redis_enabled, stats.fallback], [false, true]);

  client = await world.connected(gateway);
  subscription = await subscribed(client, 'demo:fallback');
  const ack = publish('first', { i: 1 });
  assert.deepEqual([ack.offset, ack.durable], [1, false], JSON.stringify(ack));
  assert.equal(publish('first', { i: 1 }).duplicate, true, 'a key counts here too');
  await until('it', () => subscription.got.length === 1);
  assert.equal(await metric(broker, 'callboard_broker_publishes_not_durable_total'), 2);
  assert.deepEqual(Object.keys((await subscription.presence()).clients).length, 1);
});

test('Redis comes: subscribers are told, publications are kept, nothing says memory any more', async () => {
  const memoryEpoch = publish('second', { i: 2 }).epoch;
  await until('it', () => subscription.got.length === 2);
  const redis = await world.redis(['--appendonly', 'yes'], redisPort);
  await until('the broker is on Redis', async () => (await json(broker, '/info')).engine === 'redis', 20000);
  const again = await until('told, and subscribed again', () => {
    const all = subscription.events.filter((event) => event.name === 'subscribed');
    return all.length >= 2 && all.at(-1);
  }, 15000);
  assert.deepEqual([again.wasRecovering, again.recovered], [true, false]);
  const ack = await until('a publication is kept', () => {
    const answer = publish('third', { i: 3 });
    return answer.error === undefined && answer;
  }, 15000);
  assert.equal(ack.durable, undefined, 'only what is not durable says so');
  assert.equal(ack.offset, 1);
  assert.notEqual(ack.epoch, memoryEpoch, 'no epoch has two that assign its offsets');
  await until('it', () => subscription.got.some((p) => p.data.i === 3));
  assert.ok(redis.cli('keys', '*').includes('demo:fallback'), 'Redis has it');
  assert.equal((await json(broker, '/health')).status, 'ok');
  await until('the gateway knows', async () => (await json(gateway, '/health')).status === 'ok', 10000);
  assert.equal((await json(gateway, '/ws/stats')).redis_enabled, true);
  assert.equal((await json(gateway, '/ws/stats')).fallback, undefined);
  assert.equal(await metric(broker, 'callboard_broker_fallback'), 0);
  await until('presence was told again', async () => Object.keys((await subscription.presence()).clients).length === 1, 10000);
  assert.equal(client.events.filter((event) => event.name === 'connected').length, 1, 'no WebSocket was closed');
});

test('once Redis was there it is waited for: no second fallback', async () => {
  world.programs.find((program) => program.port === redisPort).kill('SIGKILL');
  await until('degraded', async () => (await json(broker, '/health')).status === 'degraded', 10000);
  assert.deepEqual([(await json(broker, '/info')).engine, (await json(broker, '/info')).fallback], ['redis', false]);
  assert.match(publish('fourth', { i: 4 }).error, /error (100|111|120)/);
});

test('a second broker beside one in memory mode is refused, loudly', async () => {
  const url = `  url: redis://127.0.0.1:${await freePort()}\n`;
  const pair = [await world.broker({ id: 'one', settings: SETTINGS + url }), await world.broker({ id: 'two', settings: SETTINGS + url })];
  for (const each of pair) await until('memory stands in', async () => (await json(each, '/info')).fallback === true, 10000);
  const between = await world.gateway({ brokers: pair });
  await until('one is refused', async () => (await metric(between, 'callboard_gateway_brokers_refused_total')) > 0, 15000);
  assert.ok(between.log().includes('second_broker_refused'));
  assert.equal(await metric(between, 'callboard_gateway_brokers_alive'), 1);
});
