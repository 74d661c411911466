/* Cache recovery mode (client-protocol.md 14.7): the last message is the state. The published SDK in both encodings, on both
 * engines where the broker's part differs; on the wire what the SDK does not show. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { World, makeToken, rawConnected, rawSocket, subscribed, until } from './support.mjs';

const OPEN = `
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    force_recovery: true
    force_positioning: true
    force_recovery_mode: cache`;
const SETTINGS = `
  - name: state${OPEN}
    history_size: 1
    history_ttl: 10m
    allowed_delta_types: [fossil]
    delta_publish: true
    allow_tags_filter: true
  - name: auto${OPEN}
    history_size: 1
    history_ttl: 10m
    auto_cache_recover: true
  - name: brief${OPEN}
    history_size: 1
    history_ttl: 1s
client:
  commands_per_second: 100000
`;
const RAW = { CALLBOARD_HTTP_RAW_ENDPOINT: 'on' };

for (const engine of ['memory', 'redis']) {
  describe(`cache recovery on ${engine}`, () => {
    let world;
    let server;
    before(async () => {
      world = new World();
      const args = engine === 'redis' ? ['--redis', (await world.redis()).url] : [];
      server = await world.appliance({ args, settings: SETTINGS, env: RAW });
    });
    after(() => world.close());

    let n = 0;
    const channel = (namespace = 'state') => `${namespace}:cache-${n++}`;
    const writer = () => world.connected(server, { user: 'writer' });
    const publish = async (client, name, from, to) => { for (let i = from; i <= to; i += 1) await client.publish(name, { i }); };
    const subscribedEvents = (subscription) => subscription.events.filter((event) => event.name === 'subscribed');
    const rows = (subscription) => subscription.got.map((p) => [p.data.i, p.offset]);
    async function rawSubscribe(request) {
      const socket = await rawConnected(server.url);
      socket.send(JSON.stringify({ id: 2, subscribe: request }));
      const reply = JSON.parse((await socket.next())[0]);
      return { socket, reply: reply.subscribe, error: reply.error };
    }

    for (const encoding of ['json', 'protobuf']) {
      test(`${encoding}: who subscribes with since: {} gets the latest publication alone, then what follows`, async () => {
        const name = channel();
        const source = await writer();
        await publish(source, name, 1, 5);
        const reader = await subscribed(await world.connected(server, { encoding }), name, { since: {} });
        await until('the state', () => reader.got.length === 1);
        await publish(source, name, 6, 6);
        await until('the live one', () => reader.got.length === 2);
        assert.deepEqual(rows(reader), [[5, 5], [6, 6]]);
        const [{ wasRecovering, recovered }] = subscribedEvents(reader);
        assert.deepEqual([wasRecovering, recovered], [true, true]);
      });

      test(`${encoding}: who comes back gets the latest of what it missed, and nothing where it missed nothing`, async () => {
        const name = channel();
        const source = await writer();
        const away = await world.connected(server, { encoding });
        const reader = await subscribed(away, name);
        await publish(source, name, 1, 1);
        await until('the first', () => reader.got.length === 1);
        away.disconnect();
        await publish(source, name, 2, 9);
        away.connect();
        await until('the latest', () => reader.got.length === 2);
        away.disconnect();
        away.connect();
        await until('back with nothing missed', () => subscribedEvents(reader).length === 3);
        await publish(source, name, 10, 10);
        await until('the live one', () => reader.got.length === 3);
        assert.deepEqual(rows(reader), [[1, 1], [9, 9], [10, 10]]);
        assert.deepEqual(subscribedEvents(reader).slice(1).map((event) => event.recovered), [true, true]);
      });

      test(`${encoding}: the state goes with delta: whole first, and patches go on from it`, async () => {
        const name = channel();
        const source = await writer();
        const state = (i) => ({ i, text: 'the same long text, as it was and as it will be '.repeat(4) });
        for (const i of [1, 2]) await source.publish(name, state(i));
        const reader = await subscribed(await world.connected(server, { encoding }), name, { since: {}, delta: 'fossil' });
        await until('the state', () => reader.got.length === 1);
        for (const i of [3, 4]) await source.publish(name, state(i));
        await until('the live ones', () => reader.got.length === 3);
        assert.deepEqual(reader.got.map((p) => p.data), [2, 3, 4].map(state));
      });
    }

    test('on the wire: the position of the reply is the top, not the one of the request', async () => {
      const name = channel();
      await publish(await writer(), name, 1, 3);
      const { socket, reply } = await rawSubscribe({ channel: name, recover: true });
      assert.deepEqual([reply.recovered, reply.was_recovering, reply.offset, reply.publications.map((p) => p.offset)], [true, true, 3, [3]]);
      const again = await rawSubscribe({ channel: name, recover: true, epoch: reply.epoch, offset: 3 });
      assert.deepEqual([again.reply.recovered, again.reply.offset, again.reply.publications], [true, 3, undefined]);
      const foreign = await rawSubscribe({ channel: name, recover: true, epoch: 'another', offset: 3 });
      assert.deepEqual([foreign.reply.recovered, foreign.reply.publications.map((p) => p.offset)], [true, [3]], 'the state is the state in any epoch');
      for (const each of [socket, again.socket, foreign.socket]) each.close();
    });

    test('nothing is stored: not recovered, or error 112 where the client asked for that', async () => {
      const empty = channel();
      const none = await rawSubscribe({ channel: empty, recover: true });
      assert.deepEqual([none.reply.recovered, none.reply.was_recovering, none.reply.publications], [undefined, true, undefined]);
      const told = await rawSubscribe({ channel: channel(), recover: true, flag: 2 });
      assert.equal(told.error.code, 112);
      const name = channel('brief');
      const source = await writer();
      await publish(source, name, 1, 1);
      await until('history has ended', async () => (await source.history(name, { limit: 1 })).publications.length === 0);
      const late = await rawSubscribe({ channel: name, recover: true });
      assert.deepEqual([late.reply.recovered, late.reply.offset, late.reply.publications], [undefined, 1, undefined]);
      const knows = await rawSubscribe({ channel: name, recover: true, epoch: late.reply.epoch, offset: 1 });
      assert.equal(knows.reply.recovered, true, 'it has the state already');
      for (const each of [none, told, late, knows]) each.socket.close();
    });

    test('auto_cache_recover: everybody begins with the state, and nobody is told that it was recovering', async () => {
      const name = channel('auto');
      await publish(await writer(), name, 1, 2);
      const reader = await subscribed(await world.connected(server), name);
      await until('the state', () => reader.got.length === 1);
      assert.deepEqual([rows(reader), subscribedEvents(reader)[0].wasRecovering], [[[2, 2]], false]);
      const { reply, error, socket } = await rawSubscribe({ channel: channel('auto'), flag: 2 });
      assert.deepEqual([error, reply.recovered], [undefined, undefined]);
      socket.close();
    });

    test('while a writer never rests everybody is in with the newest of the moment, and without a gap from there', async () => {
      const name = channel();
      const source = await writer();
      let goes = true;
      let last = 0;
      const writing = (async () => { while (goes) await source.publish(name, { i: ++last }); })();
      await until('it writes', () => last > 20);
      const readers = await Promise.all(Array.from({ length: 20 }, async () => subscribed(await world.connected(server), name, { since: {} })));
      await until('all follow', () => readers.every((reader) => reader.got.length > 20));
      goes = false;
      await writing;
      await until('all have the last', () => readers.every((reader) => reader.got.at(-1).offset === last));
      for (const reader of readers) {
        assert.equal(subscribedEvents(reader)[0].recovered, true);
        assert.deepEqual(reader.got.map((p) => p.offset), reader.got.map((_, i) => reader.got[0].offset + i));
        assert.ok(reader.got[0].offset > 20);
      }
    });

    test('a server-side subscription recovers its state as well', async () => {
      const name = channel();
      const source = await writer();
      const client = world.client(server, { token: makeToken({ sub: 'alice', channels: [name] }) });
      const got = [];
      client.on('publication', (context) => got.push(context.offset));
      client.connect();
      await client.ready(10000);
      await publish(source, name, 1, 1);
      await until('the first', () => got.length === 1);
      client.disconnect();
      await publish(source, name, 2, 4);
      client.connect();
      await until('the state', () => got.length === 2);
      assert.deepEqual(got, [1, 4]);
    });

    test('the raw endpoint asks for everything behind a position, whatever the mode', async () => {
      const name = channel('auto');
      await publish(await writer(), name, 1, 3);
      const open = (query) => rawSocket(`ws://127.0.0.1:${server.port}/ws/${name}?token=${makeToken({ sub: 'raw' })}${query}`);
      const plain = await open('');
      const behind = await open('&since=2');
      await until('the third', () => behind.messages.length === 1);
      await publish(await writer(), name, 4, 4);
      await until('the live one', () => plain.messages.length === 1 && behind.messages.length === 2);
      assert.deepEqual([plain.messages, behind.messages], [['{"i":4}'], ['{"i":3}', '{"i":4}']]);
      for (const each of [plain, behind]) each.close();
    });
  });
}

test('settings that do not go together are refused with what to set', async () => {
  const world = new World();
  const file = world.write('wrong.yaml', 'namespaces:\n  - name: nohistory\n    force_recovery_mode: cache\n  - name: noncache\n    auto_cache_recover: true\n');
  const program = world.start('tools/callboard', ['--config', file, '--check']);
  assert.equal((await program.done).code, 3);
  assert.match(program.log(), /force_recovery_mode.*needs history/);
  assert.match(program.log(), /auto_cache_recover.*needs force_recovery_mode: cache/);
  await world.close();
});
