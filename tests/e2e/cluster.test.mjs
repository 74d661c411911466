/* Two gateways, two brokers, one Redis: what happens to one of them is not the user's business. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World, get, sleep, subscribed, until } from './support.mjs';

let world;
let redis;
let brokers;
let gateways;
before(async () => {
  world = new World();
  redis = await world.redis(['--appendonly', 'no']);
  brokers = [await world.broker({ id: 'broker-0', redis }), await world.broker({ id: 'broker-1', redis })];
  // The writer is faster than a person: the limit on commands is not what is tested here.
  const settings = 'client:\n  commands_per_second: 1000000\n';
  gateways = [await world.gateway({ brokers, settings }), await world.gateway({ brokers, settings })];
});
after(() => world.close());

const CHANNELS = Array.from({ length: 16 }, (_, i) => `demo:cluster-${i}`);

/* Publishes numbers into every channel until stopped; a temporary refusal is published again under the same number, so a number
 * is never skipped and only an unknown outcome may stand twice (then it is not published again). */
function startWriter(client) {
  const state = { sent: Object.fromEntries(CHANNELS.map((c) => [c, []])), unknown: new Set(), stop: false, errors: 0 };
  state.done = Promise.all(CHANNELS.map(async (channel) => {
    for (let i = 1; !state.stop; i += 1) {
      for (;;) {
        try {
          await client.publish(channel, { i });
          state.sent[channel].push(i);
          break;
        } catch (error) {
          state.errors += 1;
          if (error.code === 120 || error.code < 100) { // below 100 are the SDK's own: nobody answered
            state.unknown.add(`${channel} ${i}`);
            break;
          }
          if (state.stop) return;
          await sleep(50);
        }
      }
      await sleep(5);
    }
  }));
  return state;
}

/* Every number in order; none missing, none twice; a number of unknown outcome may be there or not. */
function checkGot(subscription, channel, state) {
  const got = subscription.got.map((p) => p.data.i);
  for (let at = 1; at < got.length; at += 1) {
    assert.ok(got[at] > got[at - 1], `${channel}: ${got[at]} after ${got[at - 1]}`);
  }
  const missing = state.sent[channel].filter((i) => !got.includes(i));
  assert.deepEqual(missing, [], `${channel}: acked and not received`);
  const offsets = subscription.got.map((p) => p.offset);
  for (let at = 1; at < offsets.length; at += 1) {
    assert.equal(offsets[at], offsets[at - 1] + 1, `${channel}: offsets step by one`);
  }
}

/* Subscribers on both gateways, a writer, the event in the middle; nobody may notice. */
async function noticesNothing(event, { settle = 3000 } = {}) {
  const readers = [await world.connected(gateways[0], { user: 'r0' }), await world.connected(gateways[1], { user: 'r1' })];
  const subscriptions = [];
  for (const reader of readers) {
    for (const channel of CHANNELS) subscriptions.push([channel, await subscribed(reader, channel)]);
  }
  const writer = await world.connected(gateways[1], { user: 'writer' });
  const state = startWriter(writer);
  await sleep(1000);
  await event();
  await sleep(settle);
  state.stop = true;
  await state.done;
  await until('everything acked has arrived', () => subscriptions.every(([channel, s]) => {
    const last = state.sent[channel].at(-1);
    return last === undefined || s.got.some((p) => p.data.i === last);
  }), 15000);
  for (const [channel, subscription] of subscriptions) {
    checkGot(subscription, channel, state);
    assert.equal(subscription.events.filter((e) => e.name === 'subscribed').length, 1, `${channel}: never subscribed again`);
  }
  for (const client of [...readers, writer]) {
    assert.equal(client.events.filter((e) => e.name === 'connected').length, 1, 'no WebSocket was closed');
    client.disconnect();
  }
  const total = CHANNELS.reduce((sum, channel) => sum + state.sent[channel].length, 0);
  assert.ok(total > 100, `only ${total} publications were acked`);
  return state;
}

test('a publication at one gateway reaches subscribers of the other', async () => {
  const a = await world.connected(gateways[0], { user: 'a' });
  const b = await world.connected(gateways[1], { user: 'b' });
  const subscription = await subscribed(a, 'demo:across');
  await b.publish('demo:across', { text: 'hi' });
  await until('it', () => subscription.got.length === 1);
  assert.equal(subscription.got[0].info.user, 'b');
  assert.deepEqual(Object.keys((await subscription.presence()).clients).length, 1);
});

test('totals are those of the whole cluster', async () => {
  const clients = [await world.connected(gateways[0]), await world.connected(gateways[0]), await world.connected(gateways[1])];
  const stats = await until('the totals', async () => {
    const answer = JSON.parse((await get(gateways[1].internal, '/ws/stats')).body);
    return answer.total_connections >= 3 && answer.total_instances === 2 && answer;
  }, 15000);
  assert.equal(stats.redis_enabled, true);
  assert.ok(stats.local_connections < stats.total_connections);
  clients.forEach((client) => client.disconnect());
  await until('both brokers know of each other', async () => {
    const infos = await Promise.all(brokers.map(async (broker) => JSON.parse((await get(broker.internal, '/info')).body)));
    return infos.every((info) => info.brokers === 2 && info.gateways === 2);
  });
});

test('a broker that is killed is not noticed by any subscriber', async () => {
  await noticesNothing(async () => {
    await brokers[0].stop('SIGKILL');
    await sleep(3000);
    brokers[0] = await world.broker({ id: 'broker-0', redis, port: brokers[0].port });
  });
});

test('a broker that is drained is not noticed by any subscriber', async () => {
  const state = await noticesNothing(async () => {
    const exit = await brokers[1].stop('SIGTERM');
    assert.equal(exit.code, 0);
    brokers[1] = await world.broker({ id: 'broker-1', redis, port: brokers[1].port });
  });
  assert.equal(state.unknown.size, 0, 'a drain leaves no outcome unknown');
});

test('a gateway that is killed costs its clients a reconnect and nothing else', async () => {
  const reader = await world.connected(gateways[0].url, { user: 'reader' });
  const subscription = await subscribed(reader, 'demo:gateway-killed');
  const writer = await world.connected(gateways[1], { user: 'writer' });
  await writer.publish('demo:gateway-killed', { i: 1 });
  await until('the first', () => subscription.got.length === 1);
  const { port, internal, file } = gateways[0];
  await gateways[0].stop('SIGKILL');
  for (let i = 2; i <= 20; i += 1) await writer.publish('demo:gateway-killed', { i });
  const again = world.start('gateway/callboard-gateway', ['--config', file]);
  Object.assign(again, { port, internal, file, url: gateways[0].url });
  gateways[0] = again;
  await until('all of them', () => subscription.got.length >= 20, 20000);
  assert.deepEqual(subscription.got.map((p) => p.data.i), Array.from({ length: 20 }, (_, i) => i + 1));
  const presence = await until('the ghost is gone', async () => {
    const { clients } = await subscription.presence();
    return Object.keys(clients).length === 1 && clients;
  }, 8000);
  assert.equal(Object.values(presence)[0].user, 'reader');
});
