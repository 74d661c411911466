/* Every error, unsubscribe and disconnect code of the protocol (client-protocol.md 9 to 11), provoked: what a client did, over
 * what, and which code came. The lists are read from the sources: a code without a row here fails. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import EventSource from 'eventsource';
import protobuf from 'protobufjs';
import { World, freePort, makeToken, rawSocket, subscribed, until, streamFetch } from './support.mjs';

const KEY = crypto.randomBytes(32).toString('base64url');
const ENV = { CALLBOARD_HTTP_SSE: 'true', CALLBOARD_HTTP_HTTP_STREAM: 'true' };
const now = () => Math.floor(Date.now() / 1000);
const subToken = (channel, claims = {}) => makeToken({ sub: 'alice', channel, ...claims });

let world;
let open; /* an appliance that lets through what the codes are not about */
let strict; /* one with small bounds */
let lonely; /* a gateway whose broker is not there */
let apiPort;
before(async () => {
  world = new World();
  apiPort = await freePort();
  open = await world.appliance({ env: ENV, settings: `
http_api:
  port: ${apiPort}
  keys:
    - {name: all, hashes: [${crypto.createHash('sha256').update(KEY).digest('hex')}], methods: ["*"], channels: ["*"]}
client:
  rpc: true
  call_timeout: 1s
  commands_per_second: 100000
` });
  strict = await world.appliance({ env: { ...ENV, CALLBOARD_CLIENT_DISALLOW_ANONYMOUS_CONNECTION_TOKENS: 'true' }, settings: `
client:
  connections_per_user: 2
  channels_max: 2
  commands_per_second: 2
  connect_timeout: 1s
  ping_interval: 2s
  pong_timeout: 1s
` });
  lonely = await world.gateway({ brokers: [{ port: await freePort() }], waits: false, args: ['--set', 'brokers.request_timeout=1s'] });
  await until('its listener', () => rawSocket(lonely.url).then((socket) => { socket.terminate(); return true; }, () => false));
});
after(() => world.close());

function api(method, body, key = KEY) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port: apiPort, path: `/api/${method}`, method: 'POST', agent: false, timeout: 10000, headers: { 'X-API-Key': key } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => { answer += bytes; });
      response.on('end', () => resolve(answer === '' ? {} : JSON.parse(answer)));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

let n = 0;
const channel = (namespace = 'demo') => `${namespace}:code-${n++}`;
let users = 0;
const connect = (claims = {}) => ({ id: 1, connect: { token: makeToken({ sub: `user${users++}`, ...claims }) } });

/* ---- errors: what the SDK is told ---- */

const rejected = (promise) => promise.then(() => 'no error', (error) => error.code);
async function refusedSubscribe(client, name, options) {
  const subscription = client.newSubscription(name, options);
  const end = new Promise((resolve) => { subscription.on('unsubscribed', ({ code }) => resolve(code)); subscription.on('error', ({ error }) => resolve(error.code)); });
  subscription.subscribe();
  const code = await end;
  subscription.unsubscribe();
  client.removeSubscription(subscription);
  return code;
}
/* What only a service, or nobody by himself, is told: by the server API. */
const ofApi = async (method, body, key) => (await api(method, body, key)).error.code;

/* [code, what was done, how]; `client` is the SDK's, connected to `open`. */
const ERRORS = [
  [100, 'an rpc that no worker answers', ({ client }) => rejected(client.rpc('nobody', {}))],
  [100, 'a publish while no broker is there', async ({ encoding }) => rejected((await world.connected(lonely, { encoding })).publish('demo:x', {}))],
  [101, 'a key of the server API that is none', () => ofApi('info', {}, 'not-a-key')],
  [102, 'a subscribe to a channel of no namespace', ({ client }) => refusedSubscribe(client, 'nowhere:x')],
  [102, 'a publish to one', ({ client }) => rejected(client.publish('nowhere:x', {}))],
  [102, 'a token that names one', async () => (await answerOf({ id: 1, connect: { token: makeToken({ sub: 'a', channels: ['nowhere:x'] }) } })).error.code],
  [103, 'a subscribe to a private channel without a token', ({ client }) => refusedSubscribe(client, '$demo:x')],
  [103, 'a history that is for subscribers', ({ client }) => rejected(client.history('short:x', { limit: 1 }))],
  [103, 'a map subscription', async () => (await answerOf(connect(), { id: 2, subscribe: { channel: 'demo:x', type: 1 } })).error.code],
  [103, 'a publish into a map', async () => (await answerOf(connect(), { id: 2, publish: { channel: 'demo:x', type: 1, data: 1 } })).error.code],
  [104, 'a method that the server API does not have', () => ofApi('nonsense', {})],
  [105, 'a second subscribe to a channel', async () => (await answerOf(connect(), { id: 2, subscribe: { channel: 'demo:twice' } }, { id: 3, subscribe: { channel: 'demo:twice' } })).error.code],
  [105, 'a subscribe to what the server subscribed it to', async ({ encoding }) => refusedSubscribe(await world.connected(open, { encoding, token: makeToken({ sub: 'a', channels: ['demo:mine'] }) }), 'demo:mine')],
  [106, 'one channel more than client.channels_max', async ({ encoding }) => {
    const client = await world.connected(strict, { encoding, user: `user${users++}` });
    for (const i of [1, 2]) await subscribed(client, `demo:limit-${i}`);
    return refusedSubscribe(client, 'demo:limit-3');
  }],
  [107, 'a name of 256 bytes', ({ client }) => refusedSubscribe(client, `demo:${'x'.repeat(251)}`)],
  [107, 'a name with a blank', ({ client }) => rejected(client.publish('demo:a b', {}))],
  [107, 'a tags filter where none is allowed', ({ client }) => refusedSubscribe(client, 'demo:x', { tagsFilter: { key: 'k', cmp: 'ex' } })],
  [107, 'a reverse history from offset 0', ({ client }) => rejected(client.history('demo:x', { limit: 1, reverse: true, since: { offset: 0, epoch: '' } }))],
  [107, 'a sub_refresh without a token', async () => (await answerOf(connect(), { id: 2, subscribe: { channel: 'demo:x' } }, { id: 3, sub_refresh: { channel: 'demo:x' } })).error.code],
  [108, 'a history where there is none', ({ client }) => rejected(client.history('plain:x', { limit: 1 }))],
  [108, 'a presence where there is none', ({ client }) => rejected(client.presence('plain:x'))],
  [108, 'presence_stats where there is none', ({ client }) => rejected(client.presenceStats('plain:x'))],
  [108, 'an rpc where clients may not ask', async ({ encoding }) => rejected((await world.connected(strict, { encoding, user: `user${users++}` })).rpc('x', {}))],
  [108, 'a shared poll', async () => (await answerOf(connect(), { id: 2, subscribe: { channel: 'demo:x', type: 4 } })).error.code],
  [108, 'a track of a shared poll', async () => (await answerOf(connect(), { id: 2, subscribe: { channel: 'demo:x' } }, { id: 3, sub_refresh: { channel: 'demo:x', type: 1 } })).error.code],
  [109, 'a connect with a token that has expired', async () => (await answerOf(connect({ exp: now() - 5 }))).error.code],
  [109, 'a subscribe with one', async () => (await answerOf(connect({ sub: 'alice' }), { id: 2, subscribe: { channel: '$demo:x', token: subToken('$demo:x', { exp: now() - 5 }) } })).error.code],
  [110, 'a connect whose end has passed, with a token that has not', async () => (await answerOf(connect({ expire_at: now() - 5 }))).error.code],
  [110, 'a subscribe whose end has passed', async () => (await answerOf(connect({ sub: 'alice' }), { id: 2, subscribe: { channel: '$demo:x', token: subToken('$demo:x', { expire_at: now() - 5 }) } })).error.code],
  [111, 'more commands than client.commands_per_second', async ({ encoding }) => {
    const client = await world.connected(strict, { encoding, user: `user${users++}` });
    const codes = await Promise.all(Array.from({ length: 8 }, () => rejected(client.publish('plain:x', {}))));
    client.disconnect();
    return codes.find((code) => code !== 'no error');
  }],
  [112, 'a history since a position of another epoch', ({ client }) => rejected(client.history('demo:x', { limit: 1, since: { offset: 1, epoch: 'another' } }))],
  [112, 'a recovery that fails where the client asked to be told (flag 2)', async () => (await answerOf(connect(), { id: 2, subscribe: { channel: 'demo:x', recover: true, epoch: 'another', offset: 7, flag: 2 } })).error.code],
  [121, 'an idempotency key with another payload', async () => {
    const publish = (id, data) => ({ id, publish: { channel: 'demo:key', data, idempotency_key: 'one-key' } });
    return (await answerOf(connect(), publish(2, 1), publish(3, 2))).error.code;
  }],
];
/* Those that need faults of their own are provoked where those are: [code, file, words of the spec's name]. */
const ELSEWHERE = [
  [120, 'redis_away.test.mjs', 'while Redis hangs, publishing is refused for the moment'],
  [120, 'workers.test.mjs', 'the deadline, the bound of a worker, and draining'],
  [122, 'workers.test.mjs', 'a worker that is killed is noticed; its call fails with 122'],
  [124, 'presence.test.mjs', 'a channel with more members than an answer holds'],
  [3001, 'drain.test.mjs', 'forty clients of four kinds leave evenly, each told 3001'],
  [3008, 'probes.test.mjs', 'who stops reading gets 3008 within bounds'],
  [3011, 'guards.test.mjs', 'client.connection_age_max: each comes back when it is old'],
];
/* Nobody is ever told these: [code, why]. */
const NEVER = [
  [113, 'of map subscriptions, which are refused (103)'],
  [123, 'of leases, which clients do not have'],
  [125, 'of leases'],
  [2502, 'nothing here invalidates what a client keeps without changing the epoch'],
  [3009, 'counted where a write fails: the connection is gone, nobody can be told'],
];

/* The last answer with an id to these commands, in a message each, over a WebSocket in JSON. */
async function answerOf(...commands) {
  const socket = await rawSocket(open.url);
  for (const command of commands) socket.send(JSON.stringify(command));
  const lines = () => socket.messages.flatMap((message) => message.split('\n')).map((line) => JSON.parse(line));
  const answer = await until('the answer', () => lines().find((line) => line.id === commands.at(-1).id) ?? (socket.closed && { error: { code: `closed with ${socket.closed.code}` } }));
  socket.close();
  return answer;
}

for (const encoding of ['json', 'protobuf']) {
  describe(`errors, as the SDK sees them in ${encoding}`, () => {
    let client;
    before(async () => { client = await world.connected(open, { encoding, timeout: 8000 }); });
    for (const [code, what, provoke] of ERRORS) {
      test(`${code}: ${what}`, async () => assert.equal(await provoke({ client, encoding }), code));
    }
    test('none of them cost the connection', () => assert.equal(client.events.filter(({ name }) => name === 'connected').length, 1));
  });
}

/* ---- disconnects: what ends the connection, whatever carries it ---- */

const root = protobuf.loadSync(path.resolve('../../gateway/protocol/client_protocol.proto'));
const Command = root.lookupType('client.Command');
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
/* As protobufjs wants it: names in camels, payloads in bytes, a map as entries. */
const toFields = (value) => {
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => {
    if (name === 'data') return [name, Buffer.from(JSON.stringify(each))];
    if (name === 'subs') return [name, Object.entries(each).map(([key, wish]) => ({ key, value: toFields(wish) }))];
    return [camel(name), toFields(each)];
  }));
};
const delimited = (command) => Command.encodeDelimited(Command.fromObject(toFields(command))).finish();

/* How it ends, over each way in: the whole of `commands` as one message. */
const WAYS = {
  'a WebSocket in JSON': (server, commands) => overWebSocket(server, [], commands.map((command) => JSON.stringify(command)).join('\n')),
  'a WebSocket in protobuf': (server, commands) => overWebSocket(server, ['centrifuge-protobuf'], Buffer.concat(commands.map(delimited))),
  SSE: (server, commands) => overHttp(server, 'sse', commands),
  'HTTP streaming': (server, commands) => overHttp(server, 'http_stream', commands),
};
async function overWebSocket(server, protocols, message) {
  const socket = await rawSocket(server.url, { protocols });
  socket.send(message);
  await socket.ended();
  return socket.closed;
}
function overHttp(server, kind, commands) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port: server.port, path: `/connection/${kind}`, method: 'POST', agent: false, timeout: 10000 }, (response) => {
      let text = '';
      response.on('data', (bytes) => { text += bytes; });
      response.on('end', () => {
        const last = text.split('\n').filter((line) => line.includes('"disconnect"')).at(-1);
        if (last === undefined) reject(new Error(`no disconnect push in: ${text}`));
        else resolve(JSON.parse(last.replace(/^data: /, '')).push.disconnect);
      });
    });
    request.on('timeout', () => request.destroy(new Error('no end in 10 s')));
    request.on('error', reject);
    request.end(commands.map((command) => JSON.stringify(command)).join('\n'));
  });
}

const dodge = (name) => ({ id: 2, [name]: { channel: '' } });
const private_ = '$demo:disconnects';
const withSubscription = () => [connect({ sub: 'alice' }), { id: 2, subscribe: { channel: private_, token: subToken(private_, { exp: now() + 60 }) } }];
/* [code, reason, what was done, the commands, which server] */
const DISCONNECTS = [
  [3005, 'connection expired', 'a refresh with a token that has expired', () => [connect({ sub: 'alice' }), { id: 2, refresh: { token: makeToken({ sub: 'alice', exp: now() - 5 }) } }]],
  [3006, 'subscription expired', 'a sub_refresh with one', () => [...withSubscription(), { id: 3, sub_refresh: { channel: private_, token: subToken(private_, { exp: now() - 5 }) } }]],
  [3010, 'insufficient state', 'a refresh whose token grants other channels', () => [connect({ sub: 'alice' }), { id: 2, refresh: { token: makeToken({ sub: 'alice', channels: ['demo:new'] }) } }]],
  [3012, 'no pong', 'no answer to a ping', () => [connect()], () => strict],
  [3500, 'invalid token', 'a token that is none', () => [{ id: 1, connect: { token: 'x.y.z' } }]],
  [3500, 'invalid token', 'a subscription token of somebody else', () => [connect({ sub: 'bob' }), { id: 2, subscribe: { channel: private_, token: subToken(private_) } }]],
  [3500, 'invalid token', 'a subscription token of another channel', () => [connect({ sub: 'alice' }), { id: 2, subscribe: { channel: private_, token: subToken('$demo:other') } }]],
  [3500, 'invalid token', 'a refresh for somebody else', () => [connect({ sub: 'alice' }), { id: 2, refresh: { token: makeToken({ sub: 'bob' }) } }]],
  [3500, 'invalid token', 'a subscription token to connect with', () => [{ id: 1, connect: { token: subToken('demo:x') } }]],
  [3501, 'bad request', 'no credentials at all', () => [{ id: 1, connect: {} }]],
  [3501, 'bad request', 'a second connect', () => [connect(), { id: 2, connect: {} }]],
  [3501, 'bad request', 'an id and no request', () => [connect(), { id: 2 }]],
  [3501, 'bad request', 'a pong that nobody asked for', () => [connect(), {}]],
  [3501, 'bad request', 'a command without an id, which is a pong whatever it holds', () => [connect(), { subscribe: { channel: 'demo:x' } }]],
  ...['subscribe', 'unsubscribe', 'publish', 'presence', 'presence_stats', 'history'].map((name) => [3501, 'bad request', `a ${name} of an empty channel`, () => [connect(), dodge(name)]]),
  [3501, 'bad request', 'an unknown type of delta', () => [connect(), { id: 2, subscribe: { channel: 'demo:x', delta: 'zip' } }]],
  [3501, 'bad request', 'a refresh without a token', () => [connect(), { id: 2, refresh: {} }]],
  [3501, 'bad request', 'a sub_refresh of nothing', () => [connect(), { id: 2, sub_refresh: {} }]],
  [3501, 'bad request', 'a wish for a channel of no namespace', () => [{ id: 1, connect: { ...connect().connect, subs: { 'nowhere:x': {} } } }]],
  [3505, 'channel limit', 'a token with more channels than there may be', () => [connect({ channels: ['demo:1', 'demo:2', 'demo:3'] })], () => strict],
  [3507, 'permission denied', 'a token of nobody where those are not let in', () => [connect({ sub: '' })], () => strict],
  [3508, 'not available', 'a send, for which there is no handler', () => [connect(), { send: { data: {} } }]],
  [3508, 'not available', 'one with an id', () => [connect(), { id: 2, send: { data: {} } }]],
];
/* Most of them wait: together. */
describe('disconnects', { concurrency: 8 }, () => {
  for (const [name, way] of Object.entries(WAYS)) {
    for (const [code, reason, what, commands, server = () => open] of DISCONNECTS) {
      test(`${code}, over ${name}: ${what}`, async () => assert.deepEqual(pick(await way(server(), commands())), { code, reason }));
    }
  }
});
const pick = ({ code, reason }) => ({ code, reason });

describe('disconnects that take more than a message', { concurrency: 8 }, () => {
  const raw = async (server, command) => {
    const socket = await rawSocket(server.url);
    socket.send(JSON.stringify(command));
    return socket;
  };
  test('3501: whatever comes first and is no connect', async () => {
    for (const command of [{ id: 1, ping: {} }, { id: 1, subscribe: { channel: 'demo:x' } }, { send: { data: 1 } }, {}]) {
      assert.equal((await (await raw(open, command)).ended()).code, 3501, JSON.stringify(command));
    }
  });
  test('3501: a command after a refused connect; those of its own message are not run', async () => {
    const socket = await rawSocket(open.url);
    socket.send(`${JSON.stringify(connect({ exp: now() - 5 }))}\n{"id":2,"subscribe":{"channel":"demo:x"}}`);
    assert.deepEqual((await socket.next()).map((text) => JSON.parse(text).error.code), [109]);
    socket.send('{"id":3,"ping":{}}');
    assert.equal((await socket.ended()).code, 3501);
    assert.deepEqual(socket.messages, []);
  });
  test('3502: no connect in time', async () => {
    const socket = await rawSocket(strict.url);
    assert.deepEqual(await socket.ended(), { code: 3502, reason: 'stale' });
  });
  test('3504: one connection more than client.connections_per_user', async () => {
    const sockets = [];
    for (let i = 0; i < 3; i += 1) sockets.push(await raw(strict, connect({ sub: 'one-of-many' })));
    assert.deepEqual(await sockets[2].ended(), { code: 3504, reason: 'connection limit' });
    for (const socket of sockets) socket.terminate();
  });
  test('3013: the third second above the rate', async () => {
    const socket = await raw(strict, connect());
    const burst = Array.from({ length: 10 }, (_, i) => JSON.stringify({ id: i + 2, ping: {} })).join('\n');
    socket.on('message', (data) => { if (data.toString().split('\n').includes('{}')) socket.send('{}'); });
    const timer = setInterval(() => socket.send(burst), 400);
    const closed = await socket.ended().finally(() => clearInterval(timer));
    assert.deepEqual(closed, { code: 3013, reason: 'too many requests' });
  });
  test('3004: a channel of the token cannot be joined; the SDK comes back', async () => {
    const socket = await raw(lonely, connect({ channels: ['demo:x'] }));
    assert.deepEqual(await socket.ended(), { code: 3004, reason: 'internal server error' });
  });
  test('3005: a connection that is not refreshed, after its grace', async () => {
    const server = await world.appliance({ args: ['--set', 'client.expired_close_delay=1s'] });
    const socket = await raw(server, connect({ exp: now() + 1 }));
    assert.equal((await socket.ended()).code, 3005);
  });
});

/* ---- what a service sends, and what the SDK does ---- */

const CARRIERS = ['websocket json', 'websocket protobuf', 'sse json', 'http_stream json', 'http_stream protobuf'];
function carried(carrier, user) {
  const [transport, encoding] = carrier.split(' ');
  const base = `http://127.0.0.1:${open.port}`;
  if (transport === 'websocket') return world.client(open, { user, encoding });
  return world.client([{ transport, endpoint: `${base}/connection/${transport}` }], { user, encoding, emulationEndpoint: `${base}/emulation`, eventsource: EventSource, fetch: streamFetch, readableStream: ReadableStream, minReconnectDelay: 50, maxReconnectDelay: 200 });
}
for (const carrier of CARRIERS) {
  test(`${carrier}: the SDK comes back or stays away, as the range of the code says`, async () => {
    const codes = [...disconnectCodes(), 3014, 3999, 4000, 4499, 4500, 4999];
    await Promise.all(codes.map(async (code) => {
      const user = `${carrier} ${code}`.replace(/ /g, '-');
      const client = carried(carrier, user);
      const isTerminal = (code >= 3500 && code < 4000) || code >= 4500;
      client.connect();
      await client.ready(10000);
      assert.deepEqual(await api('disconnect', { user, disconnect: { code, reason: `said ${code}` } }), { result: {} });
      const name = isTerminal ? 'disconnected' : 'connecting';
      const event = await until(`${name} with ${code}`, () => client.events.find((each) => each.name === name && each.code === code));
      assert.equal(event.reason, `said ${code}`);
      if (!isTerminal) await until('it is back', () => client.events.filter((each) => each.name === 'connected').length === 2);
      client.disconnect();
    }));
  });

  test(`${carrier}: 2000 is the end of a subscription`, async () => {
    const user = `unsubscribed-${carrier.replace(' ', '-')}`;
    const client = carried(carrier, user);
    client.connect();
    await client.ready(10000);
    const ended = await subscribed(client, channel());
    assert.deepEqual(await api('unsubscribe', { user, channel: ended.channel }), { result: {} });
    const end = await until('the end', () => ended.events.find(({ name }) => name === 'unsubscribed'));
    assert.equal(end.code, 2000);
    client.disconnect();
  });
}

test('2501: a subscription that is not refreshed, after its grace', async () => {
  const server = await world.appliance({ args: ['--set', 'client.expired_close_delay=1s'] });
  const socket = await rawSocket(server.url);
  const name = '$demo:expires';
  socket.send(`${JSON.stringify(connect({ sub: 'alice' }))}\n${JSON.stringify({ id: 2, subscribe: { channel: name, token: subToken(name, { exp: now() + 1 }) } })}`);
  const push = await until('the push', () => socket.messages.flatMap((text) => text.split('\n')).map((line) => JSON.parse(line).push).find((each) => each?.unsubscribe));
  assert.deepEqual(push, { channel: name, unsubscribe: { code: 2501, reason: 'subscription expired' } });
  socket.close();
});

test('2500: continuity that is lost; a server-side subscription ends the connection with 3010', async () => {
  const redis = await world.redis();
  const server = await world.appliance({ args: ['--redis', redis.url] });
  const name = channel();
  const client = await world.connected(server);
  const own = await subscribed(client, name);
  const granted = world.client(server, { token: makeToken({ sub: 'bob', channels: [name] }) });
  granted.connect();
  await granted.ready(10000);
  await client.publish(name, 1);
  await until('both have it', () => own.got.length === 1);
  redis.cli('flushall');
  await until('2500', async () => {
    await client.publish(name, 2).catch(() => {});
    return own.events.some((event) => event.name === 'subscribing' && event.code === 2500);
  }, 20000);
  await until('3010', () => granted.events.some((event) => event.name === 'connecting' && event.code === 3010));
  await until('both are back', () => own.state === 'subscribed' && granted.state === 'connected');
});

/* ---- nothing is left out ---- */

function codesOf(file, pattern) {
  const text = fs.readFileSync(path.resolve('../../', file), 'utf8');
  return [...text.matchAll(pattern)].map(([, code]) => Number(code));
}
const disconnectCodes = () => codesOf('gateway/protocol/client_protocol.h', /X\([A-Z_]+, (3\d\d\d), "/g);

test('every code of the lists has its row', () => {
  const known = [...codesOf('base/error_code.h', /X\([A-Z_]+, (1\d\d), "/g), ...disconnectCodes(), ...codesOf('gateway/protocol/client_protocol.h', /UNSUBSCRIBED_[A-Z_]+ = (2\d\d\d)/g)];
  assert.ok(known.length > 40, `${known.length} codes read`);
  const source = fs.readFileSync(path.resolve('protocol_codes.test.mjs'), 'utf8');
  const named = [...source.matchAll(/^ *test\('(\d{4}):/gm)].map(([, code]) => Number(code));
  const byServices = [3503, 3506, 3509]; /* sent in a service's name only: "the SDK comes back or stays away" */
  const rows = new Set([...ERRORS, ...DISCONNECTS, ...ELSEWHERE, ...NEVER].map(([code]) => code).concat(named, byServices, 2000));
  assert.deepEqual(known.filter((code) => !rows.has(code)), []);
  for (const [code, file, words] of ELSEWHERE) {
    const text = fs.readFileSync(path.resolve(file), 'utf8');
    assert.ok(text.includes(words) && text.includes(String(code)), `${code} in ${file}: ${words}`);
  }
});

test('every case of README.md has its spec', () => {
  const rows = fs.readFileSync(path.resolve('README.md'), 'utf8').split('\n').map((line) => /^\| \d+ \| .* \| (\S+\.(?:mjs|c)) \| (.+) \|$/.exec(line)).filter((row) => row !== null);
  assert.ok(rows.length > 50, `${rows.length} rows`);
  const missing = rows.filter(([, file, name]) => {
    const where = path.resolve(file.endsWith('.c') ? '../unit/gateway' : '.', file);
    return !fs.existsSync(where) || !fs.readFileSync(where, 'utf8').includes(name);
  });
  assert.deepEqual(missing.map(([row]) => row), []);
});
