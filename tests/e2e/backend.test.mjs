/* What a backend developer does: README's lines, callboardctl and plain frames, against a running appliance. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, freePort, metric, subscribed, until } from './support.mjs';

const ROOT = path.resolve('../..');
let world;
let server;
let endpoint;
before(async () => {
  world = new World();
  server = await world.appliance({ settings: '  - name: blob\n    history_size: 10\n    history_ttl: 1m\n    publication_data_format: binary\n    allow_subscribe_for_client: true\n' });
  endpoint = `tcp://127.0.0.1:${server.router}`;
});
after(() => world.close());

function run(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: 20000, ...options });
  return { code: result.status, out: result.stdout.trim(), err: result.stderr.trim() };
}
const ctl = (...args) => run(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', endpoint, ...args]);
const python = (code, ...args) => run('/usr/bin/python3', ['-c', code, endpoint, ...args]);

test('one subscription above backend.subscriptions is answered with error 106', async () => {
  const small = await world.appliance({ args: ['--set', 'backend.subscriptions=1'] });
  const to = ['--endpoint', `tcp://127.0.0.1:${small.router}`, 'sub'];
  const first = spawn(path.join(BUILD, 'tools/callboardctl'), [...to, 'demo:first']);
  try {
    await until('its subscription', async () => (await metric(small, 'callboard_backend_subscriptions')) === 1);
    const second = run(path.join(BUILD, 'tools/callboardctl'), [...to, 'demo:second']);
    assert.equal(second.code, 1);
    assert.match(second.err, /106/);
    assert.equal(await metric(small, 'callboard_backend_subscriptions'), 1);
  } finally {
    first.kill();
  }
});

test('a version that is not newer is not delivered, and its publisher is told where the channel stands', async () => {
  const client = await world.connected(server);
  const subscription = await subscribed(client, 'demo:versions');
  const publish = (params) => JSON.parse(python(`
import json, sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
socket.send_multipart([b"CB1", b"publish", b"1", sys.argv[2].encode(), b"{}"])
print(json.dumps([frame.decode() for frame in socket.recv_multipart()]))
`, JSON.stringify({ channel: 'demo:versions', ...params })).out);
  const answer = (params) => {
    const [, kind, , body] = publish(params);
    return [kind, JSON.parse(body)];
  };
  const [, first] = answer({ version: 2, version_epoch: 'a' });
  assert.deepEqual([first.offset, first.suppressed], [1, undefined]);
  const [kind, old] = answer({ version: 2, version_epoch: 'a' });
  assert.deepEqual([kind, old.offset, old.epoch, old.suppressed], ['ok', 1, first.epoch, true]);
  assert.equal(answer({ version: 1, version_epoch: 'b' })[1].offset, 2);
  const [refused, error] = answer({ version: 3, skip_history: true });
  assert.deepEqual([refused, error.code], ['error', 107]);
  assert.deepEqual([answer({ version: 2 ** 53 })[1].code, answer({ version: 1, version_epoch: 'x'.repeat(65) })[1].code], [107, 107]);
  await until('both', () => subscription.got.length === 2);
  assert.equal(await metric(server, 'callboard_broker_publishes_total{result="suppressed"}'), 1);
});

test("README's ten lines work as they stand", () => {
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const code = readme.match(/```python\n([\s\S]*?)```/)[1].replace('tcp://127.0.0.1:7710', endpoint);
  const { code: status, out, err } = run('/usr/bin/python3', ['-c', `${code}\nprint(kind.decode(), body.decode())`]);
  assert.equal(status, 0, err);
  assert.match(out, /^ok \{"offset":1,/);
});

test('callboardctl publishes, reads the history and waits for publications', async () => {
  const first = ctl('pub', 'demo:ctl', '{"n": 9007199254740993}', '--key', 'k1', '--tag', 'a=b');
  assert.equal(first.code, 0, first.err);
  const again = ctl('pub', 'demo:ctl', '{"n": 9007199254740993}', '--key', 'k1');
  assert.equal(JSON.parse(again.out).duplicate, true);
  const reused = ctl('pub', 'demo:ctl', '{"n": 2}', '--key', 'k1');
  assert.equal(reused.code, 1);
  assert.match(reused.err, /error 121/);
  const history = ctl('history', 'demo:ctl');
  assert.match(history.out, /"data":\{"n": 9007199254740993\}/);
  const { epoch } = JSON.parse(first.out);
  const reader = spawn(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', endpoint, 'sub', 'demo:ctl', '--since', `${epoch}:0`, '--count', '2']);
  let got = '';
  reader.stdout.on('data', (bytes) => { got += bytes; });
  await until('the first', () => got.includes('9007199254740993'));
  assert.equal(ctl('pub', 'demo:ctl', '"live"').code, 0);
  const code = await new Promise((resolve) => reader.on('close', resolve));
  assert.equal(code, 0);
  assert.deepEqual(got.trim().split('\n'), ['{"n": 9007199254740993}', '"live"']);
});

test('callboardctl forgets a history and positions go on', async () => {
  assert.equal(JSON.parse(ctl('-o', 'json', 'pub', 'demo:forgotten', '"one"').out).offset, 1);
  const removed = ctl('history-remove', 'demo:forgotten');
  assert.equal(removed.code, 0, removed.err);
  const { publications, offset } = JSON.parse(ctl('-o', 'json', 'history', 'demo:forgotten').out);
  assert.deepEqual([publications, offset], [[], 1]);
  assert.equal(JSON.parse(ctl('-o', 'json', 'pub', 'demo:forgotten', '"two"').out).offset, 2);
  assert.equal(ctl('history-remove', 'plain:none').code, 1);
});

test('callboardctl reads standard input and shows who is there and what runs', async () => {
  const piped = run(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', endpoint, 'pub', 'demo:piped', '-'], { input: '{"from":"stdin"}' });
  assert.equal(piped.code, 0, piped.err);
  const client = await world.connected(server, { user: 'zoe' });
  await subscribed(client, 'demo:who');
  await until('zoe', () => ctl('presence', 'demo:who').out.includes('zoe'));
  const info = JSON.parse(ctl('info').out);
  assert.deepEqual([info.engine, info.connected], ['memory', true]);
});

test('callboardctl shows channels and connections, and sends users away', async () => {
  const clients = await Promise.all([1, 2].map(() => world.connected(server, { user: 'leo' })));
  for (const [i, client] of clients.entries()) {
    await subscribed(client, 'demo:sessions-both');
    await subscribed(client, `demo:sessions-${i}`);
  }
  await until('both', () => ctl('channels', 'demo:sessions-*').out === 'demo:sessions-0\t1\ndemo:sessions-1\t1\ndemo:sessions-both\t2');
  assert.deepEqual(JSON.parse(ctl('-o', 'json', 'channels', 'demo:sessions-b*').out), { channels: { 'demo:sessions-both': { num_clients: 2 } } });
  const page = ctl('channels', 'demo:sessions-*', '--limit', '2');
  assert.equal(page.out, 'demo:sessions-0\t1\ndemo:sessions-1\t1');
  const cursor = page.err.match(/--cursor (\S+)/)[1];
  assert.equal(ctl('channels', 'demo:sessions-*', '--limit', '2', '--cursor', cursor).out, 'demo:sessions-both\t2');
  assert.equal(ctl('channels', 'demo:sessions-*', '--limit', '1', '--all').out.split('\n').length, 3);
  const lines = ctl('connections', 'leo').out.split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((each) => each.user), ['leo', 'leo']);
  const away = clients.map((client) => new Promise((done) => { client.on('disconnected', done); client.on('connecting', done); }));
  assert.equal(ctl('disconnect', 'leo', '--keep', lines[0].client, '--code', '4500', '--reason', 'elsewhere').out, '{"sessions":1}');
  const { code, reason } = await Promise.race(away);
  assert.deepEqual([code, reason], [4500, 'elsewhere']);
  assert.equal(ctl('disconnect', '--client', lines[0].client, '--code', '4501').out, '{"sessions":1}');
  await Promise.all(away);
  assert.equal(ctl('connections', 'leo').out, '');
  for (const [args, hint] of [[['connections'], 'one user'], [['disconnect'], 'a user, or --client ID'], [['channels', '--limit', '0'], 'from 1 to 10000'], [['disconnect', 'leo', '--code', '1000'], 'from 3000 to 4999']]) {
    const { code: status, err } = ctl(...args);
    assert.equal(status, 2);
    assert.ok(err.includes(hint), err);
  }
});

test('a token made by callboardctl opens the door', async () => {
  const { code, out, err } = ctl('token', '--config', server.file, '--user', 'from-ctl', '--ttl', '5m');
  assert.equal(code, 0, err);
  const client = await world.connected(server, { token: out });
  assert.equal(client.state, 'connected');
});

test('wrong usage says what is wrong and exits with 2; no broker exits with 3; a refusal with 1', async () => {
  for (const args of [['nonsense'], ['pub', 'demo:x'], ['history', 'demo:x', '--limit', 'many'], ['sub', 'demo:x', '--since', 'here'], ['token', '--user', 'x'], ['token', '--config', '/nowhere', '--user', 'x']]) {
    const { code, err } = ctl(...args);
    assert.equal(code, 2, args.join(' '));
    assert.notEqual(err, '');
  }
  const nobody = run(path.join(BUILD, 'tools/callboardctl'), ['--endpoint', `tcp://127.0.0.1:${await freePort()}`, '--timeout', '300', 'info']);
  assert.equal(nobody.code, 3);
  assert.match(nobody.err, /no answer from/);
  const refused = ctl('pub', 'nowhere:x', '{}');
  assert.equal(refused.code, 1);
  assert.match(refused.err, /error 102: no namespace "nowhere"/);
});

test('a payload that is not JSON is refused, unless the namespace takes other bytes; then JSON clients get base64', async () => {
  const refused = ctl('pub', 'demo:binary', 'not json');
  assert.match(refused.err, /error 107: the payload is not JSON/);
  const client = await world.connected(server);
  const subscription = await subscribed(client, 'blob:x');
  assert.equal(ctl('pub', 'blob:x', 'not json').code, 0);
  await until('it', () => subscription.got.length === 1);
  assert.equal(Buffer.from(subscription.got[0].data, 'base64').toString(), 'not json');
});

test('broadcast answers for each channel', () => {
  const { out, err } = python(`
import json, sys, zmq
s = zmq.Context().socket(zmq.REQ); s.rcvtimeo = 5000; s.connect(sys.argv[1])
s.send_multipart([b"CB1", b"broadcast", b"7", json.dumps({"channels": ["demo:b1", "nowhere:x", "demo:b2"]}).encode(), b"1"])
print(s.recv_multipart()[3].decode())
`);
  const { results } = JSON.parse(out || `{"err":${JSON.stringify(err)}}`);
  assert.deepEqual(results.map((result) => result.offset ?? result.error.code), [1, 102, 1]);
});

test('fire and forget arrives, and what is malformed is counted', async () => {
  const client = await world.connected(server);
  const subscription = await subscribed(client, 'demo:pushed');
  const { code, err } = run('/usr/bin/python3', ['-c', `
import sys, zmq
context = zmq.Context(); s = context.socket(zmq.PUSH); s.linger = 20000; s.connect(sys.argv[1])
for i in range(100):
    s.send_multipart([b"CB1", b"publish", b"", b'{"channel":"demo:pushed"}', b"%d" % i])
s.send_multipart([b"CB1", b"publish", b"", b'{"channel":"nowhere:x"}', b"1"])
s.send(b"rubbish")
s.close(); context.term() # waits until they are sent
`, `tcp://127.0.0.1:${server.pull}`]);
  assert.equal(code, 0, err);
  await until('all of them', () => subscription.got.length === 100);
  assert.deepEqual(subscription.got.map((p) => p.data), Array.from({ length: 100 }, (_, i) => i));
  const { get } = await import('./support.mjs');
  await until('the counter', async () => /push_dropped_total\{reason="bad_request"\} 2/.test((await get(server.internal, '/metrics')).body));
});

const MALFORMED = [
  ['another version', ['CB2', 'info', 'i'], 107],
  ['an unknown method', ['CB1', 'explode', 'i'], 104],
  ['params that are no JSON', ['CB1', 'history', 'i', '{'], 107],
  ['params that are a list', ['CB1', 'history', 'i', '[]'], 107],
  ['a missing channel', ['CB1', 'history', 'i', '{}'], 107],
  ['an unknown parameter', ['CB1', 'history', 'i', '{"channel":"demo:x","lmit":1}'], 107],
  ['a channel with a brace', ['CB1', 'history', 'i', '{"channel":"demo:{x}"}'], 107],
  ['a publish without payload', ['CB1', 'publish', 'i', '{"channel":"demo:x"}'], 107],
  ['an unknown namespace', ['CB1', 'history', 'i', '{"channel":"nowhere:x"}'], 102],
  ['history where there is none', ['CB1', 'history', 'i', '{"channel":"plain:x"}'], 108],
  ['presence where there is none', ['CB1', 'presence', 'i', '{"channel":"plain:x"}'], 108],
  ['a foreign epoch', ['CB1', 'history', 'i', '{"channel":"demo:x","since":{"offset":1,"epoch":"zz"}}'], 112],
];
test('every malformed request gets its error and closes nothing', () => {
  const { out, err } = python(`
import json, sys, zmq
s = zmq.Context().socket(zmq.DEALER); s.rcvtimeo = 5000; s.connect(sys.argv[1])
for frames in json.loads(sys.argv[2]):
    s.send_multipart([f.encode() for f in frames])
    print(json.loads(s.recv_multipart()[3])["code"])
s.send_multipart([b"CB1", b"only two"])
s.send_multipart([b"CB1", b"info", b"x" * 65])
s.send_multipart([b""] * 40)
s.send_multipart([b"CB1", b"info", b"last"])
print(s.recv_multipart()[1].decode())
`, JSON.stringify(MALFORMED.map((row) => row[1])));
  assert.deepEqual(out.split('\n'), [...MALFORMED.map((row) => String(row[2])), 'ok'], err);
});
