/* Soft ownership: three brokers, two gateways, one Redis. Whatever happens to a broker, no WebSocket closes, no subscription begins
 * anew, offsets step by one, and what a backend was told to have published is there once, in order. The backend publishes under
 * idempotency keys at all brokers in turn; gateways reach each broker through a proxy of the test's, which can swallow. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { World, freePort, metric, sleep, subscribed, until } from './support.mjs';

const CHANNELS = Array.from({ length: 12 }, (_, i) => `demo:owned-${i}`);
const IDS = ['broker-a', 'broker-b', 'broker-c'];
let world;
let redis;
let brokers;
let proxies;
let gateways;
before(async () => {
  world = new World();
  redis = await world.redis(['--appendonly', 'yes', '--appendfsync', 'everysec']);
  brokers = await Promise.all(IDS.map((id) => world.broker({ id, redis })));
  proxies = await Promise.all(brokers.map((broker) => startProxy(broker.port)));
  gateways = await Promise.all([0, 1].map(() => world.gateway({ brokers: proxies })));
});
after(async () => {
  await world.close();
  proxies.forEach((proxy) => proxy.close());
});

/* Bytes go through, or are swallowed without a word: `swallow` names the directions ('up' is towards the broker). */
async function startProxy(to) {
  const port = await freePort();
  const proxy = { port, swallow: new Set(), pairs: new Set() };
  const server = net.createServer((front) => {
    const back = net.connect(to, '127.0.0.1');
    const pair = [front, back];
    proxy.pairs.add(pair);
    const pass = (from, target, direction) => {
      from.on('data', (bytes) => { if (!proxy.swallow.has(direction)) target.write(bytes); });
      from.on('close', () => { proxy.pairs.delete(pair); target.destroy(); });
      from.on('error', () => {});
    };
    pass(front, back, 'up');
    pass(back, front, 'down');
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  /* A link that lost bytes is of no use any more: as after a partition that outlasted TCP's patience. */
  proxy.heal = () => {
    proxy.swallow.clear();
    for (const [front, back] of proxy.pairs) { front.destroy(); back.destroy(); }
  };
  proxy.close = () => { proxy.heal(); server.close(); };
  return proxy;
}

/* Ends when told; what it was told of every publication. */
function startPublisher() {
  const endpoints = brokers.map((broker) => `tcp://127.0.0.1:${broker.router}`);
  const child = spawn('/usr/bin/python3', [path.resolve('keyed_publisher.py'), CHANNELS.join(','), '25', ...endpoints], { stdio: ['pipe', 'pipe', 'inherit'] });
  const publisher = { acked: Object.fromEntries(CHANNELS.map((channel) => [channel, []])), duplicates: 0, retried: 0, n: 0 };
  let rest = '';
  child.stdout.on('data', (bytes) => {
    const lines = (rest + bytes).split('\n');
    rest = lines.pop();
    for (const line of lines.map((text) => JSON.parse(text))) {
      publisher.acked[line.ch].push(line);
      publisher.n += 1;
      publisher.duplicates += line.duplicate;
      publisher.retried += line.tries > 1;
    }
  });
  publisher.done = new Promise((resolve) => child.on('close', resolve));
  publisher.stop = async () => {
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 30000);
    const code = await publisher.done;
    clearTimeout(timer);
    assert.equal(code, 0, 'the publisher got everything acknowledged');
  };
  return publisher;
}

function check(subscription, channel, acked) {
  const offsets = subscription.got.map((p) => p.offset);
  offsets.forEach((offset, at) => assert.ok(at === 0 || offset === offsets[at - 1] + 1, `${channel}: ${offset} after ${offsets[at - 1]}`));
  const received = new Map(subscription.got.map((p) => [p.data.i, p.offset]));
  assert.equal(received.size, subscription.got.length, `${channel}: nothing came twice`);
  for (const { i, offset } of acked) assert.equal(received.get(i), offset, `${channel}: ${i} was acknowledged at ${offset}`);
  assert.deepEqual([...received.keys()], acked.map(({ i }) => i), `${channel}: in order, and nothing but what was published`);
}

/* The event under load. Returns the publisher, for what the outcome was. */
async function nobodyNotices(event) {
  const readers = [];
  const subscriptions = [];
  for (const gateway of gateways) {
    const reader = await world.connected(gateway);
    readers.push(reader);
    for (const channel of CHANNELS) subscriptions.push([channel, await subscribed(reader, channel)]);
  }
  const publisher = startPublisher();
  await until('every channel is published to', () => CHANNELS.every((channel) => publisher.acked[channel].length >= 3), 20000);
  await event(publisher);
  const before = CHANNELS.map((channel) => publisher.acked[channel].length);
  await until('publishing goes on in every channel', () => CHANNELS.every((channel, at) => publisher.acked[channel].length >= before[at] + 3), 20000);
  await publisher.stop();
  await until('everything acknowledged has arrived', () => subscriptions.every(([channel, subscription]) => {
    const last = publisher.acked[channel].at(-1);
    return subscription.got.some((p) => p.data.i === last.i);
  }), 20000);
  for (const [channel, subscription] of subscriptions) {
    check(subscription, channel, publisher.acked[channel]);
    assert.deepEqual(subscription.events.map((e) => e.name).filter((name) => name !== 'join' && name !== 'leave'), ['subscribing', 'subscribed'], `${channel}: subscribed once`);
  }
  for (const reader of readers) {
    assert.equal(reader.events.filter((e) => e.name === 'connected').length, 1, 'no WebSocket was closed');
    reader.disconnect();
  }
  return publisher;
}

/* Lets what goes on now come further before the next step. */
async function further(publisher, n = 100) {
  const end = publisher.n + n;
  await until(`${n} more acknowledgements`, () => publisher.n >= end, 20000);
}

async function restart(at, signal) {
  const { id, port } = brokers[at];
  const exit = await brokers[at].stop(signal);
  brokers[at] = Object.assign(world.start('broker/callboard-broker', ['--config', brokers[at].file]), { ...pick(brokers[at]), id, port });
  return exit;
}
const pick = ({ internal, router, pull, file }) => ({ internal, router, pull, file });

const alive = (n) => until(`both gateways see ${n} brokers`, async () => {
  const seen = await Promise.all(gateways.map((gateway) => metric(gateway, 'callboard_gateway_brokers_alive')));
  return seen.every((value) => value === n);
}, 20000);

test('every broker owns a share of the channels (rendezvous)', async () => {
  const readers = await Promise.all(gateways.map((gateway) => world.connected(gateway)));
  for (const reader of readers) for (const channel of CHANNELS) await subscribed(reader, channel);
  const held = await Promise.all(brokers.map((broker) => metric(broker, 'callboard_broker_subscriptions')));
  held.forEach((n, at) => assert.ok(n > 0, `${IDS[at]} serves nothing: ${held}`));
  readers.forEach((reader) => reader.disconnect());
});

test('rolling restart of all brokers under load: nothing closed, lost or doubled', async () => {
  await nobodyNotices(async (publisher) => {
    for (let at = 0; at < brokers.length; at += 1) {
      const exit = await restart(at, 'SIGTERM');
      assert.equal(exit.code, 0, 'a drained broker ends well');
      await alive(3);
      await further(publisher);
    }
  });
});

test('a broker that is killed: another serves its channels from where they stood', async () => {
  await nobodyNotices(async (publisher) => {
    const exit = await restart(0, 'SIGKILL');
    assert.equal(exit.signal, 'SIGKILL');
    await alive(3);
    await further(publisher);
  });
});

test('a broker that is stopped (SIGSTOP) and goes on (SIGCONT): its late appends change nothing', async () => {
  const publisher = await nobodyNotices(async (running) => {
    brokers[1].kill('SIGSTOP');
    await alive(2);
    await further(running, 300);
    brokers[1].kill('SIGCONT');
    await alive(3);
    await further(running);
  });
  assert.ok(publisher.retried > 0, 'some were sent to the stopped broker and again to another');
});

test('a broker that no gateway reaches, but which lives and appends (partition both ways)', async () => {
  await nobodyNotices(async (publisher) => {
    proxies[2].swallow = new Set(['up', 'down']);
    await alive(2);
    await further(publisher, 300); /* a third of it through the broker that is cut off */
    proxies[2].heal();
    await alive(3);
    await further(publisher);
  });
});

test('a broker that hears its gateways and is not heard (partition one way)', async () => {
  await nobodyNotices(async (publisher) => {
    proxies[0].swallow = new Set(['down']);
    await alive(2);
    await further(publisher, 300);
    proxies[0].heal();
    await alive(3);
    await further(publisher);
  });
});
