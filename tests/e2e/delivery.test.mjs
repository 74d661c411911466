/* Tags filters, exclude_publisher and flush_interval with the published SDK, in both encodings. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, metric, subscribed, until } from './support.mjs';

let world;
let server;
const OPEN = `
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    history_size: 100
    history_ttl: 10m
    force_recovery: true
    force_positioning: true`;
before(async () => {
  world = new World();
  server = await world.appliance({ settings: `
  - name: scores${OPEN}
    allow_tags_filter: true
    delta_publish: true
    allowed_delta_types: [fossil]
  - name: echoless${OPEN}
    exclude_publisher: true
  - name: lazy${OPEN}
    flush_interval: 300ms
gateway:
  workers: 1
` });
});
after(() => world.close());

let n = 0;
const channel = (namespace) => `${namespace}:${n++}`;

function publish(name, data, ...tags) {
  const args = ['--endpoint', `tcp://127.0.0.1:${server.router}`, 'pub', ...tags.flatMap((tag) => ['--tag', tag]), name, JSON.stringify(data)];
  const { status, stderr } = spawnSync(path.join(BUILD, 'tools/callboardctl'), args, { encoding: 'utf8', timeout: 20000 });
  assert.equal(status, 0, stderr);
}

for (const encoding of ['json', 'protobuf']) {
  test(`${encoding}: a subscriber gets what passes its filter, live and recovered, without a gap`, async () => {
    const name = channel('scores');
    const tagsFilter = { op: 'and', nodes: [{ key: 'sport', cmp: 'in', vals: ['chess', 'шахматы'] }, { key: 'goals', cmp: 'gte', val: '2' }] };
    const fan = await world.connected(server, { encoding });
    const filtered = await subscribed(fan, name, { tagsFilter });
    const all = await subscribed(await world.connected(server, { encoding }), name);
    publish(name, 1, 'sport=chess', 'goals=1');
    publish(name, 2, 'sport=chess', 'goals=2');
    publish(name, 3, 'sport=go', 'goals=10');
    publish(name, 4, 'sport=шахматы', 'goals=10');
    publish(name, 5);
    await until('all', () => all.got.length === 5);
    await until('what passes', () => filtered.got.length === 2);
    assert.deepEqual(filtered.got.map((p) => [p.data, p.offset, p.tags]), [[2, 2, { sport: 'chess', goals: '2' }], [4, 4, { sport: 'шахматы', goals: '10' }]]);
    fan.disconnect();
    publish(name, 6, 'sport=chess', 'goals=3.5');
    publish(name, 7, 'sport=go', 'goals=3');
    fan.connect();
    await until('back', () => filtered.events.filter((event) => event.name === 'subscribed').length === 2);
    publish(name, 8, 'sport=chess', 'goals=2.0');
    await until('the later ones', () => filtered.got.length === 4);
    assert.deepEqual(filtered.got.map((p) => p.data), [2, 4, 6, 8]);
    assert.equal(filtered.events.filter((event) => event.name === 'subscribed').at(-1).recovered, true);
    assert.equal(filtered.events.filter((event) => event.name === 'subscribing').length, 2); /* no 2500 between */
  });

  test(`${encoding}: who publishes does not hear itself where the namespace says so`, async () => {
    const name = channel('echoless');
    const [alice, bob] = [await world.connected(server, { user: 'alice', encoding }), await world.connected(server, { user: 'bob', encoding })];
    const [a, b] = [await subscribed(alice, name), await subscribed(bob, name)];
    await alice.publish(name, 'from alice');
    await bob.publish(name, 'from bob');
    await alice.publish(name, 'from alice again');
    await until('the others', () => a.got.length === 1 && b.got.length === 2);
    assert.deepEqual([a.got.map((p) => p.data), b.got.map((p) => p.data)], [['from bob'], ['from alice', 'from alice again']]);
    assert.equal(a.events.filter((event) => event.name === 'subscribing').length, 1);
  });
}

test('a filter that is not allowed or is none is refused with 107', async () => {
  const client = await world.connected(server);
  for (const [name, tagsFilter] of [['plain:x', { key: 'k', cmp: 'ex' }], ['scores:bad', { key: 'k', cmp: 'like', val: 'x' }]]) {
    const subscription = client.newSubscription(name, { tagsFilter });
    const end = new Promise((resolve) => { subscription.on('unsubscribed', resolve); });
    subscription.subscribe();
    assert.equal((await end).code, 107);
  }
});

test('with flush_interval many publications go to a reader in one write', async () => {
  const name = channel('lazy');
  const reader = await subscribed(await world.connected(server), name);
  const writer = await world.connected(server, { user: 'writer' });
  const before = await metric(server, 'callboard_websocket_writes_total');
  for (let i = 0; i < 30; i += 1) await writer.publish(name, i); /* each a reply of its own */
  await until('all', () => reader.got.length === 30);
  assert.deepEqual(reader.got.map((p) => p.data), Array.from({ length: 30 }, (_, i) => i));
  const writes = await metric(server, 'callboard_websocket_writes_total') - before;
  assert.ok(writes < 50, `${writes} writes for 30 replies and 30 pushes`);
});
