/* Fossil deltas and compacted channel ids with the published SDK, in both encodings: what it shows is what was published. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World, metric, rawConnected, subscribed, until } from './support.mjs';

let world;
let server;
before(async () => {
  world = new World();
  server = await world.appliance({ settings: `
  - name: doc
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 100
    history_ttl: 10m
    force_recovery: true
    force_positioning: true
    allowed_delta_types: [fossil]
    delta_publish: true
gateway:
  workers: 1
client:
  commands_per_second: 100000
` });
});
after(() => world.close());

let n = 0;
const channel = () => `doc:${n++}`;
const patches = () => metric(server, 'callboard_gateway_patches_total{used="true"}');

/* A document that is edited: Latin, Cyrillic, emoji; letters exchanged for some that share their first bytes. */
const LETTERS = [...'abcdeабвгдеёжзийклмнопрстуфхцчшщъыьэюя😀😁😂🤣😃😄😅€中文"\\\n{}'];
let seed = 7;
const below = (bound) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * bound);
};
function edits(count) {
  const text = [...'Съешь ещё этих мягких французских булок, да выпей же чаю 😀. The quick brown fox jumps over the lazy dog.'];
  return Array.from({ length: count }, (_, i) => {
    const at = below(text.length);
    if (below(4) === 0) text.splice(at, below(3));
    else if (below(3) === 0) text.splice(at, 0, LETTERS[below(LETTERS.length)]);
    else text[at] = LETTERS[below(LETTERS.length)];
    return { i, text: text.join(''), list: [1, 2, 3], unchanged: 'x'.repeat(100) };
  });
}

for (const encoding of ['json', 'protobuf']) {
  test(`${encoding}: every edit arrives as it was made, most of them as patches`, async () => {
    const name = channel();
    const writer = await world.connected(server, { user: 'writer' });
    const readers = [];
    for (const options of [{ delta: 'fossil' }, { delta: 'fossil' }, {}]) {
      readers.push(await subscribed(await world.connected(server, { encoding }), name, options));
    }
    const before = await patches();
    const all = edits(300);
    for (const each of all.slice(0, 150)) await writer.publish(name, each);
    const late = await subscribed(await world.connected(server, { encoding }), name, { delta: 'fossil' });
    for (const each of all.slice(150)) await writer.publish(name, each);
    for (const reader of readers) {
      await until('all', () => reader.got.length === all.length);
      assert.deepEqual(reader.got.map((p) => p.data), all);
    }
    await until('the later ones', () => late.got.length === 150);
    assert.deepEqual(late.got.map((p) => p.data), all.slice(150));
    const made = await patches() - before;
    assert.ok(made > 250 && made < 300, `${made} patches: one a publication, whatever the number of subscribers`);
  });

  test(`${encoding}: who comes back gets the missed ones in a chain and goes on with patches`, async () => {
    const name = channel();
    const writer = await world.connected(server, { user: 'writer' });
    const away = await world.connected(server, { user: 'away', encoding });
    const stays = await subscribed(await world.connected(server, { encoding }), name, { delta: 'fossil' });
    const subscription = await subscribed(away, name, { delta: 'fossil' });
    const all = edits(40);
    const publish = async (from, to) => { for (const each of all.slice(from, to)) await writer.publish(name, each); };
    await publish(0, 10);
    await until('the first ten', () => subscription.got.length === 10);
    away.disconnect();
    await publish(10, 20);
    away.connect();
    await until('the missed ones', () => subscription.got.length === 20);
    await publish(20, 30);
    await until('the live ones', () => subscription.got.length === 30);
    away.disconnect(); /* and back with nothing missed */
    away.connect();
    await until('back', () => subscription.events.filter((event) => event.name === 'subscribed').length === 3);
    await publish(30, 40);
    await until('the last ones', () => subscription.got.length === 40 && stays.got.length === 40);
    assert.deepEqual(subscription.got.map((p) => p.data), all);
    assert.deepEqual(stays.got.map((p) => p.data), all);
    assert.deepEqual(subscription.events.filter((event) => event.name === 'error'), []);
    const { publications } = await subscription.history({ limit: 40 });
    assert.deepEqual(publications.map((p) => p.data), all); /* never as patches */
  });
}

async function rawSubscribed(name, request) {
  const socket = await rawConnected(server.url);
  socket.send(JSON.stringify({ id: 2, subscribe: { channel: name, ...request } }));
  const [reply] = await socket.next();
  socket.reply = JSON.parse(reply).subscribe;
  socket.push = async () => JSON.parse((await socket.next())[0]).push;
  return socket;
}

test('on the wire: the first one whole and as text, then patches; after an empty recovery whole again', async () => {
  const name = channel();
  const writer = await world.connected(server, { user: 'writer' });
  const socket = await rawSubscribed(name, { delta: 'fossil' });
  assert.equal(socket.reply.delta, true);
  const texts = [100, 101, 102].map((price) => ({ price, symbol: 'ACME', venue: 'XNYS' }));
  await writer.publish(name, texts[0]);
  const first = (await socket.push()).pub;
  assert.deepEqual([first.data, first.delta], [JSON.stringify(texts[0]), undefined]);
  await writer.publish(name, texts[1]);
  const second = (await socket.push()).pub;
  assert.deepEqual([second.data, second.delta], ['h\nB@0,1:1W@C,1BpAPV;', true]);
  const { epoch } = socket.reply;
  socket.close();
  const back = await rawSubscribed(name, { delta: 'fossil', recover: true, epoch, offset: 2 });
  assert.deepEqual([back.reply.recovered, back.reply.publications], [true, undefined]);
  const chain = await rawSubscribed(name, { delta: 'fossil', recover: true, epoch, offset: 0 });
  assert.deepEqual(chain.reply.publications.map((p) => [p.data, p.delta]), [[JSON.stringify(texts[0]), undefined], ['h\nB@0,1:1W@C,1BpAPV;', true]]);
  await writer.publish(name, texts[2]);
  const live = (await back.push()).pub;
  assert.deepEqual([live.data, live.delta], [JSON.stringify(texts[2]), undefined]);
  for (const each of [back, chain]) each.close();
});

test('where the namespace does not allow it, or with an unknown history, delta is not granted and nothing is text', async () => {
  for (const name of ['short:no-delta', 'plain:no-delta']) {
    const socket = await rawSubscribed(name, { delta: 'fossil' });
    assert.equal(socket.reply.delta, undefined);
    await (await world.connected(server)).publish(name, { a: 1 });
    assert.deepEqual((await socket.next())[0].includes('"data":{"a":1}'), true);
    socket.close();
  }
});

test('a client that understands ids gets the channel by number; others by name', async () => {
  const name = 'plain:a-channel-with-a-name-that-is-long-enough-to-be-worth-a-number';
  const sockets = [];
  for (const flag of [1, 3, 0]) sockets.push(await rawSubscribed(name, { flag }));
  const [one, other, byName] = sockets;
  for (const each of [one, other]) assert.ok(Number.isSafeInteger(each.reply.id) && each.reply.id > 0);
  assert.equal(byName.reply.id, undefined);
  await (await world.connected(server)).publish(name, { a: 1 });
  for (const each of [one, other]) {
    const push = await each.push();
    assert.deepEqual([push.id, push.channel, push.pub.data], [each.reply.id, undefined, { a: 1 }]);
  }
  const push = await byName.push();
  assert.deepEqual([push.id, push.channel], [undefined, name]);
  for (const each of sockets) each.close();
});
