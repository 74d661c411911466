/* Behind proxies: PROXY headers and X-Forwarded-For from those that are trusted, and the bounds of a source, which count
 * the clients behind them. */
import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import { World, metric, rawSocket, until } from './support.mjs';

let world;
let broker;
before(async () => {
  world = new World();
  broker = await world.broker({ id: 'behind' });
});
after(() => world.close());

const PROXY = '127.0.0.9';
const set = (...settings) => settings.flatMap((each) => ['--set', each]);
const refusals = (gateway, reason) => metric(gateway, `callboard_gateway_accept_refused_total{reason="${reason}"}`);
const upgradeRefusals = (gateway, reason) => metric(gateway, `callboard_websocket_refused_total{reason="${reason}"}`);

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
function v2(source, { command = 0x21, more = Buffer.alloc(0) } = {}) {
  const v4 = Buffer.from([...source.split('.').map(Number), 10, 0, 0, 1, 1, 2, 3, 4]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(v4.length + more.length);
  return Buffer.concat([SIGNATURE, Buffer.from([command, 0x11]), length, v4, more]);
}
const v1 = (source) => Buffer.from(`PROXY TCP4 ${source} 10.0.0.1 1234 443\r\n`);

const upgrade = (gateway, headers = []) => [`GET /connection/websocket HTTP/1.1`, `Host: 127.0.0.1:${gateway.port}`, 'Upgrade: websocket', 'Connection: Upgrade',
  'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', ...headers, '', ''].join('\r\n');

/* A connection that says `parts`; resolves with the status of the answer, or '' when it was closed without one. The socket stays open. */
const opened = [];
function say(gateway, parts, { from = PROXY, wrap } = {}) {
  return new Promise((resolve, reject) => {
    const plain = net.connect({ port: gateway.port, host: '127.0.0.1', localAddress: from, noDelay: true });
    opened.push(plain);
    let text = '';
    const timer = setTimeout(() => reject(new Error(`neither answer nor close: ${text}`)), 15000);
    const done = (status) => { clearTimeout(timer); resolve({ status, socket: plain }); };
    const listen = (socket) => {
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
        const status = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1];
        if (status && text.includes('\r\n\r\n')) done(status);
      });
      socket.on('error', () => {});
      socket.on('close', () => done(''));
    };
    plain.on('connect', async () => {
      if (wrap) return listen(wrap(plain, parts));
      listen(plain);
      for (const part of [parts].flat()) {
        plain.write(part);
        await new Promise((next) => setImmediate(next));
      }
    });
    plain.on('error', () => {});
  });
}
const end = () => { for (const socket of opened.splice(0)) socket.destroy(); };
const bytes = (buffer) => [...buffer].map((byte) => Buffer.from([byte]));

test('PROXY: versions 1 and 2 in any pieces; others, and who is no trusted proxy, are closed', async () => {
  const gateway = await world.gateway({ brokers: [broker], settings: `client:\n  trusted_proxies: ['${PROXY}']\n`, args: set('http.proxy_protocol=true') });
  const table = [
    ['v2', [v2('192.0.2.1'), upgrade(gateway)], '101'],
    ['v2 and the request in one piece', Buffer.concat([v2('192.0.2.1'), Buffer.from(upgrade(gateway))]), '101'],
    ['v2 in single bytes', [...bytes(v2('192.0.2.1')), upgrade(gateway)], '101'],
    ['v2 with TLVs', [v2('192.0.2.1', { more: Buffer.alloc(300) }), upgrade(gateway)], '101'],
    ['v2 LOCAL', [v2('192.0.2.1', { command: 0x20 }), upgrade(gateway)], '101'],
    ['v1', [v1('192.0.2.1'), upgrade(gateway)], '101'],
    ['v1 in single bytes', [...bytes(v1('192.0.2.1')), upgrade(gateway)], '101'],
    ['v1 UNKNOWN', ['PROXY UNKNOWN\r\n', upgrade(gateway)], '101'],
  ];
  const faults = [];
  await Promise.all(table.map(async ([what, parts, wanted]) => {
    const { status } = await say(gateway, parts);
    if (status !== wanted) faults.push(`${what}: "${status}", not "${wanted}"`);
  }));
  assert.equal(faults.join('\n'), '');

  const before = await refusals(gateway, 'proxy_header');
  const bad = [upgrade(gateway), '\x16\x03\x01', v2('192.0.2.1', { command: 0x23 }), v2('192.0.2.1', { more: Buffer.alloc(4000) }), 'PROXY TCP4 nobody 10.0.0.1 1 2\r\n'];
  for (const parts of bad) assert.equal((await say(gateway, parts)).status, '');
  assert.equal(await refusals(gateway, 'proxy_header'), before + bad.length);

  assert.equal((await say(gateway, [v2('192.0.2.1'), upgrade(gateway)], { from: '127.0.0.1' })).status, '');
  assert.equal(await refusals(gateway, 'proxy_untrusted'), 1);
  assert.match(gateway.log(), /"event":"connection_refused".*"source":"127\.0\.0\.1"/);
  end();
});

test('PROXY: a header that does not come is waited for 5 s, and others are served meanwhile', async () => {
  const gateway = await world.gateway({ brokers: [broker], settings: `client:\n  trusted_proxies: ['${PROXY}']\n`, args: set('http.proxy_protocol=true') });
  const silent = [...Array(100)].map((_, i) => say(gateway, i % 2 === 0 ? [] : [v2('192.0.2.1').subarray(0, 14)]));
  assert.equal((await say(gateway, [v2('192.0.2.2'), upgrade(gateway)])).status, '101');
  for (const { status } of await Promise.all(silent)) assert.equal(status, '');
  assert.equal(await refusals(gateway, 'proxy_timeout'), 100);
  end();
});

test('PROXY: bounds of a source count whom the header names', async () => {
  const gateway = await world.gateway({
    brokers: [broker], args: set('http.proxy_protocol=true', 'client.connections_per_source=2'), settings: `client:\n  trusted_proxies: ['${PROXY}']\n`,
  });
  const from = (source) => say(gateway, [v2(source), upgrade(gateway)]);
  const first = await from('192.0.2.1');
  assert.equal(first.status, '101');
  assert.equal((await from('192.0.2.1')).status, '101');
  assert.equal((await from('192.0.2.1')).status, '');
  assert.equal((await from('192.0.2.2')).status, '101');
  assert.equal(await refusals(gateway, 'source_connections'), 1);
  assert.match(gateway.log(), /"event":"connection_refused".*"source":"192\.0\.2\.1","reason":"client\.connections_per_source"/);
  first.socket.destroy();
  await until('one of them may come again', async () => (await from('192.0.2.1')).status === '101');
  end();
});

test('PROXY: the header comes before TLS', async () => {
  const pem = (name) => path.join(world.folder, name);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=a',
    '-keyout', pem('a.key'), '-out', pem('a.crt')], { stdio: 'pipe' });
  const gateway = await world.gateway({
    brokers: [broker], settings: `client:\n  trusted_proxies: ['${PROXY}']\n`,
    args: set('http.proxy_protocol=true', `http.tls_certificate_file=${pem('a.crt')}`, `http.tls_key_file=${pem('a.key')}`),
  });
  const wrap = (plain) => {
    plain.write(v2('192.0.2.1'));
    const socket = tls.connect({ socket: plain, rejectUnauthorized: false });
    socket.write(upgrade(gateway));
    return socket;
  };
  assert.equal((await say(gateway, [], { wrap })).status, '101');
  end();
});

test('X-Forwarded-For: believed from trusted proxies only; bounds count the client, over them 429', async () => {
  const gateway = await world.gateway({ brokers: [broker], args: set('client.connections_per_source=2'), settings: `client:\n  trusted_proxies: ['${PROXY}', '10.0.0.0/8']\n` });
  const from = (header, options) => say(gateway, upgrade(gateway, [header].flat().map((each) => `X-Forwarded-For: ${each}`)), options);
  const first = await from('192.0.2.1');
  assert.equal(first.status, '101');
  assert.equal((await from('203.0.113.5, 192.0.2.1, 10.1.1.1')).status, '101');
  assert.equal((await from(['203.0.113.6', '192.0.2.1'])).status, '429', 'two headers are one list');
  assert.equal(await upgradeRefusals(gateway, 'source_connections'), 1);
  assert.equal((await from('192.0.2.2')).status, '101');
  assert.equal((await from('2001:db8::1')).status, '101');
  assert.equal((await from('2001:db8::2')).status, '101');
  assert.equal((await from('2001:db8::3')).status, '429', 'one /64 is one source');
  assert.equal((await from('unknown')).status, '400');
  assert.equal((await from(`${'x, '.repeat(600)}192.0.2.9`)).status, '400');
  assert.equal(await upgradeRefusals(gateway, 'forwarded_for'), 2);
  first.socket.destroy();
  await until('one of them may come again', async () => (await from('192.0.2.1')).status === '101');

  /* Who is no proxy speaks for himself, whatever he writes. */
  const self = [await from('192.0.2.50', { from: '127.0.0.1' }), await from('192.0.2.51', { from: '127.0.0.1' })];
  assert.deepEqual(self.map(({ status }) => status), ['101', '101']);
  assert.equal((await from('192.0.2.52', { from: '127.0.0.1' })).status, '', 'closed when it came');
  assert.equal(await refusals(gateway, 'source_connections'), 1);
  end();
});

test('X-Forwarded-For in the URL, which libwebsockets takes apart as a header, does not stand above the one of the proxy', async () => {
  const gateway = await world.gateway({ brokers: [broker], args: set('client.connections_per_source=1'), settings: `client:\n  trusted_proxies: ['${PROXY}']\n` });
  const inject = (target) => say(gateway, upgrade(gateway, ['X-Forwarded-For: 192.0.2.1']).replace('/connection/websocket', target));
  assert.equal((await inject('/connection/websocket')).status, '101');
  for (const [i, target] of ['?a%0AX-Forwarded-For:203.0.113.7%0AX-A:', '?a%20HTTP/1.1%0D%0AX-Forwarded-For:203.0.113.8%0D%0AX-A:', '?a%20HTTP/1.1%0AX-Forwarded-For:%20203.0.113.9%0AX-A:'].entries()) {
    const { status } = await inject(`/connection/websocket${target}`);
    assert.notEqual(status, '101', `${i}: let in as somebody else`);
  }
  end();
});

test('thousands from one source: others still connect, and those that are there stay', async () => {
  const gateway = await world.gateway({ brokers: [broker], args: set('client.handshakes_per_source=10', 'client.connections_per_source=20') });
  const there = await rawSocket(gateway.url, { localAddress: '127.0.0.7' });
  let refused = 0;
  for (let i = 0; i < 10; i += 1) {
    const outcomes = await Promise.all([...Array(200)].map(() => say(gateway, upgrade(gateway), { from: '127.0.0.2' })));
    refused += outcomes.filter(({ status }) => status === '').length;
  }
  assert.ok(refused >= 1980, `${refused} of 2000 refused`);
  const other = await rawSocket(gateway.url, { localAddress: '127.0.0.3' });
  assert.equal(there.closed, null);
  other.terminate();
  there.terminate();
  end();
});

test('networks that are none are refused at the start', async () => {
  const program = world.start('gateway/callboard-gateway', ['--config', world.write('networks.yaml', "client:\n  trusted_proxies: ['10.0.0.1/8']\n")]);
  assert.equal((await program.done).code, 3);
  assert.match(program.log(), /client\.trusted_proxies: 10\.0\.0\.1\/8 is no network/);
});
