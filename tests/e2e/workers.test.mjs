/* Workers: services that answer clients' rpc, over real ZeroMQ, asked by the published SDK. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { World, metric, until } from './support.mjs';

let world;
let server;
let client;
const children = [];
before(async () => {
  world = new World();
  server = await world.appliance({ args: ['--set', 'client.rpc=true', '--set', 'client.call_timeout=1s', '--set', 'backend.worker_calls=2'] });
  client = await world.connected(server);
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  return world.close();
});

async function worker(methods, { repeatable = '', mute = false, at = server } = {}) {
  const child = spawn('/usr/bin/python3', ['worker.py', `tcp://127.0.0.1:${at.router}`, methods, repeatable, mute ? 'mute' : ''], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  child.asked = [];
  let rest = '';
  child.stdout.on('data', (bytes) => {
    const lines = (rest + bytes).split('\n');
    rest = lines.pop();
    child.asked.push(...lines.map((line) => JSON.parse(line)));
  });
  await until('its registration', () => child.asked.some((line) => line.kind === 'ok'));
  child.requests = () => child.asked.filter((line) => line.kind === 'request');
  child.end = async () => {
    child.kill('SIGKILL');
    await until('it is gone', () => child.signalCode !== null);
  };
  return child;
}

const workers = (at = server) => metric(at, 'callboard_backend_workers');

test('work refuses what no worker is asked for', () => {
  const { stdout } = spawnSync('/usr/bin/python3', ['-c', `
import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
for params in (b'{"methods":["history"]}', b'{"methods":["rpc:' + b'x' * 125 + b'"]}', b'{"methods":"rpc:a"}', b'{}', b'{"methods":[],"more":[]}', b'{"methods":["rpc:a",1]}'):
    socket.send_multipart([b"CB1", b"work", b"1", params])
    print(b" ".join(socket.recv_multipart()).decode())
`, `tcp://127.0.0.1:${server.router}`], { encoding: 'utf8', timeout: 20000 });
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, 6);
  for (const line of lines) assert.match(line, /^CB1 error 1 \{"code":107,/);
  assert.match(lines[0], /begins with rpc:/);
});

/* What a service gets for each of these: [params, payload or null]. */
function serviceAsks(requests) {
  const { stdout } = spawnSync('/usr/bin/python3', ['-c', `
import json, sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
for params, payload in json.loads(sys.argv[2]):
    socket.send_multipart([b"CB1", b"rpc", b"7", json.dumps(params).encode()] + ([payload.encode()] if payload is not None else []))
    print(json.dumps([frame.decode() for frame in socket.recv_multipart()]))
`, `tcp://127.0.0.1:${server.router}`, JSON.stringify(requests)], { encoding: 'utf8', timeout: 20000 });
  return stdout.trim().split('\n').map((line) => JSON.parse(line)).map(([, kind, , body, ...payload]) => ({ kind, body: JSON.parse(body), payload }));
}

test('a service asks a worker as a client does', async () => {
  const [none, ...bad] = serviceAsks([[{ method: 'echo' }, 'x'], [{}, null], [{ method: '' }, null], [{ method: 'x'.repeat(125) }, null], [{ method: 'a', timeout_ms: 0 }, null], [{ method: 'a', timeout_ms: 60001 }, null], [{ method: 'a', more: 1 }, null]]);
  assert.deepEqual([none.kind, none.body.code, none.body.definite], ['error', 108, true]);
  for (const each of bad) assert.deepEqual([each.kind, each.body.code], ['error', 107]);
  const one = await worker('rpc:*');
  const [echo, object, error, gone, never] = serviceAsks([[{ method: 'echo' }, 'any\u0001bytes'], [{ method: 'object' }, null], [{ method: 'error' }, ''], [{ method: 'disconnect' }, ''], [{ method: 'never', timeout_ms: 300 }, '']]);
  assert.deepEqual([echo.kind, echo.body, echo.payload], ['ok', {}, ['any\u0001bytes']]);
  const { asked } = object.body.data;
  assert.deepEqual([asked.method, asked.transport, asked.service, asked.client], ['rpc:object', 'backend', '', undefined]);
  assert.deepEqual([error.kind, error.body], ['error', { code: 1234, reason: 'worker', message: 'no such seat', temporary: false, definite: true }]);
  assert.deepEqual([gone.body.code, gone.body.message], [4501, 'go away']);
  assert.deepEqual([never.kind, never.body.code, never.body.definite], ['error', 120, false]);
  await one.end();
  await until('no worker', async () => (await workers()) === 0, 15000);
});

test('without a worker an rpc fails with a temporary error', async () => {
  await assert.rejects(client.rpc('echo', {}), { code: 100, temporary: true });
});

test('a worker answers: with its payload, with data, with an error, with a disconnect', async () => {
  const one = await worker('rpc:*');
  assert.deepEqual((await client.rpc('echo', { seat: 'ä', n: 1 })).data, { seat: 'ä', n: 1 });
  const { asked } = (await client.rpc('object', null)).data;
  assert.equal(asked.method, 'rpc:object');
  assert.equal(asked.transport, 'websocket');
  assert.ok(asked.client.length > 10 && asked.deadline_ms > 0 && asked.deadline_ms <= 1000);
  await assert.rejects(client.rpc('error', {}), { code: 1234, message: 'no such seat' });
  await assert.rejects(client.rpc('invalid', {}), { code: 100 });
  await until('the worker is told what is wrong with its answer', () => one.asked.some((line) => line.code === 107));
  const other = await world.connected(server);
  const gone = new Promise((resolve) => other.once('disconnected', resolve));
  other.rpc('disconnect', {}).catch(() => {});
  assert.deepEqual((await gone).code, 4501);
  const binary = await world.connected(server, { encoding: 'protobuf' });
  assert.equal(Buffer.from((await binary.rpc('echo', { b: 2 })).data).toString(), '{"b":2}');
  await assert.rejects(client.rpc('x'.repeat(200), {}), { code: 107 });
  await one.end();
});

test('a worker that is killed is noticed; its call fails with 122, or goes to another where that is harmless', async () => {
  await until('no worker', async () => (await workers()) === 0, 15000);
  
  const at = await patient();
  const slow = await world.connected(at);
  const lonely = await worker('rpc:*', { mute: true, at });
  const lost = assert.rejects(slow.rpc('never', {}), { code: 122 });
  await until('it was asked', () => lonely.requests().length === 1);
  await lonely.end();
  await lost;
  const repeats = await worker('rpc:*', { repeatable: 'rpc:slow_*', at });
  const again = slow.rpc('slow_never', {}).then(() => 'answered', (error) => error.code);
  await until('it was asked too', () => repeats.requests().length === 1);
  const heir = await worker('rpc:*', { at });
  await repeats.end();
  await until('the other one is asked', () => heir.requests().length === 1, 15000);
  await heir.end();
  assert.equal(await again, 122);

});

/* With a deadline behind the moment when a worker is called lost. */
async function patient() {
  const at = await world.appliance({ args: ['--set', 'client.rpc=true', '--set', 'client.call_timeout=20s'] });
  return at;
}

test('the deadline, the bound of a worker, and draining', async () => {
  await until('no worker', async () => (await workers()) === 0, 15000);
  const one = await worker('rpc:*');
  const two = [client.rpc('never', {}), client.rpc('never', {})].map((asked) => assert.rejects(asked, { code: 120 }));
  await until('both are with it', () => one.requests().length === 2);
  await assert.rejects(client.rpc('echo', {}), { code: 111 });
  await Promise.all(two);
  assert.deepEqual((await client.rpc('drain', 1)).data, 1);
  await until('it is gone', async () => (await workers()) === 0);
  await assert.rejects(client.rpc('echo', {}), { code: 100 });
  const [a, b] = [await worker('rpc:echo'), await worker('rpc:echo')];
  for (let i = 0; i < 10; i += 1) assert.deepEqual((await client.rpc('echo', i)).data, i);
  await until('five each', () => a.requests().length === 5 && b.requests().length === 5);
});

test('a worker at one broker answers the clients of every gateway', async () => {
  const redis = await world.redis();
  const [left, right] = [await world.broker({ id: 'left', redis }), await world.broker({ id: 'right', redis })];
  const gateway = await world.gateway({ brokers: [left, right], args: ['--set', 'client.rpc=true'] });
  const clients = await Promise.all([1, 2, 3, 4].map(() => world.connected(gateway)));
  for (const at of [left, right]) {
    const one = await worker('rpc:echo', { at });
    for (const each of clients) assert.deepEqual((await each.rpc('echo', at.id)).data, at.id);
    await until('all of them were its own', () => one.requests().length === 4);
    await one.end();
    await until('it is noticed', async () => (await workers(at)) === 0, 15000);
  }
});
