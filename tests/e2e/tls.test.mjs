/* TLS of the clients' port: what is spoken and what is not, the SDK over wss, certificates exchanged by a reload, files
 * that do not serve, handshakes that stand still. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { BUILD, World, get, metric, rawSocket, subscribed, until } from './support.mjs';

let world;
let appliance;
let url;

const file = (name) => path.join(world.folder, name);

/* A self-signed pair name.crt, name.key. */
function pair(name, { days = 90, algorithm = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], more = [] } = {}) {
  execFileSync('openssl', ['req', '-x509', '-newkey', ...algorithm, ...(more.length > 0 ? more : ['-nodes']), '-days', String(days),
    '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)], { stdio: 'pipe' });
}

function install(name, key = name) {
  fs.copyFileSync(file(`${name}.crt`), file('server.crt'));
  fs.copyFileSync(file(`${key}.key`), file('server.key'));
}

const settings = (args = []) => ['--set', `http.tls_certificate_file=${file('server.crt')}`, '--set', `http.tls_key_file=${file('server.key')}`, ...args];

before(async () => {
  world = new World();
  pair('first');
  pair('second', { algorithm: ['rsa:2048'] });
  pair('soon', { days: 3 });
  install('first');
  appliance = await world.appliance({ args: settings() });
  url = `wss://127.0.0.1:${appliance.port}/connection/websocket`;
});
after(() => world.close());

/* A WebSocket that takes any certificate; the SDK makes its own. */
class Trusting extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { rejectUnauthorized: false });
  }
}

/* The common name of the certificate that a new handshake is shown. */
function shown(port = appliance.port, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      const { subject } = socket.getPeerCertificate();
      resolve(subject.CN);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/* What openssl s_client makes of it: protocol and cipher, or '' where there was no handshake. */
function speak(args) {
  return new Promise((resolve) => {
    const child = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${appliance.port}`, ...args], { timeout: 10000 }, (error, out) => {
      const [, protocol, cipher] = /New, (\S+), Cipher is (\S+)/.exec(out) ?? [];
      resolve({ protocol: cipher === '(NONE)' || cipher === undefined ? '' : protocol, cipher, out });
    });
    child.stdin.end();
  });
}

test('TLS 1.2 and 1.3 are spoken with authenticated ciphers; older versions, weak ciphers, compression and HTTP/2 are not', async () => {
  const faults = [];
  const table = [
    [['-tls1_3'], 'TLSv1.3'],
    [['-tls1_2'], 'TLSv1.2'],
    [['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], ''],
    [['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], ''],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'], 'TLSv1.2'],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305'], 'TLSv1.2'],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA'], ''],
    [['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-SHA384'], ''],
    [['-tls1_2', '-cipher', 'AES128-GCM-SHA256'], ''],
    [['-tls1_2', '-cipher', 'ALL:aNULL:eNULL:@SECLEVEL=0:!ECDHE'], ''],
    [['-tls1_3', '-ciphersuites', 'TLS_AES_256_GCM_SHA384'], 'TLSv1.3'],
    [['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], ''],
  ];
  for (const [args, wanted] of table) {
    const { protocol, cipher } = await speak(args);
    if (protocol !== wanted) faults.push(`${args.join(' ')}: "${protocol}" (${cipher}), not "${wanted}"`);
  }
  assert.equal(faults.join('\n'), '');
  const { out } = await speak(['-tls1_2', '-alpn', 'h2,http/1.1', '-comp']);
  assert.match(out, /ALPN protocol: http\/1\.1/);
  assert.match(out, /Compression: NONE/);
  assert.doesNotMatch((await speak(['-alpn', 'h2'])).out, /ALPN protocol: h2/);
});

test('a client that wants to renegotiate is not followed', async () => {
  const child = execFile('openssl', ['s_client', '-tls1_2', '-connect', `127.0.0.1:${appliance.port}`], { timeout: 10000 });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
  await until('the handshake', () => /Verify return code/.test(said));
  child.stdin.write('R\n');
  const ended = new Promise((resolve) => { child.on('close', resolve); });
  await ended;
  assert.match(said, /no renegotiation|alert/i);
});

test('the SDK works over wss, with messages that do not fit one TLS record', async () => {
  const client = await world.connected({ url }, { websocket: Trusting });
  const subscription = await subscribed(client, 'demo:tls');
  const large = 'x'.repeat(60000);
  await subscription.publish({ large });
  await subscription.publish({ n: 2 });
  await until('both', () => subscription.got.length === 2);
  assert.equal(subscription.got[0].data.large, large);
  assert.ok(await metric(appliance, 'callboard_tls_handshakes_total') > 0);
  client.disconnect();
});

test('callboardctl selftest judges the certificate', async () => {
  const selftest = (...args) => new Promise((resolve) => {
    execFile(path.join(BUILD, 'tools/callboardctl'), ['selftest', '--url', url, '--config', appliance.file, ...args, 'demo:selftest'], (error, out, err) => resolve({ code: error?.code ?? 0, out, err }));
  });
  for (const trusting of [['--ca', file('first.crt')], ['--insecure']]) {
    const { code, out, err } = await selftest(...trusting);
    assert.equal(code, 0, err);
    assert.match(out, /All is well/);
  }
  for (const doubting of [[], ['--ca', (pair('other'), file('other.crt'))]]) {
    const { code, err } = await selftest(...doubting);
    assert.equal(code, 3);
    assert.match(err, /connect: .*SSL.*\n {2}is TLS spoken there, and is the certificate/);
  }
  const none = await selftest('--ca', file('nowhere.crt'));
  assert.equal(none.code, 2);
  assert.match(none.err, /no certificates in PEM can be read from .*nowhere\.crt/);
});

test('what is not TLS gets nothing on this port, and the internal one says what is spoken', async () => {
  await assert.rejects(rawSocket(`ws://127.0.0.1:${appliance.port}/connection/websocket`));
  assert.equal(JSON.parse((await get(appliance.internal, '/info')).body).tls, true);
  assert.match(appliance.log(), /clients https:\/\//);
});

test('handshakes that stand still are closed, before and in the middle of it, and others go on meanwhile', async () => {
  const hello = await new Promise((resolve) => { /* the first flight of a real client */
    const server = net.createServer((socket) => socket.once('data', (bytes) => { socket.destroy(); server.close(); resolve(bytes); }));
    server.listen(0, '127.0.0.1', () => tls.connect({ port: server.address().port, host: '127.0.0.1' }).on('error', () => {}));
  });
  const closed = (bytes) => new Promise((resolve) => {
    const began = Date.now();
    const socket = net.connect({ port: appliance.port, host: '127.0.0.1' }, () => { if (bytes.length > 0) socket.write(bytes); });
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => resolve(Date.now() - began));
  });
  const all = Promise.all([...Array(30)].flatMap(() => [closed(Buffer.alloc(0)), closed(hello.subarray(0, 20)), closed(hello)]));
  assert.equal(await shown(), 'first');
  for (const ms of await all) assert.ok(ms < 20000, `closed after ${ms} ms`);
});

const count = (program, pattern) => program.lines.filter((line) => pattern.test(line)).length;
async function reload(pattern) {
  const before = count(appliance, pattern);
  appliance.kill('SIGHUP');
  await until(`the log says ${pattern}`, () => count(appliance, pattern) > before);
}

test('SIGHUP: new handshakes are shown the new certificate, sessions that stand stay', async () => {
  const old = await world.connected({ url }, { websocket: Trusting });
  const subscription = await subscribed(old, 'demo:kept');
  assert.equal(await shown(), 'first');
  install('second');
  await reload(/"event":"config_reloaded"/);
  assert.equal(await shown(), 'second');
  assert.equal(await shown(appliance.port, { maxVersion: 'TLSv1.2' }), 'second', 'another kind of key, too');
  await subscription.publish({ n: 1 });
  await until('the push', () => subscription.got.length === 1);
  assert.equal(old.events.filter(({ name }) => name === 'disconnected' || name === 'connecting').length, 1);
  old.disconnect();
  install('first');
  await reload(/"event":"config_reloaded"/);
  assert.equal(await shown(), 'first');
});

test('files renewed as Kubernetes does it are taken up by themselves; half a pair is not, and is told of', async () => {
  const volume = file('secret');
  let version = 0;
  const swap = (crt, key = crt) => { /* what kubelet does: a new folder, then one link exchanged */
    version += 1;
    fs.mkdirSync(path.join(volume, `..v${version}`), { recursive: true });
    fs.copyFileSync(file(`${crt}.crt`), path.join(volume, `..v${version}`, 'tls.crt'));
    fs.copyFileSync(file(`${key}.key`), path.join(volume, `..v${version}`, 'tls.key'));
    fs.symlinkSync(`..v${version}`, path.join(volume, '..data_tmp'));
    fs.renameSync(path.join(volume, '..data_tmp'), path.join(volume, '..data'));
  };
  swap('first');
  for (const name of ['tls.crt', 'tls.key']) fs.symlinkSync(path.join('..data', name), path.join(volume, name));
  const mounted = await world.appliance({ args: ['--set', `http.tls_certificate_file=${path.join(volume, 'tls.crt')}`, '--set', `http.tls_key_file=${path.join(volume, 'tls.key')}`,
    '--set', 'http.tls_check_interval=1s'] });
  const old = await world.connected({ url: `wss://127.0.0.1:${mounted.port}/connection/websocket` }, { websocket: Trusting });
  const subscription = await subscribed(old, 'demo:renewed');
  const health = async () => JSON.parse((await get(mounted.internal, '/health')).body);
  assert.equal(await shown(mounted.port), 'first');

  swap('second', 'first');
  await until('the refusal is a finding', async () => (await health()).findings?.some(({ id }) => id === 'tls.renewal'));
  assert.match(mounted.log(), /"event":"tls_renewal_refused".*is not the key of the certificate/);
  assert.equal(await metric(mounted, 'callboard_tls_renewal_refused'), 1);
  assert.equal(await shown(mounted.port), 'first');

  swap('second');
  await until('the new certificate is shown', async () => await shown(mounted.port) === 'second');
  await until('the finding goes', async () => (await health()).findings === undefined);
  assert.equal(await metric(mounted, 'callboard_tls_renewal_refused'), 0);
  assert.equal(await metric(mounted, 'callboard_tls_renewals_total'), 1);

  await subscription.publish({ n: 1 });
  await until('the push on the connection of before', () => subscription.got.length === 1);
  assert.equal(old.events.filter(({ name }) => name === 'disconnected' || name === 'connecting').length, 1);
  old.disconnect();
});

test('files that do not serve are refused at a reload, with the reason, and the old ones stay', async () => {
  pair('locked', { more: ['-passout', 'pass:secret'] });
  const cases = [
    [() => install('first', 'second'), /http\.tls_key_file: .*server\.key: is not the key of the certificate/],
    [() => fs.writeFileSync(file('server.crt'), 'nonsense\n'), /http\.tls_certificate_file: .*server\.crt: holds no certificate in PEM/],
    [() => fs.rmSync(file('server.crt')), /http\.tls_certificate_file: .*server\.crt: No such file or directory/],
    [() => { install('first'); fs.writeFileSync(file('server.key'), 'nonsense\n'); }, /http\.tls_key_file: .*server\.key: holds no private key/],
    [() => install('locked'), /http\.tls_key_file: .*server\.key: holds no private key in PEM without a passphrase/],
  ];
  for (const [spoil, reason] of cases) {
    spoil();
    await reload(new RegExp(`"event":"config_reload_refused".*${reason.source}`));
    assert.equal(await shown(), 'first');
  }
  install('first');
  await reload(/"event":"config_reloaded"/);
});

test('a start with a key of another certificate ends and names the file', async () => {
  install('first', 'second');
  const program = world.start('tools/callboard', ['--set', 'http.port=0', '--set', 'internal.port=0', '--set', 'backend.endpoint=', '--set', 'backend.pull_endpoint=', ...settings()]);
  assert.equal((await program.done).code, 1);
  assert.match(program.log(), /callboard: http\.tls_key_file: .*server\.key: is not the key of the certificate/);
  install('first');
});

test('a certificate that ends soon, or has ended, is a finding of the health checks and a figure', async () => {
  const health = async () => JSON.parse((await get(appliance.internal, '/health')).body);
  assert.equal((await health()).findings, undefined);
  install('soon');
  await reload(/"event":"config_reloaded"/);
  assert.deepEqual((await health()).findings, [{ id: 'tls.certificate', severity: 'warning' }]);
  const [finding] = JSON.parse((await get(appliance.internal, '/info')).body).findings;
  assert.match(finding.what, /the certificate expires in 7\d hours/);
  assert.match(finding.mend, /taken up by themselves/);
  const ends = await metric(appliance, 'callboard_tls_certificate_expires_timestamp_seconds');
  assert.ok(Math.abs(ends - (Date.now() / 1000 + 3 * 86400)) < 3600, `${ends}`);
  install('first');
  await reload(/"event":"config_reloaded"/);
  assert.equal((await health()).findings, undefined);
});

test('http.tls_minimum 1.3 speaks nothing older', async () => {
  const strict = await world.appliance({ args: settings(['--set', 'http.tls_minimum=1.3']) });
  assert.equal(await shown(strict.port), 'first');
  await assert.rejects(shown(strict.port, { maxVersion: 'TLSv1.2' }));
  assert.ok(await metric(strict, 'callboard_tls_handshakes_failed_total') > 0);
});
