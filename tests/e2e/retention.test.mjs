/* What is kept and for how long, as a client sees it: with the memory engine and with Redis. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, metric, sleep, subscribed, until } from './support.mjs';

const SETTINGS = `
  - name: brief
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 100
    history_ttl: 2s
    history_meta_ttl: 4s
    force_recovery: true
  - name: brief-memory
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    history_size: 1000
    history_ttl: 1h
`;

/* A channel that nobody uses leaves the broker at once. */
const FORGETFUL = ['--set', 'broker.tail_idle=1s'];

let world;
before(() => { world = new World(); });
after(() => world.close());

async function servers() {
  const redis = await world.redis();
  return [
    { name: 'memory', server: await world.appliance({ settings: SETTINGS, args: FORGETFUL }) },
    { name: 'Redis', server: await world.appliance({ settings: SETTINGS, args: [...FORGETFUL, '--redis', redis.url] }) },
  ];
}
const ctl = (server, ...args) => {
  const result = spawnSync(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', `tcp://127.0.0.1:${server.router}`, ...args], { encoding: 'utf8', timeout: 20000 });
  return { code: result.status, out: result.stdout.trim(), err: result.stderr.trim() };
};

/* What somebody who comes back from this position is told. */
async function comesBack(server, channel, { offset, epoch }) {
  const client = await world.connected(server, { user: 'back' });
  const subscription = await subscribed(client, channel, { since: { offset, epoch } });
  const { recovered, streamPosition } = subscription.events.find((e) => e.name === 'subscribed');
  await sleep(50); /* what was recovered is told behind it */
  const got = subscription.got.map((p) => p.data);
  client.disconnect();
  return { recovered, got, position: streamPosition };
}

test('history goes by age, by hand and with its epoch, and whoever comes back is told', async (t) => {
  for (const { name, server } of await servers()) {
    await t.test(name, async () => {
      const reader = await world.connected(server, { user: 'reader' });
      const live = await subscribed(reader, 'brief:aged');
      for (let i = 1; i <= 3; i += 1) await reader.publish('brief:aged', i);
      await until('them', () => live.got.length === 3);
      const { epoch } = await live.history({ limit: 0 });
      assert.deepEqual(await comesBack(server, 'brief:aged', { offset: 1, epoch }).then(({ recovered, got }) => [recovered, got]), [true, [2, 3]]);
      /* The reader keeps the channel and its tail in the broker's memory: the ttl holds all the same. */
      await sleep(2200);
      const late = await comesBack(server, 'brief:aged', { offset: 1, epoch });
      assert.deepEqual([late.recovered, late.got], [false, []]);
      assert.deepEqual(late.position, { offset: 3, epoch }, 'the position stays');
      assert.equal((await comesBack(server, 'brief:aged', { offset: 3, epoch })).recovered, true);

      await reader.publish('demo:removed', 'one');
      const removed = await subscribed(reader, 'demo:removed');
      await reader.publish('demo:removed', 'two');
      await until('the second', () => removed.got.length === 1);
      const top = await removed.history({ limit: 0 });
      assert.equal((await comesBack(server, 'demo:removed', { offset: 1, epoch: top.epoch })).recovered, true);
      assert.equal(ctl(server, 'history-remove', 'demo:removed').code, 0);
      const gone = await comesBack(server, 'demo:removed', { offset: 1, epoch: top.epoch });
      assert.deepEqual([gone.recovered, gone.got], [false, []]);
      assert.equal((await comesBack(server, 'demo:removed', top)).recovered, true);
      await reader.publish('demo:removed', 'three');
      await until('the third', () => removed.got.length === 2);
      assert.equal(removed.got[1].offset, 3);

      /* A subscriber keeps the epoch alive; without one it goes after the meta ttl. */
      await sleep(5000);
      assert.equal((await live.history({ limit: 0 })).epoch, epoch);
      reader.disconnect();
      const anew = await until('a new epoch', async () => {
        await sleep(7000); /* asking is using */
        const back = await comesBack(server, 'brief:aged', { offset: 3, epoch });
        return back.position.epoch !== epoch && back;
      }, 30000);
      assert.deepEqual([anew.recovered, anew.position.offset], [false, 0]);
    });
  }
});

test('at memory.bytes publishers are told error 111, nothing is lost silently, and idle channels make room', async () => {
  const server = await world.appliance({ settings: SETTINGS, args: [...FORGETFUL, '--set', 'memory.bytes=1MiB', '--set', 'broker.shards=1', '--set', 'broker.tail_messages=0'] });
  const client = await world.connected(server);
  const subscription = await subscribed(client, 'demo:full');
  const text = 'x'.repeat(50000);
  let taken = 0;
  const refused = await (async () => {
    for (;;) {
      try {
        await client.publish('demo:full', text);
        taken += 1;
      } catch (error) {
        return error;
      }
    }
  })();
  assert.equal(refused.code, 111);
  assert.equal(refused.temporary, true);
  assert.ok(taken >= 10 && taken < 25, `${taken} were taken`);
  await until('each that was acked', () => subscription.got.length === taken);
  assert.ok(await metric(server, 'callboard_memory_refused_total') >= 1);
  await client.publish('plain:live', text); /* what is not kept passes */
  /* The next channel finds room as soon as nobody needs the full one. */
  client.removeSubscription(subscription);
  await until('room', () => client.publish('demo:other', text).then(() => true, (error) => { assert.equal(error.code, 111); return false; }), 20000);
  assert.ok(await metric(server, 'callboard_memory_evicted_total') >= 1);
});

test('near broker.memory_max publishers and newcomers are told error 111, nobody is lost, and room made is used again', async () => {
  const most = 64 << 20;
  const server = await world.appliance({ settings: SETTINGS, args: [...FORGETFUL, '--set', 'client.commands_per_second=10000', '--set', `broker.memory_max=${most}`, '--set', 'broker.shards=1'] });
  const client = await world.connected(server);
  const channels = Array.from({ length: 16 }, (_, i) => `brief-memory:c${i}`);
  const subscriptions = await Promise.all(channels.map((channel) => subscribed(client, channel)));
  const text = 'x'.repeat(50000);
  const taken = new Map(channels.map((channel) => [channel, 0]));
  /* Until it is full, and on: what is refused makes room, so that it is not full any more a moment later. */
  let fills = true;
  const refusals = [];
  const filler = (async () => {
    for (let i = 0; fills; i += 1) {
      const channel = channels[i % channels.length];
      await client.publish(channel, text).then(() => taken.set(channel, taken.get(channel) + 1), (error) => refusals.push(error));
    }
  })();
  await until('a refusal', () => refusals.length > 0, 20000);
  await until('newcomers are refused', async () => (await metric(server, 'callboard_broker_memory_level')) >= 2, 20000);
  await until('one is', () => /111/.test(ctl(server, 'sub', 'brief-memory:new', '--count', '1').err), 20000);
  assert.ok(await metric(server, 'callboard_broker_memory_bytes') < most);
  fills = false;
  await filler;
  for (const { code, temporary } of refusals) assert.deepEqual([code, temporary], [111, true]);
  await until('each that was acked', () => subscriptions.every((subscription, i) => subscription.got.length === taken.get(channels[i])));
  for (const channel of channels) {
    assert.equal(ctl(server, 'history-remove', channel).code, 0);
  }
  await until('room', () => client.publish(channels[0], text).then(() => true, (error) => { assert.equal(error.code, 111); return false; }), 20000);
  await until('no refusals', async () => (await metric(server, 'callboard_broker_memory_level')) === 0, 20000);
  await subscribed(client, 'brief-memory:new');
});
