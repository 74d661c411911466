/* SIGHUP while clients are connected and subscribed: what changes for them, what does not, and that nobody is dropped. A
   gateway and a broker apart, both told; the published SDK. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { TOKENS, World, get, makeToken, metric, rawSocket, subscribed, until } from './support.mjs';

const GONE = `  - name: gone
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    history_size: 10
    history_ttl: 1m
`;
const LOG = { CALLBOARD_LOG_RATE: '1000000' }; // each reload is awaited by its line
const SECRET = /secret: (\S+)/.exec(TOKENS)[1];

let world;
let broker;
let gateway;
let texts;
before(async () => {
  world = new World();
  broker = await world.broker({ id: 'broker-0', settings: GONE, env: LOG });
  gateway = await world.gateway({ brokers: [broker], settings: GONE, env: { ...LOG, CALLBOARD_HTTP_RAW_ENDPOINT: 'on', CALLBOARD_CLIENT_COMMANDS_PER_SECOND: '1000000' } });
  texts = new Map([broker, gateway].map((program) => [program, fs.readFileSync(program.file, 'utf8')]));
});
after(() => world.close());

const count = (program, event) => program.lines.filter((line) => line.includes(`"event":"${event}"`)).length;
async function hangUp(program, text, event = 'config_reloaded') {
  const before = count(program, event);
  fs.writeFileSync(program.file, text);
  program.kill('SIGHUP');
  await until(`${program.name} says ${event}`, () => count(program, event) > before);
}
/* Both with what `change` makes of the first text. */
async function reload(change = (text) => text) {
  for (const [program, text] of texts) await hangUp(program, change(text, program));
}
const without = (text) => text.replace(GONE, '');
const kept = (client) => assert.deepEqual(client.events.filter(({ name }) => name === 'connecting' || name === 'disconnected').length, 1, 'it connected once');

beforeEach(() => reload());

test('a namespace that is gone: its subscriptions end with 2000, the connection and its other subscriptions stay', async () => {
  const client = await world.connected(gateway);
  const going = await subscribed(client, 'gone:x');
  const staying = await subscribed(client, 'demo:stays');
  const forced = await world.connected(gateway, { token: makeToken({ sub: 'bob', channels: ['gone:y'] }) });
  const raw = await rawSocket(`ws://127.0.0.1:${gateway.port}/ws/gone:x?token=${makeToken({ sub: 'raw' })}`);
  raw.send('live?');
  await until('it hears itself', () => raw.messages.length === 1);
  const ended = 'callboard_client_subscriptions_ended_total{reason="namespace removed"}';
  const unsubscribed = new Promise((resolve) => { forced.on('unsubscribed', resolve); });
  const before = await metric(gateway, ended);
  await reload(without);
  await until('the end of the one', () => going.events.some(({ name }) => name === 'unsubscribed'));
  assert.deepEqual(going.events.filter(({ name }) => name === 'unsubscribed').map(({ code, reason }) => ({ code, reason })), [{ code: 2000, reason: 'namespace removed' }]);
  assert.equal((await unsubscribed).channel, 'gone:y');
  assert.equal((await raw.ended()).code, 3507);
  assert.equal(await metric(gateway, ended) - before, 3);
  await staying.publish({ n: 1 });
  await until('the push', () => staying.got.length === 1);
  await assert.rejects(client.publish('gone:x', {}), { code: 102 });
  await world.gateway({ brokers: [broker] }); // begins with what the others were told
  assert.equal(count(broker, 'config_differs'), 0);
  kept(client);
  kept(forced);
  await reload();
  going.subscribe();
  await going.ready(10000);
  await going.publish({ n: 2 });
  await until('it is as before', () => going.got.some(({ data }) => data.n === 2));
  [client, forced].forEach((each) => each.disconnect());
});

test('permissions count for what is asked from now on: who is subscribed stays and hears', async () => {
  const client = await world.connected(gateway);
  const subscription = await subscribed(client, 'plain:x');
  const closed = (text) => text.replace(/(- name: plain\n)[^-]*/, '$1  ');
  await reload(closed);
  await assert.rejects(client.publish('plain:x', {}), { code: 103 });
  const other = await world.connected(gateway, { user: 'bob' });
  const refused = other.newSubscription('plain:x');
  const error = new Promise((resolve) => { refused.on('unsubscribed', resolve); });
  refused.subscribe();
  assert.equal((await error).code, 103);
  await reload();
  await client.publish('plain:x', { n: 1 });
  await until('the push', () => subscription.got.length === 1);
  kept(client);
  [client, other].forEach((each) => each.disconnect());
});

test('a shorter history is cut by the next publication; positions go on and nobody is told anything', async () => {
  const client = await world.connected(gateway);
  const subscription = await subscribed(client, 'demo:shorter');
  for (let n = 1; n <= 8; n++) await subscription.publish({ n });
  await reload((text) => text.replace('history_size: 1000', 'history_size: 3'));
  await subscription.publish({ n: 9 });
  await until('all of them', () => subscription.got.length === 9);
  assert.deepEqual((await subscription.history({ limit: 100 })).publications.map(({ data }) => data.n), [7, 8, 9]);
  assert.deepEqual(subscription.got.map(({ offset }) => offset), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(subscription.events.filter(({ name }) => name === 'subscribed').length, 1);
  kept(client);
  client.disconnect();
});

test('a history that is taken away, and given: positioned subscribers come back by themselves, and hear all that follows', async () => {
  const client = await world.connected(gateway);
  const subscription = await subscribed(client, 'demo:history');
  await subscription.publish({ n: 1 });
  await until('the first', () => subscription.got.length === 1);
  const historyless = (text) => text.replace(/( {4}join_leave: true\n {4}force_push_join_leave: true\n) {4}history_size: 1000\n {4}history_ttl: 10m\n {4}force_recovery: true\n {4}force_positioning: true\n/, '$1')
    .replace('allow_history_for_client: true\n    allow_presence', 'allow_presence');
  const times = () => subscription.events.filter(({ name }) => name === 'subscribed').length;
  await reload(historyless);
  await until('it subscribed again', () => times() === 2);
  await subscription.publish({ n: 2 });
  await until('the second, without a position', () => subscription.got.length === 2);
  assert.equal(subscription.got[1].offset, undefined);
  await reload();
  await until('positions are back, for who subscribes', async () => {
    const other = await world.connected(gateway, { user: 'bob' });
    const { recoverable } = (await subscribed(other, 'demo:history')).events.find(({ name }) => name === 'subscribed');
    other.disconnect();
    return recoverable;
  });
  await subscription.publish({ n: 3 });
  await until('the third', () => subscription.got.some(({ data }) => data.n === 3));
  kept(client);
  client.disconnect();
});

test('keys, limits and the level of the log: new work is judged by the new ones, who is connected stays', async () => {
  const client = await world.connected(gateway);
  const other = 'another-secret-of-at-least-thirty-two-bytes';
  await reload((text, program) => (program === gateway ? `${text.replace(SECRET, other)}client:\n  channels_max: 1\nlog:\n  level: debug\n` : text));
  const refused = world.client(gateway, { user: 'eve' });
  refused.connect();
  await until('an old token is refused', () => refused.events.some(({ name, code }) => name === 'disconnected' && code === 3500));
  const fresh = await world.connected(gateway, { token: makeToken({ sub: 'carol' }, other) });
  await subscribed(fresh, 'plain:one');
  const second = fresh.newSubscription('plain:two');
  const error = new Promise((resolve) => { second.on('unsubscribed', resolve); });
  second.subscribe();
  assert.equal((await error).code, 106);
  await until('debug lines', () => gateway.lines.some((line) => line.includes('"level":"debug"')));
  await subscribed(client, 'plain:three');
  kept(client);
  [client, fresh, refused].forEach((each) => each.disconnect());
});

test('a file that does not serve changes nothing, and says what, where and how to mend it', async () => {
  const client = await world.connected(gateway);
  const subscription = await subscribed(client, 'gone:stays');
  const text = without(texts.get(gateway));
  for (const [broken, pattern] of [
    [`${text}nonsense: [`, /yaml:\d+:/],
    [`${text}client:\n  channels_max: many\n`, /client\.channels_max/],
    [`${text}client:\n  pong_timeout: 1h\n`, /client\.pong_timeout/],
    [text.replace(SECRET, 'short'), /token\.secret/],
    [`${text}  - name: gone\n    force_recovery: true\n`, /namespaces\[3\]/],
  ]) {
    await hangUp(gateway, broken, 'config_reload_refused');
    assert.match(gateway.lines.filter((line) => line.includes('config_reload_refused')).at(-1), pattern);
  }
  await subscription.publish({ n: 1 });
  await until('the push', () => subscription.got.length === 1);
  kept(client);
  client.disconnect();
});

test('sixty reloads while a writer writes: every publication arrives once and in order, nobody reconnects', async () => {
  const reader = await world.connected(gateway, { user: 'reader' });
  const writer = await world.connected(gateway, { user: 'writer' });
  const subscriptions = [await subscribed(reader, 'demo:busy'), await subscribed(reader, 'plain:busy')];
  let stop = false;
  let n = 0;
  const writing = (async () => {
    while (!stop) {
      n += 1;
      await Promise.all(subscriptions.map(({ channel }) => writer.publish(channel, { n })));
    }
  })();
  for (let i = 0; i < 20; i++) {
    await reload((text) => (i % 2 ? without(text) : text.replace('history_size: 1000', `history_size: ${900 + i}`)));
    await hangUp(gateway, 'nonsense: [', 'config_reload_refused');
  }
  stop = true;
  await writing;
  await until('the last', () => subscriptions.every(({ got }) => got.at(-1)?.data.n === n));
  for (const { got } of subscriptions) assert.deepEqual(got.map(({ data }) => data.n), Array.from({ length: n }, (_, i) => i + 1));
  assert.equal((await get(gateway.internal, '/ready')).status, 200);
  [reader, writer].forEach((client) => { kept(client); client.disconnect(); });
});

test('--watch: a file that becomes another one is read by itself, a wrong one is refused', async () => {
  const watching = await world.appliance({ args: ['--watch'], env: LOG });
  const text = fs.readFileSync(watching.file, 'utf8');
  fs.writeFileSync(watching.file, `${text}nonsense: 1\n`);
  await until('it refuses', () => count(watching, 'config_reload_refused') === 1);
  fs.writeFileSync(`${watching.file}.new`, text + GONE);
  fs.renameSync(`${watching.file}.new`, watching.file);
  await until('it has read it', () => count(watching, 'config_reloaded') === 1);
  const client = await world.connected(watching);
  await subscribed(client, 'gone:x');
});
