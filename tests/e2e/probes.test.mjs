/* Hostile bytes on the public port of a gateway: each probe has its exact outcome, and the gateway goes on serving. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import net from 'node:net';
import { after, before, describe, it, test } from 'node:test';
import { World, get, metric, rawConnected, rawSocket, sleep, until } from './support.mjs';

let world;
let broker;
let gateway; /* no bounds for a source, same origin only */
before(async () => {
  world = new World();
  broker = await world.broker({ id: 'probed' });
  gateway = await world.gateway({ brokers: [broker], args: ['--set', 'client.connect_timeout=2s', '--set', 'client.message_timeout=1s'] });
});
after(() => world.close());

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const LIVES = 'lives';

/* One connection that says `text` (strings and buffers; a number is a pause): what came back, and after how long it was closed;
 * `closed` is null when it was still open after `ms`, or when what came was `enough`. */
function say(port, parts, { ms = 3000, from = '127.0.0.1', enough = null } = {}) {
  return new Promise((resolve) => {
    const began = Date.now();
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
    let data = Buffer.alloc(0);
    let finished = false;
    const finish = (closed) => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ data, text: data.toString('latin1'), closed });
    };
    const timer = setTimeout(() => finish(null), ms);
    socket.on('data', (bytes) => {
      data = Buffer.concat([data, bytes]);
      if (enough?.test(data.toString('latin1'))) finish(null);
    });
    socket.on('error', () => finish(Date.now() - began));
    socket.on('close', () => finish(Date.now() - began));
    socket.on('connect', async () => {
      for (const part of [parts].flat()) {
        if (finished) return;
        if (typeof part === 'number') await sleep(part);
        else socket.write(part);
      }
    });
  });
}

const ANSWERED = { ms: 15000, enough: /\r\n\r\n/ }; /* a whole head is all that is asked for */
const request = (first, headers = []) => [first, ...headers, '', ''].join('\r\n');
const host = () => `Host: 127.0.0.1:${gateway.port}`;
const upgrade = ({ method = 'GET', path = '/connection/websocket', version = 'HTTP/1.1', hosts = [host()], keys = [KEY], versions = ['13'], upgrades = ['websocket'], connections = ['Upgrade'], more = [] } = {}) =>
  request(`${method} ${path} ${version}`, [...hosts, ...upgrades.map((v) => `Upgrade: ${v}`), ...connections.map((v) => `Connection: ${v}`),
    ...versions.map((v) => `Sec-WebSocket-Version: ${v}`), ...keys.map((v) => `Sec-WebSocket-Key: ${v}`), ...more]);

async function assertServes(server = gateway) {
  assert.equal(server.exited, null, server.log());
  assert.equal((await get(server.internal, '/ready')).status, 200);
  const socket = await rawConnected(server.url);
  socket.terminate();
}

/* The status of the first answer; '' for a close without one; LIVES for neither. */
const outcome = ({ text, closed }) => (/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? (closed === null ? LIVES : ''));

/* Probes, each alone; all that fail are told. */
async function table(probes, options) {
  const faults = [];
  const all = probes.map(async ([what, parts, wanted]) => {
    const said = await say(gateway.port, parts, options);
    const got = outcome(said);
    if (!(wanted instanceof RegExp ? wanted.test(got) : got === wanted)) faults.push(`${what}: "${got}", not "${wanted}"`);
    if (got === '404' && (said.closed === null || !/\r\nconnection: close\r\n/i.test(said.text))) faults.push(`${what}: behind 404 the connection stays`);
  });
  await Promise.all(all);
  assert.equal(faults.join('\n'), '');
  await assertServes();
}

test('only a strict handshake is upgraded', () => table([
  ['a good one', upgrade(), '101'],
  ['with our subprotocol', upgrade({ more: ['Sec-WebSocket-Protocol: centrifuge-json'] }), '101'],
  ['lower case', upgrade({ upgrades: ['WebSocket'], connections: ['keep-alive, upgrade'] }), '101'],
  ['another subprotocol', upgrade({ more: ['Sec-WebSocket-Protocol: mqtt'] }), ''],
  ['version 0', upgrade({ versions: ['0'] }), ''],
  ['version 8', upgrade({ versions: ['8'] }), ''],
  ['version 99', upgrade({ versions: ['99'] }), ''],
  ['version 13 with a tail', upgrade({ versions: ['13, 8'] }), ''],
  ['no version', upgrade({ versions: [] }), ''],
  ['two versions', upgrade({ versions: ['13', '8'] }), ''],
  ['no key', upgrade({ keys: [] }), ''],
  ['an empty key', upgrade({ keys: [''] }), ''],
  ['a short key', upgrade({ keys: [KEY.slice(1)] }), ''],
  ['a long key', upgrade({ keys: [`A${KEY}`] }), ''],
  ['two keys', upgrade({ keys: [KEY, KEY] }), ''],
  ['no Host', upgrade({ hosts: [] }), ''],
  ['two Hosts', upgrade({ hosts: [host(), 'Host: evil.example'] }), ''],
  ['POST', upgrade({ method: 'POST' }), /^(404|405)$/],
  ['HEAD', upgrade({ method: 'HEAD' }), '404'],
  ['HTTP/1.0', upgrade({ version: 'HTTP/1.0' }), ''],
  ['Upgrade: foo', upgrade({ upgrades: ['foo'] }), ''],
  ['an empty Upgrade, so none', upgrade({ upgrades: [''] }), '404'],
  ['Upgrade: websocket, foo', upgrade({ upgrades: ['websocket, foo'] }), ''],
  ['Upgrade: h2c', upgrade({ upgrades: ['h2c'], connections: ['Upgrade, HTTP2-Settings'], more: ['HTTP2-Settings: AAMAAABkAAQAAP__'] }), ''],
  ['another path', upgrade({ path: '/connection/websocket2' }), '404'],
  ['a path below', upgrade({ path: '/connection/websocket/' }), '404'],
  ['a path with dots', upgrade({ path: '/connection/../connection/websocket' }), /^(101|404)$/],
  ['a query', upgrade({ path: '/connection/websocket?format=json' }), '101'],
], { ms: 1500 }));

test('a foreign Origin is refused, whatever it looks like', async () => {
  const own = `127.0.0.1:${gateway.port}`;
  const origin = (...values) => upgrade({ more: values.map((value) => `Origin: ${value}`) });
  await table([
    ['none', upgrade(), '101'],
    ['the same', origin(`http://${own}`), '101'],
    ['the same behind a proxy that speaks TLS', origin(`https://${own}`), '101'],
    ['the same in capitals', origin(`HTTP://${own}`), '101'],
    ...[
      'null', 'http://evil.example', 'http://127.0.0.1', 'https://127.0.0.1', `http://${own}.evil.example`, `http://evil.example:${gateway.port}`,
      `http://evil.example@${own}`, `http://${own}@evil.example`, `http://${own}/`, `http://${own}/x`, `http://${own}?x`, `http://${own}#x`,
      `http://127.0.0.1:${gateway.port}1`, `http://127.0.0.1:0${gateway.port}x`, `http://127.0.0.1 :${gateway.port}`, `http://.${own}`, `http://127.0.0.1.:${gateway.port}`,
      `//${own}`, own, `ws://${own}`, `file://${own}`, `http:/${own}`, `http:\\\\${own}`, `http://${own}, http://${own}`, `http://localhost:${gateway.port}`, `http://[::1]:${gateway.port}`,
      `http://[127.0.0.1]:${gateway.port}`, `http://127.0.0.1\u00a0:${gateway.port}`, `http://127.0.0.1\t:${gateway.port}`, `http://${own}\u00e9`, `http://%31%32%37.0.0.1:${gateway.port}`,
      'http://', 'http', '*', `http://*.0.0.1:${gateway.port}`, `http://${'a'.repeat(600)}.example`,
    ].map((value) => [`Origin: ${value}`, origin(value), '403']),
    ['two Origins', origin(`http://${own}`, 'http://evil.example'), /^(|403)$/],
  ], { ms: 1500 });
  const listed = await world.gateway({ brokers: [broker], args: ['--set', 'http.allowed_origins=https://good.com,https://*.good.com,http://dev.good.com:3000', '--set', 'http.require_origin=true'] });
  const judge = async (...values) => outcome(await say(listed.port, upgrade({ hosts: [`Host: 127.0.0.1:${listed.port}`], more: values.map((value) => `Origin: ${value}`) }), ANSWERED));
  for (const value of ['https://good.com', 'https://good.com:443', 'https://a.good.com', 'HTTPS://A.Good.Com', 'http://dev.good.com:3000']) assert.equal(await judge(value), '101', value);
  for (const value of ['https://evil-good.com', 'https://good.com.evil', 'https://a.b.good.com', 'http://good.com', 'https://good.com:444', 'https://.good.com', 'https://*.good.com', 'https://a@good.com', 'http://dev.good.com', `http://127.0.0.1:${listed.port}`, 'null']) assert.equal(await judge(value), '403', value);
  assert.equal(await judge(), '403', 'no Origin where one is required');
  await listed.stop();
});

test('what is no request of ours gets 404 or nothing, and the connection is closed', () => {
  const get404 = (path) => [`GET ${path}`, request(`GET ${path} HTTP/1.1`, [host()]), '404'];
  return table([
    ['/health', request('GET /health HTTP/1.1', [host(), 'Connection: close']), '200'],
    ...['/metrics', '/metrics/', '//metrics', '/./metrics', '/health/../metrics', '/%6detrics', '/metrics?x=1', '/METRICS', '/ws/stats', '/health/redis', '/', '/index.html', '/connection/websocket', '/admin', '/.env', '/../../etc/passwd', '/..%2f..%2fetc/passwd'].map(get404),
    ['a NUL in the path', request('GET /health%00 HTTP/1.1', [host()]), ''],
    ['absolute form', request(`GET http://127.0.0.1:${'1'}/metrics HTTP/1.1`, [host()]), /^(|404|400)$/],
    ['asterisk form', request('OPTIONS * HTTP/1.1', [host()]), /^(|40[045])$/],
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'get', 'G\0T', 'GETGETGETGET'].map((method) => [`${method} /metrics`, request(`${method} /metrics HTTP/1.1`, [host(), 'Content-Length: 0']), /^(|40[045]|501)$/]),
    ['CONNECT', request('CONNECT 127.0.0.1:22 HTTP/1.1', [host()]), ''],
    ['CONNECT of our path', request('CONNECT /connection/websocket HTTP/1.1', [host()]), ''],
    ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', ''],
    ['HTTP/0.9', 'GET /health\r\n\r\n', /^(|400|404)$/],
    ['HTTP/3.7', request('GET /metrics HTTP/3.7', [host()]), /^(|40[045]|505)$/],
    ['no version', 'GET /metrics \r\n\r\n', /^(|40[04])$/],
    ['TLS', Buffer.from('16030100c8010000c40303', 'hex'), /^(|lives)$/],
    ['a binary', Buffer.from([0, 1, 2, 3, 255, 254, 13, 10, 13, 10]), /^(|40[045])$/],
    ['only line ends', '\r\n\r\n\r\n\r\n', /^(|lives|40[045])$/],
    ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', /^(|40[045])$/],
    ['a long path', request(`GET /${'a'.repeat(3000)} HTTP/1.1`, [host()]), /^(|404|414)$/],
    ['a header block over its bound', request('GET /health HTTP/1.1', [host(), `Cookie: ${'a'.repeat(8192)}`]), /^(|431)$/],
    ['500 headers', request('GET /metrics HTTP/1.1', [host(), ...Array.from({ length: 500 }, (_, i) => `X-${i}: y`)]), /^(|404|431)$/],
    ['a folded header', 'GET /metrics HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n', /^(|lives|40[04])$/],
    ['a NUL in a header', 'GET /metrics HTTP/1.1\r\nHost: a\0b\r\n\r\n', /^(|40[04])$/],
    ['bare line feeds', 'GET /metrics HTTP/1.1\nHost: a\n\n', /^(|lives|40[04])$/],
    ['a space before the colon', 'GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n', /^(|40[04])$/],
  ], { ms: 1500 });
});

test('nothing is smuggled behind a body: one answer at most, then a close', async () => {
  const second = request('GET /health HTTP/1.1', [host()]);
  const bodies = [
    ['Content-Length: -1'], ['Content-Length: 99999999999999999999'], ['Content-Length: 18446744073709551616'], ['Content-Length: 0x10'], ['Content-Length: 1, 2'],
    ['Content-Length: +5'], ['Content-Length: 5', 'Content-Length: 6'], ['Content-Length: 5', 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked'],
    ['Transfer-Encoding: xchunked'], ['Transfer-Encoding: chunked, identity'], ['Transfer-Encoding:\tchunked'], ['Transfer-Encoding : chunked'], ['Content-Length:'], ['Content-Length: 5 5'],
  ];
  for (const method of ['GET', 'POST']) {
    for (const path of ['/health', '/nothing']) {
      await Promise.all(bodies.map(async (headers) => {
        const { text } = await say(gateway.port, [`${request(`${method} ${path} HTTP/1.1`, [host(), ...headers])}0\r\n\r\n${second}`], { ms: 1200 });
        const answers = text.match(/HTTP\/1\.1 \d+/g) ?? [];
        assert.ok(answers.length <= 1, `${method} ${path} ${headers}: ${answers}`);
        if (path === '/nothing') assert.ok(!answers[0]?.endsWith('200'), `${headers}: ${answers}`);
      }));
    }
  }
  await assertServes();
});

test('a kept connection cannot be turned into something else by a bad Upgrade', async () => {
  const first = request('GET /health HTTP/1.1', [host(), 'Connection: keep-alive']);
  for (const then of [upgrade({ upgrades: ['foo'] }), upgrade({ upgrades: [''] }), upgrade({ upgrades: ['h2c'], more: ['HTTP2-Settings: AAMAAABkAAQAAP__'] }), upgrade({ path: '/nothing' }), request('CONNECT a:1 HTTP/1.1', [host()])]) {
    for (const parts of [[first, 100, then], [first + then], [first, 50, first, 50, then]]) {
      const { text } = await say(gateway.port, parts, { ms: 1500 });
      assert.doesNotMatch(text, /HTTP\/1\.1 101/);
    }
  }
  await assertServes();
});

/* ---- after the upgrade ---- */

const frame = (opcode, payload = Buffer.alloc(0), { final = true, rsv = 0, masked = true, length } = {}) => {
  const size = length ?? BigInt(payload.length);
  const head = [(final ? 0x80 : 0) | (rsv << 4) | opcode];
  const mask = masked ? 0x80 : 0;
  if (size < 126n) head.push(mask | Number(size));
  else if (size < 65536n) head.push(mask | 126, Number(size >> 8n), Number(size & 255n));
  else head.push(mask | 127, ...Array.from({ length: 8 }, (_, i) => Number((size >> BigInt(56 - 8 * i)) & 255n)));
  return Buffer.concat([Buffer.from(head), masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]); /* the mask is zero: the bytes stay */
};
const CONTINUE = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;

/* The close code that came, 0 for a close without one, LIVES for none; behind the head of the upgrade. */
function closeCode({ data, closed }) {
  let at = data.indexOf('\r\n\r\n') + 4;
  while (at + 2 <= data.length) {
    const opcode = data[at] & 15;
    let size = data[at + 1] & 127;
    let head = 2;
    if (size === 126) { size = data.readUInt16BE(at + 2); head = 4; }
    if (opcode === CLOSE) return size >= 2 ? data.readUInt16BE(at + head) : 0;
    at += head + size;
  }
  return closed === null ? LIVES : 0;
}

/* ---- slow and many ---- */

test('a thousand half requests do not keep a good client waiting', async () => {
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => new Promise((resolve, reject) => {
    const socket = net.connect({ port: gateway.port, host: '127.0.0.1' }, () => { socket.write(`GET /connection/websocket HTTP/1.1\r\n${host()}\r\nX-`); resolve(socket); });
    socket.on('error', reject);
  })));
  let open = sockets.length;
  for (const socket of sockets) socket.on('error', () => {}).on('close', () => { open--; });
  const good = await rawConnected(gateway.url);
  assert.ok(open > 0, 'it came in only when each half request had been cut off');
  good.terminate();
  for (const socket of sockets) socket.destroy();
  await assertServes();
});

test('one source over its bound is closed at the door, others come in', async () => {
  const bounded = await world.gateway({ brokers: [broker], args: ['--set', 'client.handshakes_per_source=10', '--set', 'gateway.workers=1'] });
  const line = upgrade({ hosts: [`Host: 127.0.0.1:${bounded.port}`] });
  const flood = await Promise.all(Array.from({ length: 300 }, () => say(bounded.port, line, { ...ANSWERED, from: '127.0.0.2' })));
  const let_in = flood.filter((each) => outcome(each) === '101').length;
  assert.ok(let_in >= 50 && let_in < 120, `${let_in} of 300 came in: ten a second, fifty at once`);
  assert.equal(outcome(await say(bounded.port, line, { ...ANSWERED, from: '127.0.0.3' })), '101');
  assert.ok((await metric(bounded, 'callboard_gateway_accept_refused_total{reason="source"}')) >= 180);
  await bounded.stop();
});

test('over client.connections_max: 503, and in again when one has left', async () => {
  const small = await world.gateway({ brokers: [broker], args: ['--set', 'client.connections_max=5'] });
  const open = [];
  for (let i = 0; i < 5; i += 1) open.push(await rawConnected(small.url));
  await assert.rejects(rawSocket(small.url), /HTTP 503/);
  assert.match((await say(small.port, upgrade({ hosts: [`Host: 127.0.0.1:${small.port}`] }), ANSWERED)).text, /\r\nRetry-After: [1-5]\r\n/);
  assert.equal(await metric(small, 'callboard_websocket_refused_total{reason="limit"}'), 2);
  open.pop().close();
  await until('the place is free', () => rawSocket(small.url).then((socket) => { open.push(socket); return true; }, () => false));
  assert.equal((await get(small.port, '/health')).status, 200, 'who only asks for health is no connection');
  for (const socket of open) socket.terminate();
  await small.stop();
});

test('who stops reading gets 3008 within bounds, while fifty others lose nothing', async () => {
  const server = await world.gateway({ brokers: [broker], args: ['--set', 'client.outbox_bytes=256KiB', '--set', 'client.outbox_frames=100000', '--set', 'client.commands_per_second=100000'] });
  const subscribe = async (socket) => {
    socket.send(JSON.stringify({ id: 2, subscribe: { channel: 'plain:flood' } }));
    await until('the subscription', () => socket.messages.some((message) => message.includes('"id":2')));
    socket.messages.length = 0;
  };
  const fast = await Promise.all(Array.from({ length: 50 }, (_, i) => rawConnected(server.url, { sub: `fast-${i}` })));
  const slow = await rawConnected(server.url, { sub: 'slow' });
  const writer = await rawConnected(server.url, { sub: 'writer' });
  await Promise.all([...fast, slow].map(subscribe));
  for (const socket of fast) {
    socket.received = 0;
    socket.on('message', (message) => { socket.received += message.toString().match(/"pub"/g)?.length ?? 0; });
  }
  slow.pause(); /* its socket is read no more */
  slow._socket.pause();
  const data = 'x'.repeat(8000);
  const givenUp = async () => (await metric(server, 'callboard_client_disconnects_total{code="3008",reason="slow"}')) >= 1;
  let total = 0; /* as many as the socket buffers of both ends take, and the bound on top: that differs between kernels */
  let acked = 0;
  writer.on('message', (message) => { acked += (message.toString().match(/"publish"/g) ?? []).length; });
  for (let given = false; !given && total < 6000;) {
    writer.send(JSON.stringify({ id: 10 + total, publish: { channel: 'plain:flood', data: { i: total, data } } }));
    total += 1;
    /* The fifty are read by this one process: they keep up, however busy the machine is, or they would be slow ones, too. */
    if (total % 10 === 0) await until('acks and receipts', () => acked >= total - 10 && fast.every((socket) => socket.received >= total - 10));
    if (total % 20 === 0) given = await givenUp();
  }
  await until('the slow one is given up', givenUp, 15000);
  slow._socket.resume(); /* at once: who does not answer the close within seconds is cut off without it */
  slow.resume();
  await slow.ended();
  assert.equal(slow.closed.code, 3008);
  await until('the fast ones have everything', () => fast.every((socket) => socket.received === total), 20000);
  for (const socket of fast) assert.deepEqual(numbers(socket), Array.from({ length: total }, (_, i) => i));
  for (const socket of [...fast, writer]) socket.terminate();
  await server.stop();
});

const numbers = (socket) => socket.messages.flatMap((message) => message.split('\n')).filter((line) => line.includes('"pub"')).map((line) => JSON.parse(line).push.pub.data.i);

/* ---- ZeroMQ ports ---- */

const NULL_GREETING = Buffer.concat([Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]), Buffer.from('NULL'), Buffer.alloc(48)]);
const command = (name, body) => Buffer.concat([Buffer.from([4, 1 + name.length + body.length, name.length]), Buffer.from(name), body]);
const READY = (type) => command('READY', Buffer.concat([Buffer.from([11]), Buffer.from('Socket-Type'), Buffer.from([0, 0, 0, type.length]), Buffer.from(type)]));
const junk = (size, seed) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 131 + seed * 197 + ((i * seed) >> 3)) & 255));

test('messages that are no batch and no request are counted, answered where they can be, and change nothing', async () => {
  const script = `
import os, random, sys, zmq
random.seed(7)
links, router, pull = sys.argv[1:]
context = zmq.Context()
def peer(kind, port):
    socket = context.socket(kind)
    socket.linger, socket.rcvtimeo, socket.sndtimeo = 2000, 100, 5000
    socket.connect('tcp://127.0.0.1:' + port)
    return socket
def parts(n):
    return [os.urandom(random.choice([0, 1, 3, 31, 32, 33, 200, 5000])) for _ in range(n)]
for port, kind in ((links, zmq.DEALER), (router, zmq.DEALER), (pull, zmq.PUSH)):
    socket = peer(kind, port)
    for i in range(300):
        socket.send_multipart(parts(random.choice([1, 1, 1, 2, 5, 70])))
    good = b'CB\\x01\\x01' + bytes(28)
    for cut in range(0, 40):
        socket.send(good[:cut])
        socket.send(good + os.urandom(cut))
    for text in (b'', b'{', b'[]', b'{"channel":1}', b'{"channel":"demo:x","channel":"demo:y"}', b'\\xff', b'{"a":' * 5000, b'null'):
        socket.send_multipart([b'CB1', b'publish', b'id', text, b'data'])
        socket.send_multipart([b'CB1', b'nonsense', b'id', text])
        socket.send_multipart([b'CB9', b'publish', b'id', text])
    try:
        while kind == zmq.DEALER:
            socket.recv_multipart()
    except zmq.Again:
        pass
    socket.close()
context.term()
print('done')
`;
  const before = await metric(broker, 'callboard_broker_malformed_batches_total');
  const bad = await metric(broker, 'callboard_backend_bad_requests_total');
  const dropped = await metric(broker, 'callboard_backend_push_dropped_total{reason="bad_request"}');
  const { status, stderr } = await new Promise((resolve) => {
    execFile('/usr/bin/python3', ['-c', script, String(broker.port), String(broker.router), String(broker.pull)], { timeout: 30000 }, (error, out, err) => resolve({ status: error === null && out === 'done\n', stderr: err || String(error) }));
  });
  assert.ok(status, stderr);
  await until('they are counted', async () => (await metric(broker, 'callboard_broker_malformed_batches_total')) >= before + 350 && (await metric(broker, 'callboard_backend_bad_requests_total')) >= bad + 350 && (await metric(broker, 'callboard_backend_push_dropped_total{reason="bad_request"}')) >= dropped + 350);
  assert.equal(broker.exited, null);
  assert.equal((await get(broker.internal, '/ready')).status, 200);
  await assertServes();
});

/* What waits for deadlines waits together. */
describe('slow and broken peers', { concurrency: 3 }, () => {
  it('frames that are none, too many, too big or too slow close the connection with their code', async () => {
    const connect = frame(TEXT, Buffer.from('{"id":1,"connect":{}}'));
    const probes = [
      ['1,000 empty fragments', [frame(TEXT, undefined, { final: false }), ...Array.from({ length: 1000 }, () => frame(CONTINUE, undefined, { final: false }))], 1008],
      ['129 fragments', [Buffer.concat([frame(TEXT, Buffer.from('a'), { final: false }), ...Array.from({ length: 128 }, () => frame(CONTINUE, Buffer.from('a'), { final: false }))])], 1008],
      ['a length of 2^62', [frame(TEXT, Buffer.from('{'), { length: 1n << 62n })], 1009],
      ['a length of 2^63', [frame(TEXT, Buffer.from('{'), { length: 1n << 63n })], /^(0|1002|1009)$/],
      ['64 KiB and a byte', [frame(TEXT, Buffer.alloc(65537, 0x20))], 1009],
      ['64 KiB and a byte in two frames', [frame(TEXT, Buffer.alloc(65000, 0x20), { final: false }), frame(CONTINUE, Buffer.alloc(537, 0x20))], 1009],
      ['an unfinished message', [frame(TEXT, Buffer.from('{'), { final: false })], 1008],
      ['an unfinished frame', [frame(TEXT, Buffer.from('{'), { length: 100n })], 1008],
      ['a byte every 100 ms', [frame(TEXT, Buffer.from('{'), { length: 100n }), ...Array.from({ length: 30 }, () => [100, 'x']).flat()], 1008],
      ['a continuation of nothing', [frame(CONTINUE, Buffer.from('a'))], /^(0|1002)$/],
      ['a text inside a text', [frame(TEXT, Buffer.from('a'), { final: false }), frame(TEXT, Buffer.from('b'))], /^(0|1002)$/],
      ['a reserved opcode', [frame(3, Buffer.from('a'))], /^(0|1002)$/],
      ['a reserved control opcode', [frame(11, Buffer.from('a'))], /^(0|1002)$/],
      ['a reserved bit', [frame(TEXT, Buffer.from('{}'), { rsv: 4 })], /^(0|1002|lives)$/],
      ['a ping in fragments', [frame(PING, Buffer.from('a'), { final: false })], /^(0|1002)$/],
      ['a ping of 126 bytes', [frame(PING, Buffer.alloc(126))], /^(0|1002)$/],
      ['bad UTF-8', [frame(TEXT, Buffer.from([0x7b, 0xff, 0x7d]))], 1007],
      ['bad UTF-8 over two fragments', [frame(TEXT, Buffer.from([0xc3]), { final: false }), frame(CONTINUE, Buffer.from([0x28]))], 1007],
      ['a surrogate', [frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))], 1007],
      ['no JSON', [frame(TEXT, Buffer.from('hello'))], 3501],
      ['a binary message', [frame(BINARY, Buffer.from([1, 2, 3]))], /^(3501|3003|1003)$/],
      ['nothing at all', [], 3502],
      ['pings and no command', Array.from({ length: 25 }, () => [frame(PING), 100]).flat(), 3502],
      ['an anonymous connect', [connect], 3501],
      ['a close', [frame(CLOSE, Buffer.from([3, 232]))], 1000],
      ['a close without a code', [frame(CLOSE)], /^(0|1000|1005)$/],
      ['a close of one byte', [frame(CLOSE, Buffer.from([3]))], /^(0|1002)$/],
      ['a close with a reserved code', [frame(CLOSE, Buffer.from([3, 237]))], /^(0|1002|1005)$/],
      ['an unmasked command (libwebsockets takes it)', [frame(TEXT, Buffer.from('{"id":1,"connect":{}}'), { masked: false })], 3501],
    ];
    const faults = [];
    await Promise.all(probes.map(async ([what, parts, wanted]) => {
      const result = await say(gateway.port, [upgrade(), 50, ...parts], { ms: 5000 });
      const got = closeCode(result);
      if (!(wanted instanceof RegExp ? wanted.test(String(got)) : got === wanted)) faults.push(`${what}: ${got}, not ${wanted}`);
    }));
    assert.equal(faults.join('\n'), '');
    await assertServes();
    assert.ok((await metric(gateway, 'callboard_websocket_protocol_closes_total{reason="fragments"}')) >= 2);
    assert.ok((await metric(gateway, 'callboard_websocket_protocol_closes_total{reason="too_big"}')) >= 3);
    assert.ok((await metric(gateway, 'callboard_websocket_protocol_closes_total{reason="message_timeout"}')) >= 3);
  });

  it('who dawdles is cut off: silent, dribbling, half a request, half a body, waiting after an answer', async () => {
    const half = `GET /health HTTP/1.1\r\n${host()}\r\n`;
    const dribble = Array.from({ length: 40 }, () => [500, 'X']).flat();
    const probes = [
      ['says nothing', []],
      ['half a request', [half]],
      ['a header by bytes', [half, ...dribble]],
      ['half a body', [request('POST /health HTTP/1.1', [host(), 'Content-Length: 100'])]],
      ['keeps the connection after an answer', [request('GET /health HTTP/1.1', [host(), 'Connection: keep-alive'])]],
    ];
    const faults = [];
    await Promise.all(probes.map(async ([what, parts]) => {
      const { closed } = await say(gateway.port, parts, { ms: 14000 });
      if (closed === null) faults.push(`${what}: open after 14 s`);
    }));
    assert.deepEqual(faults, []);
    await assertServes();
  });

  it('bytes that are no ZeroMQ, commands out of place and frames too large end their connection and nothing else', async () => {
    for (const [port, type] of [[broker.port, 'DEALER'], [broker.router, 'DEALER'], [broker.pull, 'PUSH']]) {
      const hello = [NULL_GREETING, READY(type)];
      const huge = Buffer.from([2, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]); /* a frame of 2 GiB */
      const endless = Buffer.from([2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
      const probes = [
        [request('GET /metrics HTTP/1.1', [host()])], ...Array.from({ length: 20 }, (_, i) => [junk(600, i + 1)]), [Buffer.alloc(4096, 0xff)], [Buffer.alloc(64)],
        [NULL_GREETING, junk(300, 3)], [NULL_GREETING, READY('SUB')], [NULL_GREETING, READY('X'.repeat(200))], [NULL_GREETING, command('READY', junk(60, 5))], [NULL_GREETING, command('ERROR', Buffer.from([3, 1, 2, 3]))],
        [Buffer.concat([NULL_GREETING.subarray(0, 12), Buffer.from('CURVE'), Buffer.alloc(47)]), junk(300, 7)],
        [...hello, huge, junk(1000, 9)], [...hello, endless, junk(1000, 9)], [...hello, Buffer.from([0x77, 1, 2, 3])],
      ];
      await Promise.all(probes.map((parts) => say(port, parts, { ms: 600 })));
      const tooLarge = [huge, endless].map((frame) => say(port, [...hello, 100, frame, junk(1000, 9)], { ms: 3000 }));
      for (const { closed } of await Promise.all(tooLarge)) assert.notEqual(closed, null, `port of ${type}: a frame over MAXMSGSIZE ends its connection`);
    }
    const mute = await Promise.all([broker.port, broker.router, broker.pull].map((port) => say(port, [], { ms: 7000 })));
    for (const { closed } of mute) assert.notEqual(closed, null, 'who does not finish the handshake is cut off');
    await assertServes();
    assert.equal((await get(broker.internal, '/ready')).status, 200);
  });
});
