/* JSON and protobuf clients in one channel: each gets every publication in its own encoding, whoever published it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World, rawSocket, subscribed, until } from './support.mjs';

let world;
let server;
before(async () => {
  world = new World();
  server = await world.appliance({ settings: `
  - name: bytes
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 10
    history_ttl: 10m
    publication_data_format: binary
client:
  allow_anonymous_connect_without_token: true
` });
});
after(() => world.close());

test('what either publishes, both get, with the same position and publisher', async () => {
  const json = await world.connected(server, { user: 'json' });
  const protobuf = await world.connected(server, { user: 'protobuf', encoding: 'protobuf' });
  const readers = [await subscribed(json, 'demo:mixed'), await subscribed(protobuf, 'demo:mixed')];
  await json.publish('demo:mixed', { from: 'json', text: 'Привет 😀' });
  await protobuf.publish('demo:mixed', { from: 'protobuf', list: [1, null] });
  for (const reader of readers) {
    await until('both', () => reader.got.length === 2);
    assert.deepEqual(reader.got.map((p) => [p.data, p.offset, p.info.user]), [
      [{ from: 'json', text: 'Привет 😀' }, 1, 'json'], [{ from: 'protobuf', list: [1, null] }, 2, 'protobuf']]);
  }
});

/* The protobuf SDK as it is, payloads in bytes. */
async function bytesClient() {
  const client = await world.connected(server, { user: 'bytes', encoding: 'protobuf' });
  const plain = Object.getPrototypeOf(client);
  return { client, publish: (channel, bytes) => plain.publish.call(client, channel, bytes), history: (...args) => plain.history.call(client, ...args) };
}

test('where a namespace wants JSON, a protobuf client that publishes something else gets error 107', async () => {
  const { publish } = await bytesClient();
  for (const bytes of [new Uint8Array(0), Uint8Array.of(0, 255), new TextEncoder().encode('{"a":}')]) {
    await assert.rejects(publish('demo:strict', bytes), { code: 107 });
  }
});

test('in a binary namespace any bytes travel, and JSON clients get them as base64', async () => {
  const { client, publish, history } = await bytesClient();
  const got = [];
  const subscription = client.newSubscription('bytes:x');
  subscription.on('publication', ({ data }) => got.push([...data]));
  subscription.subscribe();
  await subscription.ready(10000);
  const reader = await subscribed(await world.connected(server), 'bytes:x');
  const all = [[0, 255, 10, 34], [], [123]];
  for (const bytes of all) await publish('bytes:x', Uint8Array.from(bytes));
  await until('all', () => got.length === 3 && reader.got.length === 3);
  assert.deepEqual(got, all);
  assert.deepEqual(reader.got.map((p) => p.data), ['AP8KIg==', '', 'ew==']);
  const { publications } = await history('bytes:x', { limit: 10 });
  assert.deepEqual(publications.map((p) => [...p.data]), all);
});

test('JSON on a protobuf connection closes with 3501', async () => {
  const bad = await rawSocket(server.url, { protocols: ['centrifuge-protobuf'] });
  assert.equal(bad.protocol, 'centrifuge-protobuf');
  bad.send(Buffer.from('{"id":1,"connect":{}}'));
  await bad.ended();
  assert.equal(bad.closed.code, 3501);
});
