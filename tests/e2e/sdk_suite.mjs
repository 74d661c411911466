/* The published SDK against the appliance: what a front-end developer relies on, the same on every engine and in both
 * encodings. What is sent without the SDK is JSON, whatever the SDK speaks. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World, makeToken, rawConnected, rawSocket, sleep, subscribed, until } from './support.mjs';

export function sdkSuite(engine, encoding = 'json') {
  let world;
  let server;
  before(async () => {
    world = new World({ encoding });
    const args = engine === 'redis' ? ['--redis', (await world.redis()).url] : [];
    server = await world.appliance({ args, settings: 'client:\n  ping_interval: 2s\n  pong_timeout: 1s\n' });
  });
  after(() => world.close());

  let n = 0;
  const channel = (namespace = 'demo') => `${namespace}:sdk-${n++}`;

  test('a client connects with a token and learns its id', async () => {
    const client = await world.connected(server);
    const { client: id, transport } = client.events.find((event) => event.name === 'connected');
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(transport, 'websocket');
  });

  test('a token subscribes its client to channels: publications come as events of the client, and a reconnect recovers', async () => {
    const name = channel();
    const client = world.client(server, { token: makeToken({ sub: 'alice', channels: [name, 'plain:server'] }), minReconnectDelay: 300 });
    client.isProtobuf ??= false;
    const got = [];
    client.on('publication', (context) => got.push([context.channel, client.isProtobuf ? JSON.parse(new TextDecoder().decode(context.data)) : context.data]));
    const subscribedEvents = [];
    client.on('subscribed', (context) => subscribedEvents.push(context));
    client.connect();
    await client.ready(10000);
    await until('both are told', () => subscribedEvents.length === 2);
    assert.deepEqual(subscribedEvents.map((event) => [event.channel, event.recoverable]).sort(), [[name, true], ['plain:server', false]].sort());
    const publisher = await world.connected(server, { user: 'bob' });
    await publisher.publish(name, 1);
    await publisher.publish('plain:server', 2);
    await until('both publications', () => got.length === 2);
    client._transport.close(); /* the network goes */
    await until('it is away', () => client.state === 'connecting');
    await publisher.publish(name, 3);
    await until('what was missed', () => got.length === 3);
    assert.deepEqual(got.filter(([of]) => of === name), [[name, 1], [name, 3]]);
    const again = await until('it is back', () => subscribedEvents.filter((event) => event.channel === name)[1]);
    assert.equal(again.recovered, true);
    await assert.rejects(subscribed(client, name).then((subscription) => subscription), (error) => error !== undefined);
  });

  test('a wrong signature ends the connection for good with 3500', async () => {
    const client = world.client(server, { token: makeToken({ sub: 'a' }, 'another secret, also more than 32 bytes long') });
    client.connect();
    const end = await until('disconnected', () => client.events.find((event) => event.name === 'disconnected'));
    assert.equal(end.code, 3500);
  });

  test('an expired token makes the SDK ask for a new one', async () => {
    let asked = 0;
    const client = await world.connected(server, {
      token: makeToken({ sub: 'a', exp: Math.floor(Date.now() / 1000) - 10 }),
      getToken: async () => { asked += 1; return makeToken({ sub: 'a' }); },
    });
    assert.equal(client.state, 'connected');
    assert.equal(asked, 1);
  });

  test('a token that ends soon is refreshed while connected', async () => {
    let asked = 0;
    const client = await world.connected(server, {
      token: makeToken({ sub: 'a', exp: Math.floor(Date.now() / 1000) + 2 }),
      getToken: async () => { asked += 1; return makeToken({ sub: 'a' }); },
    });
    await until('a refresh', () => asked > 0);
    await sleep(1500);
    assert.equal(client.state, 'connected');
    assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
  });

  test('nobody without a token is let in when anonymous clients are not allowed', async () => {
    const client = world.client(server, { token: '' });
    client.connect();
    const end = await until('disconnected', () => client.events.find((event) => event.name === 'disconnected'));
    assert.ok([3501, 3507].includes(end.code), `code ${end.code}`);
  });

  test('a publication reaches every subscriber with its publisher and offset', async () => {
    const name = channel();
    const [alice, bob] = [await world.connected(server, { user: 'alice' }), await world.connected(server, { user: 'bob' })];
    const [a, b] = [await subscribed(alice, name), await subscribed(bob, name)];
    await a.publish({ n: 1 });
    await b.publish({ n: 2 });
    for (const each of [a, b]) {
      await until('both', () => each.got.length === 2);
      assert.deepEqual(each.got.map((p) => [p.data, p.offset, p.info.user]), [[{ n: 1 }, 1, 'alice'], [{ n: 2 }, 2, 'bob']]);
    }
  });

  test('a payload travels byte for byte', async () => {
    const name = channel();
    const odd = '{"z":1,"a":9007199254740993,"f":1.0e+2,"u":"\\u00e9\\ud83d\\ude00","e":"a\\/b","n":[ 1 ,2],"z":-0.0}';
    const reader = await rawConnected(server.url);
    reader.send(`{"id":2,"subscribe":{"channel":"${name}"}}`);
    await until('the subscribe reply', () => reader.messages.some((m) => m.includes('"subscribe"')));
    reader.messages.length = 0;
    const writer = await rawConnected(server.url);
    writer.send(`{"id":2,"publish":{"channel":"${name}","data":${odd}}}`);
    await until('the push', () => reader.messages.some((m) => m.includes('"pub"')));
    const push = reader.messages.flatMap((m) => m.split('\n')).find((m) => m.includes('"pub"'));
    assert.ok(push.includes(`"data":${odd}`), push);
    reader.close();
    writer.close();
  });

  test('history gives pages in both directions and only the position with limit 0', async () => {
    const name = channel();
    const client = await world.connected(server);
    const subscription = await subscribed(client, name);
    for (let i = 1; i <= 5; i += 1) await subscription.publish({ i });
    const top = await subscription.history({ limit: 0 });
    assert.deepEqual([top.publications.length, top.offset], [0, 5]);
    const forward = await subscription.history({ limit: 2, since: { offset: 1, epoch: top.epoch } });
    assert.deepEqual(forward.publications.map((p) => p.offset), [2, 3]);
    const backward = await subscription.history({ limit: 2, reverse: true });
    assert.deepEqual(backward.publications.map((p) => p.offset), [5, 4]);
    await assert.rejects(subscription.history({ limit: 1, since: { offset: 1, epoch: 'another' } }), { code: 112 });
  });

  test('who asks for presence as soon as it has subscribed finds itself', async () => {
    const name = channel();
    await subscribed(await world.connected(server), name); /* its members are known to the broker from now on */
    for (let already = 1; already <= 40; already++) {
      const client = await world.connected(server);
      const { client: id } = client.events.find((event) => event.name === 'connected');
      const subscription = await subscribed(client, name);
      const [{ clients }, { numClients }] = await Promise.all([subscription.presence(), subscription.presenceStats()]);
      assert.ok(id in clients, `the ${already + 1}th is not in its own list`);
      assert.ok(numClients > already, `${numClients} are counted, without the ${already + 1}th`);
    }
  });

  test('presence and its statistics name who is there, and join and leave tell the change', async () => {
    const name = channel();
    const alice = await world.connected(server, { user: 'alice' });
    const a = await subscribed(alice, name);
    const bob = await world.connected(server, { user: 'bob' });
    await subscribed(bob, name);
    await until('the join', () => a.events.some((event) => event.name === 'join' && event.info.user === 'bob'));
    const { clients } = await a.presence();
    assert.deepEqual(Object.values(clients).map((entry) => entry.user).sort(), ['alice', 'bob']);
    assert.deepEqual(await a.presenceStats(), { numClients: 2, numUsers: 2 });
    bob.disconnect();
    await until('the leave', () => a.events.some((event) => event.name === 'leave' && event.info.user === 'bob'));
    assert.deepEqual(await a.presenceStats(), { numClients: 1, numUsers: 1 });
  });

  test('what was missed while away is recovered, each once and in order', async () => {
    const name = channel();
    const writer = await world.connected(server, { user: 'writer' });
    const away = await world.connected(server, { user: 'away' });
    const subscription = await subscribed(away, name);
    await writer.publish(name, { i: 1 });
    await until('the first', () => subscription.got.length === 1);
    away.disconnect();
    for (let i = 2; i <= 6; i += 1) await writer.publish(name, { i });
    away.connect();
    await until('all', () => subscription.got.length >= 6);
    await writer.publish(name, { i: 7 });
    await until('the live one', () => subscription.got.length >= 7);
    assert.deepEqual(subscription.got.map((p) => p.data.i), [1, 2, 3, 4, 5, 6, 7]);
    const back = subscription.events.filter((event) => event.name === 'subscribed').at(-1);
    assert.deepEqual([back.wasRecovering, back.recovered], [true, true]);
  });

  test('what history no longer holds is told, not hidden', async () => {
    const name = channel('short');
    const writer = await world.connected(server, { user: 'writer' });
    const away = await world.connected(server, { user: 'away' });
    const subscription = await subscribed(away, name);
    await writer.publish(name, { i: 1 });
    await until('the first', () => subscription.got.length === 1);
    away.disconnect();
    for (let i = 2; i <= 9; i += 1) await writer.publish(name, { i });
    away.connect();
    const back = await until('subscribed again', () => {
      const all = subscription.events.filter((event) => event.name === 'subscribed');
      return all.length === 2 && all[1];
    });
    assert.deepEqual([back.wasRecovering, back.recovered], [true, false]);
  });

  test('a channel of no namespace is unknown and a private one is denied without a token', async () => {
    const client = await world.connected(server);
    const codes = [];
    for (const name of ['nowhere:x', '$demo:private']) {
      const subscription = client.newSubscription(name);
      subscription.on('unsubscribed', (context) => codes.push(context.code));
      subscription.subscribe();
      await until('refused', () => subscription.state === 'unsubscribed');
    }
    assert.deepEqual(codes, [102, 103]);
  });

  test('a subscription token opens a private channel', async () => {
    const client = await world.connected(server, { user: 'alice' });
    const subscription = await subscribed(client, '$demo:private-1', { token: makeToken({ sub: 'alice', channel: '$demo:private-1' }) });
    assert.equal(subscription.state, 'subscribed');
  });

  test('publishing into a closed channel is denied and rpc is not available without a worker', async () => {
    const client = await world.connected(server);
    await assert.rejects(client.publish('nowhere:x', {}), { code: 102 });
    await assert.rejects(client.rpc('anything', {}), { code: 108 });
  });

  test('a channel without history delivers without offsets', async () => {
    const name = channel('plain');
    const client = await world.connected(server);
    const subscription = await subscribed(client, name);
    await client.publish(name, 'text');
    await until('it', () => subscription.got.length === 1);
    assert.deepEqual([subscription.got[0].data, subscription.got[0].offset], ['text', undefined]);
    await assert.rejects(client.history(name), { code: 108 });
  });

  test('pings keep a quiet connection, and a client that owes a pong is closed with 3012', async () => {
    const client = await world.connected(server);
    const silent = await rawConnected(server.url);
    await silent.ended();
    assert.equal(silent.closed.code, 3012);
    assert.equal(client.state, 'connected');
    assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
  });

  const BAD_MESSAGES = [
    ['no JSON', 'hello', 3501],
    ['an empty message', '', 3501],
    ['a list', '[]', 3501],
    ['a blank line between commands', '{"id":1,"connect":{}}\n\n{"id":2,"ping":{}}', 3501],
    ['a subscribe before connect', '{"id":1,"subscribe":{"channel":"demo:x"}}', 3501],
    ['an id and nothing else', '{"id":5}', 3501],
    ['an id of the wrong type', '{"id":"1","connect":{}}', 3501],
    ['invalid UTF-8 in an escape', '{"id":1,"connect":{"name":"\\ud800"}}', 3501],
    ['a depth of 200', '{"id":1,"connect":{"data":' + '['.repeat(200) + ']'.repeat(200) + '}}', 3501],
    ['a malformed token', '{"id":1,"connect":{"token":"x.y.z"}}', 3500],
  ];
  for (const [what, text, code] of BAD_MESSAGES) {
    test(`${what} as the first message closes with ${code}`, async () => {
      const socket = await rawSocket(server.url);
      socket.send(text);
      await socket.ended();
      assert.equal(socket.closed.code, code);
    });
  }

  const BAD_AFTER_CONNECT = [
    ['a second connect', '{"id":2,"connect":{}}', 3501],
    ['an empty channel', '{"id":2,"subscribe":{"channel":""}}', 3501],
    ['a pong nobody asked for', '{}', 3501],
    ['a send without a handler', '{"send":{"data":{}}}', 3508],
    ['an unknown delta type', '{"id":2,"subscribe":{"channel":"demo:x","delta":"zip"}}', 3501],
  ];
  for (const [what, text, code] of BAD_AFTER_CONNECT) {
    test(`${what} closes a connected client with ${code}`, async () => {
      const socket = await rawConnected(server.url);
      socket.send(text);
      await socket.ended();
      assert.equal(socket.closed.code, code);
    });
  }

  test('a message over the limit closes with 1009', async () => {
    const socket = await rawConnected(server.url);
    socket.send(JSON.stringify({ id: 2, publish: { channel: 'demo:x', data: 'x'.repeat(70000) } }));
    await socket.ended();
    assert.equal(socket.closed.code, 1009);
  });

  test('several commands in one message are answered in order', async () => {
    const name = channel();
    const socket = await rawSocket(server.url);
    socket.send(`{"id":1,"connect":{"token":"${makeToken({ sub: 'batch' })}"}}\n{"id":2,"subscribe":{"channel":"${name}"}}\n{"id":3,"publish":{"channel":"${name}","data":1}}\n`);
    const lines = await until('three replies', () => {
      const all = socket.messages.flatMap((m) => m.split('\n')).map((m) => JSON.parse(m)).filter((m) => m.id);
      return all.length === 3 && all;
    });
    assert.deepEqual(lines.map((line) => [line.id, Object.keys(line)[1]]), [[1, 'connect'], [2, 'subscribe'], [3, 'publish']]);
    socket.close();
  });
}
