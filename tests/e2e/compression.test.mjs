/* permessage-deflate where it is on: what is agreed on, frame by frame, with Node's ws, the SDK and a browser; one compressed publication
 * for all; bombs; and that it costs a connection nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import zlib from 'node:zlib';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { World, makeToken, metric, rawSocket, subscribed, until } from './support.mjs';
import { frames, offers, pinned, deflate } from './wsconform_compression.mjs';
import { KEY, PING, TEXT, frame, speak, told } from './wsconform_wire.mjs';

const ON = ['--set', 'client.compression=true', '--set', 'client.compression_min_size=200'];
const LONG = 'it was a dark and stormy night; '.repeat(200);
let world;
let server;
before(async () => {
  world = new World();
  server = await world.appliance({ args: [...ON, '--set', 'gateway.workers=1', '--set', 'http.raw_endpoint=on', '--set', 'client.commands_per_second=100000'] });
});
after(() => world.close());

const request = (port, where, extensions) => [`GET ${where} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${KEY}`, ...extensions.map((value) => `Sec-WebSocket-Extensions: ${value}`), '', ''].join('\r\n');

test('each offer is answered as RFC 7692 wants', async () => {
  for (const [lines, answer] of offers) {
    const { text } = await speak(server.port, request(server.port, '/connection/websocket', lines));
    assert.match(text, /^HTTP\/1\.1 101 /, JSON.stringify(lines));
    const got = [...text.matchAll(/^Sec-WebSocket-Extensions: (.*)\r$/gim)].map(([, value]) => value);
    assert.deepEqual(got, answer === null ? [] : [answer], JSON.stringify(lines));
  }
});

/* A connection that agreed on compression: `heard` are frames as {opcode, rsv1, payload}, compressed ones as they came. */
async function agreed(port, where, isOn = true) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const wire = { socket, heard: [], ended: false, bytes: 0 };
  let rest = Buffer.alloc(0);
  let head = null;
  socket.on('error', () => {});
  socket.on('close', () => { wire.ended = true; });
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    if (head === null) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = rest.subarray(0, end).toString('latin1');
      rest = rest.subarray(end + 4);
    }
    for (;;) {
      if (rest.length < 2) return;
      const start = rest[1] === 126 ? 4 : rest[1] === 127 ? 10 : 2;
      if (rest.length < start) return;
      const size = start === 4 ? rest.readUInt16BE(2) : start === 10 ? Number(rest.readBigUInt64BE(2)) : rest[1];
      if (rest.length < start + size) return;
      wire.heard.push({ opcode: rest[0] & 15, rsv1: (rest[0] & 0x40) !== 0, payload: Buffer.from(rest.subarray(start, start + size)) });
      rest = rest.subarray(start + size);
    }
  });
  socket.write(request(port, where, ['permessage-deflate; client_max_window_bits']));
  await until('the upgrade', () => head !== null || wire.ended, 60000);
  assert.equal(/Sec-WebSocket-Extensions: permessage-deflate; server_no/.test(head ?? ''), isOn);
  return wire;
}
const inflated = ({ payload, rsv1 }) => (rsv1 ? zlib.inflateRawSync(Buffer.concat([payload, Buffer.from('0000ffff', 'hex')]), { finishFlush: zlib.constants.Z_SYNC_FLUSH, windowBits: 12 }) : payload).toString();

describe('frames where it was agreed on', () => {
  let next = 0;
  for (const [name, writes, expected] of [...frames, ...pinned]) {
    test(name, async () => {
      const wire = await agreed(server.port, `/ws/plain:frames-${next += 1}?token=${makeToken({ sub: 'conform' })}`);
      wire.socket.write(frame(TEXT, 'live?'));
      await until('it hears itself', () => wire.heard.some(({ payload }) => payload.toString() === 'live?'));
      wire.heard.length = 0;
      for (const bytes of writes) {
        wire.socket.write(bytes);
        if (writes.length > 1) await new Promise((resolve) => setImmediate(resolve));
      }
      if (typeof expected === 'number') {
        await until('it closes', () => wire.heard.some(({ opcode }) => opcode === 8));
        assert.equal(told(8, wire.heard.find(({ opcode }) => opcode === 8).payload), `close ${expected}`);
        if (expected !== 1000 && name !== 'what refers to the message before') assert.equal(wire.heard.length, 1, 'nothing is heard of it');
        wire.socket.destroy();
        return;
      }
      await until('all is heard', () => wire.heard.length >= expected.length);
      assert.deepEqual(wire.heard.map(({ opcode, payload }) => told(opcode, payload)), expected.map((word) => (word.text ? told(TEXT, word.text) : word)));
      wire.socket.write(frame(PING, 'still there?'));
      await until('it goes on', () => wire.heard.some(({ payload }) => payload.toString() === 'still there?'));
      assert.ok(wire.heard.every(({ rsv1 }) => !rsv1), 'nothing goes compressed on the raw endpoint');
      wire.socket.destroy();
    });
  }
});

/* As `agreed`, connected and subscribed by the JSON protocol. */
async function reader(channel) {
  const wire = await agreed(server.port, '/connection/websocket');
  wire.socket.write(frame(TEXT, `${JSON.stringify({ id: 1, connect: { token: makeToken({ sub: 'reader' }) } })}\n${JSON.stringify({ id: 2, subscribe: { channel } })}`));
  await until('it is subscribed', () => wire.heard.some((each) => inflated(each).includes('"subscribe"')));
  return wire;
}

test('a publication is compressed once, and the same bytes go to all; short ones and replies go as they are', async () => {
  const channel = 'plain:once';
  const readers = await Promise.all(Array.from({ length: 20 }, () => reader(channel)));
  const plain = await rawSocket(server.url, { perMessageDeflate: false });
  plain.send(JSON.stringify({ id: 1, connect: { token: makeToken({ sub: 'plain' }) } }));
  await plain.next();
  plain.send(JSON.stringify({ id: 2, subscribe: { channel } }));
  await plain.next();
  const before_ = await metric(server, 'callboard_websocket_compressed_total');
  const publisher = await world.connected(server, { user: 'publisher' });
  await publisher.publish(channel, { text: LONG });
  await publisher.publish(channel, { n: 1 });
  await until('both are there', () => readers.every(({ heard }) => heard.filter((each) => inflated(each).includes('"pub"')).length === 2));
  const pushes = readers.map(({ heard }) => heard.filter((each) => inflated(each).includes('"pub"')));
  for (const [first, second] of pushes) {
    assert.ok(first.rsv1 && first.payload.length < 500, `${first.payload.length} bytes`);
    assert.deepEqual(first.payload, pushes[0][0].payload);
    assert.ok(!second.rsv1);
    assert.equal(JSON.parse(inflated(first)).push.pub.data.text, LONG);
  }
  assert.ok(readers.every(({ heard }) => heard.every((each) => !each.rsv1 || inflated(each).includes('"pub"'))), 'replies are not compressed');
  assert.equal(await metric(server, 'callboard_websocket_compressed_total') - before_, 1);
  assert.equal(JSON.parse((await plain.next())[0]).push.pub.data.text, LONG, 'who did not agree gets it as it is');
  assert.ok(await metric(server, 'callboard_websocket_compressing') >= 20);
  for (const { socket } of readers) socket.destroy();
  plain.terminate();
  publisher.disconnect();
  await until('they are no longer counted', async () => await metric(server, 'callboard_websocket_compressing') === 0);
});

for (const encoding of ['json', 'protobuf']) {
  test(`the SDK over ws with perMessageDeflate, ${encoding}: messages of both directions arrive whole`, async () => {
    class Deflating extends WebSocket {
      constructor(url, protocols) { super(url, protocols, { perMessageDeflate: { threshold: 0 } }); }
    }
    const inflatedBefore = await metric(server, 'callboard_websocket_inflated_total');
    const compressedBefore = await metric(server, 'callboard_websocket_compressed_total');
    const clients = await Promise.all([1, 2].map(() => world.connected(server, { encoding, websocket: Deflating })));
    const channel = `demo:deflating-${encoding}`;
    const subscriptions = await Promise.all(clients.map((client) => subscribed(client, channel)));
    const sent = Array.from({ length: 50 }, (_, i) => ({ i, text: LONG.slice(0, i * 100) }));
    for (const data of sent) await subscriptions[0].publish(data);
    await until('everything is there', () => subscriptions.every(({ got }) => got.length === sent.length));
    for (const { got } of subscriptions) assert.deepEqual(got.map(({ data }) => data), sent);
    assert.ok(await metric(server, 'callboard_websocket_inflated_total') - inflatedBefore >= 50);
    assert.ok(await metric(server, 'callboard_websocket_compressed_total') - compressedBefore >= 45);
    for (const client of clients) client.disconnect();
  });
}

test('a bomb ends its connection, and costs nobody else anything', async () => {
  const held = () => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);
  const bomb = deflate(Buffer.alloc(60 << 20)).subarray(0, 61000);
  const before_ = held();
  for (let i = 0; i < 50; i += 1) {
    const wire = await agreed(server.port, '/connection/websocket');
    wire.socket.write(frame(TEXT, bomb, { rsv: 4 }));
    await until('it is closed', () => wire.heard.some(({ opcode }) => opcode === 8));
    assert.equal(told(8, wire.heard[0].payload), 'close 1009');
    wire.socket.destroy();
  }
  assert.ok(held() - before_ < 16 * 1024, `${held() - before_} KiB more`);
  const client = await world.connected(server);
  client.disconnect();
});

/* The bytes that a process holds more with n connections, each of which said something and was sent a publication, both compressed where
 * that was agreed on. */
async function heldBy(settings, n, isOn) {
  const gateway = await world.appliance({ args: ['--set', 'gateway.workers=1', ...settings] });
  const held = () => Number(/Pss:\s+(\d+)/.exec(fs.readFileSync(`/proc/${gateway.pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
  const saying = (text) => (isOn ? frame(TEXT, deflate(text), { rsv: 4 }) : frame(TEXT, text));
  const hello_ = saying(`${JSON.stringify({ id: 1, connect: { token: makeToken({ sub: 'many' }) } })}\n${JSON.stringify({ id: 2, subscribe: { channel: 'plain:many' } })}`);
  const connect = async () => {
    const wire = await agreed(gateway.port, '/connection/websocket', isOn);
    wire.socket.write(hello_);
    await until('it is subscribed', () => wire.heard.some(({ payload }) => payload.includes('"subscribe"')), 60000);
    wire.heard.length = 0;
    return wire;
  };
  const publish = async (wires) => {
    wires[0].socket.write(saying(JSON.stringify({ id: 3, publish: { channel: 'plain:many', data: { text: LONG } } })));
    await until('all have it', () => wires.every(({ heard }) => heard.some(({ rsv1, payload }) => rsv1 === isOn && (rsv1 || payload.includes('"pub"')))), 60000);
  };
  const some = await Promise.all(Array.from({ length: 20 }, connect));
  await publish(some);
  const before_ = held();
  const more = [];
  while (more.length < n) more.push(...await Promise.all(Array.from({ length: 20 }, connect)));
  await publish(more);
  const grown = held() - before_;
  const compressing = await metric(gateway, 'callboard_websocket_compressing');
  for (const { socket } of [...some, ...more]) socket.destroy();
  await gateway.stop();
  return { each: grown / n, compressing };
}

test('memory of a connection is the same with compression and without', async () => {
  const seen = [];
  while (seen.length < 8 && !seen.some(({ more }) => more < 1024)) { // what else a process holds comes and goes in pages; a context would be tens of KiB each time
    const without = await heldBy(['--set', 'client.compression=false'], 400, false);
    const with_ = await heldBy(ON, 400, true);
    assert.equal(without.compressing, 0);
    assert.equal(with_.compressing, 420);
    seen.push({ with: with_.each, without: without.each, more: with_.each - without.each });
  }
  assert.ok(seen.at(-1).more < 1024, JSON.stringify(seen));
});

test('a reload switches it on and off for new connections; who agreed goes on', async () => {
  const gateway = await world.appliance({ settings: 'client:\n  compression: true\n' });
  const extensions = async () => {
    const socket = new WebSocket(gateway.url, { perMessageDeflate: true });
    await new Promise((resolve, reject) => { socket.once('open', resolve); socket.once('error', reject); });
    const { extensions: agreedOn } = socket;
    socket.terminate();
    return agreedOn;
  };
  assert.equal(await extensions(), 'permessage-deflate');
  const client = await world.connected(gateway, { websocket: class extends WebSocket { constructor(url, protocols) { super(url, protocols, { perMessageDeflate: { threshold: 0 } }); } } });
  const subscription = await subscribed(client, 'plain:reload');
  fs.writeFileSync(gateway.file, fs.readFileSync(gateway.file, 'utf8').replace('compression: true', 'compression: false'));
  gateway.kill('SIGHUP');
  await until('it is off', async () => await extensions() === '');
  await subscription.publish({ text: LONG });
  await until('it arrives', () => subscription.got.length === 1);
  assert.equal(subscription.got[0].data.text, LONG);
  client.disconnect();
});

test('a browser agrees, and talks compressed both ways', async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.port}/`);
    const inflatedBefore = await metric(server, 'callboard_websocket_inflated_total');
    const compressedBefore = await metric(server, 'callboard_websocket_compressed_total');
    const heard = await page.evaluate(async ({ url, token, text }) => {
      const socket = new WebSocket(url);
      const replies = [];
      await new Promise((resolve) => { socket.onopen = resolve; });
      const said = new Promise((resolve, reject) => {
        socket.onclose = ({ code }) => reject(new Error(`closed ${code}`));
        socket.onmessage = ({ data }) => {
          replies.push(...data.split('\n').map((line) => JSON.parse(line)));
          if (replies.filter(({ push }) => push?.pub).length === 3) resolve();
        };
      });
      socket.send([{ id: 1, connect: { token } }, { id: 2, subscribe: { channel: 'plain:browser' } }].map((each) => JSON.stringify(each)).join('\n'));
      for (let i = 0; i < 3; i += 1) socket.send(JSON.stringify({ id: 3 + i, publish: { channel: 'plain:browser', data: { i, text } } }));
      await said;
      const { extensions } = socket;
      socket.onclose = null;
      socket.close();
      return { extensions, got: replies.filter(({ push }) => push?.pub).map(({ push }) => push.pub.data) };
    }, { url: server.url, token: makeToken({ sub: 'browser' }), text: LONG });
    assert.match(heard.extensions, /^permessage-deflate/);
    assert.deepEqual(heard.got, [0, 1, 2].map((i) => ({ i, text: LONG })));
    assert.ok(await metric(server, 'callboard_websocket_inflated_total') - inflatedBefore >= 3);
    assert.equal(await metric(server, 'callboard_websocket_compressed_total') - compressedBefore, 3);
  } finally {
    await browser.close();
  }
});
