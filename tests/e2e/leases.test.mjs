/* Leases and values of services over ZeroMQ: on the memory engine of an appliance, and on Redis, where two brokers take
 * each name. What an engine promises is tests/contract/engine_service_specs.c. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Service } from './backend_service.mjs';
import { BUILD, World, freePort, metric, sleep, until } from './support.mjs';

let world;
before(() => { world = new World(); });
after(() => world.close());

const waiters = (program) => metric(program, 'callboard_broker_lease_waiters');

function suite(mode, start) {
  describe(`on ${mode}`, () => {
    let nodes;
    let one;
    let two; /* at another broker, where there is one */
    before(async () => {
      nodes = await start();
      [one, two] = [0, nodes.length - 1].map((i) => new Service(`tcp://127.0.0.1:${nodes[i].router}`));
    });
    after(() => [one, two].forEach((service) => service.close()));

    test('a lease is acquired, renewed, released; its token is higher each time', async () => {
      const first = await one.ok('lease.acquire', { name: 'jobs:a', ttl: 5000 });
      assert.deepEqual([first.mode, first.ttl], [mode, 5000]);
      assert.ok(Number.isSafeInteger(first.token) && first.token > 0);
      const held = await two.error('lease.acquire', { name: 'jobs:a', ttl: 5000 });
      assert.deepEqual([held.code, held.reason, held.temporary, held.definite], [125, 'lease_held', true, true]);
      assert.deepEqual(await one.ok('lease.renew', { name: 'jobs:a', token: first.token, ttl: 7000 }), { mode, ttl: 7000 });
      for (const method of ['lease.renew', 'lease.release']) {
        const lost = await two.error(method, { name: 'jobs:a', token: first.token - 1, ...(method === 'lease.renew' ? { ttl: 1000 } : {}) });
        assert.deepEqual([lost.code, lost.reason, lost.temporary], [123, 'lease_lost', false]);
      }
      assert.deepEqual(await two.ok('lease.release', { name: 'jobs:a', token: first.token }), { mode });
      const second = await two.ok('lease.acquire', { name: 'jobs:a', ttl: 5000 });
      assert.ok(second.token > first.token);
      assert.equal((await one.error('lease.renew', { name: 'jobs:a', token: first.token, ttl: 1000 })).code, 123);
    });

    test('who waits is served in the order of coming, as soon as it is released', async () => {
      const name = 'jobs:queue';
      let { token } = await one.ok('lease.acquire', { name, ttl: 60000 });
      const order = [];
      const waiting = [];
      for (const who of ['a', 'b', 'c']) {
        waiting.push(one.ok('lease.acquire', { name, ttl: 60000, wait: 30000 }).then((lease) => { order.push([who, lease.token]); }));
        await until(`${who} waits`, async () => (await waiters(nodes[0])) === waiting.length);
      }
      const before = Date.now();
      for (let n = 0; n < 3; n++) {
        await one.ok('lease.release', { name, token });
        await until('the next', () => order.length === n + 1);
        assert.equal(order[n][0], 'abc'[n]);
        assert.ok(order[n][1] > token);
        token = order[n][1];
      }
      await Promise.all(waiting);
      assert.ok(Date.now() - before < 20000);
      await one.ok('lease.release', { name, token });
      await until('counted', async () => (await metric(nodes[0], 'callboard_broker_leases_waited_total')) >= 3);
    });

    test('a wait that is over is told, and a lease that ends by its time goes to who waits', async () => {
      const name = 'jobs:ending';
      const first = await one.ok('lease.acquire', { name, ttl: 1500 });
      assert.equal((await two.error('lease.acquire', { name, ttl: 1000, wait: 200 })).code, 125);
      const second = await two.ok('lease.acquire', { name, ttl: 60000, wait: 20000 });
      assert.equal(await waiters(nodes.at(-1)), 0, 'who has its answer is counted no more');
      assert.ok(second.token > first.token);
      assert.equal((await one.error('lease.release', { name, token: first.token })).code, 123);
    });

    test('who died while waiting holds nothing up, unless it may ask again under its key', async () => {
      const name = 'jobs:dying';
      const { token } = await one.ok('lease.acquire', { name, ttl: 60000 });
      const mortal = new Service(one.endpoint);
      await mortal.ok('subscribe', { channel: 'demo:dying' });
      await until('its subscription', async () => (await metric(nodes[0], 'callboard_backend_subscriptions')) === 1);
      mortal.send('lease.acquire', { name, ttl: 60000, wait: 30000 });
      await until('it waits', async () => (await waiters(nodes[0])) === 1);
      const next = one.ok('lease.acquire', { name, ttl: 60000, wait: 30000 });
      await until('the next waits', async () => (await waiters(nodes[0])) === 2);
      const dropped = await metric(nodes[0], 'callboard_backend_replies_dropped_total');
      mortal.close('SIGKILL');
      await until('an event notices that its connection is gone', async () => {
        await one.ok('publish', { channel: 'demo:dying' }, '1');
        return (await metric(nodes[0], 'callboard_backend_subscriptions')) === 0;
      });
      await one.ok('lease.release', { name, token });
      const lease = await next;
      assert.ok(lease.token > token);
      assert.equal(await metric(nodes[0], 'callboard_backend_replies_dropped_total'), dropped + 1);
      await one.ok('lease.release', { name, token: lease.token });
    });

    test('asked again under its idempotency_key the same lease is answered', async () => {
      const params = { name: 'jobs:again', ttl: 60000, idempotency_key: 'me, the third time' };
      const { token } = await one.ok('lease.acquire', params);
      assert.equal((await two.ok('lease.acquire', params)).token, token);
      assert.equal((await two.error('lease.acquire', { ...params, idempotency_key: 'another' })).code, 125);
    });

    test('values are set, read, counted and deleted; each answer says the mode', async () => {
      assert.deepEqual(await one.ok('kv.get', { key: 'cache:a' }), { mode, found: false });
      assert.deepEqual(await one.ok('kv.set', { key: 'cache:a', ttl: 60000 }, '{"n": [1, "é"]}'), { mode, found: false, ttl: 60000 });
      const got = await two.ok('kv.get', { key: 'cache:a' });
      assert.deepEqual([got.found, got.data], [true, { n: [1, 'é'] }]);
      assert.ok(got.ttl > 0 && got.ttl <= 60000);
      assert.equal((await two.ok('kv.exists', { key: 'cache:a' })).found, true);
      assert.deepEqual(await two.ok('kv.set', { key: 'cache:a' }, 'no JSON'), { mode, found: true });
      assert.deepEqual(await one.ok('kv.get', { key: 'cache:a' }), { mode, found: true, b64data: Buffer.from('no JSON').toString('base64') });
      assert.deepEqual(await one.ok('kv.del', { key: 'cache:a' }), { mode, found: true });
      assert.deepEqual(await two.ok('kv.del', { key: 'cache:a' }), { mode, found: false });
      assert.deepEqual(await one.ok('kv.incr', { key: 'count:a' }), { mode, value: 1 });
      assert.deepEqual(await two.ok('kv.incr', { key: 'count:a', by: -3 }), { mode, value: -2 });
      await one.ok('kv.set', { key: 'count:a' }, 'x');
      const wrong = await one.error('kv.incr', { key: 'count:a' });
      assert.deepEqual([wrong.code, wrong.message], [107, 'what this key holds, or what it would come to, is no whole number below 2^53']);
    });

    test('in a batch, too; a name is no channel: no namespace has to have it', async () => {
      const { replies } = await one.ok('batch', { requests: [
        { method: 'kv.set', params: { key: 'nowhere:b' }, payload: true },
        { method: 'kv.get', params: { key: 'nowhere:b' } },
        { method: 'lease.release', params: { name: 'nowhere:b', token: 1 } },
      ] }, '7');
      assert.deepEqual(replies.slice(0, 2), [{ result: { mode, found: false } }, { result: { mode, found: true, data: 7 } }]);
      assert.equal(replies[2].error.code, 123);
    });

    test('hits, misses and contention are counted', async () => {
      const sum = async (row) => (await Promise.all(nodes.map((node) => metric(node, row)))).reduce((a, b) => a + b, 0);
      for (const row of ['kv_reads_total{result="hit"}', 'kv_reads_total{result="miss"}', 'kv_writes_total', 'leases_total{result="granted"}',
        'leases_total{result="held"}', 'leases_total{result="lost"}', 'leases_total{result="renewed"}', 'leases_total{result="released"}']) {
        await until(row, async () => (await sum(`callboard_broker_${row}`)) > 0);
      }
      await until('nobody waits', async () => (await sum('callboard_broker_lease_waiters')) === 0);
    });
  });
}

suite('memory', async () => [await world.appliance()]);
suite('redis', async () => {
  const redis = await world.redis();
  return Promise.all(['one', 'two'].map((id) => world.broker({ id, redis })));
});

test('two brokers are served in turn, and a name that waits at both goes back and forth', async () => {
  const redis = await world.redis();
  const nodes = await Promise.all(['left', 'right'].map((id) => world.broker({ id, redis })));
  const services = nodes.map((node) => new Service(`tcp://127.0.0.1:${node.router}`));
  const name = 'jobs:turns';
  let { token } = await services[0].ok('lease.acquire', { name, ttl: 60000 });
  const served = [];
  for (let n = 0; n < 3; n++) {
    for (const side of [0, 1]) {
      services[side].ok('lease.acquire', { name, ttl: 60000, wait: 30000 }).then((lease) => { served.push({ side, token: lease.token }); });
      await until('it waits', async () => (await waiters(nodes[side])) === n + 1);
    }
  }
  for (let n = 0; n < 6; n++) {
    await services[n % 2].ok('lease.release', { name, token });
    await until('the next', () => served.length === n + 1);
    assert.ok(served[n].token > token);
    token = served[n].token;
  }
  const sides = served.map(({ side }) => side);
  assert.deepEqual(sides.filter((side) => side === 0).length, 3);
  assert.ok(sides.every((side, n) => n < 2 || !(side === sides[n - 1] && side === sides[n - 2])), `in turn: ${sides}`);
  services.forEach((service) => service.close());
});

test('bounds: how many wait, how large a value is, how long a name, a ttl and a wait', async () => {
  const server = await world.appliance({ args: ['--set', 'backend.lease_waiters=1', '--set', 'backend.value_bytes=1KiB', '--set', 'backend.name_bytes=20',
    '--set', 'backend.lease_ttl_max=10s', '--set', 'backend.lease_wait_max=10s', '--set', 'backend.value_ttl_max=1m', '--set', 'memory.services_bytes=64KiB',
    '--set', 'broker.shards=1'] });
  const service = new Service(`tcp://127.0.0.1:${server.router}`);
  const { token } = await service.ok('lease.acquire', { name: 'a', ttl: 10000 });
  const waiting = service.call('lease.acquire', { name: 'a', ttl: 10000, wait: 10000 });
  await until('it waits', async () => (await waiters(server)) === 1);
  const full = await service.error('lease.acquire', { name: 'a', ttl: 10000, wait: 10000 });
  assert.deepEqual([full.code, full.message], [111, 'backend.lease_waiters wait for leases already']);
  assert.equal(await metric(server, 'callboard_broker_lease_waiters_refused_total'), 1);
  await service.ok('lease.release', { name: 'a', token });
  assert.equal((await waiting).kind, 'ok');
  const cases = [
    ['lease.acquire', { name: 'a', ttl: 10001 }, 107, /backend\.lease_ttl_max, 10000 ms/],
    ['lease.renew', { name: 'a', token, ttl: 10001 }, 107, /backend\.lease_ttl_max/],
    ['lease.acquire', { name: 'a', ttl: 1, wait: 10001 }, 107, /backend\.lease_wait_max, 10000 ms/],
    ['lease.acquire', { name: 'x'.repeat(21), ttl: 1 }, 107, /21 bytes, backend\.name_bytes allows 20/],
    ['kv.get', { key: 'x'.repeat(21) }, 107, /21 bytes, backend\.name_bytes allows 20/],
    ['kv.set', { key: 'a' }, 124, /1025 bytes, backend\.value_bytes allows 1024/, 'v'.repeat(1025)],
    ['kv.set', { key: 'a', ttl: 60001 }, 107, /backend\.value_ttl_max, 60000 ms/, 'v'],
  ];
  for (const [method, params, code, message, payload] of cases) {
    const error = await service.error(method, params, payload);
    assert.equal(error.code, code);
    assert.match(error.message, message);
  }
  assert.equal((await service.ok('kv.set', { key: 'b' }, 'v')).ttl, 60000, 'without a ttl it is the longest');
  let answer;
  for (let n = 0; n < 100 && answer?.kind !== 'error'; n++) answer = await service.call('kv.set', { key: `k${n}` }, 'v'.repeat(1024));
  assert.equal(answer.body.code, 111);
  await until('counted', async () => (await metric(server, 'callboard_memory_services_refused_total')) >= 1);
  assert.ok((await service.ok('kv.get', { key: 'k0' })).found, 'nothing was pushed out');
  service.close();
});

test('memory in the place of Redis gives no leases, and says so; values go on, marked', async () => {
  const port = await freePort();
  const broker = await world.broker({ id: 'alone', settings: `redis:\n  fallback: memory\n  fallback_after: 300ms\n  url: redis://127.0.0.1:${port}\n` });
  await until('memory stands in for both shards', async () => (await metric(broker, 'callboard_broker_fallback')) === 2);
  const service = new Service(`tcp://127.0.0.1:${broker.router}`);
  for (const [method, params] of [['lease.acquire', { name: 'a', ttl: 1000, wait: 1000 }], ['lease.renew', { name: 'a', token: 1, ttl: 1000 }], ['lease.release', { name: 'a', token: 1 }]]) {
    const error = await service.error(method, params);
    assert.deepEqual([error.code, error.temporary, error.definite], [100, true, true]);
    assert.match(error.message, /memory stands in for Redis/);
  }
  assert.deepEqual(await service.ok('kv.set', { key: 'a' }, '1'), { mode: 'memory', found: false });
  service.close();
});

test('a broker that stops lets nobody wait; Redis away is told as such', async () => {
  const redis = await world.redis();
  const broker = await world.broker({ id: 'stops', redis, settings: '' });
  const service = new Service(`tcp://127.0.0.1:${broker.router}`);
  await service.ok('lease.acquire', { name: 'a', ttl: 60000 });
  const waiting = service.call('lease.acquire', { name: 'a', ttl: 60000, wait: 60000 });
  await until('it waits', async () => (await waiters(broker)) === 1);
  broker.kill('SIGTERM');
  const { kind, body } = await waiting;
  assert.deepEqual([kind, body.code, body.definite], ['error', 100, true]);
  service.close();
  await broker.done;

  const other = await world.broker({ id: 'stays', redis, settings: '' });
  const again = new Service(`tcp://127.0.0.1:${other.router}`);
  await again.ok('kv.set', { key: 'a' }, '1');
  await redis.stop();
  const away = await again.error('kv.get', { key: 'a' });
  assert.deepEqual([away.code, away.temporary, away.definite], [100, true, true]);
  again.close();
});

const CTL = path.join(BUILD, 'tools/callboardctl');
function ctl(server, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(CTL, ['--endpoint', `tcp://127.0.0.1:${server.router}`, ...args], { encoding: 'utf8', timeout: 30000, ...options });
  return { code: status, out: stdout, err: stderr };
}
/* A command under a lease, in the background; `file` is there when it runs. */
function under(server, name, args, command) {
  const child = spawn(CTL, ['--endpoint', `tcp://127.0.0.1:${server.router}`, 'lease', name, ...args, '--', 'bash', '-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { child.said += bytes; });
  child.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  return child;
}

test('callboardctl kv', async () => {
  const server = await world.appliance();
  assert.deepEqual(ctl(server, ['kv', 'set', 'a', 'no {JSON', '--ttl', '1m']), { code: 0, out: '', err: '' });
  assert.deepEqual(ctl(server, ['kv', 'get', 'a']), { code: 0, out: 'no {JSON\n', err: '' });
  assert.equal(ctl(server, ['kv', 'set', 'a', '-'], { input: '{"b": 1}' }).code, 0);
  assert.equal(ctl(server, ['kv', 'get', 'a']).out, '{"b": 1}\n');
  assert.deepEqual(JSON.parse(ctl(server, ['kv', 'get', 'a', '-o', 'json']).out), { mode: 'memory', found: true, data: { b: 1 } });
  assert.equal(ctl(server, ['kv', 'incr', 'n', '--by', '-4']).out, '-4\n');
  assert.equal(ctl(server, ['kv', 'exists', 'n']).code, 0);
  assert.equal(ctl(server, ['kv', 'del', 'n']).code, 0);
  for (const action of ['get', 'del', 'exists']) assert.deepEqual(ctl(server, ['kv', action, 'n']), { code: 1, out: '', err: 'callboardctl kv: there is no n\n' });
  assert.match(ctl(server, ['kv', 'incr', 'a']).err, /error 107: what this key holds/);
  for (const wrong of [['set', 'a'], ['get', 'a', 'b'], ['get', 'a', '--ttl', '1s'], ['incr', 'a', '--by', '1x'], ['swap', 'a']]) assert.equal(ctl(server, ['kv', ...wrong]).code, 2);
});

test('callboardctl lease: one at a time under it, with its token, code and signals; lost, it is ended', async () => {
  const server = await world.appliance();
  const service = new Service(`tcp://127.0.0.1:${server.router}`);
  const first = under(server, 'job', ['--ttl', '1s'], 'echo "$CALLBOARD_LEASE_NAME $CALLBOARD_LEASE_TOKEN"; sleep 1.5; exit 7');
  await until('it runs', () => /^job \d+\n/.test(first.said));
  assert.match(ctl(server, ['lease', 'job']).err, /error 125/);
  const second = under(server, 'job', ['--wait', '20s'], 'trap "exit 9" TERM; echo "$CALLBOARD_LEASE_TOKEN"; sleep 60 & wait');
  assert.equal(await first.ended, 7, 'it was renewed beyond its ttl');
  await until('the next runs', () => /^\d+\n/.test(second.said));
  assert.ok(Number(second.said) > Number(first.said.match(/\d+/)[0]));
  second.kill('SIGTERM');
  assert.equal(await second.ended, 9);

  const token = ctl(server, ['lease', 'job', '--ttl', '20s']).out.trim();
  assert.deepEqual(JSON.parse(ctl(server, ['lease', 'job', '--renew', token, '--ttl', '30s', '-o', 'json']).out), { mode: 'memory', ttl: 30000 });
  assert.deepEqual(ctl(server, ['lease', 'job', '--release', token]), { code: 0, out: '', err: '' });
  assert.match(ctl(server, ['lease', 'job', '--release', token]).err, /error 123/);
  assert.equal(ctl(server, ['lease', 'job', '--', '/no/such/program']).code, 127);
  for (const wrong of [['job', '--renew', '1', '--release', '1'], ['job', '--renew', '1', '--', 'true'], ['job', '--ttl', '100ms', '--', 'true']]) assert.equal(ctl(server, ['lease', ...wrong]).code, 2);

  const lost = under(server, 'job', ['--ttl', '2s'], 'trap "" TERM; echo $CALLBOARD_LEASE_TOKEN; while true; do sleep 0.1; done');
  await until('it runs', () => /^\d+\n/.test(lost.said));
  await service.ok('lease.release', { name: 'job', token: Number(lost.said) });
  assert.equal(await lost.ended, 1);
  assert.match(lost.said, /job is lost; the command is ended/);

  const alive = path.join(world.folder, 'alive');
  const silent = under(server, 'job', ['--ttl', '2s'], `trap "" TERM; echo runs; while true; do touch ${alive}; sleep 0.05; done`);
  await until('it runs', () => silent.said === 'runs\n');
  server.kill('SIGSTOP');
  assert.equal(await silent.ended, 1);
  assert.match(silent.said, /could not be renewed; the command is ended/);
  await until('nothing of it is left', async () => {
    const { mtimeMs } = fs.statSync(alive);
    await sleep(200);
    return fs.statSync(alive).mtimeMs === mtimeMs;
  });
  server.kill('SIGCONT');
  service.close();
});
