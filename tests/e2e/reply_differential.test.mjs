/* What a JSON client and a protobuf client are told of the same things is the same: both do the same commands, and every reply
 * and push is read by protobufjs with a schema of its own (client-protocol.md 4 to 8), put in the other's words and compared.
 * A field that the schema does not have, or a zero value on the wire, shows in the length. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import protobuf from 'protobufjs';
import { World, freePort, makeToken, rawSocket, until } from './support.mjs';

const { root } = protobuf.parse(`syntax = "proto3";
message Error { uint32 code = 1; string message = 2; bool temporary = 3; }
message ClientInfo { string user = 1; string client = 2; bytes conn_info = 3; bytes chan_info = 4; }
message Publication { bytes data = 4; ClientInfo info = 5; uint64 offset = 6; map<string, string> tags = 7; bool delta = 8; int64 time = 9; string channel = 10; string epoch = 14; }
message SubscribeResult { bool expires = 1; uint32 ttl = 2; bool recoverable = 3; string epoch = 6; repeated Publication publications = 7; bool recovered = 8; uint64 offset = 9; bool positioned = 10; bytes data = 11; bool was_recovering = 12; bool delta = 13; int64 id = 14; }
message ConnectResult { string client = 1; string version = 2; bool expires = 3; uint32 ttl = 4; bytes data = 5; map<string, SubscribeResult> subs = 6; uint32 ping = 7; bool pong = 8; string session = 9; string node = 10; }
message Empty {}
message PresenceResult { map<string, ClientInfo> presence = 1; }
message PresenceStatsResult { uint32 num_clients = 1; uint32 num_users = 2; }
message HistoryResult { repeated Publication publications = 1; string epoch = 2; uint64 offset = 3; }
message RPCResult { bytes data = 1; }
message RefreshResult { string client = 1; string version = 2; bool expires = 3; uint32 ttl = 4; }
message SubRefreshResult { bool expires = 1; uint32 ttl = 2; }
message Membership { ClientInfo info = 1; }
message Unsubscribe { uint32 code = 2; string reason = 3; }
message Message { bytes data = 1; }
message Subscribe { bool recoverable = 1; string epoch = 4; uint64 offset = 5; bool positioned = 6; bytes data = 7; }
message Disconnect { uint32 code = 1; string reason = 2; bool reconnect = 3; }
message Refresh { bool expires = 1; uint32 ttl = 2; }
message Push { int64 id = 1; string channel = 2; Publication pub = 4; Membership join = 5; Membership leave = 6; Unsubscribe unsubscribe = 7; Message message = 8; Subscribe subscribe = 9; Disconnect disconnect = 11; Refresh refresh = 12; }
message Reply { uint32 id = 1; Error error = 2; Push push = 4; ConnectResult connect = 5; SubscribeResult subscribe = 6; Empty unsubscribe = 7; Empty publish = 8; PresenceResult presence = 9; PresenceStatsResult presence_stats = 10; HistoryResult history = 11; Empty ping = 12; RPCResult rpc = 13; RefreshResult refresh = 14; SubRefreshResult sub_refresh = 15; }
`, { keepCase: true });
const Reply = root.lookupType('Reply');
const Command = protobuf.loadSync(path.resolve('../../gateway/protocol/client_protocol.proto')).lookupType('client.Command');

const KEY = crypto.randomBytes(32).toString('base64url');
let world;
let server;
let apiPort;
before(async () => {
  world = new World();
  apiPort = await freePort();
  server = await world.appliance({ settings: `
  - name: delta
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    history_size: 100
    history_ttl: 10m
    force_recovery: true
    allowed_delta_types: [fossil]
    delta_publish: true
http_api:
  port: ${apiPort}
  keys:
    - {name: all, hashes: [${crypto.createHash('sha256').update(KEY).digest('hex')}], methods: ["*"], channels: ["*"]}
gateway:
  workers: 1 # a channel's number is the worker's
client:
  ping_interval: 1h
  channel_compaction: all
` });
});
after(() => world.close());

function api(method, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port: apiPort, path: `/api/${method}`, method: 'POST', agent: false, timeout: 10000, headers: { 'X-API-Key': KEY } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => { answer += bytes; });
      response.on('end', () => { const { result, error } = JSON.parse(answer); if (error) reject(new Error(JSON.stringify(error))); else resolve(result); });
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

/* ---- protobuf in JSON's words ---- */

const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
function toFields(value) {
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => {
    if (name === 'data') return [name, Buffer.from(JSON.stringify(each))];
    if (name === 'subs') return [name, Object.entries(each).map(([key, wish]) => ({ key, value: toFields(wish) }))];
    return [camel(name), toFields(each)];
  }));
}
/* Payloads of a delta are bytes there and a string here. */
const BYTES = new Set(['data', 'conn_info', 'chan_info']);
function inJson(value, isDelta) {
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return isDelta ? Buffer.from(value).toString() : JSON.parse(Buffer.from(value).toString());
  if (Array.isArray(value)) return value.map((each) => inJson(each, isDelta));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, BYTES.has(name) ? inJson(each, isDelta && name === 'data') : inJson(each, isDelta)]));
}
function* decoded(message) {
  for (let at = 0; at < message.length;) {
    const reader = protobuf.Reader.create(message.subarray(at));
    const size = reader.uint32();
    const bytes = message.subarray(at + reader.pos, at + reader.pos + size);
    assert.equal(bytes.length, size, 'whole');
    const reply = Reply.decode(bytes);
    assert.equal(Reply.encode(reply).finish().length, size, `nothing unknown, no zero value: ${bytes.toString('hex')}`);
    yield Reply.toObject(reply, { longs: Number });
    at += reader.pos + size;
  }
}

/* ---- two clients that do the same ---- */

async function open(isBinary) {
  const socket = await rawSocket(server.url, isBinary ? { protocols: ['centrifuge-protobuf'] } : {});
  return {
    isBinary,
    socket,
    send: (command) => socket.send(isBinary ? Command.encodeDelimited(Command.fromObject(toFields(command))).finish() : JSON.stringify(command)),
    all: () => (isBinary ? socket.messages.flatMap((message) => [...decoded(message)]) : socket.messages.flatMap((message) => message.split('\n')).map((line) => JSON.parse(line))),
  };
}
/* What is each client's own, and what JSON always says. */
function normal(client, reply, isDelta = false) {
  const plain = client.isBinary ? inJson(reply, isDelta) : reply;
  const text = JSON.stringify(plain).replaceAll(client.id ?? '-', 'ID');
  const object = JSON.parse(text);
  if (object.history) object.history = { publications: [], offset: 0, ...object.history };
  if (object.presence) object.presence = { presence: {}, ...object.presence };
  if (object.presence_stats) object.presence_stats = { num_clients: 0, num_users: 0, ...object.presence_stats };
  return object;
}
let pair;
let id = 0;
async function connect(claims) {
  pair = [await open(false), await open(true)];
  id = 1;
  for (const client of pair) {
    client.send({ id, connect: { token: makeToken(claims), name: 'js', data: { a: 1 } } });
    const reply = await until('the connect reply', () => client.all().find((each) => each.id === 1));
    client.id = reply.connect?.client;
    client.first = reply;
  }
  return pair.map((client) => normal(client, client.first));
}
/* The answers of both, which are the same. */
async function both(request, isDelta) {
  id += 1;
  const answers = [];
  for (const client of pair) {
    client.send({ id, ...request });
    answers.push(normal(client, await until(`the answer to ${JSON.stringify(request)}`, () => client.all().find((each) => each.id === id)), isDelta));
  }
  assert.deepEqual(answers[1], answers[0]);
  return answers[0];
}
/* The newest push of both with that key. */
async function bothGet(key, n, isDelta) {
  const pushes = [];
  for (const client of pair) {
    const all = await until(`${n} of ${key}`, () => { const found = client.all().filter((each) => each.push?.[key]); return found.length >= n && found; });
    pushes.push(normal(client, all[n - 1], isDelta));
  }
  assert.deepEqual(pushes[1], pushes[0]);
  return pushes[0].push;
}
const close = () => pair.forEach((client) => client.socket.terminate());
const same = ([a, b]) => { assert.deepEqual(b, a); return a; };

test('connect with server-side subscriptions, errors of every kind', async () => {
  await api('publish', { channel: 'demo:same', data: { n: 1 }, tags: { a: 'b' } });
  const { connect: result } = same(await connect({ sub: 'ann', info: { name: 'Ann' }, subs: { 'demo:same': { data: { seat: 1 } }, 'plain:x': {} } }));
  assert.deepEqual([result.ping, result.pong, result.expires, Object.keys(result.subs).sort()], [3600, true, true, ['demo:same', 'plain:x']]);
  assert.deepEqual(result.subs['demo:same'].data, { seat: 1 });
  for (const [request, code] of [[{ subscribe: { channel: 'nowhere:x' } }, 102], [{ subscribe: { channel: '$demo:x' } }, 103], [{ history: { channel: 'plain:x' } }, 108], [{ rpc: { method: 'm', data: {} } }, 108], [{ publish: { channel: 'demo:x', data: 1, type: 1 } }, 103]]) {
    assert.equal((await both(request)).error.code, code);
  }
  close();
  same(await connect({ sub: 'ann', exp: Math.floor(Date.now() / 1000) - 5 }));
  close();
});

test('subscribe, publications with info and tags, joins and leaves, history, presence, unsubscribe', async () => {
  const channel = 'demo:told';
  same(await connect({ sub: 'ann', info: { name: 'Ann', list: [1, null] } }));
  await both({ history: { channel } });
  await both({ presence: { channel } });
  await both({ presence_stats: { channel } });
  await both({ unsubscribe: { channel } });
  const { subscribe } = await both({ subscribe: { channel, flag: 1 } });
  assert.deepEqual([subscribe.recoverable, subscribe.positioned, subscribe.id > 0], [true, true, true]);
  await api('publish', { channel, data: { text: 'é😀\n', n: [1.5e3, null] }, tags: { one: '1', два: '2' } });
  const first = await bothGet('pub', 1);
  assert.deepEqual([first.pub.offset, first.pub.tags, first.id, first.pub.epoch], [1, { one: '1', два: '2' }, subscribe.id, subscribe.epoch]);
  const writer = await world.connected(server, { user: 'bob' });
  await writer.publish(channel, 'plain');
  assert.equal((await bothGet('pub', 2)).pub.info.user, 'bob');
  const other = writer.newSubscription(channel);
  other.subscribe();
  await other.ready(10000);
  await until('bob has joined', () => pair.every((client) => client.all().some((each) => each.push?.join && JSON.stringify(normal(client, each)).includes('bob'))));
  other.unsubscribe();
  assert.equal((await bothGet('leave', 1)).leave.info.user, 'bob');
  await both({ presence_stats: { channel } });
  assert.equal((await both({ history: { channel, limit: 10 } })).history.publications.length, 2);
  await both({ history: { channel, limit: 1, reverse: true, since: { offset: 2, epoch: subscribe.epoch } } });
  await both({ ping: {} });
  await both({ publish: { channel: 'plain:y', data: null } });
  await both({ unsubscribe: { channel } });
  const back = await both({ subscribe: { channel, recover: true, offset: 1, epoch: subscribe.epoch } });
  assert.deepEqual([back.subscribe.recovered, back.subscribe.publications.length, back.subscribe.offset], [true, 1, 1]);
  close();
});

test('deltas: the same patches', async () => {
  const channel = 'delta:told';
  same(await connect({ sub: 'ann' }));
  assert.equal((await both({ subscribe: { channel, delta: 'fossil' } })).subscribe.delta, true);
  const state = (n) => ({ n, text: 'what stays the same is not sent again, and this stays the same' });
  for (const n of [1, 2, 3]) await api('publish', { channel, data: state(n) });
  const first = await bothGet('pub', 1, true);
  assert.deepEqual([first.pub.data, first.pub.delta], [JSON.stringify(state(1)), undefined]);
  assert.equal((await bothGet('pub', 3, true)).pub.delta, true);
  await both({ unsubscribe: { channel } });
  const back = await both({ subscribe: { channel, delta: 'fossil', recover: true, offset: 0, epoch: '' } }, true);
  assert.deepEqual(back.subscribe.publications.map((p) => p.delta), [undefined, true, true]);
  close();
});

test('refresh, sub_refresh, and what services do: subscribe, refresh, unsubscribe', async () => {
  const in60 = () => Math.floor(Date.now() / 1000) + 60;
  const channel = '$demo:told';
  const exp = in60();
  const token = makeToken({ sub: 'cid', channel, exp, info: { seat: 7 }, data: { hello: 1 } });
  same(await connect({ sub: 'cid', exp }));
  /* ttl is of the moment */
  const untimed = async (request, key) => {
    id += 1;
    const answers = [];
    for (const client of pair) {
      client.send({ id, ...request });
      const answer = normal(client, await until(key, () => client.all().find((each) => each.id === id)));
      assert.ok(answer[key].ttl > 50 && answer[key].ttl <= 60, JSON.stringify(answer));
      delete answer[key].ttl;
      answers.push(answer);
    }
    return same(answers)[key];
  };
  assert.deepEqual((await untimed({ subscribe: { channel, token } }, 'subscribe')).data, { hello: 1 });
  assert.deepEqual(await untimed({ sub_refresh: { channel, token } }, 'sub_refresh'), { expires: true });
  assert.equal((await untimed({ refresh: { token: makeToken({ sub: 'cid', exp }) } }, 'refresh')).expires, true);
  await api('subscribe', { user: 'cid', channel: 'demo:given', data: { why: 'given' } });
  const given = await bothGet('subscribe', 1);
  assert.deepEqual([given.channel, given.subscribe.data, given.subscribe.recoverable], ['demo:given', { why: 'given' }, true]);
  await api('unsubscribe', { user: 'cid', channel: 'demo:given' });
  assert.deepEqual(await bothGet('unsubscribe', 1), { channel: 'demo:given', unsubscribe: { code: 2000, reason: 'server unsubscribe' } });
  close();
});
