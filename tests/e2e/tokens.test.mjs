/* Tokens of every kind against a running server: algorithms, keys that end, key sets fetched from an issuer, keys of
 * subscription tokens, expiry and refresh through the SDK, revocation. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, freePort, get, makeToken, metric, rawConnected, rawSocket, subscribed, until } from './support.mjs';

const PAIRS = {
  RS256: crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: crypto.generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  EdDSA: crypto.generateKeyPairSync('ed25519'),
};
for (const algorithm of ['RS384', 'RS512', 'PS256', 'PS384', 'PS512']) PAIRS[algorithm] = PAIRS.RS256;

const now = () => Math.floor(Date.now() / 1000);
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/* Signed by Node, not by us. */
function signed(algorithm, key, claims, header = {}) {
  const body = `${part({ alg: algorithm, ...header })}.${part({ aud: 'e2e', iss: 'tests', exp: now() + 3600, iat: now(), sub: 'alice', ...claims })}`;
  const digest = `sha${algorithm.slice(2)}`;
  let signature;
  if (algorithm.startsWith('HS')) signature = crypto.createHmac(digest, key).update(body).digest();
  else if (algorithm === 'EdDSA') signature = crypto.sign(null, Buffer.from(body), key);
  else if (algorithm.startsWith('ES')) signature = crypto.sign(digest, Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' });
  else if (algorithm.startsWith('PS')) signature = crypto.sign(digest, Buffer.from(body), { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST });
  else signature = crypto.sign(digest, Buffer.from(body), key);
  return `${body}.${signature.toString('base64url')}`;
}

/* What becomes of one connect: "ok", an error code, or a close code. */
async function outcome(url, token) {
  const socket = await rawSocket(url);
  socket.send(JSON.stringify({ id: 1, connect: { token } }));
  await until('an answer', () => socket.messages.length > 0 || socket.closed);
  if (socket.closed) return socket.closed.code;
  const reply = JSON.parse(socket.messages[0]);
  socket.close();
  return reply.connect ? 'ok' : reply.error.code;
}

let world;
before(() => { world = new World(); });
after(() => world.close());

const publicPem = (pair) => pair.publicKey.export({ type: 'spki', format: 'pem' });
const privatePem = (pair) => pair.privateKey.export({ type: 'pkcs8', format: 'pem' });


async function appliance(token, more = '') {
  const port = await freePort();
  const internal = await freePort();
  const router = await freePort();
  const pull = await freePort();
  const file = world.write(`tokens-${port}.yaml`, `
http: {address: 127.0.0.1, port: ${port}}
internal: {port: ${internal}}
backend: {endpoint: "tcp://127.0.0.1:${router}", pull_endpoint: "tcp://127.0.0.1:${pull}"}
drain: {delay: 0, window: 1s}
namespaces:
  - {name: demo, allow_subscribe_for_client: true, allow_publish_for_client: true, history_size: 10, history_ttl: 1m, presence: true, join_leave: true, force_push_join_leave: true, allow_presence_for_subscriber: true}
${more}
${token}`);
  const program = world.start('tools/callboard', ['--config', file]);
  Object.assign(program, { port, internal, file, url: `ws://127.0.0.1:${port}/connection/websocket` });
  await until('ready', () => {
    if (program.exited) throw new Error(program.lines.join('\n'));
    return get(internal, '/ready').then((answer) => answer.status === 200, () => false);
  }, 20000);
  return program;
}

/* ---- algorithms and keys ---- */

test('tokens of every algorithm open the door, and those of another one do not', async () => {
  const rows = Object.entries(PAIRS).map(([algorithm, pair]) => {
    const file = world.write(`${algorithm}.pem`, publicPem(pair));
    return `    - {kid: ${algorithm}, algorithm: ${algorithm}, public_key_file: ${file}}`;
  });
  const secrets = { HS384: crypto.randomBytes(32).toString('hex'), HS512: crypto.randomBytes(32).toString('hex') };
  for (const [algorithm, secret] of Object.entries(secrets)) rows.push(`    - {kid: ${algorithm}, algorithm: ${algorithm}, secret: ${secret}}`);
  const server = await appliance(`token:\n  audience: e2e\n  issuer: tests\n  keys:\n${rows.join('\n')}\n`);
  for (const [algorithm, pair] of Object.entries(PAIRS)) {
    assert.equal(await outcome(server.url, signed(algorithm, pair.privateKey, {}, { kid: algorithm })), 'ok', algorithm);
    assert.equal(await outcome(server.url, signed('HS256', publicPem(pair), {}, { kid: algorithm })), 3500, `${algorithm} as a secret`);
    assert.equal(await outcome(server.url, signed(algorithm, pair.privateKey, {})), 3500, `${algorithm} without kid`);
  }
  for (const [algorithm, secret] of Object.entries(secrets)) {
    assert.equal(await outcome(server.url, signed(algorithm, secret, {}, { kid: algorithm })), 'ok', algorithm);
  }
  assert.equal(await outcome(server.url, signed('RS256', PAIRS.RS256.privateKey, {}, { kid: 'RS384' })), 3500);
  assert.equal(await outcome(server.url, signed('ES256', crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, {}, { kid: 'ES256' })), 3500);
  await server.stop();
});

test('callboardctl signs with private keys, and a kid', async () => {
  const ctl = path.join(BUILD, 'tools/callboardctl');
  const rows = ['PS256', 'ES384', 'EdDSA'].map((algorithm) => {
    world.write(`${algorithm}-private.pem`, privatePem(PAIRS[algorithm]));
    return `    - {kid: ${algorithm}, algorithm: ${algorithm}, public_key_file: ${world.write(`${algorithm}.pem`, publicPem(PAIRS[algorithm]))}}`;
  });
  const server = await appliance(`token:\n  audience: e2e\n  issuer: tests\n  keys:\n${rows.join('\n')}\n`);
  for (const algorithm of ['PS256', 'ES384', 'EdDSA']) {
    const token = execFileSync(ctl, ['token', '--algorithm', algorithm, '--private-key-file', path.join(world.folder, `${algorithm}-private.pem`), '--kid', algorithm,
      '--audience', 'e2e', '--issuer', 'tests', '--user', 'bob', '--ttl', '5m'], { encoding: 'utf8' }).trim();
    assert.equal(await outcome(server.url, token), 'ok', algorithm);
  }
  const wrong = spawnSync(ctl, ['token', '--algorithm', 'ES256', '--private-key-file', path.join(world.folder, 'ES384-private.pem'), '--user', 'bob'], { encoding: 'utf8' });
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /no point of P-256/);
  await server.stop();
});

test('a key that does not serve stops the start, with the reason', async () => {
  const weak = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
  const rows = [
    [`algorithm: RS256\n  public_key_file: ${world.write('weak.pem', publicPem(weak))}`, /token\.public_key_file: .*weak\.pem: the RSA key has 1024 bits, it needs 2048/],
    [`algorithm: RS256\n  public_key_file: ${world.write('private.pem', privatePem(PAIRS.RS256))}`, /private\.pem: there is no public key in PEM/],
    ['algorithm: RS256\n  public_key_file: /nowhere.pem', /\/nowhere\.pem: cannot be read: No such file/],
    [`algorithm: ES256\n  public_key_file: ${world.write('other.pem', publicPem(PAIRS.ES384))}`, /no point of P-256/],
    [`secret: ${'s'.repeat(32)}\n  keys: [{secret: ${'t'.repeat(32)}}]`, /token\.keys\[0\]\.secret: there is a key without kid already; say until when/],
    [`secret: ${'s'.repeat(32)}\n  revocation_file: /nowhere.txt`, /token\.revocation_file: \/nowhere\.txt: No such file/],
  ];
  for (const [lines, message] of rows) {
    const file = world.write('stops.yaml', `internal: {port: 0}\nhttp: {port: 0}\ntoken:\n  any_audience: true\n  ${lines}\n`);
    const run = spawnSync(path.join(BUILD, 'gateway/callboard-gateway'), ['--config', file], { encoding: 'utf8', timeout: 20000 });
    assert.notEqual(run.status, 0, lines);
    assert.match(run.stderr + run.stdout, message);
  }
});

test('an old secret is accepted until its time; a reload exchanges keys and closes nobody', async () => {
  const [old, fresh] = [crypto.randomBytes(32).toString('hex'), crypto.randomBytes(32).toString('hex')];
  const end = new Date((now() + 4) * 1000).toISOString().replace('.000', '');
  const server = await appliance(`token:\n  audience: e2e\n  issuer: tests\n  secret: ${old}\n`);
  const stays = await rawSocket(server.url);
  stays.send(JSON.stringify({ id: 1, connect: { token: signed('HS256', old, {}) } }));
  await stays.next();
  const text = fs.readFileSync(server.file, 'utf8').replace(`secret: ${old}`, `secret: ${fresh}\n  keys: [{secret: ${old}, until: "${end}"}]`);
  fs.writeFileSync(server.file, text);
  server.child.kill('SIGHUP');
  await until('the new secret counts', async () => await outcome(server.url, signed('HS256', fresh, {})) === 'ok');
  if (now() < Date.parse(end) / 1000 - 1) assert.equal(await outcome(server.url, signed('HS256', old, {})), 'ok');
  await until('the old secret ends', async () => await outcome(server.url, signed('HS256', old, {})) === 3500);
  assert.ok(Date.now() >= Date.parse(end));
  assert.equal(await outcome(server.url, signed('HS256', fresh, {})), 'ok');
  assert.equal(stays.closed, null);
  await server.stop();
});

test('subscription tokens may have keys of their own, and another claim may name the user', async () => {
  const secret = crypto.randomBytes(32).toString('hex');
  const file = world.write('sub.pem', publicPem(PAIRS.EdDSA));
  const server = await appliance(`token: {audience: e2e, issuer: tests, secret: ${secret}, user_id_claim: uid}
subscription_token: {audience: subs, issuer: tests, algorithm: EdDSA, public_key_file: ${file}, user_id_claim: uid}
`);
  const connection = signed('HS256', secret, { uid: 'ann', sub: 'ignored' });
  const client = world.client(server, { token: connection });
  client.connect();
  await client.ready(5000);
  const good = signed('EdDSA', PAIRS.EdDSA.privateKey, { aud: 'subs', uid: 'ann', channel: '$demo:a', info: { room: 1 } });
  const subscription = await subscribed(client, '$demo:a', { token: good });
  /* The reply comes first, the entry behind it. */
  const presence = await until('ann stands there', async () => { const { clients } = await subscription.presence(); return Object.keys(clients).length > 0 && clients; });
  assert.deepEqual(Object.values(presence).map((info) => [info.user, info.chanInfo]), [['ann', { room: 1 }]]);
  const other = client.newSubscription('$demo:b', { token: signed('HS256', secret, { uid: 'ann', channel: '$demo:b' }) });
  const refused = new Promise((resolve) => other.on('unsubscribed', resolve));
  other.subscribe();
  assert.equal((await refused).code, 103);
  assert.equal(await outcome(server.url, good), 3500);
  await server.stop();
});

/* ---- an issuer that publishes its keys ---- */

class Issuer {
  async start() {
    this.port = await freePort();
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=issuer', '-addext', 'subjectAltName=IP:127.0.0.1',
      '-keyout', path.join(world.folder, `issuer-${this.port}.key`), '-out', path.join(world.folder, `issuer-${this.port}.crt`)], { stdio: 'pipe' });
    this.ca = path.join(world.folder, `issuer-${this.port}.crt`);
    this.asked = 0;
    this.answer = (response) => response.end(JSON.stringify({ keys: this.keys }));
    this.server = https.createServer({ key: fs.readFileSync(path.join(world.folder, `issuer-${this.port}.key`)), cert: fs.readFileSync(this.ca) }, (request, response) => {
      this.asked += 1;
      this.answer(response, request);
    });
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    this.url = `https://127.0.0.1:${this.port}/keys`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  settings(more = '') {
    return `token: {audience: e2e, issuer: tests, jwks_url: "${this.url}", jwks_ca_file: ${this.ca}${more}}\n`;
  }
}

const jwk = (pair, kid, more = {}) => ({ ...pair.publicKey.export({ format: 'jwk' }), kid, use: 'sig', ...more });

test('keys are fetched from the issuer; a flood of unknown kids asks it once in 30 s, then the new key is there', { timeout: 90000 }, async () => {
  const issuer = await new Issuer().start();
  issuer.keys = [jwk(PAIRS.RS256, 'one'), jwk(PAIRS.EdDSA, 'two', { alg: 'EdDSA' }), { kty: 'oct', kid: 'no', k: 'AAAA' }];
  const server = await appliance(issuer.settings());
  await until('the keys are there', async () => await outcome(server.url, signed('RS256', PAIRS.RS256.privateKey, {}, { kid: 'one' })) === 'ok');
  const began = Date.now();
  assert.equal(await outcome(server.url, signed('EdDSA', PAIRS.EdDSA.privateKey, {}, { kid: 'two' })), 'ok');
  assert.equal(await outcome(server.url, signed('HS256', 'x'.repeat(32), {}, { kid: 'no' })), 100, 'a key that was left out is unknown');
  assert.equal(await metric(server, 'callboard_jwks_keys{set="token"}'), 2);
  assert.equal(issuer.asked, 1);
  issuer.keys.push(jwk(PAIRS.ES256, 'three'));
  const late = signed('ES256', PAIRS.ES256.privateKey, {}, { kid: 'three' });
  assert.equal(await outcome(server.url, late), 100, 'temporary: the client comes back');
  for (let i = 0; i < 200; i += 1) assert.equal(await outcome(server.url, signed('RS256', PAIRS.RS256.privateKey, {}, { kid: `flood-${i}` })), 100);
  assert.equal(issuer.asked, 1, 'within 30 s of the first fetch there is no other');
  const client = world.client(server, { token: late, maxReconnectDelay: 2000 });
  client.connect();
  await client.ready(60000);
  assert.ok(Date.now() - began > 25000);
  assert.equal(issuer.asked, 2);
  assert.equal(await metric(server, 'callboard_jwks_fetches_total{set="token"}'), 2);
  await server.stop();
  await issuer.stop();
});

const BAD_ANSWERS = [
  ['a redirect', (response) => { response.writeHead(302, { Location: 'https://127.0.0.1:1/keys' }); response.end(); }, /status 302: redirects are not followed/],
  ['an error', (response) => { response.writeHead(500); response.end('{"keys":[]}'); }, /status 500/],
  ['too much', (response) => response.end(`{"keys":[],"x":"${'x'.repeat(300000)}"}`), /more than 262144 bytes/],
  ['too much without a length', (response) => { for (let i = 0; i < 40; i += 1) response.write('x'.repeat(10000)); response.end(); }, /more than 262144 bytes/],
  ['no JSON', (response) => response.end('<html>'), /no key set/],
  ['a kid twice', (response) => response.end(JSON.stringify({ keys: [jwk(PAIRS.RS256, 'one'), jwk(PAIRS.EdDSA, 'one')] })), /two keys have the kid/],
  ['65 keys', (response) => response.end(JSON.stringify({ keys: Array.from({ length: 65 }, (_, i) => jwk(PAIRS.EdDSA, `k${i}`)) })), /more than 64 keys/],
];

for (const [name, answer, reason] of BAD_ANSWERS) {
  test(`an issuer that answers ${name} is told in log, metrics and health, and clients are told to come back`, async () => {
    const issuer = await new Issuer().start();
    issuer.answer = answer;
    const server = await appliance(issuer.settings());
    await until('it is logged', () => server.lines.some((line) => line.includes('jwks_fetch_failed') && reason.test(line)));
    assert.equal(await metric(server, 'callboard_jwks_failures_total{set="token"}'), 1);
    assert.equal(await metric(server, 'callboard_jwks_age_seconds{set="token"}'), -1);
    assert.equal(await outcome(server.url, signed('RS256', PAIRS.RS256.privateKey, {}, { kid: 'one' })), 100);
    assert.ok(JSON.parse((await get(server.internal, '/health')).body).findings.some((finding) => finding.id === 'token.keys' && finding.severity === 'error'));
    await server.stop();
    await issuer.stop();
  });
}

test('an issuer whose certificate nobody vouches for is not believed; one that says nothing holds nobody up', async () => {
  const issuer = await new Issuer().start();
  issuer.keys = [jwk(PAIRS.RS256, 'one')];
  const other = await new Issuer().start();
  other.answer = () => {}; /* never */
  const secret = crypto.randomBytes(32).toString('hex');
  const server = await appliance(`token: {audience: e2e, issuer: tests, secret: ${secret}, jwks_url: "${issuer.url}", jwks_ca_file: ${other.ca}}
subscription_token: {audience: e2e, issuer: tests, jwks_url: "${other.url}", jwks_ca_file: ${other.ca}}
`);
  await until('it is logged', () => server.lines.some((line) => line.includes('jwks_fetch_failed') && /certificate/.test(line)));
  assert.equal(issuer.asked, 0);
  await until('the silent one is asked', () => other.asked === 1);
  assert.equal(await outcome(server.url, signed('HS256', secret, {})), 'ok', 'the key of the settings counts');
  const began = Date.now();
  await server.stop();
  assert.ok(Date.now() - began < 8000, 'a fetch under way does not hold up the end');
  await issuer.stop();
  await other.stop();
});

/* ---- expiry and refresh, through the SDK ---- */

const settingsOfTime = 'token: {audience: e2e, issuer: tests, secret: e2e-secret-of-at-least-thirty-two-bytes}\nclient: {expired_close_delay: 1s}\n';
let timed;
const timedServer = async () => { timed ??= await appliance(settingsOfTime); return timed; };
const subToken = (channel, claims = {}) => makeToken({ sub: 'alice', channel, ...claims });

test('the SDK refreshes a subscription token before it ends, and the subscription stays', async () => {
  const server = await timedServer();
  const client = await world.connected(server);
  let asked = 0;
  const subscription = await subscribed(client, '$demo:fresh', { getToken: async () => { asked += 1; return subToken('$demo:fresh', { exp: now() + 2 }); } });
  await until('the third token', () => asked >= 3);
  assert.equal(subscription.state, 'subscribed');
  assert.deepEqual(subscription.events.map((event) => event.name).filter((name) => name === 'unsubscribed' || name === 'subscribing'), ['subscribing']);
  client.disconnect();
});

test('a subscription whose token is not refreshed ends with 2501 after the grace, and the SDK comes back with a new one', async () => {
  const server = await timedServer();
  const client = await world.connected(server);
  let asked = 0;
  const subscription = client.newSubscription('$demo:late', {
    /* The second answer never comes: the refresh is not sent. */
    getToken: () => { asked += 1; return asked === 2 ? new Promise(() => {}) : Promise.resolve(subToken('$demo:late', { exp: now() + (asked === 1 ? 1 : 60) })); },
  });
  const events = [];
  for (const name of ['subscribing', 'subscribed', 'unsubscribed']) subscription.on(name, (context) => events.push([name, context.code]));
  subscription.subscribe();
  await until('subscribed again', () => events.filter(([name]) => name === 'subscribed').length === 2);
  assert.ok(events.some(([name, code]) => name === 'subscribing' && code === 2501), JSON.stringify(events));
  assert.equal(asked, 3);
  client.disconnect();
});

test('an expired subscription token is error 109 and the SDK asks for another; one of somebody else is the end', async () => {
  const server = await timedServer();
  const client = await world.connected(server);
  let asked = 0;
  await subscribed(client, '$demo:expired', { getToken: async () => { asked += 1; return subToken('$demo:expired', { exp: asked === 1 ? now() - 5 : now() + 60 }); } });
  assert.equal(asked, 2);
  for (const claims of [{ sub: 'bob' }, { channel: '$demo:other' }, { client: 'another' }]) {
    const socket = await rawConnected(server.url, { sub: 'alice' });
    socket.send(JSON.stringify({ id: 2, subscribe: { channel: '$demo:foreign', token: subToken('$demo:foreign', claims) } }));
    assert.equal((await socket.ended()).code, 3500, JSON.stringify(claims));
  }
  for (const token of ['', 'x.y.z', makeToken({ sub: 'alice', channel: '$demo:foreign' }, 'another secret of more than 32 bytes, too')]) {
    const socket = await rawConnected(server.url, { sub: 'alice' });
    socket.send(JSON.stringify({ id: 2, subscribe: { channel: '$demo:foreign', ...(token === '' ? {} : { token }) } }));
    assert.equal(JSON.parse((await socket.next())[0]).error.code, 103);
    socket.close();
  }
  client.disconnect();
});

test('every way a sub_refresh ends', async () => {
  const server = await timedServer();
  const channel = '$demo:sub-refresh';
  const rows = [
    [{ channel, token: subToken(channel, { exp: now() + 60 }) }, 'ok'],
    [{ token: subToken(channel, { exp: now() + 60 }) }, 'ok'], /* old Python SDKs leave the channel out */
    [{ channel: '$demo:not-mine', token: subToken('$demo:not-mine') }, 103],
    [{ channel }, 107],
    [{}, 3501],
    [{ channel, token: subToken(channel, { exp: now() - 5 }) }, 3006],
    [{ channel, token: subToken(channel, { sub: 'bob' }) }, 3500],
    [{ channel, token: 'x.y.z' }, 3500],
  ];
  for (const [request, expected] of rows) {
    const socket = await rawConnected(server.url, { sub: 'alice' });
    socket.send(JSON.stringify({ id: 2, subscribe: { channel, token: subToken(channel, { exp: now() + 30 }) } }));
    await until('subscribed', () => socket.messages.some((message) => message.includes('"subscribe"')));
    socket.messages.length = 0;
    socket.send(JSON.stringify({ id: 3, sub_refresh: request }));
    const reply = () => socket.messages.flatMap((message) => message.split('\n')).filter((line) => line.includes('"id":3')).map((line) => JSON.parse(line))[0];
    await until('an answer', () => reply() || socket.closed);
    assert.equal(socket.closed ? socket.closed.code : reply().error ? reply().error.code : 'ok', expected, JSON.stringify(request));
    socket.close();
  }
});

test('every way a refresh ends; without one the connection ends with 3005', async () => {
  const server = await timedServer();
  const rows = [
    [{ token: makeToken({ sub: 'alice', exp: now() + 60 }) }, 'ok'],
    [{ token: makeToken({ sub: 'alice', exp: now() - 5 }) }, 3005],
    [{ token: makeToken({ sub: 'bob' }) }, 3500],
    [{ token: makeToken({ sub: 'alice' }, 'another secret of more than 32 bytes, too') }, 3500],
    [{ token: subToken('$demo:x') }, 3500],
    [{}, 3501],
  ];
  for (const [refresh, expected] of rows) {
    const socket = await rawConnected(server.url, { sub: 'alice', exp: now() + 30 });
    socket.send(JSON.stringify({ id: 2, refresh }));
    await until('an answer', () => socket.messages.length > 0 || socket.closed);
    assert.equal(socket.closed ? socket.closed.code : JSON.parse(socket.messages[0]).error?.code ?? 'ok', expected, JSON.stringify(refresh));
    socket.close();
  }
  const socket = await rawConnected(server.url, { sub: 'alice', exp: now() + 1 });
  assert.equal((await socket.ended()).code, 3005);
});

/* ---- revocation ---- */

test('a revoked token ends its connections on every gateway within 2 s, and opens none', async () => {
  const list = world.write('revoked.txt', '# nobody yet\n');
  const broker = await world.broker({ id: 'revoking' });
  const args = ['--set', `token.revocation_file=${list}`];
  const gateways = [await world.gateway({ brokers: [broker], args }), await world.gateway({ brokers: [broker], args })];
  const issued = now();
  const sockets = [];
  for (const gateway of gateways) {
    for (const claims of [{ sub: 'left', iat: issued }, { sub: 'stays', iat: issued }, { sub: 'stays', iat: issued, jti: 'stolen' }]) {
      const socket = await rawConnected(gateway.url, claims);
      sockets.push({ claims, socket });
    }
  }
  const holder = await rawConnected(gateways[0].url, { sub: 'stays', iat: issued });
  holder.send(JSON.stringify({ id: 2, subscribe: { channel: '$demo:closed', token: makeToken({ sub: 'stays', iat: issued, channel: '$demo:closed', jti: 'sub-1' }) } }));
  await until('subscribed', () => holder.messages.some((message) => message.includes('"subscribe"')));
  const began = Date.now();
  fs.appendFileSync(list, `{"user":"left","not_before":${issued + 1}}\n{"jti":"stolen","until":${issued + 9999}}\n{"jti":"sub-1"}\n`);
  const revoked = sockets.filter(({ claims }) => claims.sub === 'left' || claims.jti);
  await until('those are closed', () => revoked.every(({ socket }) => socket.closed), 5000);
  const took = Date.now() - began;
  assert.ok(took <= 2000, `took ${took} ms`);
  assert.deepEqual(revoked.map(({ socket }) => socket.closed.code), revoked.map(() => 3500));
  await until('the subscription ends', () => holder.messages.some((message) => message.includes('"code":2501')));
  for (const { socket, claims } of sockets) if (!revoked.some((each) => each.socket === socket)) assert.equal(socket.closed, null, JSON.stringify(claims));
  assert.equal(holder.closed, null);
  for (const gateway of gateways) {
    assert.equal(await outcome(gateway.url, makeToken({ sub: 'left', iat: issued })), 3500);
    assert.equal(await outcome(gateway.url, makeToken({ sub: 'left' })), 3500, 'without iat');
    assert.equal(await outcome(gateway.url, makeToken({ sub: 'left', iat: issued + 1 })), 'ok', 'a newer one');
    assert.equal(await outcome(gateway.url, makeToken({ sub: 'new', jti: 'stolen' })), 3500);
    assert.equal(await metric(gateway, 'callboard_token_revocations'), 3);
  }
  /* A line that is wrong: the last good list stays, and it is told. */
  const [gateway] = gateways;
  fs.appendFileSync(list, '{"user":"left"\n');
  await until('it is told', () => gateway.lines.some((line) => line.includes('revocations_refused') && line.includes('line 5')));
  assert.equal(await outcome(gateway.url, makeToken({ sub: 'left', iat: issued })), 3500);
  assert.ok(JSON.parse((await get(gateway.internal, '/health')).body).findings.some((finding) => finding.id === 'token.revocations'));
  fs.rmSync(list);
  await until('it is read again', async () => await metric(gateway, 'callboard_token_revocation_failures_total') >= 2);
  assert.equal(await outcome(gateway.url, makeToken({ sub: 'left', iat: issued })), 3500, 'a file that is gone revokes nothing back');
  /* Larger than it may be, then mended. */
  fs.writeFileSync(list, '');
  await until('the list is empty', async () => await metric(gateway, 'callboard_token_revocations') === 0);
  assert.equal(await outcome(gateway.url, makeToken({ sub: 'left', iat: issued })), 'ok');
  assert.equal(JSON.parse((await get(gateway.internal, '/health')).body).findings, undefined);
});

test('a list of revocations over token.revocation_bytes is refused, and the last good one stays', async () => {
  const list = world.write('large.txt', '{"jti":"a"}\n');
  const server = await world.appliance({ args: ['--set', `token.revocation_file=${list}`, '--set', 'token.revocation_bytes=1KiB'] });
  fs.appendFileSync(list, `#${'x'.repeat(1024)}\n{"jti":"b"}\n`);
  await until('it is told', () => server.lines.some((line) => line.includes('revocations_refused') && line.includes('larger than allowed')));
  assert.equal(await outcome(server.url, makeToken({ sub: 'x', jti: 'a' })), 3500);
  assert.equal(await outcome(server.url, makeToken({ sub: 'x', jti: 'b' })), 'ok');
  await server.stop();
});
