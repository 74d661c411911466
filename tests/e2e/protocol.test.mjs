/* The conformance checklist of the client protocol (client-protocol.md 28), where no other file has the case: README.md lists
 * which spec holds what. Without the SDK where it hides what is on the wire. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { World, makeToken, rawConnected, rawSocket, subscribed, until } from './support.mjs';

let world;
let server;
before(async () => {
  world = new World();
  server = await world.appliance({ settings: `
  - name: limited
    allow_user_limited_channels: true
    allow_publish_for_subscriber: true
  - name: nobody
    allow_subscribe_for_client: true
    allow_subscribe_for_anonymous: true
    allow_publish_for_client: true
  - name: wished
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    allow_presence_for_client: true
    presence: true
    join_leave: true
    history_size: 1000
    history_ttl: 10m
    allow_positioning: true
    allow_recovery: true
client:
  allow_anonymous_connect_without_token: true
  subscribe_to_personal_channel: true
  personal_channel_namespace: limited
  ping_interval: 2s
  pong_timeout: 1s
  commands_per_second: 100000
` });
});
after(() => world.close());

let n = 0;
const channel = (namespace = 'demo') => `${namespace}:protocol-${n++}`;
const lines = (socket) => socket.messages.flatMap((message) => message.split('\n')).filter((line) => line !== '').map((line) => JSON.parse(line));
const answer = (socket, id) => until(`the answer to ${id}`, () => lines(socket).find((line) => line.id === id));
const send = (socket, ...commands) => socket.send(commands.map((command) => JSON.stringify(command)).join('\n'));
/* Connected without the SDK; answers pings. */
async function connected(claims = { sub: 'raw' }) {
  const socket = await rawConnected(server.url, claims);
  socket.on('message', (data) => { if (data.toString().split('\n').includes('{}')) socket.send('{}'); });
  return socket;
}

describe('28.1 upgrade, batching, connect, pings', { concurrency: 6 }, () => {
  const CONNECT = Buffer.from('{"id":1,"connect":{}}');
  const DELIMITED = Buffer.from([4, 0x08, 1, 0x22, 0]); /* the same */
  const ENCODINGS = [
    ['no subprotocol', [], '', '', 'json'],
    ['centrifuge-json', ['centrifuge-json'], '', 'centrifuge-json', 'json'],
    ['centrifuge-protobuf', ['centrifuge-protobuf'], '', 'centrifuge-protobuf', 'protobuf'],
    ['the first of the list that is known', ['other', 'centrifuge-protobuf', 'centrifuge-json'], '', 'centrifuge-protobuf', 'protobuf'],
    ['the other order', ['centrifuge-json', 'centrifuge-protobuf'], '', 'centrifuge-json', 'json'],
    ['format=protobuf', [], '?format=protobuf', '', 'protobuf'],
    ['cf_protocol=protobuf beside others', [], '?a=b&cf_protocol=protobuf', '', 'protobuf'],
    ['a format that is none', [], '?format=xml', '', 'json'],
  ];
  for (const [what, protocols, query, agreed, encoding] of ENCODINGS) {
    test(`the encoding is ${encoding}, and counts for either kind of frame: ${what}`, async () => {
      for (const binary of [true, false]) {
        const socket = await rawSocket(server.url + query, { protocols });
        assert.equal(socket.protocol, agreed);
        socket.send(encoding === 'json' ? CONNECT : DELIMITED, { binary });
        const [reply] = await socket.next();
        assert.equal(typeof reply === 'string', encoding === 'json', 'JSON comes in text frames, protobuf in binary ones');
        assert.ok(encoding === 'json' ? JSON.parse(reply).connect : reply.includes(Buffer.from([0x08, 1, 0x2a])));
        socket.terminate();
      }
    });
  }

  test('a line feed behind the last command is taken, white space and escaped keys too', async () => {
    const socket = await rawSocket(server.url);
    socket.send('{"id":1,"connect":{}}\n { "\\u0069d" : 2 , "ping" : { } }\t\n');
    assert.ok((await answer(socket, 2)).ping);
    socket.terminate();
  });

  test('unknown keys are passed over; of several requests the first in the protocol\'s order counts', async () => {
    const socket = await connected();
    send(socket, { id: 2, more: { deep: [1] }, ping: {}, subscribe: { channel: 'demo:not-this', extra: null } });
    assert.deepEqual(await answer(socket, 2), { id: 2, ping: {} });
    send(socket, { id: 3, presence: { channel: 'demo:not-this' }, unsubscribe: { channel: 'demo:not-this' } });
    assert.deepEqual(await answer(socket, 3), { id: 3, unsubscribe: {} });
    socket.terminate();
  });

  test('the connect reply comes first and says what the pings are; the first ping comes in the second half of the interval', async () => {
    const socket = await rawSocket(server.url);
    const at = Date.now();
    send(socket, { id: 9, connect: { token: makeToken({ sub: 'pinged', channels: ['demo:first'] }), name: 'js', version: '1', data: { a: 1 }, headers: { x: 'y' }, flag: 1, profile: 'p' } }, { id: 10, subscribe: { channel: 'plain:first' } });
    const ping = await until('a ping', () => socket.messages.some((message) => message.split('\n').includes('{}')) && Date.now());
    const [first] = lines(socket);
    assert.deepEqual([first.id, first.connect.ping, first.connect.pong, Object.keys(first.connect.subs).sort()], [9, 2, true, ['demo:first', 'limited:#pinged']]);
    assert.match(first.connect.client, /^[0-9a-f-]{36}$/);
    assert.deepEqual([first.connect.session, first.connect.node, first.connect.expires], [undefined, undefined, true], 'of streams only; the token ends');
    await answer(socket, 10);
    assert.ok(ping - at >= 1000, `after ${ping - at} ms`);
    socket.terminate();
  });

  test('cf_ws_frame_ping_pong=true: pings are those of WebSocket, and who answers none gets 3012', async () => {
    const open = async (autoPong) => {
      const socket = await rawSocket(`${server.url}?cf_ws_frame_ping_pong=true`, { autoPong });
      socket.pings = 0;
      socket.on('ping', () => { socket.pings += 1; });
      send(socket, { id: 1, connect: {} });
      const { connect } = await answer(socket, 1);
      assert.deepEqual([connect.ping, connect.pong], [undefined, undefined]);
      return socket;
    };
    const [answers, silent] = await Promise.all([open(true), open(false)]);
    assert.equal((await silent.ended()).code, 3012);
    await until('two pings', () => answers.pings === 2);
    assert.deepEqual([answers.closed, lines(answers).length], [null, 1]);
    answers.terminate();
  });
});

describe('28.2 subscribe, unsubscribe, publish', { concurrency: 6 }, () => {
  test('one after another in one message: subscribe, unsubscribe, subscribe; each answered in order, none of them 105', async () => {
    const name = channel();
    const socket = await connected();
    send(socket, { id: 2, subscribe: { channel: name } }, { id: 3, unsubscribe: { channel: name } }, { id: 4, subscribe: { channel: name } }, { id: 5, publish: { channel: name, data: 1 } });
    await answer(socket, 5);
    await until('the push', () => lines(socket).some((line) => line.push?.pub));
    const replies = lines(socket).filter((line) => line.id);
    assert.deepEqual(replies.map((line) => Object.keys(line)), [['id', 'subscribe'], ['id', 'unsubscribe'], ['id', 'subscribe'], ['id', 'publish']]);
    assert.ok(lines(socket).findIndex((line) => line.push?.pub) > lines(socket).findIndex((line) => line.id === 4), 'nothing before the reply');
    socket.terminate();
  });

  test('after the reply to unsubscribe nothing of the channel comes; unsubscribing anything succeeds', async () => {
    const name = channel();
    const [socket, writer] = [await connected(), await connected()];
    send(socket, { id: 2, subscribe: { channel: name } });
    await answer(socket, 2);
    const flood = setInterval(() => send(writer, { id: 7, publish: { channel: name, data: 1 } }), 1);
    await until('it comes', () => lines(socket).some((line) => line.push?.pub));
    send(socket, { id: 3, unsubscribe: { channel: name } });
    await answer(socket, 3);
    const end = lines(socket).findIndex((line) => line.id === 3);
    send(socket, { id: 4, unsubscribe: { channel: 'never:heard-of' } }, { id: 5, unsubscribe: { channel: name } });
    assert.deepEqual([await answer(socket, 4), await answer(socket, 5)], [{ id: 4, unsubscribe: {} }, { id: 5, unsubscribe: {} }]);
    clearInterval(flood);
    assert.deepEqual(lines(socket).slice(end + 1).filter((line) => line.push?.channel === name), []);
    for (const each of [socket, writer]) each.terminate();
  });

  test('zero values are left out, what is always there is there', async () => {
    const name = channel();
    const socket = await connected({ sub: 'zero' });
    send(socket, { id: 2, history: { channel: name } }, { id: 3, presence: { channel: name } }, { id: 4, presence_stats: { channel: name } }, { id: 5, subscribe: { channel: 'plain:zero' } }, { id: 6, publish: { channel: 'plain:zero', data: null } });
    const { epoch, ...position } = (await answer(socket, 2)).history;
    assert.ok(epoch.length > 0);
    assert.deepEqual(position, { publications: [], offset: 0 });
    assert.deepEqual(await answer(socket, 3), { id: 3, presence: { presence: {} } });
    assert.deepEqual(await answer(socket, 4), { id: 4, presence_stats: { num_clients: 0, num_users: 0 } });
    assert.deepEqual(await answer(socket, 5), { id: 5, subscribe: {} });
    assert.deepEqual(await answer(socket, 6), { id: 6, publish: {} });
    const push = await until('the push', () => lines(socket).find((line) => line.push?.pub));
    assert.deepEqual(Object.keys(push.push.pub).sort(), ['data', 'info']);
    socket.terminate();
  });

  test('a publisher without a name has "" as its user', async () => {
    const name = channel('nobody');
    const socket = await rawSocket(server.url);
    send(socket, { id: 1, connect: {} }, { id: 2, subscribe: { channel: name } });
    await answer(socket, 2);
    const writer = await connected({ sub: '' });
    send(writer, { id: 2, publish: { channel: name, data: 1 } });
    assert.equal((await answer(writer, 2)).error.code, 103, 'nobody may publish where only known users may');
    const known = await connected({ sub: 'ann' });
    send(known, { id: 2, publish: { channel: name, data: 1 } });
    const { push } = await until('the push', () => lines(socket).find((line) => line.push?.pub));
    assert.equal(push.pub.info.user, 'ann');
    for (const each of [socket, writer, known]) each.terminate();
  });
});

for (const encoding of ['json', 'protobuf']) {
  describe(`in ${encoding}`, { concurrency: 6 }, () => {
    const seen = (subscription, name) => subscription.events.filter((event) => event.name === name);

    test('28.5 a user-limited channel is for those it lists; the personal channel comes by itself', async () => {
      const name = `limited:dialog-${encoding}#ann,bob`;
      const ann = await world.connected(server, { user: 'ann', encoding });
      const dialog = await subscribed(ann, name);
      const eve = await world.connected(server, { user: 'eve', encoding });
      const refused = eve.newSubscription(name);
      const end = new Promise((resolve) => { refused.on('unsubscribed', resolve); });
      refused.subscribe();
      assert.equal((await end).code, 103);
      await dialog.publish({ seat: 1 }); /* as a subscriber */
      await assert.rejects(eve.publish(name, {}), { code: 103 });
      await until('her own', () => dialog.got.length === 1);
      const personal = world.client(server, { user: `fay-${encoding}`, encoding });
      const granted = [];
      personal.on('subscribed', ({ channel: of }) => granted.push(of));
      personal.connect();
      await personal.ready(10000);
      await until('it is there', () => granted.length === 1);
      assert.deepEqual(granted, [`limited:#fay-${encoding}`]);
    });

    test('28.6 who joins hears its own join behind its reply; joins and leaves only where they were asked for', async () => {
      const name = channel('wished');
      const ann = await world.connected(server, { user: 'ann', encoding });
      const [hears, deaf] = [await subscribed(ann, name, { joinLeave: true }), await subscribed(await world.connected(server, { user: 'bob', encoding }), name)];
      await until('both joins', () => seen(hears, 'join').length === 2);
      assert.deepEqual(seen(hears, 'join').map((event) => event.info.user), ['ann', 'bob']);
      deaf.unsubscribe();
      await until('the leave', () => seen(hears, 'leave').length === 1);
      assert.deepEqual([seen(deaf, 'join'), seen(deaf, 'leave')], [[], []]);
    });

    test('28.7 positions and recovery are granted to who wishes them; a position alone recovers nothing', async () => {
      const name = channel('wished');
      const ann = await world.connected(server, { user: 'ann', encoding });
      const state = (subscription) => { const [{ positioned, recoverable, streamPosition }] = seen(subscription, 'subscribed'); return [positioned, recoverable, streamPosition?.offset]; };
      const plain = await subscribed(ann, name);
      const positioned = await subscribed(await world.connected(server, { user: 'bob', encoding }), name, { positioned: true });
      const recoverable = await subscribed(await world.connected(server, { user: 'cid', encoding }), name, { recoverable: true });
      assert.deepEqual([state(plain), state(positioned), state(recoverable)], [[false, false, undefined], [true, false, 0], [true, true, 0]]);
    });

    test('28.7 recovery is all or nothing: 300 are recovered, one more is not', async () => {
      const name = channel('demo');
      const writer = await world.connected(server, { user: 'writer', encoding });
      const away = await world.connected(server, { user: 'away', encoding });
      const subscription = await subscribed(away, name);
      const back = async (count) => {
        away.disconnect();
        await Promise.all(Array.from({ length: count }, (_, i) => writer.publish(name, i)));
        away.connect();
        await until('it is back', () => seen(subscription, 'subscribed').length === 2 + (count === 301));
        return seen(subscription, 'subscribed').at(-1);
      };
      const all = await back(300);
      await until('all 300', () => subscription.got.length === 300);
      assert.deepEqual([all.wasRecovering, all.recovered, all.streamPosition.offset], [true, true, 0], 'the offset is the one asked from');
      assert.deepEqual(subscription.got.map((p) => p.offset), Array.from({ length: 300 }, (_, i) => i + 1));
      const none = await back(301);
      assert.deepEqual([none.wasRecovering, none.recovered, none.hasRecoveredPublications, none.streamPosition.offset], [true, false, false, 601]);
      assert.equal(subscription.got.length, 300);
    });

    test('28.7 an epoch of "_" or of yesterday never matches; an empty one matches any', async () => {
      const name = channel('demo');
      await (await world.connected(server, { user: 'writer', encoding })).publish(name, 1);
      const outcomes = [];
      for (const epoch of ['_', 'gone', '']) {
        const subscription = await subscribed(await world.connected(server, { encoding }), name, { since: { offset: 0, epoch } });
        outcomes.push(seen(subscription, 'subscribed')[0].recovered);
      }
      assert.deepEqual(outcomes, [false, false, true]);
    });

    test('28.9 what a client names in connect.subs it gets where it might subscribe itself, and recovers it there', async () => {
      const name = channel('demo');
      const writer = await world.connected(server, { user: 'writer', encoding });
      await writer.publish(name, 1);
      await writer.publish(name, 2);
      const { epoch } = await writer.history(name, { limit: 0 });
      const socket = await rawSocket(server.url);
      send(socket, { id: 1, connect: { token: makeToken({ sub: 'ann' }), subs: { [name]: { recover: true, offset: 1, epoch }, '$demo:private': {}, 'limited:x#bob': {} } } });
      const { subs } = (await answer(socket, 1)).connect;
      assert.deepEqual(Object.keys(subs).sort(), [name, 'limited:#ann'].sort(), 'what is not allowed is passed over');
      const { recovered, was_recovering, publications, offset } = subs[name];
      assert.deepEqual([recovered, was_recovering, publications.map((p) => p.data), offset], [true, true, [2], 1]);
      send(socket, { id: 2, unsubscribe: { channel: name } });
      await answer(socket, 2);
      socket.terminate();
    });
  });
}

test('28.11 a message in many fragments, and one in a second text frame of the same packet, are taken as they are', async () => {
  const socket = new WebSocket(server.url);
  socket.messages = [];
  socket.on('message', (data) => socket.messages.push(data.toString()));
  await new Promise((resolve) => { socket.once('open', resolve); });
  const text = '{"id":1,"connect":{}}\n{"id":2,"ping":{}}';
  for (let i = 0; i < text.length; i += 5) socket.send(text.slice(i, i + 5), { fin: i + 5 >= text.length });
  socket.send('{"id":3,"ping":{}}');
  assert.ok((await answer(socket, 3)).ping);
  assert.deepEqual(lines(socket).map((line) => line.id), [1, 2, 3]);
  socket.terminate();
});
