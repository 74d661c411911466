/* callboardctl selftest: that it finds what is well on real programs, and that it sees each thing that a server can get wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { BUILD, World, freePort, makeToken } from './support.mjs';

let world;
let appliance;
before(async () => {
  world = new World();
  appliance = await world.appliance({
    settings: `
  - name: kept
    history_size: 10
    history_ttl: 1m
`,
  });
});
after(() => world.close());

async function selftest(...args) {
  const child = spawn(path.join(BUILD, 'tools/callboardctl'), ['selftest', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (bytes) => { out += bytes; });
  child.stderr.on('data', (bytes) => { err += bytes; });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, out, err };
}
const onAppliance = (...args) => selftest('--url', appliance.url, '--config', appliance.file, ...args);
const stepsOf = (out) => out.trim().split('\n').map((line) => JSON.parse(line).step);
const ALL = ['connected', 'subscribed', 'published', 'received', 'published', 'recovered'];

test('as a client and as a service it publishes, receives and recovers', async () => {
  const asClient = await onAppliance('-o', 'json', 'demo:selftest');
  assert.equal(asClient.code, 0, asClient.err);
  assert.deepEqual(stepsOf(asClient.out), ALL);
  const asService = await onAppliance('--backend', '--endpoint', `tcp://127.0.0.1:${appliance.router}`, 'kept:selftest');
  assert.equal(asService.code, 0, asService.err);
  assert.match(asService.out, /^connected .*\nsubscribed .*\npublished .* as a service\nreceived .* offset 1\npublished .*\nrecovered .*\nAll is well\.\n$/);
});

test('with a token of somebody else\'s making', async () => {
  const file = world.write('token', `${makeToken({ sub: 'alice' })}\n`);
  const { code, err } = await selftest('--url', appliance.url, '--token-file', file, 'demo:selftest');
  assert.equal(code, 0, err);
});

test('says which step failed, why, and what may mend it', async () => {
  const other = world.write('other.yaml', 'token: {secret: another-secret-of-at-least-thirty-two-bytes, audience: e2e, issuer: tests}\n');
  for (const [args, code, expected] of [
    [['--config', appliance.file, 'kept:x'], 1, /publish: error 103: permission denied\n {2}its namespace lets clients not publish/],
    [['--config', appliance.file, 'plain:x'], 1, /subscribe: the channel cannot be recovered\n {2}its namespace has no history/],
    [['--config', appliance.file, 'none:x'], 1, /subscribe: error 102: unknown channel\n {2}the channel's namespace does not exist/],
    [['--config', other, 'demo:x'], 1, /connect: closed by the server: 3500 invalid token\n {2}do secret, audience and issuer/],
    [['demo:x'], 1, /connect: closed by the server: 3501 bad request\n {2}it wants a token/],
    [['--config', appliance.file, '--url', `ws://127.0.0.1:${await freePort()}`, 'demo:x'], 3, /connect: .*\n {2}is a gateway there/],
    [['--config', appliance.file, '--url', `ws://127.0.0.1:${appliance.port}/`, 'demo:x'], 3, /connect: .*not 101\n/],
    [['--config', appliance.file, '--url', 'http://127.0.0.1', 'demo:x'], 2, /'http:\/\/127\.0\.0\.1' is no ws:\/\/ or wss:\/\//],
    [['--config', appliance.file, '--token-file', appliance.file, 'demo:x'], 2, /one of them/],
    [['--config', `${appliance.file}.not`, 'demo:x'], 2, /cannot read .*: No such file/],
  ]) {
    const result = await selftest('--url', appliance.url, ...args);
    assert.equal(result.code, code, `${args}: ${result.err}`);
    assert.match(result.err, expected);
    assert.doesNotMatch(result.out, /well/);
  }
});

test('--wait tries until the set-up is there', async () => {
  const port = await freePort();
  const waiting = selftest('--url', `ws://127.0.0.1:${port}`, '--wait', '60s', 'demo:x');
  const server = await lyingServer({}, port);
  const { code, err } = await waiting;
  server.close();
  assert.equal(code, 0, err);
});

/* A server that says and pushes what a sound one would, but for what `lies` has in its place. */
async function lyingServer(lies, port = undefined) {
  port ??= await freePort();
  const server = new WebSocketServer({ port, host: '127.0.0.1' });
  const kept = [];
  const subscribers = new Set();
  const answers = {
    connect: () => ({ client: 'x' }),
    publish: ({ data }) => {
      const pub = { data, offset: kept.push(data) };
      subscribers.forEach((socket) => (lies.pushes ?? ((push) => [push]))(pub).forEach((each) => socket.send(JSON.stringify({ push: { channel: 'demo:x', pub: each } }))));
      return {};
    },
    subscribe: ({ recover, offset }) => ({
      recoverable: true, epoch: 'abc', offset: kept.length,
      ...(recover ? { recovered: true, publications: kept.slice(offset).map((data, i) => ({ data, offset: offset + i + 1 })) } : {}),
      ...(recover ? lies.recovered : lies.subscribed),
    }),
  };
  server.on('connection', (socket) => {
    socket.on('close', () => subscribers.delete(socket));
    socket.send('{}'); // a ping
    socket.on('message', (bytes) => {
      const command = JSON.parse(bytes);
      if (command.id === undefined) return;
      const method = Object.keys(command).find((key) => key !== 'id');
      if (method === 'subscribe') subscribers.add(socket);
      if (lies.silent !== method) socket.send(JSON.stringify({ id: command.id, [method]: answers[method](command[method]) }));
    });
  });
  await new Promise((resolve) => server.on('listening', resolve));
  return { url: `ws://127.0.0.1:${port}`, close: () => { server.clients.forEach((socket) => socket.terminate()); server.close(); } };
}

for (const [name, lies, code, expected] of [
  ['a sound one', {}, 0, /^$/],
  ['one that pushes others\' publications too', { pushes: (pub) => [{ data: 'x' }, { data: { selftest: 'other' } }, pub] }, 0, /^$/],
  ['one that does not push', { pushes: () => [] }, 3, /receive: no answer in 300 ms/],
  ['one that pushes something else', { pushes: (pub) => [{ ...pub, data: { selftest: 'other' } }] }, 3, /receive: no answer in 300 ms/],
  ['one that does not answer', { silent: 'subscribe' }, 3, /subscribe: no answer in 300 ms/],
  ['one that keeps nothing', { subscribed: { recoverable: false } }, 1, /subscribe: the channel cannot be recovered\n {2}its namespace has no history/],
  ['one that cannot recover', { recovered: { recovered: false } }, 1, /recover: the server could not recover/],
  ['one that says so and recovers nothing', { recovered: { publications: [] } }, 1, /recover: what was published meanwhile did not come/],
]) {
  test(`on ${name}`, async () => {
    const server = await lyingServer(lies);
    const result = await selftest('--url', server.url, 'demo:x', '--timeout', code === 3 ? '300' : '30000');
    server.close();
    assert.equal(result.code, code, result.err);
    assert.match(result.err, expected);
  });
}
