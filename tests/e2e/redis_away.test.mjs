/* Redis stops, hangs, comes back, forgets: what publishers and subscribers are told. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World, get, subscribed, until } from './support.mjs';

const APPENDS = ['--appendonly', 'yes', '--appendfsync', 'always'];
let world;
let redis;
let server;
before(async () => {
  world = new World();
  redis = await world.redis(APPENDS);
  server = await world.appliance({ args: ['--redis', redis.url] });
});
after(() => world.close());

const health = async () => (await get(server.internal, '/health/redis')).status;

/* Publishes until it is accepted; refusals on the way must be temporary ones. */
async function publishUntilTaken(client, channel, data) {
  const codes = [];
  await until('a publication is taken', async () => {
    try {
      await client.publish(channel, data);
      return true;
    } catch (error) {
      codes.push(error.code);
      assert.ok(error.temporary || error.code === 1, `refused for good: ${error.code} ${error.message}`);
      return false;
    }
  }, 20000);
  return codes;
}

test('while Redis hangs, publishing is refused for the moment and health says so; then all goes on', async () => {
  const client = await world.connected(server, { timeout: 8000 });
  const subscription = await subscribed(client, 'demo:hang');
  await client.publish('demo:hang', { i: 1 });
  await until('the first', () => subscription.got.length === 1);
  redis.kill('SIGSTOP');
  await assert.rejects(client.publish('demo:hang', { i: 2 }), (error) => [100, 111, 120].includes(error.code) && error.temporary);
  await until('health says that Redis is away', async () => await health() === 503, 10000);
  assert.equal((await get(server.internal, '/health')).status, 200);
  redis.kill('SIGCONT');
  await until('health says that Redis is back', async () => await health() === 200, 15000);
  await publishUntilTaken(client, 'demo:hang', { i: 3 });
  await until('the last', () => subscription.got.some((p) => p.data.i === 3));
  const offsets = subscription.got.map((p) => p.offset);
  offsets.forEach((offset, at) => assert.equal(offset, at + 1, 'offsets step by one'));
  const numbers = subscription.got.map((p) => p.data.i);
  assert.ok(numbers.filter((i) => i === 2).length <= 1, 'what was unknown is there once or not at all');
  assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
});

test('a Redis that was restarted keeps the history, and subscribers are told that continuity may be lost', async () => {
  const client = await world.connected(server, { timeout: 8000 });
  const subscription = await subscribed(client, 'demo:restart');
  for (let i = 1; i <= 3; i += 1) await client.publish('demo:restart', { i });
  await until('three', () => subscription.got.length === 3);
  await redis.stop();
  await until('health says that Redis is away', async () => await health() === 503, 10000);
  redis = await world.redis(APPENDS, redis.port);
  await until('health says that Redis is back', async () => await health() === 200, 15000);
  await publishUntilTaken(client, 'demo:restart', { i: 4 });
  const again = await until('subscribed again', () => {
    const all = subscription.events.filter((event) => event.name === 'subscribed');
    return all.length >= 2 && all.at(-1);
  }, 15000);
  assert.deepEqual([again.wasRecovering, again.recovered], [true, false]);
  const history = await client.history('demo:restart', { limit: 10 });
  assert.deepEqual(history.publications.map((p) => p.data.i), [1, 2, 3, 4]);
  assert.deepEqual(history.publications.map((p) => p.offset), [1, 2, 3, 4]);
});

test('a Redis that came back empty is told too, and everything starts anew', async () => {
  const client = await world.connected(server, { timeout: 8000 });
  const subscription = await subscribed(client, 'demo:empty');
  await client.publish('demo:empty', { i: 1 });
  await until('the first', () => subscription.got.length === 1);
  redis.cli('flushall');
  await publishUntilTaken(client, 'demo:empty', { i: 2 });
  await until('subscribed again or told', () => subscription.events.filter((event) => event.name === 'subscribed').length >= 2, 15000);
  const history = await client.history('demo:empty', { limit: 10 });
  assert.deepEqual(history.publications.map((p) => [p.offset, p.data.i]), [[1, 2]]);
});
