/* What a gateway gives up, in which order, when too many come or memory is short; each with its answer and its figure. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { World, get, metric, rawConnected, rawSocket, makeToken, sleep, subscribed, until } from './support.mjs';

let world;
let broker;
before(async () => {
  world = new World();
  broker = await world.broker({ id: 'guarded' });
});
after(() => world.close());

const set = (...settings) => settings.flatMap((each) => ['--set', each]);
const refused = (gateway, reason) => metric(gateway, `callboard_websocket_refused_total{reason="${reason}"}`);
const count = (program, pattern) => program.lines.filter((line) => pattern.test(line)).length;

/* The status of an upgrade's answer, and its Retry-After; the socket, where it was let in. */
function knock(gateway, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      port: gateway.port, host: '127.0.0.1', path: '/connection/websocket', agent: false,
      headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers },
    });
    request.on('upgrade', (response, socket) => { socket.on('error', () => {}); resolve({ status: 101, socket, extensions: response.headers['sec-websocket-extensions'] }); });
    request.on('response', (response) => { response.resume(); resolve({ status: response.statusCode, retry: response.headers['retry-after'] }); });
    request.on('error', reject);
    request.end();
  });
}

async function connectCode(gateway, claims) {
  const socket = await rawSocket(gateway.url);
  socket.send(JSON.stringify({ id: 1, connect: claims === null ? {} : { token: makeToken(claims) } }));
  await until('an answer', () => socket.messages.length > 0 || socket.closed);
  return { socket, code: socket.closed?.code ?? 0 };
}

test('client.connections_per_user: over it 3504, whatever worker took the connection; the anonymous have no bound', async () => {
  const gateway = await world.gateway({ brokers: [broker], settings: 'client:\n  allow_anonymous_connect_without_token: true\n', args: set('client.connections_per_user=3') });
  const ann = [];
  for (let i = 0; i < 3; i += 1) ann.push(await connectCode(gateway, { sub: 'ann' }));
  assert.deepEqual(ann.map(({ code }) => code), [0, 0, 0]);
  for (let i = 0; i < 10; i += 1) assert.equal((await connectCode(gateway, { sub: 'ann' })).code, 3504);
  assert.equal((await connectCode(gateway, { sub: 'bob' })).code, 0);
  for (let i = 0; i < 10; i += 1) assert.equal((await connectCode(gateway, null)).code, 0);
  assert.equal(await metric(gateway, 'callboard_client_disconnects_total{code="3504",reason="connection limit"}'), 10);
  ann[0].socket.terminate();
  await until('one may come again', async () => (await connectCode(gateway, { sub: 'ann' })).code === 0);
});

test('client.connections_per_user counts over all gateways, at the same moment, behind deaths and restarts; alone without a broker', async () => {
  let owner = await world.broker({ id: 'counting' });
  const args = set('client.connections_per_user=3', 'http.raw_endpoint=on');
  const [a, b] = [await world.gateway({ brokers: [owner], args }), await world.gateway({ brokers: [owner], args })];
  const sockets = [];
  const comes = async (gateway, user) => {
    const { socket, code } = await connectCode(gateway, { sub: user });
    sockets.push(socket);
    return code;
  };
  assert.deepEqual([await comes(a, 'ann'), await comes(a, 'ann'), await comes(b, 'ann')], [0, 0, 0]);
  for (const gateway of [a, b]) assert.equal(await comes(gateway, 'ann'), 3504);
  const raw = await rawSocket(`ws://127.0.0.1:${b.port}/ws/plain:x?token=${makeToken({ sub: 'ann' })}`);
  assert.equal((await raw.ended()).code, 3504);
  assert.ok(await metric(b, 'callboard_client_user_limit_refused_total') >= 2, 'B alone would have let them in');
  assert.equal(await comes(b, 'bob'), 0);

  const codes = await Promise.all([...Array(20)].map((_, i) => comes(i % 2 ? a : b, 'eve')));
  assert.equal(codes.filter((code) => code === 0).length, 3, `20 at one moment: ${codes}`);
  assert.ok(codes.every((code) => code === 0 || code === 3504));

  sockets[2].terminate();
  await until('a place at B is free for A', async () => (await comes(a, 'ann')) === 0);
  assert.equal(await comes(b, 'ann'), 3504);
  a.kill('SIGKILL');
  for (let i = 0; i < 3; i += 1) await until('the places of a gateway that died are free', async () => (await comes(b, 'ann')) === 0);
  assert.equal(await comes(b, 'ann'), 3504);

  await owner.stop('SIGKILL');
  const { port } = owner;
  await until('B knows', async () => (await metric(b, 'callboard_gateway_brokers_alive')) === 0);
  assert.equal(await comes(b, 'dan'), 0, 'nobody can be asked');
  for (let i = 0; i < 2; i += 1) assert.equal(await comes(b, 'dan'), 0);
  assert.equal(await comes(b, 'dan'), 3504, 'the gateway counts for itself');
  assert.equal(await metric(b, 'callboard_client_user_limit_alone_total'), 3);
  owner = await world.broker({ id: 'counting', port });
  const c = await world.gateway({ brokers: [owner], args });
  const eves = codes.filter((code, i) => code === 0 && i % 2 === 0).length;
  await until('the new broker was told of all', async () => (await metric(owner, 'callboard_broker_user_connections_counted')) === 7 + eves);
  for (const user of ['ann', 'dan']) assert.equal(await comes(c, user), 3504, user);
  assert.equal(await comes(c, 'new'), 0);
  sockets.forEach((socket) => socket.terminate());
  await until('who has gone is forgotten', async () => (await metric(owner, 'callboard_broker_users_counted')) === 0);
});

test('client.handshakes_per_second: a storm is let in at that rate, the rest gets 503 and a Retry-After that differs', async () => {
  const gateway = await world.gateway({ brokers: [broker], args: set('client.handshakes_per_second=20') });
  const began = Date.now();
  const outcomes = [];
  for (let i = 0; i < 10; i += 1) outcomes.push(...await Promise.all([...Array(50)].map(() => knock(gateway))));
  const seconds = (Date.now() - began) / 1000;
  const let_in = outcomes.filter(({ status }) => status === 101).length;
  assert.ok(let_in >= 38 && let_in <= 42 + 20 * seconds, `${let_in} let in within ${seconds} s`);
  const rest = outcomes.filter(({ status }) => status !== 101);
  assert.ok(rest.every(({ status, retry }) => status === 503 && retry >= 1 && retry <= 5));
  assert.ok(new Set(rest.map(({ retry }) => retry)).size > 1, 'not all at once again');
  assert.equal(await refused(gateway, 'rate'), rest.length);
  await until('the next one is let in', async () => (await knock(gateway)).status === 101);
  for (const { socket } of outcomes) socket?.destroy();
});

test('permessage-deflate is not agreed to where it is off, however it is offered, and a compressed frame ends its connection', async () => {
  const gateway = await world.gateway({ brokers: [broker] });
  const socket = await rawSocket(gateway.url, { perMessageDeflate: true });
  assert.equal(socket.extensions, '');
  socket.terminate();
  for (const offer of ['permessage-deflate', 'permessage-deflate; client_max_window_bits', 'permessage-deflate; server_no_context_takeover, x-webkit-deflate-frame', 'permessage-bzip2']) {
    const { status, extensions } = await knock(gateway, { 'Sec-WebSocket-Extensions': offer });
    assert.deepEqual([status, extensions], [101, undefined], offer);
  }
  const { socket: compressed } = await knock(gateway);
  const ended = new Promise((resolve) => compressed.on('close', resolve));
  compressed.resume();
  compressed.write(Buffer.from([0xc1, 0x87, 0, 0, 0, 0, 0xaa, 0x56, 0x4a, 0x54, 0xb2, 0x02, 0x00]));
  await ended;
});

test('workers are the cores the process may use, and the start says them and the descriptors', async () => {
  const gateway = await world.gateway({ brokers: [broker], args: set('gateway.workers=0') });
  const cores = Number(execFileSync('nproc').toString());
  const { workers } = JSON.parse((await get(gateway.internal, '/info')).body);
  assert.ok(workers >= 1 && workers <= cores);
  const limits = fs.readFileSync(`/proc/${gateway.pid}/limits`, 'utf8');
  const [, soft, hard] = /Max open files\s+(\d+)\s+(\d+)/.exec(limits);
  assert.ok(soft === hard || Number(soft) >= 65536 + 1024, `${soft} of ${hard}`);
  assert.match(gateway.log(), new RegExp(`"event":"gateway_started".*"workers":${workers},"descriptors":${soft}`));
});

test('memory that runs short: slow connections go, then newcomers, then publications; and everything comes back', async () => {
  const gateway = await world.gateway({ brokers: [broker], settings: 'client:\n  outbox_bytes: 64MiB\n  commands_per_second: 100000\n' });
  const held = () => metric(gateway, 'callboard_gateway_memory_bytes');
  await until('the figure is there', async () => (await held()) > 0);
  const shown = () => metric(gateway, 'callboard_gateway_memory_level');
  const allow = async (max) => {
    const text = fs.readFileSync(gateway.file, 'utf8').replace(/  memory_max: \d+\n/, '');
    fs.writeFileSync(gateway.file, text.replace('gateway:\n', `gateway:\n  memory_max: ${max}\n`));
    const before = count(gateway, /"event":"config_reloaded"/);
    gateway.kill('SIGHUP');
    await until('the reload', () => count(gateway, /"event":"config_reloaded"/) > before);
  };
  /* What is held becomes this share of what is allowed; again where it gave memory back meanwhile. */
  const level = async (share, wanted) => {
    await until(`level ${wanted}`, async () => {
      await allow(share === 0 ? 0 : Math.round((await held()) / share));
      for (let i = 0; i < 3; i += 1) { /* it is looked at five times a second */
        await sleep(250);
        if ((await shown()) !== wanted) return false;
      }
      return true;
    }, 20000);
  };
  const say = async (socket, command) => {
    socket.send(JSON.stringify(command));
    for (;;) {
      const reply = (await socket.next())[0].split('\n').map((line) => JSON.parse(line)).find(({ id }) => id === command.id);
      if (reply) return reply;
    }
  };
  const writer = await rawConnected(gateway.url, { sub: 'writer' });
  const slow = await rawConnected(gateway.url, { sub: 'slow' });
  assert.ok((await say(slow, { id: 2, subscribe: { channel: 'plain:big' } })).subscribe);
  slow._socket.pause();
  const queued = () => metric(gateway, 'callboard_client_outbox_bytes');
  for (let i = 0; (await queued()) < 2e6; i += 1) {
    assert.ok((await say(writer, { id: 100 + i, publish: { channel: 'plain:big', data: 'x'.repeat(60000) } })).publish);
    assert.ok(i < 1000, 'the kernel takes all of it');
  }

  await level(0.85, 1);
  await until('the slow one is gone', async () => (await metric(gateway, 'callboard_gateway_memory_shed_total')) === 1);
  assert.equal(await metric(gateway, 'callboard_client_disconnects_total{code="3008",reason="slow"}'), 1);
  slow.terminate();
  const { status, socket } = await knock(gateway);
  assert.equal(status, 101);
  socket.destroy();

  await level(0.92, 2);
  const late = await knock(gateway);
  assert.equal(late.status, 503);
  assert.ok(late.retry >= 1);
  assert.ok(await refused(gateway, 'memory') >= 1);
  assert.ok((await say(writer, { id: 3, publish: { channel: 'plain:x', data: 1 } })).publish);

  await level(1.5, 3);
  await until('publications are refused', async () => (await say(writer, { id: 4, publish: { channel: 'plain:x', data: 1 } })).error?.code === 111);
  assert.deepEqual((await say(writer, { id: 5, ping: {} })).ping, {});
  assert.equal((await get(gateway.internal, '/health')).status, 200);
  assert.match(gateway.log(), /"event":"memory_level","level":"refuses publications"/);
  const limit = (soft) => execFileSync('prlimit', ['--pid', gateway.pid, `--nofile=${soft}:`]);
  const [, soft] = /Max open files\s+(\d+)/.exec(fs.readFileSync(`/proc/${gateway.pid}/limits`, 'utf8'));
  limit(3); /* no descriptor is left to be had: it looks with the one it has */
  for (let i = 0; i < 4; i += 1) {
    await sleep(250);
    assert.equal((await say(writer, { id: 10 + i, publish: { channel: 'plain:x', data: 1 } })).error?.code, 111);
  }
  limit(soft);

  await level(0, 0);
  await until('publications are taken again', async () => (await say(writer, { id: 6, publish: { channel: 'plain:x', data: 1 } })).publish);
  const again = await knock(gateway);
  assert.equal(again.status, 101);
  again.socket.destroy();
  assert.equal(writer.closed, null);
});

test('client.connection_age_max: each comes back when it is old, by 3011, and misses nothing; taken up and off by a reload', async () => {
  const settings = (age) => `client:\n  connection_age_max: ${age}\n`;
  const gateway = await world.gateway({ brokers: [broker], settings: settings('1s'), args: ['--watch'] });
  const clients = [];
  const subscriptions = [];
  for (let i = 0; i < 6; i += 1) {
    clients.push(await world.connected(gateway, { user: `aging${i}` }));
    subscriptions.push(await subscribed(clients[i], 'demo:aging'));
  }
  const writer = await world.connected(await world.gateway({ brokers: [broker] }), { user: 'writer' });
  const returns = (client) => client.events.filter(({ name, code }) => name === 'connecting' && code === 3011).length;
  let sent = 0;
  await until('each has come back twice', async () => {
    await writer.publish('demo:aging', { n: sent });
    sent += 1;
    return clients.every((client) => returns(client) >= 2);
  }, 60000);
  for (const { got } of subscriptions) {
    await until('the last one is there', () => got.length >= sent);
    assert.deepEqual(got.map(({ data }) => data.n), Array.from({ length: sent }, (_, n) => n));
  }
  assert.equal(writer.events.filter(({ name }) => name === 'disconnected' || name === 'error').length, 0);
  assert.equal(returns(writer), 0);
  assert.ok(await metric(gateway, 'callboard_client_aged_total') >= 12);
  fs.writeFileSync(gateway.file, fs.readFileSync(gateway.file, 'utf8').replace(settings('1s'), settings('0')));
  await until('the reload', () => count(gateway, /"event":"config_reloaded"/) >= 1);
  await until('all are there', () => clients.every(({ state }) => state === 'connected'));
  const before = clients.map(returns);
  await sleep(1300); // older than any could get
  assert.deepEqual(clients.map(returns), before);
});
