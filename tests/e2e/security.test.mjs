/* Keys, rights by key, and secrets: real processes over TCP. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, TOKENS, World, freePort, get, makeToken, metric, rawSocket, subscribed, until } from './support.mjs';

const CTL = path.join(BUILD, 'tools/callboardctl');
let world;
let keys;
let broker;
let gateway;

const listed = (list, name) => path.join(world.folder, list, `${name}.pub`);
const allow = (list, name) => fs.copyFileSync(`${keys[name]}.pub`, listed(list, name));
const revoke = (list, name) => fs.rmSync(listed(list, name));
const set = (settings) => Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
const brokerKeys = () => set({
  'broker.curve_key_file': keys.broker,
  'broker.curve_allowed_dir': path.join(world.folder, 'gateways'),
  'backend.curve_key_file': keys.broker,
  'backend.curve_allowed_dir': path.join(world.folder, 'services'),
});
const gatewayKeys = (name, server = 'broker') => set({ 'brokers.curve_key_file': keys[name], 'brokers.curve_broker_key': `${keys[server]}.pub` });

before(async () => {
  world = new World();
  keys = {};
  fs.mkdirSync(path.join(world.folder, 'gateways'));
  fs.mkdirSync(path.join(world.folder, 'services'));
  for (const name of ['broker', 'gateway', 'second', 'service', 'stranger']) {
    keys[name] = path.join(world.folder, name);
    assert.equal(spawnSync(CTL, ['keygen', keys[name]]).status, 0);
  }
  allow('gateways', 'gateway');
  allow('gateways', 'second');
  allow('services', 'service');
  broker = await world.broker({ id: 'locked', args: brokerKeys() });
  gateway = await world.gateway({ brokers: [broker], args: gatewayKeys('gateway') });
});
after(() => world.close());

function ctl(name, ...args) {
  const own = name === null ? [] : ['--curve-key', keys[name], '--curve-broker-key', `${keys.broker}.pub`];
  const result = spawnSync(CTL, ['--endpoint', `tcp://127.0.0.1:${broker.router}`, '--timeout', '1500', ...own, ...args], { encoding: 'utf8' });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

test('with the right keys users, gateway, broker and services reach each other', async () => {
  const client = await world.connected(gateway);
  const subscription = await subscribed(client, 'demo:keys');
  const { code, err } = ctl('service', 'pub', 'demo:keys', '"sealed"');
  assert.equal(code, 0, err);
  await until('it', () => subscription.got.some((p) => p.data === 'sealed'));
  client.disconnect();
});

test('a service without keys, with a key not on the list, or that expects another broker gets no answer', async () => {
  const before = await metric(broker, 'callboard_curve_zap_refused_total{endpoint="backends"}');
  for (const name of [null, 'stranger', 'gateway']) {
    const { code, err } = ctl(name, 'info');
    assert.equal(code, 3, `${name}: ${err}`);
    assert.match(err, /CURVE keys/);
  }
  const wrong = spawnSync(CTL, ['--endpoint', `tcp://127.0.0.1:${broker.router}`, '--timeout', '1000', '--curve-key', keys.service, '--curve-broker-key', `${keys.stranger}.pub`, 'info']);
  assert.equal(wrong.status, 3);
  await until('the refusals are counted', async () => (await metric(broker, 'callboard_curve_zap_refused_total{endpoint="backends"}')) >= before + 2);
  assert.match(broker.log(), /"event":"curve_key_refused"/);
});

test('a gateway without keys, with a key not on the list, or that expects another broker gets no link', async () => {
  const before = await metric(broker, 'callboard_curve_zap_refused_total{endpoint="gateways"}');
  const refused = [await world.gateway({ brokers: [broker], waits: false }),
    await world.gateway({ brokers: [broker], args: gatewayKeys('stranger'), waits: false }),
    await world.gateway({ brokers: [broker], args: gatewayKeys('second', 'stranger'), waits: false })];
  await until('their key is refused', async () => (await metric(broker, 'callboard_curve_zap_refused_total{endpoint="gateways"}')) > before);
  for (const each of refused) {
    await until('it tried', async () => (await metric(each, 'callboard_gateway_link_greetings_failed_total').catch(() => 0)) > 0);
    assert.match(each.log(), /"event":"broker_not_reached".*the CURVE keys of both ends/);
    assert.equal((await get(each.internal, '/ready')).status, 503);
    assert.equal(await metric(each, 'callboard_gateway_links_total'), 0);
  }
  assert.equal(await metric(broker, 'callboard_broker_links'), 3, "the good gateway's two workers, and the broker's own");
  await Promise.all(refused.map((each) => each.stop('SIGKILL')));
});

test("another key cannot take a living gateway's name", async () => {
  const name = (await get(gateway.internal, '/metrics')) && `gateway-${gateway.port}`;
  const before = await metric(broker, 'callboard_broker_links_ended_total{reason="refused"}');
  const thief = await world.gateway({ brokers: [broker], args: [...gatewayKeys('second'), '--set', `gateway.id=${name}`], waits: false });
  await until('it is refused', async () => (await metric(broker, 'callboard_broker_links_ended_total{reason="refused"}')) > before);
  await until('it says that it is not ready', async () => (await get(thief.internal, '/ready').catch(() => ({}))).status === 503);
  assert.equal((await get(gateway.internal, '/ready')).status, 200);
  await thief.stop('SIGKILL');
});

test('a revoked gateway key is out within two seconds, and in again when it is back on the list', async () => {
  const client = await world.connected(gateway);
  const subscription = await subscribed(client, 'demo:revoked');
  const began = Date.now();
  revoke('gateways', 'gateway');
  await until('the links are cut', async () => (await metric(broker, 'callboard_broker_links')) === 1, 5000);
  assert.ok(Date.now() - began <= 2000, `cut after ${Date.now() - began} ms`);
  assert.equal(ctl('service', 'pub', 'demo:revoked', '"while out"').code, 0);
  await until('it is told why', () => /"event":"broker_reset_link".*"reason":8/.test(gateway.log()));
  assert.equal(subscription.got.length, 0);
  allow('gateways', 'gateway');
  await until('what it missed', () => subscription.got.some((p) => p.data === 'while out'), 12000);
  assert.equal(client.events.filter((event) => event.name === 'connected').length, 1, 'its user noticed nothing');
  client.disconnect();
});

test('a revoked service key gets neither answers nor events any more', async () => {
  allow('services', 'second');
  const reader = spawn(CTL, ['--endpoint', `tcp://127.0.0.1:${broker.router}`, '--curve-key', keys.second, '--curve-broker-key', `${keys.broker}.pub`, 'sub', 'demo:service']);
  let got = '';
  reader.stdout.on('data', (bytes) => { got += bytes; });
  try {
    await until('its subscription', async () => (await metric(broker, 'callboard_backend_subscriptions')) === 1);
    assert.equal(ctl('service', 'pub', 'demo:service', '"before"').code, 0);
    await until('an event', () => got.includes('before'));
    const began = Date.now();
    revoke('services', 'second');
    await until('it is dropped', async () => (await metric(broker, 'callboard_backend_subscriptions')) === 0, 5000);
    assert.ok(Date.now() - began <= 2000, `dropped after ${Date.now() - began} ms`);
    assert.equal(ctl('service', 'pub', 'demo:service', '"after"').code, 0);
    assert.equal(ctl('second', 'info').code, 3);
    assert.doesNotMatch(got, /after/);
  } finally {
    reader.kill('SIGKILL');
  }
});

test('a connection made before the key was revoked is cut: its requests are answered no more', async () => {
  const script = `
import sys, zmq, time, pathlib
own, server, endpoint, listed = sys.argv[1:]
def read(name, what):
    return [line.split(' = ')[1].strip() for line in open(name) if line.startswith(what)][0].encode()
s = zmq.Context().socket(zmq.DEALER)
s.curve_publickey, s.curve_secretkey, s.curve_serverkey = read(own, 'public'), read(own, 'secret'), read(server, 'public')
s.rcvtimeo = 5000
s.connect(endpoint)
def ask():
    s.send_multipart([b'CB1', b'info', b'1', b'{}'])
    return s.recv_multipart()
print(ask()[1].decode())
pathlib.Path(listed).unlink()
kind = b'ok'
try:
    while kind == b'ok':
        kind = ask()[1]
        time.sleep(0.02)
    s.rcvtimeo = 2500
    while True:
        kind = ask()[1]
except zmq.Again:
    print('cut behind', kind.decode())
`;
  allow('services', 'second');
  const result = spawnSync('/usr/bin/python3', ['-c', script, keys.second, `${keys.broker}.pub`, `tcp://127.0.0.1:${broker.router}`, listed('services', 'second')], { encoding: 'utf8' });
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stdout, /^ok\ncut behind (ok|error)\n$/);
});

test('nothing listens or dials beyond the loopback without keys: exit code 3, and what to set', async () => {
  const cases = [
    ['broker/callboard-broker', 'broker.endpoint=tcp://0.0.0.0:7799', /broker\.endpoint: .*set broker\.curve_key_file and broker\.curve_allowed_dir/],
    ['broker/callboard-broker', 'backend.endpoint=tcp://*:7799', /backend\.endpoint: .*set backend\.curve_key_file/],
    ['broker/callboard-broker', 'backend.pull_endpoint=tcp://[::]:7799', /backend\.pull_endpoint: .*set backend\.curve_key_file/],
    ['broker/callboard-broker', `broker.curve_key_file=${keys.broker}`, /broker\.curve_allowed_dir: is needed/],
    ['gateway/callboard-gateway', 'brokers.endpoints=tcp://broker.example:7700', /brokers\.endpoints.*brokers\.curve_key_file/],
    ['tools/callboard', 'backend.endpoint=tcp://0.0.0.0:7799', /backend\.endpoint: .*set backend\.curve_key_file/],
  ];
  for (const [program, setting, message] of cases) {
    const result = spawnSync(path.join(BUILD, program), ['--set', setting], { encoding: 'utf8', timeout: 5000 });
    assert.equal(result.status, 3, `${program} ${setting}: ${result.stderr}`);
    assert.match(result.stderr, message);
  }
});

test('keys that cannot be used stop the start with exit code 1 and the reason', async () => {
  const open = path.join(world.folder, 'readable');
  fs.copyFileSync(keys.broker, open);
  fs.chmodSync(open, 0o644);
  const allowed = path.join(world.folder, 'gateways');
  const base = set({ 'broker.endpoint': `tcp://127.0.0.1:${await freePort()}`, 'internal.port': 0, 'backend.endpoint': '', 'backend.pull_endpoint': '' });
  const cases = [
    [{ 'broker.curve_key_file': path.join(world.folder, 'nowhere'), 'broker.curve_allowed_dir': allowed }, /nowhere.*No such file/],
    [{ 'broker.curve_key_file': open, 'broker.curve_allowed_dir': allowed }, /readable.*(mode|0600)/],
    [{ 'broker.curve_key_file': `${keys.broker}.pub`, 'broker.curve_allowed_dir': allowed }, /secret/],
    [{ 'broker.curve_key_file': keys.broker, 'broker.curve_allowed_dir': path.join(world.folder, 'nowhere') }, /nowhere.*No such file/],
  ];
  for (const [settings, message] of cases) {
    const result = spawnSync(path.join(BUILD, 'broker/callboard-broker'), [...base, ...set(settings)], { encoding: 'utf8', timeout: 10000 });
    assert.equal(result.status, 1, `${JSON.stringify(settings)}: ${result.stderr}`);
    assert.match(result.stderr, message);
  }
});

/* ---- secrets ---- */

const MARKERS = { token: 'geheim-token-secret-0123456789abcdef', internal: 'geheim-internal-token-0123456789', redis: 'geheim-redis-password' };

/* What others on the machine, or of the log's readers, may see of a process. */
function assertNothingLeaks(program, pages, more = []) {
  const proc = (file) => { try { return fs.readFileSync(`/proc/${program.pid}/${file}`, 'latin1'); } catch (error) { assert.equal(error.code, 'EACCES'); return ''; } };
  const places = { log: program.log(), cmdline: proc('cmdline'), environ: proc('environ'), ...pages };
  for (const [place, text] of Object.entries(places)) {
    for (const secret of ['geheim', ...more]) assert.ok(!text.includes(secret), `${secret} stands in the ${place} of ${program.name}`);
  }
  assert.match(places.cmdline, /callboard/);
}

const authorized = { headers: { Authorization: `Bearer ${MARKERS.internal}` } };
const page = async (program, where) => (await fetch(`http://127.0.0.1:${program.internal}${where}`, authorized)).text();

test('no secret stands in logs, pages, command lines or environments', async () => {
  const env = { CALLBOARD_TOKEN_SECRET: MARKERS.token, CALLBOARD_INTERNAL_TOKEN: MARKERS.internal, CALLBOARD_REDIS_PASSWORD: MARKERS.redis, CALLBOARD_LOG_LEVEL: 'debug' };
  const server = await world.appliance({ env, args: set({ 'http.sse': true }) });
  const good = makeToken({ sub: 'someone' }, MARKERS.token);
  const bad = makeToken({ sub: 'geheim-user' }, 'x'.repeat(32));
  const websocket = async (token, url = server.url, options = {}) => {
    const socket = await rawSocket(url, options);
    socket.send(JSON.stringify({ id: 1, connect: { token } }));
    await until('an answer', () => socket.messages.length > 0 || socket.closed);
    socket.send(`{"id":2,"bogus":"geheim"}\n{"id":3,"connect":{"token":"geheim-not-a-token"}}`);
    socket.send('geheim: no JSON at all');
    await socket.ended();
  };
  await websocket(good);
  await websocket(bad);
  await websocket('geheim.geheim.geheim');
  await websocket(good, `${server.url}?token=${good}&password=geheim`, { headers: { Cookie: 'session=geheim', Authorization: 'Bearer geheim' } }).catch(() => {});
  assert.equal((await fetch(`http://127.0.0.1:${server.port}/geheim?token=geheim`)).status, 404);
  /* The two endpoints that take a token in the address. */
  for (const token of [good, bad, 'geheim.geheim.geheim']) {
    const raw = await rawSocket(`ws://127.0.0.1:${server.port}/ws/plain:x?token=${token}`);
    raw.terminate();
    const stream = new AbortController();
    const connect = encodeURIComponent(JSON.stringify({ id: 1, connect: { token } }));
    const answer = await fetch(`http://127.0.0.1:${server.port}/connection/sse?cf_connect=${connect}`, { signal: stream.signal });
    await answer.body.getReader().read();
    stream.abort();
  }
  assert.equal((await fetch(`http://127.0.0.1:${server.internal}/metrics`, { headers: { Authorization: 'Bearer geheim-wrong-guess' } })).status, 401);
  const pages = Object.fromEntries(await Promise.all(['/metrics', '/ws/stats', '/health', '/ws/health'].map(async (where) => [where, await page(server, where)])));
  assert.match(pages['/metrics'], /callboard_websocket_connections/);
  const parts = [...good.split('.').slice(1), bad.split('.')[2]];
  assertNothingLeaks(server, pages, parts);
  fs.appendFileSync(server.file, '');
  server.kill('SIGHUP');
  await until('the reload', () => /"event":"config_reloaded"/.test(server.log()));
  const again = await rawSocket(server.url);
  again.send(JSON.stringify({ id: 1, connect: { token: good } }));
  assert.ok(JSON.parse((await again.next())[0]).connect, 'a reload still knows the secret that it took out of the environment');
  again.terminate();
  await server.stop();
  assert.ok(!server.log().includes('geheim'));
});

/* Ports that the process listens on: {port, isLocal}. */
function listening(pid) {
  const sockets = new Set(fs.readdirSync(`/proc/${pid}/fd`).map((fd) => { try { return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]; } catch { return undefined; } }));
  return ['tcp', 'tcp6'].flatMap((file) => fs.readFileSync(`/proc/${pid}/net/${file}`, 'utf8').trim().split('\n').slice(1)).map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode))
    .map(([, local]) => ({ port: parseInt(local.split(':')[1], 16), isLocal: local.startsWith('0100007F:') || local.startsWith('00000000000000000000000001000000:') }));
}

test('from outside only the port of clients can be reached, and it has no figures', async () => {
  const [http, internal, router, pull, link] = await Promise.all(Array.from({ length: 5 }, freePort));
  const file = world.write('defaults.yaml', TOKENS);
  const programs = [
    world.start('tools/callboard', ['--config', file, ...set({ 'http.port': http, 'internal.port': internal, 'backend.endpoint': `tcp://127.0.0.1:${router}`, 'backend.pull_endpoint': `tcp://127.0.0.1:${pull}` })]),
    world.start('broker/callboard-broker', set({ 'broker.endpoint': `tcp://127.0.0.1:${link}`, 'internal.port': await freePort(), 'backend.endpoint': `tcp://127.0.0.1:${await freePort()}`, 'backend.pull_endpoint': '' })),
  ];
  const reached = [[http], []];
  for (const [i, program] of programs.entries()) {
    await until('it listens', () => program.exited || listening(program.pid).length >= 2 + reached[i].length);
    const all = listening(program.pid);
    assert.deepEqual([...new Set(all.filter(({ isLocal }) => !isLocal).map(({ port }) => port))], reached[i], `${program.name}: ${JSON.stringify(all)}\n${program.log()}`);
  }
  for (const where of ['/metrics', '/ws/stats', '/health/redis', '/info', '/admin', '/debug']) assert.notEqual((await fetch(`http://127.0.0.1:${http}${where}`)).status, 200, where);
  await Promise.all(programs.map((program) => program.stop('SIGKILL')));
});

test('no user, channel or client stands in any figure', async () => {
  const server = await world.appliance();
  const client = await world.connected(server, { user: 'zz-marked-user' });
  const subscription = await subscribed(client, 'demo:zz-marked-channel');
  await subscription.publish('zz-marked-data');
  await until('it came', () => subscription.got.length === 1);
  const id = client._client; /* its client id */
  assert.ok(id);
  const pages = await Promise.all(['/metrics', '/ws/stats', '/health', '/health/redis', '/info'].map(async (where) => (await get(server.internal, where)).body));
  assert.match(pages[0], /callboard_client_connections/);
  for (const text of pages) assert.doesNotMatch(text, new RegExp(`zz-marked|${id}`));
  client.disconnect();
  await server.stop();
});

test('REDIS_URL leaves the environment, and a password on the command line is refused with the cure', async (t) => {
  const url = `redis://user:${MARKERS.redis}@127.0.0.1:${await freePort()}/0`;
  const refused = spawnSync(path.join(BUILD, 'tools/callboard'), ['--redis', url], { encoding: 'utf8' });
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /redis\.url: a password inside a URL .*_file.*environment/);
  assert.ok(!refused.stderr.includes('geheim'));
  const port = await freePort();
  const args = { 'broker.endpoint': `tcp://127.0.0.1:${await freePort()}`, 'backend.endpoint': '', 'backend.pull_endpoint': '', 'internal.port': port };
  const broker = world.start('broker/callboard-broker', set(args), { REDIS_URL: url });
  await until('it runs or ends', () => broker.exited || get(port, '/health').then(() => true, () => false));
  if (broker.exited) {
    assert.match(broker.log(), /no Redis engine/);
    assert.ok(!broker.log().includes('geheim'));
    t.skip('this build has no Redis engine');
    return;
  }
  assertNothingLeaks(broker, { metrics: (await get(port, '/metrics')).body, health: (await get(port, '/health')).body });
});

test('the log keeps within its rate, says so, and counts it', async () => {
  const server = await world.appliance({ args: ['--set', 'log.rate=1', '--set', 'log.level=debug'] });
  for (let i = 0; i < 20; i += 1) {
    const socket = await rawSocket(server.url);
    socket.terminate();
    server.kill('SIGHUP');
    await until('it was taken', async () => (await get(server.internal, '/health')).status === 200);
  }
  await until('the count is told', () => /"event":"log_suppressed".*"suppressed_event"/.test(server.log()), 5000);
  await until('and is a metric', async () => (await metric(server, 'callboard_log_suppressed_total')) > 0);
  assert.equal(await metric(server, 'callboard_log_lost_total'), 0);
});
