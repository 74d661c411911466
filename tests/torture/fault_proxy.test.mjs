/* The proxy does what a fault asks of it, and nothing when none is set. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { FaultProxy } from './fault_proxy.mjs';
import { encode } from './worlds/resp.mjs';
import { MessageFilter } from './zmtp.mjs';

let server;
let sockets;
let proxy;
const waits = [];

const until = async (probe) => {
  for (const end = Date.now() + 5000; !probe(); ) {
    assert.ok(Date.now() < end, 'waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/* Answers +OK to each command, and 2 to WAIT. */
before(async () => {
  sockets = [];
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.chunks = 0;
    socket.on('error', () => {});
    socket.on('end', () => { socket.saw = 'end'; });
    socket.on('data', (bytes) => {
      socket.chunks += 1;
      for (const word of bytes.toString().match(/WAIT|PING/g) ?? []) socket.write(word === 'WAIT' ? ':2\r\n' : '+OK\r\n');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy = await new FaultProxy(server.address().port, (wait) => waits.push(wait)).listen(0);
  proxy.port = proxy.server.address().port;
});

after(async () => {
  await proxy.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

async function dial() {
  const known = sockets.length;
  const socket = net.connect(proxy.port, '127.0.0.1');
  socket.got = '';
  socket.on('data', (bytes) => { socket.got += bytes; });
  socket.on('error', (error) => { socket.failed = error.code; });
  await until(() => sockets.length > known);
  socket.peer = sockets.at(-1);
  return socket;
}

test('without a fault bytes pass', async () => {
  const socket = await dial();
  socket.write(encode(['PING']));
  await until(() => socket.got === '+OK\r\n');
  socket.destroy();
});

test('a stalled direction keeps its bytes until it is healed, the other one goes on', async () => {
  const socket = await dial();
  proxy.set({ stall: 'down' });
  socket.write(encode(['PING']));
  await until(() => socket.peer.chunks > 0);
  assert.equal(socket.got, '');
  proxy.heal();
  await until(() => socket.got === '+OK\r\n');
  socket.destroy();
});

test('a stall of one class leaves the others alone', async () => {
  const replica = await dial();
  const client = await dial();
  replica.write(encode(['REPLCONF', 'PING']));
  client.write(encode(['PING']));
  await until(() => replica.got !== '' && client.got !== '');
  proxy.set({ stall: 'both' }, ['replication']);
  for (const socket of [replica, client]) socket.write(encode(['PING']));
  await until(() => client.got === '+OK\r\n+OK\r\n');
  assert.equal(replica.got, '+OK\r\n');
  proxy.heal();
  await until(() => replica.got === '+OK\r\n+OK\r\n');
  for (const socket of [replica, client]) socket.destroy();
});

test('crumbs arrive one by one and whole', async () => {
  const socket = await dial();
  proxy.set({ crumbs: true });
  socket.write('x'.repeat(50));
  await until(() => socket.peer.bytesRead === 50);
  assert.ok(socket.peer.chunks > 5);
  proxy.heal();
  socket.destroy();
});

test('a reset is a reset', async () => {
  const socket = await dial();
  proxy.reset();
  await until(() => socket.failed === 'ECONNRESET');
});

test('refused are those of the class, old and new', async () => {
  const old = await dial();
  old.write(encode(['REPLCONF', 'PING']));
  await until(() => old.got !== '');
  proxy.set({ refuse: true }, ['replication']);
  await until(() => old.failed === 'ECONNRESET');
  const socket = net.connect(proxy.port, '127.0.0.1', () => socket.write(encode(['REPLCONF', 'x'])));
  const ended = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  await ended;
  const client = await dial();
  client.write(encode(['PING']));
  await until(() => client.got === '+OK\r\n');
  proxy.heal();
  client.destroy();
});

test('a half-close reaches the server alone', async () => {
  const socket = await dial();
  proxy.halfClose();
  await until(() => socket.peer.saw === 'end');
  assert.equal(socket.destroyed, false);
  socket.destroy();
});

test('answers to WAIT are told, whatever stands between', async () => {
  waits.length = 0;
  const socket = await dial();
  socket.write(encode(['PING']) + encode(['WAIT', '1', '100']));
  await until(() => waits.length === 1);
  assert.deepEqual(waits, [{ count: 2, need: 1 }]);
  socket.destroy();
});

test('with a rate bytes come no faster, and all of them, in order', async () => {
  const socket = await dial();
  proxy.set({ rate: 20000 });
  const began = performance.now();
  for (let i = 0; i < 400; i += 1) socket.write(encode(['PING']));
  await until(() => socket.got.length === 400 * 5);
  assert.ok(performance.now() - began > 250, 'faster than the rate'); // 5,600 bytes up
  assert.equal(socket.got, '+OK\r\n'.repeat(400));
  proxy.heal();
  socket.destroy();
});

test('a rule for an owner is for the connections that name it', async () => {
  const [mine, other] = [await dial(), await dial()];
  const id = '0123456789abcdef0123456789abcdef01234567';
  const node = await dial();
  mine.write(encode(['CLIENT', 'SETNAME', 'callboard-broker-0']));
  other.write(encode(['CLIENT', 'SETNAME', 'callboard-broker-1']));
  node.write(`RCmb\0\0${id}\0`);
  await until(() => [mine, other, node].every(({ peer }) => peer.chunks === 1));
  proxy.setFor('broker-0', { stall: 'both' });
  proxy.setFor(id, { stall: 'both' });
  for (const socket of [mine, other, node]) socket.write(encode(['PING']));
  await until(() => other.got === '+OK\r\n');
  assert.deepEqual([mine.got, node.got], ['', '']);
  proxy.heal();
  await until(() => mine.got === '+OK\r\n' && node.got === '+OK\r\n');
  for (const socket of [mine, other, node]) socket.destroy();
});

test('the fault of a class ends and that of an owner goes on', async () => {
  const socket = await dial();
  socket.write(encode(['CLIENT', 'SETNAME', 'callboard-broker-0']));
  await until(() => socket.peer.chunks === 1);
  proxy.set({ stall: 'both' });
  proxy.setFor('broker-0', { stall: 'both' });
  proxy.heal(['client']);
  socket.write(encode(['PING']));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(socket.got, '');
  proxy.heal();
  await until(() => socket.got === '+OK\r\n');
  socket.destroy();
});

/* ---- messages of ZeroMQ ---- */

const frame = (flags, body) => Buffer.concat([Buffer.from([flags, body.length]), body]);
const long = (flags, body) => {
  const head = Buffer.alloc(9);
  head[0] = flags | 2;
  head.writeBigUInt64BE(BigInt(body.length), 1);
  return Buffer.concat([head, body]);
};
const greeting = Buffer.alloc(64, 7);
const ready = frame(4, Buffer.from('READY'));
const small = Buffer.concat([frame(1, Buffer.from('to')), frame(0, Buffer.from('beat'))]);
const large = Buffer.concat([frame(1, Buffer.from('to')), long(0, Buffer.alloc(300, 1))]);

const passed = (drops, size) => {
  const filter = new MessageFilter();
  const all = Buffer.concat([greeting, ready, small, large, small]);
  const out = [];
  for (let at = 0; at < all.length; at += size) out.push(filter.pass(all.subarray(at, at + size), drops));
  return { bytes: Buffer.concat(out), dropped: filter.dropped };
};

for (const size of [1, 7, 1000]) {
  test(`a filter of messages passes everything that it need not drop, in pieces of ${size} bytes`, () => {
    assert.deepEqual(passed(null, size), { bytes: Buffer.concat([greeting, ready, small, large, small]), dropped: 0 });
  });

  test(`a filter of messages drops whole ones, in pieces of ${size} bytes`, () => {
    assert.deepEqual(passed((bytes) => bytes > 200, size), { bytes: Buffer.concat([greeting, ready, small, small]), dropped: 1 });
  });
}
