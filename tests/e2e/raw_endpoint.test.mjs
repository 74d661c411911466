/* The raw endpoint /ws/{channel} with a plain WebSocket client, beside the SDK on the same channels. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { World, get, makeToken, metric, rawSocket, subscribed, until } from './support.mjs';

let world;
let appliance;
let base;
const SETTINGS = `  - name: bytes
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    publication_data_format: binary
  - name: closed
    history_size: 10
    history_ttl: 1m
`;
before(async () => {
  world = new World();
  appliance = await world.appliance({ settings: SETTINGS });
  base = `ws://127.0.0.1:${appliance.port}/ws/`;
});
after(() => world.close());

const token = (claims = {}) => makeToken({ sub: 'raw', ...claims });
const open = (channel, query = '', claims) => rawSocket(`${base}${channel}?token=${token(claims)}${query}`);
const texts = (socket, n) => until(`${n} messages, not ${JSON.stringify(socket.messages)}`, () => socket.messages.length >= n).then(() => socket.messages.splice(0, n));
/* Nothing tells when a subscription stands, but its own publications. */
async function live(channel, query, claims) {
  const socket = await open(channel, query, claims);
  socket.send('live?');
  await until('it hears itself', () => socket.messages.some((each) => each.includes('live?')));
  socket.messages.length = 0;
  return socket;
}
async function status(url) {
  return rawSocket(url).then((socket) => { socket.terminate(); return '101'; }, ({ message }) => /HTTP (\d+)/.exec(message)?.[1] ?? message);
}

test('a line in a browser: a message is a publication, and the reverse; the SDK hears it, too', async () => {
  const one = await live('demo:talk');
  const two = await live('demo:talk');
  const client = await world.connected(appliance, { user: 'ann' });
  const subscription = await subscribed(client, 'demo:talk');
  await texts(one, 1); /* what two said */
  one.send('hello');
  one.send('{"a": 1}');
  one.send('[1,2]');
  await until('the SDK has these', () => subscription.got.length === 3); /* another connection has no order with this one */
  await subscription.publish({ from: 'sdk' });
  await subscription.publish('a text');
  const wanted = ['hello', '{"a": 1}', '[1,2]', '{"from":"sdk"}', 'a text'];
  assert.deepEqual(await texts(one, 5), wanted);
  assert.deepEqual(await texts(two, 5), wanted);
  await until('the SDK', () => subscription.got.length === 5);
  assert.deepEqual(subscription.got.map(({ data }) => data), ['hello', { a: 1 }, [1, 2], { from: 'sdk' }, 'a text']);
  assert.equal(subscription.got[0].info.user, 'raw');
  for (const socket of [one, two]) socket.terminate();
  client.disconnect();
});

test('{"type":"ping"} is answered {"type":"pong"}, and told nobody', async () => {
  const one = await live('plain:ping');
  const two = await live('plain:ping');
  await texts(one, 1);
  one.send('{"type":"ping"}');
  one.send(' { "type" : "ping" , "n": 1 }');
  one.send('{"type":"ping","this is":"no ping any more, it is far too long for that"}');
  const [pong, , other] = [...await texts(one, 2), ...(await texts(one, 1))];
  assert.equal(pong, '{"type":"pong"}');
  assert.match(other, /far too long/);
  assert.match((await texts(two, 1))[0], /no ping any more/);
  one.terminate();
  two.terminate();
});

/* As the quick start's namespace has it: who subscribes may read. */
test('last=N is for whom the namespace lets read as a subscriber, too', async () => {
  const client = await world.connected(appliance, { user: 'ann' });
  for (const n of [1, 2, 3]) await client.publish('short:last', n);
  const last = await open('short:last', '&last=2');
  assert.deepEqual(await texts(last, 2), ['2', '3']);
  last.terminate();
  client.disconnect();
});

test('?since goes on behind an offset, ?last brings so many first; nothing falls between and nothing comes twice', async () => {
  const writer = await open('demo:replay', '&mode=write');
  for (let i = 1; i <= 10; i += 1) writer.send(JSON.stringify({ i }));
  const probe = await open('demo:replay', '&last=100&envelope=1');
  await until('all are kept', () => probe.messages.filter((each) => each.includes('"i":')).length >= 10);
  const position = JSON.parse(await until('where it stands', () => probe.messages.find((each) => each.includes('"type":"position"'))));
  const offsets = probe.messages.map((each) => JSON.parse(each)).filter(({ data }) => data !== undefined).map(({ offset }) => offset);
  assert.deepEqual(offsets, offsets.map((_, i) => offsets[0] + i), 'oldest first, without holes');
  const top = offsets.at(-1);
  assert.ok(position.offset <= top, 'where it stood when it came: some of the ten may have been on their way');

  const last = await open('demo:replay', '&last=3');
  const since = await open('demo:replay', `&since=${top - 5}&epoch=${position.epoch}`);
  const anyEpoch = await open('demo:replay', `&since=${top - 2}`);
  assert.deepEqual(await texts(last, 3), ['{"i":8}', '{"i":9}', '{"i":10}']);
  assert.deepEqual(await texts(since, 5), ['{"i":6}', '{"i":7}', '{"i":8}', '{"i":9}', '{"i":10}']);
  assert.deepEqual(await texts(anyEpoch, 2), ['{"i":9}', '{"i":10}']);
  writer.send('{"i":11}');
  for (const socket of [last, since, anyEpoch]) assert.deepEqual(await texts(socket, 1), ['{"i":11}']);
  assert.deepEqual(JSON.parse((await until('the envelope', () => probe.messages.find((each) => each.includes('"i":11'))))), { data: { i: 11 }, offset: top + 1 });

  const lost = await open('demo:replay', '&since=3&epoch=another&envelope=1');
  const [error, now] = (await texts(lost, 2)).map((each) => JSON.parse(each));
  assert.equal(error.type, 'error');
  assert.equal(error.code, 112);
  assert.equal(now.type, 'position');
  assert.equal(now.offset, top + 1);
  for (const socket of [writer, probe, last, since, anyEpoch, lost]) socket.terminate();
});

test('last while others publish: no hole and nothing twice', async () => {
  const client = await world.connected(appliance, { user: 'busy' });
  const subscription = await subscribed(client, 'demo:stream');
  let stop = false;
  const publishing = (async () => { for (let i = 1; !stop; i += 1) await subscription.publish(i); })();
  await until('some are there', () => subscription.got.length > 20);
  const sockets = await Promise.all([...Array(20)].map(() => open('demo:stream', '&last=10')));
  await Promise.all(sockets.map((socket) => until('50 messages', () => socket.messages.length >= 50)));
  stop = true;
  await publishing;
  for (const socket of sockets) {
    const got = socket.messages.map(Number);
    assert.deepEqual(got, got.map((_, i) => got[0] + i));
    socket.terminate();
  }
  client.disconnect();
});

test('mode=read and mode=write, and the same by the token', async () => {
  const listener = await live('plain:mode');
  const reader = await open('plain:mode', '&mode=read');
  const writer = await open('plain:mode', '&mode=write');
  const byToken = await open('plain:mode', '', { meta: { access: 'read' } });
  const writeByToken = await open('plain:mode', '', { meta: { access: 'write' } });
  for (const socket of [reader, byToken]) {
    socket.send('no');
    assert.deepEqual((await texts(socket, 1)).map((each) => JSON.parse(each)), [{ type: 'error', code: 103, message: 'permission denied' }]);
    socket.send('{"type":"ping"}');
    assert.deepEqual(await texts(socket, 1), ['{"type":"pong"}']);
  }
  writer.send('one');
  assert.deepEqual(await texts(listener, 1), ['one']);
  writeByToken.send('two');
  assert.deepEqual(await texts(listener, 1), ['two']);
  assert.deepEqual(await texts(reader, 2), ['one', 'two']);
  assert.deepEqual(await texts(byToken, 2), ['one', 'two']);
  assert.deepEqual([writer.messages, writeByToken.messages], [[], []]);
  const nothing = await open('plain:mode', '&mode=write', { meta: { access: 'read' } });
  assert.equal((await nothing.ended()).code, 3500);
  for (const socket of [listener, reader, writer, byToken, writeByToken]) socket.terminate();
});

test('a namespace of bytes: every message is binary, whatever is in it', async () => {
  const one = await open('bytes:x');
  const got = [];
  one.on('message', (data, isBinary) => got.push([data.toString('latin1'), isBinary]));
  one.send(Buffer.from([0, 255, 10]));
  one.send('text');
  await until('both', () => got.length === 2);
  assert.deepEqual(got, [['\x00\xff\n', true], ['text', true]]);
  const enveloped = await open('bytes:x', '&envelope=1');
  one.send(Buffer.from([1, 2]));
  await until('the envelope', () => enveloped.messages.length >= 1);
  assert.deepEqual(JSON.parse(enveloped.messages[0]), { data: 'AQI=', binary: true });
  const json = await live('plain:json');
  json.send(Buffer.from([255]));
  assert.equal(JSON.parse((await texts(json, 1))[0]).code, 107);
  json.send(Buffer.from('{"b":1}'));
  assert.deepEqual(await texts(json, 1), ['{"b":1}']);
  for (const socket of [one, enveloped, json]) socket.terminate();
});

test('tokens: none, wrong, expired, for a channel; what is not allowed ends with its code', async () => {
  const code = async (url) => (await (await rawSocket(url)).ended()).code;
  assert.equal(await code(`${base}plain:x`), 3501);
  assert.equal(await code(`${base}plain:x?token=nonsense`), 3500);
  assert.equal(await code(`${base}plain:x?token=${makeToken({ sub: 'a' }, 'another-secret-of-thirty-two-bytes-and-more')}`), 3500);
  const expired = await rawSocket(`${base}plain:x?token=${token({ exp: 1 })}`);
  assert.equal(JSON.parse((await texts(expired, 1))[0]).code, 109);
  assert.ok([3004, 3507].includes((await expired.ended()).code));
  const denied = await open('closed:x');
  assert.equal(JSON.parse((await texts(denied, 1))[0]).code, 103);
  assert.equal((await denied.ended()).code, 3507);
  const unknown = await open('nowhere:x');
  assert.equal(JSON.parse((await texts(unknown, 1))[0]).code, 102);
  await unknown.ended();
  const granted = await open('closed:x', '', { channel: 'closed:x' });
  granted.send('{"type":"ping"}');
  assert.deepEqual(await texts(granted, 1), ['{"type":"pong"}']);
  assert.equal((await (await open('closed:y', '', { channel: 'closed:x' })).ended()).code, 3500);
  granted.terminate();
});

test('malformed queries are answered 400, other paths 404; bounds hold as for the client protocol', async () => {
  const t = token();
  const bad = [`plain:x?token=${t}&since=x`, `plain:x?token=${t}&since=-1`, `plain:x?token=${t}&last=99999999999`, `plain:x?token=${t}&mode=both`, `plain:x?token=${t}&envelope=yes`,
    `plain:x?token=${t}&token=${t}`, `plain:x?token=${t}&since=1&last=1`, `plain:x?token`];
  for (const query of bad) assert.equal(await status(base + query), '400', query);
  assert.equal(await metric(appliance, 'callboard_websocket_refused_total{reason="query"}'), bad.length);
  assert.equal(await status(base), '404');
  assert.equal(await status(`ws://127.0.0.1:${appliance.port}/connection/websocket?token=${t}`), '101');
  const inQuery = await rawSocket(`ws://127.0.0.1:${appliance.port}/connection/websocket?token=${t}`);
  inQuery.send('{"id":1,"connect":{}}');
  assert.equal((await inQuery.ended()).code, 3501, 'a token in the query counts on this path only');
  const big = await live('plain:big');
  big.send('x'.repeat(65537));
  assert.equal((await big.ended()).code, 1009);
  const many = await live('plain:many');
  for (let i = 0; i < 5000; i += 1) many.send(`${i}`);
  await until('it is told of the rate', () => many.messages.some((each) => each.includes('"code":111')));
  many.terminate();
});

test('the token stands in no log, page or metric; pings are WebSocket pings', async () => {
  const quiet = await world.appliance({ args: ['--set', 'log.level=debug', '--set', 'client.ping_interval=1s', '--set', 'client.pong_timeout=500ms'] });
  const secret = token();
  const socket = await rawSocket(`ws://127.0.0.1:${quiet.port}/ws/plain:quiet?token=${secret}`);
  let pings = 0;
  socket.on('ping', () => { pings += 1; });
  await until('two pings', () => pings >= 2);
  assert.equal(socket.closed, null);
  assert.deepEqual(socket.messages, []);
  const mute = new WebSocket(`ws://127.0.0.1:${quiet.port}/ws/plain:quiet?token=${secret}`, { autoPong: false });
  const code = await new Promise((resolve) => mute.on('close', resolve));
  assert.equal(code, 3012);
  for (const where of ['/metrics', '/info', '/health']) assert.ok(!(await get(quiet.internal, where)).body.includes(secret.slice(0, 40)));
  assert.ok(!quiet.log().includes(secret.slice(0, 40)) && !quiet.log().includes('token='));
  socket.terminate();
});

test('http.raw_endpoint: off in a gateway unless it is switched on, on in the appliance unless it is switched off', async () => {
  const broker = await world.broker({ id: 'raw' });
  const plain = await world.gateway({ brokers: [broker] });
  const on = await world.gateway({ brokers: [broker], args: ['--set', 'http.raw_endpoint=on'] });
  const off = await world.appliance({ args: ['--set', 'http.raw_endpoint=off'] });
  const at = ({ port }) => `ws://127.0.0.1:${port}/ws/plain:x?token=${token()}`;
  assert.deepEqual(await Promise.all([plain, on, off, appliance].map((each) => status(at(each)))), ['404', '101', '404', '101']);
});

test('subscription tokens with keys of their own: each kind by its own key, here as well', async () => {
  const secret = 'the-secret-of-subscription-tokens-thirty-two';
  const { port } = await world.appliance({ settings: `${SETTINGS}subscription_token: {any_audience: true, secret: ${secret}}\n` });
  const at = (jwt) => rawSocket(`ws://127.0.0.1:${port}/ws/closed:x?token=${jwt}`);
  const granted = await at(makeToken({ sub: 'raw', channel: 'closed:x' }, secret));
  granted.send('{"type":"ping"}');
  assert.deepEqual(await texts(granted, 1), ['{"type":"pong"}']);
  granted.terminate();
  for (const forged of [makeToken({ sub: 'raw', channel: 'closed:x' }), makeToken({ sub: 'raw' }, secret), makeToken({ sub: 'raw', channel: 'closed:y' }, secret)]) {
    assert.equal((await (await at(forged)).ended()).code, 3500);
  }
  const connection = await rawSocket(`ws://127.0.0.1:${port}/ws/plain:x?token=${makeToken({ sub: 'raw' })}`);
  connection.send('{"type":"ping"}');
  assert.deepEqual(await texts(connection, 1), ['{"type":"pong"}']);
  connection.terminate();
});
