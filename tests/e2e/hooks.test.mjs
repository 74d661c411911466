/* Hooks: what workers decide of clients, over real ZeroMQ, felt through the published SDK. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { World, metric, rawSocket, subscribed, until } from './support.mjs';

const SETTINGS = `  - name: asked
    subscribe_proxy_enabled: true
    publish_proxy_enabled: true
    sub_refresh_proxy_enabled: true
    presence: true
    history_size: 10
    history_ttl: 10m
    allow_history_for_subscriber: true
    allow_presence_for_subscriber: true
  - name: bytes
    publish_proxy_enabled: true
    allow_subscribe_for_client: true
    publication_data_format: binary
client:
  proxy:
    connect:
      enabled: true
    refresh:
      enabled: true
  call_timeout: 1s
  expired_close_delay: 2s
`;
const ALL = 'connect,refresh,subscribe,publish,sub_refresh';
const now = () => Math.floor(Date.now() / 1000);

let world;
let server;
const children = [];
before(async () => {
  world = new World();
  server = await world.appliance({ settings: SETTINGS });
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  return world.close();
});

async function worker(methods = ALL, at = server) {
  const child = spawn('/usr/bin/python3', ['hook_worker.py', `tcp://127.0.0.1:${at.router}`, methods], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  child.asked = [];
  let rest = '';
  child.stdout.on('data', (bytes) => {
    const lines = (rest + bytes).split('\n');
    rest = lines.pop();
    child.asked.push(...lines.map((line) => JSON.parse(line)));
  });
  await until('its registration', () => child.asked.some((line) => line.kind === 'ok'));
  child.requests = (method) => child.asked.filter((line) => line.kind === 'request' && line.method === method);
  return child;
}

/* Without a token: the hook's verdict goes with its data. */
const guest = (verdict, options = {}) => world.client(server, { token: '', data: { verdict }, ...options });
const accepted = (result = {}, options = {}) => {
  const client = guest({ result: { user: 'ann', ...result } }, options);
  client.connect();
  return client.ready(10000).then(() => client);
};
const disconnected = (client) => new Promise((resolve) => { client.once('disconnected', resolve); client.connect(); });
const hookCount = (hook, verdict) => metric(server, `callboard_client_hook_verdicts_total{hook="${hook}",verdict="${verdict}"}`);

test('without a worker: a temporary error, so the SDK keeps coming back, and gets in when there is one', async () => {
  const client = guest({ result: { user: 'ann', data: { hello: 1 } } });
  client.connect();
  await until('it was refused twice', () => client.events.filter((event) => event.name === 'error').length >= 2);
  const first = client.events.find((event) => event.name === 'error');
  assert.equal(first.error.code, 100);
  const one = await worker();
  await client.ready(10000);
  assert.deepEqual(client.events.find((event) => event.name === 'connected').data, { hello: 1 });
  const asked = await until('what it was asked', () => one.requests('connect')[0]);
  assert.equal(asked.user, '');
  assert.equal(asked.transport, 'websocket');
  assert.ok(asked.client.length === 36 && asked.name === 'js' && Array.isArray(asked.channels));
  client.disconnect();
});

test('connect: user, info, channels and subs, as a token would say', async () => {
  const client = await accepted({ info: { name: 'Ann' }, channels: ['demo:one'], meta: { role: 'x' } });
  const watcher = await world.connected(server);
  const watching = await subscribed(watcher, 'demo:one');
  const there = Object.values((await watching.presence()).clients).filter((each) => each.user === 'ann');
  assert.deepEqual(there.map((each) => each.connInfo), [{ name: 'Ann' }]);
  const got = new Promise((resolve) => client.once('publication', resolve));
  await watching.publish({ n: 1 });
  assert.deepEqual((await got).channel, 'demo:one');
  const other = await accepted({ subs: { 'demo:two': { data: { seat: 3 }, info: { r: 1 } } } });
  assert.ok(other.events.some((event) => event.name === 'connected'));
});

test('connect: refusals and what cannot be used', async () => {
  assert.equal((await disconnected(guest({ disconnect: { code: 4501, reason: 'banned' } }))).code, 4501);
  const denied = await disconnected(guest({ error: { code: 403, message: 'not you' } }));
  assert.deepEqual([denied.code, denied.reason], [403, 'not you']);
  assert.equal((await disconnected(guest({ result: { user: 'ann', expire_at: now() - 10 } }))).code, 110);
  for (const result of [{}, { user: 1 }, { user: 'ann', expire_at: 'soon' }, { user: 'ann', channels: [1] }, { user: 'ann', subs: { 'demo:x': 1 } }, { user: 'ann', b64info: '%' }]) {
    const client = guest({ result });
    client.connect();
    await until('its error', () => client.events.some((event) => event.name === 'error' && event.error.code === 100));
    client.disconnect();
  }
  const temporary = guest({ error: { code: 503, message: 'busy', temporary: true } });
  temporary.connect();
  await until('it comes back', () => temporary.events.filter((event) => event.name === 'error').length >= 2);
  temporary.disconnect();
  await until('they are counted', async () => (await hookCount('connect', 'invalid')) >= 6);
  await until('the log says why', () => /hook_verdict_invalid.*channels must be a list of names/.test(server.log()));
  assert.match(server.log(), /hook_verdict_invalid.*user is missing/);
});

test('subscribe: with info, data and overrides; refusals; the order of commands holds', async () => {
  const client = await accepted();
  const verdict = { result: { info: { seat: 1 }, data: { hi: 2 }, override: { force_recovery: { value: true } } } };
  const subscription = await subscribed(client, 'asked:a', { data: { verdict } });
  const event = subscription.events.find((each) => each.name === 'subscribed');
  assert.deepEqual(event.data, { hi: 2 });
  assert.equal(event.recoverable, true);
  const { clients } = await subscription.presence();
  assert.deepEqual(Object.values(clients).map((each) => each.chanInfo), [{ seat: 1 }]);

  const refused = client.newSubscription('asked:b', { data: { verdict: { error: { code: 1403, message: 'no seat' } } } });
  const ended = new Promise((resolve) => refused.once('unsubscribed', resolve));
  refused.subscribe();
  assert.equal((await ended).code, 1403);
  const gone = await accepted();
  const kicked = new Promise((resolve) => gone.once('disconnected', resolve));
  gone.newSubscription('asked:c', { data: { verdict: { disconnect: { code: 4502, reason: 'out' } } } }).subscribe();
  assert.equal((await kicked).code, 4502);

  const late = await accepted();
  const slow = late.newSubscription('asked:d', { data: { verdict: 'never' } });
  const error = new Promise((resolve) => slow.once('error', resolve));
  slow.subscribe();
  assert.equal((await error).error.code, 100); /* the deadline: nothing was done */
  slow.unsubscribe();
  await until('failures are counted', async () => (await hookCount('subscribe', 'failed')) >= 1);
});

test('subscribe: what a client names as its own at connect is not let past the hook', async () => {
  const socket = await rawSocket(server.url);
  socket.send(JSON.stringify({ id: 1, connect: { data: { verdict: { result: { user: 'eve' } } }, subs: { 'asked:x': {} } } }));
  const [reply] = await socket.next();
  assert.equal(JSON.parse(reply).connect.subs, undefined);
  socket.send(`${JSON.stringify({ id: 2, subscribe: { channel: 'asked:y', data: { verdict: { result: {} } } } })}\n${JSON.stringify({ id: 3, subscribe: { channel: 'asked:y' } })}\n${JSON.stringify({ id: 4, unsubscribe: { channel: 'asked:y' } })}\n${JSON.stringify({ id: 5, presence: { channel: 'asked:y' } })}`);
  const lines = [];
  await until('all answers', () => {
    lines.push(...socket.messages.splice(0).flatMap((message) => message.split('\n')).map((line) => JSON.parse(line)));
    return lines.length >= 4;
  });
  assert.deepEqual(lines.map((line) => [line.id, line.error?.code ?? 'ok']), [[3, 105], [2, 'ok'], [4, 'ok'], [5, 103]]);
  socket.close();
});

test('publish: allowed, changed, kept out of the history, refused; in the order of the client', async () => {
  const client = await accepted();
  const subscription = await subscribed(client, 'asked:p', { data: { verdict: { result: {} } } });
  await subscription.publish({ n: 1, verdict: { result: {} } });
  await subscription.publish({ n: 2, verdict: { result: { data: { n: 'two' }, tags: { kind: 'seat' } } } });
  await subscription.publish({ n: 3, verdict: { result: { data: { n: 'three' }, skip_history: true } } });
  await subscription.publish({ n: 4, verdict: { result: {}, payload: '{"n":"four"}' } });
  await until('all are there', () => subscription.got.length === 4);
  assert.deepEqual(subscription.got.map((each) => each.data.n), [1, 'two', 'three', 'four']);
  assert.deepEqual(subscription.got[1].tags, { kind: 'seat' });
  assert.deepEqual((await subscription.history({ limit: 10 })).publications.map((each) => each.data.n), [1, 'two', 'four']);
  await assert.rejects(subscription.publish({ verdict: { error: { code: 1404, message: 'no such thing' } } }), { code: 1404 });
  await assert.rejects(subscription.publish({ verdict: { result: {}, payload: 'no JSON' } }), { code: 100 });
  await assert.rejects(subscription.publish({ verdict: { result: { tags: { a: 1 } } } }), { code: 100 });
  const many = Array.from({ length: 20 }, (_, n) => subscription.publish({ n, verdict: { result: {} } }));
  await Promise.all(many);
  await until('the twenty', () => subscription.got.length === 24);
  assert.deepEqual(subscription.got.slice(4).map((each) => each.data.n), Array.from({ length: 20 }, (_, n) => n));
});

test('refresh: extended without the client, retried, and ended', async () => {
  const one = children[0];
  const short = () => ({ expire_at: now() + 2 });
  const client = await accepted({ ...short(), meta: { refresh: [{ error: { code: 500, message: 'not now' } }, { result: { expire_at: now() + 3600 } }] } });
  const expired = await accepted({ ...short(), meta: { refresh: [{ result: { expired: true } }] } });
  const forgotten = await accepted({ ...short(), meta: { refresh: [] } });
  const ends = [expired, forgotten].map((each) => new Promise((resolve) => each.once('connecting', (context) => {
    each.disconnect();
    resolve(context.code);
  })));
  await until('it was asked twice', () => one.requests('refresh').filter((each) => each.meta.refresh.length === 2).length >= 2, 15000);
  assert.deepEqual(await Promise.all(ends), [3005, 3005]);
  assert.equal(client.state, 'connected');
});

test('sub_refresh: extended, and ended', async () => {
  const one = children[0];
  const client = await accepted({ meta: { sub_refresh: [{ result: { expire_at: now() + 3600, info: { seat: 9 } } }] } });
  const subscription = await subscribed(client, 'asked:r', { data: { verdict: { result: { expire_at: now() + 2 } } } });
  await until('the info it was given', async () => Object.values((await subscription.presence()).clients).some((each) => each.chanInfo?.seat === 9), 15000);
  assert.equal((await until('its question', () => one.requests('sub_refresh')[0])).channel, 'asked:r');
  const other = await accepted({ meta: { sub_refresh: [{ result: { expired: true } }] } });
  const brief = other.newSubscription('asked:s', { data: { verdict: { result: { expire_at: now() + 2 } } } });
  const ended = new Promise((resolve) => brief.once('subscribing', () => brief.once('subscribing', resolve)));
  brief.subscribe();
  assert.equal((await ended).code, 2501);
  brief.unsubscribe();
});
