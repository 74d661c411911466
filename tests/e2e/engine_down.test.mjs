/* Redis is away, and namespaces differ in what that means (on_engine_down): what each one's publishers and subscribers are told, what
 * health and metrics say, and that positions go on where they stood when it is back. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, get, metric, subscribed, until } from './support.mjs';

const ALIVE = `
  - name: alive
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 100
    history_ttl: 10m
    force_recovery: true
    force_positioning: true
    on_engine_down: memory
`;
let world;
let redis;
let broker;
let gateway;
let client;
const got = {};
before(async () => {
  world = new World();
  redis = await world.redis();
  broker = await world.broker({ id: 'one', settings: `${ALIVE}redis:\n  url: ${redis.url}\n  command_timeout: 500ms\n` });
  gateway = await world.gateway({ brokers: [broker], settings: ALIVE });
  client = await world.connected(gateway, { timeout: 8000 });
  for (const channel of ['alive:a', 'demo:a', 'plain:a']) {
    got[channel] = (await subscribed(client, channel)).got;
    await client.publish(channel, { i: 1 });
    await until('the first', () => got[channel].length === 1);
  }
});
after(() => world.close());

const health = async (program) => JSON.parse((await get(program.internal, '/health')).body);
function publish(channel, data) {
  const { status, stdout, stderr } = spawnSync(path.join(BUILD, 'tools/callboardctl'),
    ['--endpoint', `tcp://127.0.0.1:${broker.router}`, 'pub', channel, JSON.stringify(data)], { encoding: 'utf8', timeout: 20000 });
  return status === 0 ? JSON.parse(stdout) : { error: stderr };
}

test('while Redis is away on_engine_down decides who is refused and who passes live, and all of it is said', async () => {
  redis.kill('SIGSTOP');
  const live = await until('a publication passes live', () => {
    const answer = publish('alive:a', { i: 2 });
    return answer.error === undefined && answer;
  }, 20000);
  assert.equal(live.durable, false);
  assert.ok(!live.offset, `a position that nobody assigned: ${JSON.stringify(live)}`);
  await until('it, live', () => got['alive:a'].some((p) => p.data.i === 2));
  assert.ok(!got['alive:a'].find((p) => p.data.i === 2).offset);

  assert.match(publish('demo:a', { i: 2 }).error, /error (100|120)/, 'the default refuses');
  assert.equal(publish('plain:a', { i: 2 }).error, undefined, 'without history there is nothing to keep');
  await until('it, too', () => got['plain:a'].length === 2);
  await assert.rejects(client.publish('demo:a', { i: 2 }), (error) => [100, 120].includes(error.code) && error.temporary);

  const told = await health(broker);
  assert.deepEqual([told.status, told.redis.connected], ['degraded', false]);
  await until('the gateway says so', async () => (await health(gateway)).status === 'degraded', 10000);
  assert.equal((await get(gateway.internal, '/health/redis')).status, 503);
  assert.equal((await get(gateway.internal, '/ready')).status, 200, 'it serves');
  assert.ok(await metric(broker, 'callboard_redis_live_only_total') >= 2);
  assert.ok(await metric(broker, 'callboard_broker_publishes_not_durable_total') >= 1);
  assert.ok(await metric(broker, 'callboard_broker_publishes_total{result="temporary"}') + await metric(broker, 'callboard_broker_publishes_total{result="unknown"}') >= 2);
});

test('Redis is back: positions go on, what passed live is not in the history, nobody had to reconnect', async () => {
  redis.kill('SIGCONT');
  await until('health says ok', async () => (await health(broker)).status === 'ok' && (await health(gateway)).status === 'ok', 20000);
  const kept = await until('a publication is kept', () => {
    const answer = publish('alive:a', { i: 3 });
    return answer.error === undefined && answer.durable === undefined && answer;
  }, 15000);
  await until('the last', () => got['alive:a'].some((p) => p.offset === kept.offset));
  const offsets = got['alive:a'].map((p) => p.offset).filter(Boolean);
  offsets.forEach((offset, at) => assert.equal(offset, at + 1, 'offsets step by one'));
  const { publications } = await client.history('alive:a', { limit: 100 });
  assert.ok(publications.every((p) => p.data.i !== 2 || p.offset), 'history has positions only');
  assert.equal(publications.at(-1).data.i, 3);
  assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
});
