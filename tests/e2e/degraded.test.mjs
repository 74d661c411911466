/* Redis is full, its disk is, it is slow: what publishers and subscribers are told meanwhile, what health and metrics say, and that
 * everything goes on by itself. (Away and back again: redis_away.test.mjs; away at the start: fallback.test.mjs.) */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { World, freePort, get, metric, subscribed, until } from './support.mjs';

let world;
let redis;
let broker;
let gateway;
before(async () => {
  world = new World();
  redis = await world.redis(['--save', '3600', '1', '--enable-debug-command', 'yes', '--enable-protected-configs', 'yes']);
  const settings = `redis:\n  url: ${redis.url}\n  survey: 300ms\n  command_timeout: 1s\n  pipeline_commands: 16\n`;
  broker = await world.broker({ id: 'one', settings });
  gateway = await world.gateway({ brokers: [broker], settings: 'client:\n  commands_per_second: 1000000\n' });
});
after(() => world.close());

const health = async () => JSON.parse((await get(broker.internal, '/health')).body);
const found = (id) => until(`${id} is found`, async () => (await health()).redis.findings.some((finding) => finding.id === id && finding.severity === 'error'), 15000);
const refused = (error) => [100, 111].includes(error.code) && error.temporary;

async function start(channel) {
  const client = await world.connected(gateway, { timeout: 8000 });
  const subscription = await subscribed(client, channel);
  await client.publish(channel, { i: 1 });
  await until('the first', () => subscription.got.length === 1);
  return { client, subscription };
}

/* It goes on without a gap, a double or a new connection. */
async function goesOn({ client, subscription }, channel) {
  await until('a publication is taken', () => client.publish(channel, { i: 2 }).then(() => true, (error) => {
    assert.ok(error.temporary, `refused for good: ${error.code}`);
    return false;
  }), 20000);
  await until('the last', () => subscription.got.some((p) => p.data.i === 2));
  subscription.got.forEach((p, at) => assert.equal(p.offset, at + 1, 'offsets step by one'));
  assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
  client.disconnect();
}

test('Redis is full (OOM): publishes are refused for the moment, reading goes on', async () => {
  const channel = 'demo:full';
  const both = await start(channel);
  redis.cli('config', 'set', 'maxmemory', '1');
  await assert.rejects(both.client.publish(channel, { i: 0 }), refused);
  assert.equal((await both.client.history(channel, { limit: 10 })).publications.length, 1, 'history is read');
  const late = await world.connected(gateway);
  assert.equal((await subscribed(late, channel, { since: { offset: 0, epoch: both.subscription.events.at(-1).streamPosition?.epoch ?? '' } })).events.at(-1).name, 'subscribed');
  await found('redis.memory');
  assert.ok(await metric(broker, 'callboard_broker_publishes_total{result="temporary"}') > 0);
  redis.cli('config', 'set', 'maxmemory', '0');
  await goesOn(both, channel);
  late.disconnect();
});

test('the disk of Redis is full (MISCONF): the same', async () => {
  const channel = 'demo:disk';
  const both = await start(channel);
  const folder = redis.cli('config', 'get', 'dir').split('\n').at(-1);
  const gone = path.join(folder, 'gone');
  fs.mkdirSync(gone);
  redis.cli('config', 'set', 'dir', gone);
  fs.rmdirSync(gone); // snapshots cannot be written any more
  redis.cli('bgsave');
  await until('the snapshot fails', () => redis.cli('info', 'persistence').includes('rdb_last_bgsave_status:err'));
  await assert.rejects(both.client.publish(channel, { i: 0 }), refused);
  assert.equal((await both.client.history(channel, { limit: 10 })).publications.length, 1, 'history is read');
  await found('redis.disk');
  redis.cli('config', 'set', 'dir', folder);
  await until('a snapshot is written', () => {
    try { redis.cli('bgsave'); } catch { /* one is under way */ }
    return redis.cli('info', 'persistence').includes('rdb_last_bgsave_status:ok');
  }, 20000);
  await goesOn(both, channel);
});

/* A file system of its own, 3 MB, in a mount namespace that ends with the server. */
async function redisOnFullDisk() {
  const port = await freePort();
  const folder = path.join(world.folder, `disk-${port}`);
  fs.mkdirSync(folder);
  const script = 'mount -t tmpfs -o size=3m disk "$1" && dd if=/dev/zero of="$1/ballast" bs=1k count=2500 status=none && cd "$1" && exec redis-server --port "$2" --bind 127.0.0.1 --dir "$1" --save "" --appendonly yes --appendfsync everysec';
  const child = spawn('unshare', [...(process.getuid() === 0 ? [] : ['--map-root-user']), '--mount', 'sh', '-c', script, 'sh', folder, String(port)], { stdio: 'ignore' });
  const cli = (...args) => execFileSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' }).trim();
  world.programs.push({ kill: (signal) => child.kill(signal), child, stop: () => child.kill('SIGKILL') });
  await until('redis answers', () => { try { return cli('ping') === 'PONG'; } catch { return false; } });
  return { port, cli, url: `redis://127.0.0.1:${port}`, makeRoom: () => fs.rmSync(`/proc/${child.pid}/root${folder}/ballast`) };
}
const mayMount = spawnSync('unshare', [...(process.getuid() === 0 ? [] : ['--map-root-user']), '--mount', 'sh', '-c', 'mount -t tmpfs disk /mnt']).status === 0;

test('the file system under the log of Redis is full: publishes are refused for sure, reading goes on, and room made is used', { skip: mayMount ? false : 'no mount namespaces here' }, async () => {
  const full = await redisOnFullDisk();
  const itsBroker = await world.broker({ id: 'disk', settings: `redis:\n  url: ${full.url}\n` });
  const itsGateway = await world.gateway({ brokers: [itsBroker], settings: 'client:\n  commands_per_second: 1000000\n' });
  const client = await world.connected(itsGateway, { timeout: 8000 });
  const subscription = await subscribed(client, 'demo:log');
  const acked = [];
  const text = 'x'.repeat(20000);
  const error = await (async () => {
    for (let i = 0; ; i += 1) {
      try {
        acked.push((await client.publish('demo:log', { i, text }), i));
      } catch (refusal) {
        return refusal;
      }
    }
  })();
  assert.ok(refused(error), `${error.code} ${error.message}`);
  assert.match(full.cli('info', 'persistence'), /aof_last_write_status:err/);
  assert.ok(acked.length > 3 && acked.length < 400, `${acked.length} were taken`);
  assert.ok((await client.history('demo:log', { limit: 2, reverse: true })).publications.length > 0, 'history is read');
  full.makeRoom();
  await until('a publication is taken', () => client.publish('demo:log', { i: -1 }).then(() => true, (again) => { assert.ok(refused(again), `${again.code}`); return false; }), 20000);
  await until('the last', () => subscription.got.at(-1)?.data.i === -1);
  assert.deepEqual(subscription.got.map((p) => p.data.i).filter((i) => i >= 0), acked, 'what was acknowledged came, once and in order; what was refused never');
  subscription.got.forEach((p, at) => assert.equal(p.offset, at + 1, 'offsets step by one'));
  client.disconnect();
});

/* Streams take no changes: it is written anew, with one bit other than it was, which leaves the JSON sound. */
const FLIP = `local all = redis.call('XRANGE', KEYS[1], '-', '+')
redis.call('DEL', KEYS[1])
for i, entry in ipairs(all) do redis.call('XADD', KEYS[1], entry[1], 'p', i == 2 and string.gsub(entry[2][2], 'right', 'rigit') or entry[2][2]) end`;

test('an entry that changed in Redis is nobody\'s publication: who recovers over it is told', async () => {
  const channel = 'demo:flipped';
  const settings = `redis:\n  url: ${redis.url}\n`;
  const before = await world.broker({ id: 'before', settings });
  const itsGateway = await world.gateway({ brokers: [before] });
  const client = await world.connected(itsGateway);
  for (const i of [1, 2, 3]) await client.publish(channel, { i, is: 'right' });
  const { epoch } = await client.history(channel, { limit: 0 });
  const keys = redis.cli('keys', `*:s:${channel}`).trim().split('\n');
  assert.equal(keys.length, 1);
  redis.cli('eval', FLIP, '1', keys[0]);
  await before.stop(); /* its memory still has what was published */
  await world.broker({ id: 'after', settings, port: before.port });
  const recovered = async (offset) => {
    const subscription = await subscribed(client, channel, { since: { offset, epoch } });
    const { wasRecovering, recovered: is } = subscription.events.find((event) => event.name === 'subscribed');
    assert.ok(wasRecovering);
    client.removeSubscription(subscription);
    return [is, subscription.got.map((p) => p.data.i)];
  };
  assert.deepEqual(await recovered(2), [true, [3]], 'behind it all is well');
  assert.deepEqual((await recovered(1))[0], false);
  client.disconnect();
});

test('a Redis that is too old is refused, with what to do about it', async () => {
  const relay = net.createServer((near) => {
    const far = net.connect(redis.port, '127.0.0.1');
    near.pipe(far);
    far.on('data', (bytes) => near.write(Buffer.from(bytes.toString('latin1').replace(/redis_version:\d+\.\d+\.(\d+)/, (text, patch) => `redis_version:6.0.${patch}`), 'latin1')));
    for (const socket of [near, far]) socket.on('error', () => {}).on('close', () => { near.destroy(); far.destroy(); });
  });
  const port = await freePort();
  await new Promise((resolve) => relay.listen(port, '127.0.0.1', resolve));
  try {
    const old = await world.broker({ id: 'old', settings: `redis:\n  url: redis://127.0.0.1:${port}\n` });
    const itsGateway = await world.gateway({ brokers: [old] });
    const reason = await until('it is said', async () => JSON.parse((await get(old.internal, '/health')).body).redis?.reason?.match(/older than 6\.2.*upgrade/)?.[0]);
    assert.ok(reason);
    const client = await world.connected(itsGateway, { timeout: 8000 });
    await assert.rejects(client.publish('demo:old', {}), refused);
    client.disconnect();
  } finally {
    relay.close();
  }
});

test('Redis is slow: what was not sent waits, and is refused when its time is over; what was sent is told once or unknown', async () => {
  const channel = 'demo:slow';
  const both = await start(channel);
  // One command that takes 3 s, three times the command timeout.
  const slept = new Promise((resolve) => execFile('redis-cli', ['-p', String(redis.port), 'debug', 'sleep', '3'], resolve));
  await until('it sleeps', () => new Promise((resolve) => execFile('redis-cli', ['-p', String(redis.port), 'ping'], { timeout: 200 }, (error) => resolve(error !== null))));
  const outcomes = { ok: 0, refused: 0, unknown: 0 };
  const tries = [];
  for (let i = 0; i < 200; i += 1) {
    tries.push(both.client.publish(channel, { i: 1000 + i }).then(() => { outcomes.ok += 1; }, (error) => {
      assert.ok(error.temporary || error.code < 100, `refused for good: ${error.code} ${error.message}`);
      outcomes[error.code === 120 ? 'unknown' : 'refused'] += 1;
    }));
  }
  await until('health says degraded', async () => (await health()).status === 'degraded', 10000);
  await Promise.all(tries);
  await slept;
  assert.equal(outcomes.ok + outcomes.refused + outcomes.unknown, 200, 'every publisher got an answer');
  assert.ok(outcomes.refused + outcomes.unknown > 0, JSON.stringify(outcomes));
  await until('health says ok', async () => (await health()).status === 'ok', 15000);
  await goesOn(both, channel);
  const seen = both.subscription.got.map((p) => p.data.i);
  assert.equal(new Set(seen).size, seen.length, 'nothing came twice');
  assert.ok(seen.length >= outcomes.ok + 2, 'what was acknowledged came');
});
