/* Tokens that services revoke, over failovers of Redis: Sentinel, Cluster, and a Redis that forgets what it acknowledged, so that the
 * channel of revocations begins anew. A revoked token stays locked out at every gateway, also at one that comes later. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { Cluster } from '../torture/worlds/cluster.mjs';
import { Sentinel } from '../torture/worlds/sentinel.mjs';
import { World, freePort, makeToken, metric, rawConnected, rawSocket, until } from './support.mjs';

const KEY = crypto.randomBytes(32).toString('base64url');
const HASH = crypto.createHash('sha256').update(KEY).digest('hex');
const WITHIN_MS = 2000;

function post(port, method, body) {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: `/api/${method}`, method: 'POST', agent: false, timeout: 8000, headers: { 'X-API-Key': KEY, 'Content-Length': Buffer.byteLength(text) } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => { answer += bytes; });
      response.on('end', () => resolve(JSON.parse(answer)));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 8 s')));
    request.on('error', reject);
    request.end(text);
  });
}

async function outcome(gateway, claims) {
  const socket = await rawSocket(gateway.url);
  socket.send(JSON.stringify({ id: 1, connect: { token: makeToken(claims) } }));
  await until('an answer', () => socket.messages.length > 0 || socket.closed);
  if (socket.closed) return socket.closed.code;
  socket.terminate();
  return JSON.parse(socket.messages[0]).connect ? 'ok' : 'error';
}

/* Gateways, the first with the HTTP API. */
async function gatewaysOf(kit, brokers, n) {
  const port = await freePort();
  const api = `http_api:\n  port: ${port}\n  keys:\n    - {name: all, hashes: [${HASH}], methods: ["*"], channels: ["*"]}\n`;
  const gateways = [await kit.gateway({ brokers, settings: api })];
  while (gateways.length < n) gateways.push(await kit.gateway({ brokers }));
  /* While Redis changes hands a call may end with a temporary error; repeating it is harmless. */
  gateways.revoke = (uid) => until(`${uid} is revoked`, async () => (await post(port, 'revoke_token', { uid })).result !== undefined, 20000);
  return gateways;
}

/* Revokes one before the failover and one behind it; who had the first before is out, and stays out everywhere. */
async function judge(kit, brokers, failOver) {
  const gateways = await gatewaysOf(kit, brokers, 2);
  const held = await rawConnected(gateways[1].url, { sub: 'ann', jti: 'before' });
  const other = await rawConnected(gateways[1].url, { sub: 'ann', jti: 'never' });
  await gateways.revoke('before');
  const began = Date.now();
  assert.equal((await held.ended()).code, 3500);
  assert.ok(Date.now() - began < WITHIN_MS, `out within ${Date.now() - began} ms`);
  await failOver();
  for (const gateway of gateways) assert.equal(await outcome(gateway, { sub: 'ann', jti: 'before' }), 3500, 'in the middle of it');
  await gateways.revoke('behind');
  await until('the other gateway hears of it', async () => await outcome(gateways[1], { sub: 'ann', jti: 'behind' }) === 3500, 10000);
  const late = await kit.gateway({ brokers });
  await until('a gateway that comes later holds both', async () => await metric(late, 'callboard_token_revocations') === 2, 10000);
  for (const gateway of [...gateways, late]) {
    for (const jti of ['before', 'behind']) assert.equal(await outcome(gateway, { sub: 'ann', jti }), 3500, jti);
    assert.equal(await outcome(gateway, { sub: 'ann', jti: 'never' }), 'ok');
  }
  assert.equal(other.closed, null, 'nobody else was closed');
  other.terminate();
  return gateways;
}

const toldAgain = async (gateways) => (await Promise.all(gateways.map((gateway) => metric(gateway, 'callboard_token_revocations_told_again_total')))).reduce((a, b) => a + b);

async function inWorld(Topology, failOver) {
  const world = new Topology({ say: () => {} });
  try {
    await world.startRedis();
    const brokers = [];
    for (let i = 0; i < 2; i += 1) brokers.push(await world.kit.broker({ id: `broker-${i}`, redis: { url: world.urlFor(i) } }));
    return await judge(world.kit, brokers, () => failOver(world));
  } finally {
    await world.close();
  }
}

test('Sentinel: the primary dies and a replica is promoted', async () => {
  await inWorld(Sentinel, async (world) => {
    const old = world.primary;
    await old.die();
    await world.failedOver(old);
  });
});

test('Cluster: the primary that has them dies and its replica is promoted', async () => {
  await inWorld(Cluster, async (world) => {
    let owner;
    for (const server of world.primaries()) if ((await server.cli('KEYS', '*revocations*')).length > 0) owner = server;
    assert.ok(owner, 'it stands at one of them');
    const replica = await world.replicaOf(owner);
    await owner.die();
    await world.promoted(replica);
    await owner.start(); /* one replica has to confirm */
  });
});

test('a Redis that lost what it had acknowledged is told again, in a new epoch', async () => {
  const world = new World();
  try {
    let redis = await world.redis();
    const { port } = redis;
    const broker = await world.broker({ id: 'forgotten', redis });
    let before;
    const gateways = await judge(world, [broker], async () => {
      before = redis.cli('KEYS', '*revocations*');
      assert.notEqual(before, '');
      await redis.stop();
      redis = await world.redis([], port); /* --save '': empty */
    });
    assert.ok(await toldAgain(gateways) >= 1);
  } finally {
    await world.close();
  }
});

/* Proxies of providers hide which server answers: nothing can be safe there, and where every namespace says fast the server is taken. The
 * channel of revocations, which no setting names, must not be the one that is refused. */
test('a Cluster that hides its servers takes them as fast, and is told again what it lost', async () => {
  const world = new World();
  const port = await freePort();
  const folder = path.join(world.folder, 'hidden');
  const start = async () => {
    const redis = await world.redis(['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--rename-command', 'INFO', ''], port);
    redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until('the cluster is up', () => redis.cli('CLUSTER', 'INFO').includes('cluster_state:ok'));
    return redis;
  };
  const busPort = await freePort();
  fs.mkdirSync(folder, { recursive: true });
  try {
    let redis = await start();
    const brokerPort = await freePort();
    const internal = await freePort();
    const file = world.write('fast.yaml', `
broker: {id: fast, shards: 2, endpoint: "tcp://127.0.0.1:${brokerPort}"}
internal: {port: ${internal}}
backend: {endpoint: "tcp://127.0.0.1:${await freePort()}", pull_endpoint: "tcp://127.0.0.1:${await freePort()}"}
redis: {url: "redis+cluster://127.0.0.1:${port}"}
namespaces:
  - {name: demo, allow_subscribe_for_client: true, history_size: 10, history_ttl: 10m, durability: fast}
`);
    const broker = Object.assign(world.start('broker/callboard-broker', ['--config', file]), { port: brokerPort, internal });
    await until('the broker has Redis', async () => (await fetch(`http://127.0.0.1:${internal}/ready`).catch(() => ({ status: 0 }))).status === 200, 20000);
    const gateways = await judge(world, [broker], async () => {
      await redis.stop();
      for (const name of fs.readdirSync(path.join(world.folder, `redis-${port}`))) fs.rmSync(path.join(world.folder, `redis-${port}`, name));
      redis = await start();
    });
    assert.ok(await toldAgain(gateways) >= 1);
    assert.ok(broker.log().includes('revocations_are_fast'));
  } finally {
    await world.close();
  }
});
