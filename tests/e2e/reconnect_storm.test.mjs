/* Everybody comes back at once, with the positions they had: what that costs Redis is a matter of channels, not of clients.
 *
 *   2,000 WebSockets, 20 channels ──▶ gateway ✗   (10 publications in each channel meanwhile)   new gateway ──▶ broker ──▶ Redis
 *
 * A new gateway asks its broker, who answers from its tail. A broker that is new, too, reads each channel once; twice where Redis
 * does not have the script yet. (Opening a partition, which many channels share, is a call of its own.) */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { World, metric, rawConnected, until } from './support.mjs';

const CHANNELS = 20;
const CLIENTS = 2000;
const MISSED = 10;
const SETTINGS = `
  - name: storm
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    history_size: 1000
    history_ttl: 10m
    force_recovery: true
    force_positioning: true
`;
const channels = Array.from({ length: CHANNELS }, (_, i) => `storm:${i}`);

let world;
let redis;
before(async () => {
  world = new World();
  redis = await world.redis();
});
after(() => world.close());

/* Without the comparison of each second: it asks for channels by itself, and is not of the storm. */
const newBroker = (port) => world.broker({ id: 'one', redis, settings: SETTINGS, port, env: { CALLBOARD_REDIS_COMPARED_CHANNELS: '0' } });
const newGateway = (broker) => world.gateway({ brokers: [broker],
  settings: `${SETTINGS}client:\n  handshakes_per_source: 0\n  commands_per_second: 1000000\n` });

/* What is asked of Redis from now on, by MONITOR; what a script does inside itself is no call. */
async function watch() {
  const child = spawn('redis-cli', ['-p', String(redis.port), 'monitor'], { stdio: ['ignore', 'pipe', 'ignore'] });
  world.programs.push({ stop: async () => child.kill('SIGKILL') });
  let text = '';
  child.stdout.on('data', (bytes) => { text += bytes; });
  await until('monitor begins', () => text.startsWith('OK'));
  return async () => {
    redis.cli('echo', 'storm-is-over');
    await until('monitor has told all', () => text.includes('storm-is-over'));
    child.kill('SIGKILL');
    const calls = text.split('\n').filter((line) => !line.includes(' lua] '));
    return new Map(channels.map((channel) => [channel, calls.filter((line) => line.includes(`:${channel}"`)).length]));
  };
}

/* All of them at once; resolves to each one's channel and its answer. */
async function subscribeAll(gateway, positions) {
  const sockets = [];
  while (sockets.length < CLIENTS) { // by hundreds: the kernel's queue before accept() is finite
    sockets.push(...await Promise.all(Array.from({ length: 100 }, () => rawConnected(gateway.url))));
  }
  const answers = sockets.map((socket, i) => new Promise((resolve, reject) => {
    const channel = channels[i % CHANNELS];
    socket.on('message', (data) => {
      const reply = data.toString().split('\n').map((line) => JSON.parse(line)).find(({ id }) => id === 2);
      if (reply) resolve({ channel, ...reply });
    });
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
    const since = positions ? { recover: true, ...positions.get(channel) } : {};
    socket.send(JSON.stringify({ id: 2, subscribe: { channel, ...since } }));
  }));
  return { sockets, answers: await Promise.all(answers) };
}

async function publishAll(gateway, n) {
  const client = await world.connected(gateway);
  for (let i = 0; i < n; i += 1) await Promise.all(channels.map((channel) => client.publish(channel, { i })));
  client.disconnect();
}

async function storm({ brokerToo }) {
  let broker = await newBroker();
  const first = await newGateway(broker);
  const other = await newGateway(broker);
  await publishAll(other, 3);
  const { sockets, answers } = await subscribeAll(first);
  const positions = new Map(answers.map(({ channel, subscribe }) => [channel, { epoch: subscribe.epoch, offset: subscribe.offset }]));
  assert.equal(positions.size, CHANNELS);

  sockets.forEach((socket) => socket.removeAllListeners('close'));
  await first.stop('SIGKILL');
  await publishAll(other, MISSED);
  if (brokerToo) {
    await other.stop('SIGKILL');
    await broker.stop('SIGKILL');
    broker = await newBroker();
  }
  const second = await newGateway(broker);
  const recovered = await metric(broker, 'callboard_broker_recoveries_total{result="yes"}');

  const counted = await watch();
  const back = await subscribeAll(second, positions);
  const calls = await counted();
  for (const { channel, error, subscribe } of back.answers) {
    assert.equal(error, undefined);
    const { offset, epoch } = positions.get(channel);
    assert.deepEqual([subscribe.recovered, subscribe.epoch], [true, epoch], channel);
    assert.deepEqual(subscribe.publications.map((p) => p.offset), Array.from({ length: MISSED }, (_, i) => offset + 1 + i), channel);
  }
  assert.ok(await metric(broker, 'callboard_broker_recoveries_total{result="yes"}') > recovered, 'the broker recovered them');
  for (const [channel, n] of calls) assert.ok(n <= 2, `${n} calls of Redis for ${channel}, which ${CLIENTS / CHANNELS} clients came back to`);
  back.sockets.forEach((socket) => socket.removeAllListeners('close'));
  await Promise.all([second.stop('SIGKILL'), other.stop('SIGKILL'), broker.stop('SIGKILL')]);
  return [...calls.values()].reduce((sum, n) => sum + n, 0);
}

test('2,000 subscribers come back through a new gateway: at most 2 calls of Redis a channel', () => storm({ brokerToo: false }));

test('2,000 subscribers come back to a new broker, too: at most 2 calls of Redis a channel', async () => {
  const n = await storm({ brokerToo: true });
  assert.ok(n >= CHANNELS, 'a broker without tails has to read, else nothing was counted here');
});
