/* Every method of the backend API as a service uses it, against an appliance with real clients. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service } from './backend_service.mjs';
import { World, makeToken, metric, subscribed, until } from './support.mjs';

let world;
let server;
let service;
before(async () => {
  world = new World();
  server = await world.appliance({
    settings: '  - name: room\n    presence: true\n    join_leave: true\n    force_push_join_leave: true\n    history_size: 100\n    history_ttl: 1m\n    allow_subscribe_for_client: true\n',
    args: ['--set', 'client.subscribe_to_personal_channel=true', '--set', 'client.personal_channel_namespace=room'],
  });
  service = new Service(`tcp://127.0.0.1:${server.router}`);
});
after(async () => {
  service.close();
  await world.close();
});

const user = (name) => world.connected(server, { token: makeToken({ sub: name }) });
const gone = async (client) => {
  let event;
  client.on('disconnected', (context) => { event = context; });
  await until('the connection is closed', () => event !== undefined);
  return event;
};

test('publish_user reaches the personal channel, wherever the user is connected', async () => {
  const [one, two] = [await user('ann'), await user('ann')];
  const got = [];
  for (const client of [one, two]) client.on('publication', (event) => got.push([event.channel, event.data]));
  const { offset } = await service.ok('publish_user', { user: 'ann', namespace: 'room' }, '{"n":1}');
  await until('both', () => got.length === 2);
  assert.deepEqual(got[0], ['room:#ann', { n: 1 }]);
  assert.equal(typeof offset, 'number');
  assert.equal((await service.error('publish_user', { user: 'with space', namespace: 'room' }, '1')).code, 107);
  assert.equal((await service.error('publish_user', { user: 'ann' }, '1')).code, 102);
});

test('publish_all reaches every connection, in whatever encoding and channel, once, and nobody who comes later', async () => {
  const named = await user('all-1');
  const member = await world.connected(server);
  await subscribed(member, 'demo:somewhere');
  const binary = await world.connected(server, { encoding: 'protobuf' });
  const got = new Map([named, member, binary].map((client) => [client, []]));
  for (const [client, messages] of got) client.on('message', ({ data }) => messages.push(client === binary ? JSON.parse(new TextDecoder().decode(data)) : data));
  const { sessions } = await service.ok('publish_all', {}, '{"notice":\n"maintenance"}');
  assert.ok(sessions >= 3, `${sessions} connections`);
  await until('all three have it', () => [...got.values()].every((messages) => messages.length > 0));
  const late = await user('all-late');
  let heardLate = 0;
  late.on('message', () => { heardLate++; });
  await service.ok('publish_all', {}, '2');
  await until('the second one', () => heardLate > 0 && [...got.values()].every((messages) => messages.length > 1));
  assert.equal(heardLate, 1);
  for (const messages of got.values()) assert.deepEqual(messages, [{ notice: 'maintenance' }, 2]);
  assert.equal((await service.error('publish_all', {}, 'no JSON')).code, 107);
  assert.equal((await service.error('publish_all', { channel: 'a' }, '1')).code, 107);
  assert.equal((await service.error('publish_all', {})).code, 107);
  const { replies } = await service.ok('batch', { requests: [{ method: 'publish_all', params: {}, payload: true }] }, '3');
  assert.ok(replies[0].result.sessions >= 4);
});

test('publish with ack none is not answered, but what is wrong with it is', async () => {
  const client = await world.connected(server);
  const subscription = await subscribed(client, 'demo:unheard');
  service.send('publish', { channel: 'demo:unheard', ack: 'none' }, '1');
  await until('it', () => subscription.got.length === 1);
  assert.equal((await service.error('publish', { channel: 'nowhere:a', ack: 'none' }, '1')).code, 102);
  assert.equal((await service.error('publish', { channel: 'demo:a', ack: 'all' }, '1')).code, 107);
  assert.equal(service.unexpected.length, 0);
});

test('connections, disconnect of one client and of all of a user', async () => {
  const [one, two] = [await user('bob'), await user('bob')];
  await user('eve');
  const { connections } = await service.ok('connections', { user: 'bob' });
  assert.equal(Object.keys(connections).length, 2);
  assert.deepEqual(new Set(Object.values(connections).map((entry) => entry.user)), new Set(['bob']));
  const id = Object.keys(connections)[0];
  const [mine, other] = one._client === id ? [one, two] : [two, one];
  const closed = gone(mine);
  assert.deepEqual(await service.ok('disconnect', { client: id, code: 4600, reason: 'for a walk' }), { sessions: 1 });
  const event = await closed;
  assert.deepEqual([event.code, event.reason], [4600, 'for a walk']);
  const rest = gone(other);
  assert.deepEqual(await service.ok('disconnect', { user: 'bob' }), { sessions: 1 });
  assert.equal((await rest).code, 3503);
  assert.deepEqual(await service.ok('connections', { user: 'bob' }), { connections: {} });
  assert.equal((await service.error('disconnect', {})).code, 107);
  assert.equal((await service.error('disconnect', { user: 'bob', code: 1000 })).code, 107);
});

test('subscribe_user, unsubscribe_user and refresh', async () => {
  const client = await user('carl');
  const events = [];
  for (const name of ['subscribed', 'unsubscribed', 'publication']) client.on(name, (event) => events.push([name, event.channel]));
  assert.deepEqual(await service.ok('subscribe_user', { user: 'carl', channel: 'room:9', data: { hello: 1 } }), { sessions: 1 });
  await until('it is subscribed', () => events.some(([name, channel]) => name === 'subscribed' && channel === 'room:9'));
  await service.ok('publish', { channel: 'room:9' }, '"x"');
  await until('it', () => events.some(([name]) => name === 'publication'));
  await service.ok('unsubscribe_user', { user: 'carl', channel: '' });
  await until('it is not', () => events.some(([name, channel]) => name === 'unsubscribed' && channel === 'room:9'));
  const codes = [];
  client.on('connecting', ({ code }) => codes.push(code));
  assert.equal((await service.error('refresh', { user: 'carl' })).code, 107);
  await service.ok('refresh', { user: 'carl', expired: true });
  await until('it is closed with 3005', () => codes[0] === 3005);
  assert.equal((await service.error('subscribe_user', { user: 'carl', channel: 'nowhere:x' })).code, 102);
});

test('channels by pattern, page by page', async () => {
  const client = await world.connected(server);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await subscribed(client, `demo:page-${name}`);
  const seen = [];
  let cursor;
  do {
    const page = await service.ok('channels', { pattern: 'demo:page-*', limit: 2, ...(cursor && { cursor }) });
    assert.ok(Object.keys(page.channels).length <= 2);
    seen.push(...Object.keys(page.channels));
    assert.ok(Object.values(page.channels).every((entry) => entry.num_clients === 1));
    cursor = page.cursor;
  } while (cursor !== undefined);
  assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e'].map((name) => `demo:page-${name}`));
  assert.deepEqual(await service.ok('channels', { pattern: 'none-*' }), { channels: {} });
  assert.equal((await service.error('channels', { pattern: 'a[b]' })).code, 107);
});

test('history is paged in both directions, from a position and from the end', async () => {
  for (let n = 1; n <= 7; n++) await service.ok('publish', { channel: 'room:pages' }, `${n}`);
  const page = (params) => service.ok('history', { channel: 'room:pages', ...params });
  const numbers = ({ publications }) => publications.map((publication) => publication.data);
  const top = await page({ limit: 0 });
  assert.deepEqual([top.publications, top.offset], [[], 7]);
  const walk = async (first, reverse) => {
    const all = [];
    let since = first;
    for (;;) {
      const got = await page({ limit: 3, reverse, ...(since && { since }) });
      all.push(...numbers(got));
      if (got.publications.length < 3) return all;
      since = { offset: got.publications.at(-1).offset, epoch: got.epoch };
    }
  };
  assert.deepEqual(await walk({ offset: 0, epoch: top.epoch }, false), [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(await walk(undefined, true), [7, 6, 5, 4, 3, 2, 1]);
  assert.deepEqual(numbers(await page({ limit: 10, reverse: true, since: { offset: 4, epoch: top.epoch } })), [3, 2, 1]);
  assert.deepEqual(numbers(await page({ limit: 10, reverse: true, since: { offset: 1, epoch: top.epoch } })), []);
  assert.equal((await service.error('history', { channel: 'room:pages', since: { offset: 1, epoch: 'gone' } })).code, 112);
});

test('a subscription gets publications, joins and leaves in order, and goes on from a position', async () => {
  await service.ok('publish', { channel: 'room:events' }, '"old"');
  const watcher = new Service(service.endpoint);
  try {
    const { epoch } = await watcher.ok('subscribe', { channel: 'room:events', since: { offset: 0, epoch: (await service.ok('history', { channel: 'room:events', limit: 0 })).epoch } }, undefined, 'w');
    const client = await user('dora');
    await subscribed(client, 'room:events');
    await until('the join', () => watcher.events.some(({ body }) => body.type === 'join')); /* it goes another way than what is published next */
    await service.ok('publish', { channel: 'room:events' }, '"new"');
    client.disconnect();
    await until('four events', () => watcher.events.length === 4);
    assert.deepEqual(watcher.events.map(({ body, payload }) => [body.type, body.offset, payload ?? body.info.user]),
      [['publication', 1, '"old"'], ['join', 1, 'dora'], ['publication', 2, '"new"'], ['leave', 2, 'dora']]);
    assert.ok(watcher.events.every(({ id, body }) => id === 'w' && body.channel === 'room:events' && body.epoch === epoch));
    assert.equal((await watcher.error('subscribe', { channel: 'room:events' })).code, 105);
    await watcher.ok('unsubscribe', { channel: 'room:events' });
    await service.ok('publish', { channel: 'room:events' }, '"unheard"');
    assert.deepEqual((await watcher.ok('subscribe', { channel: 'room:events' })).offset, 3);
    assert.equal(watcher.events.length, 4);
  } finally {
    watcher.close();
  }
});

test('a subscription from a position that history no longer holds begins with a gap', async () => {
  const first = await service.ok('publish', { channel: 'room:gap' }, '1');
  for (let n = 2; n <= 105; n++) service.send('publish', { channel: 'room:gap', ack: 'none' }, `${n}`);
  await until('all are kept', async () => (await service.ok('history', { channel: 'room:gap', limit: 0 })).offset === 105);
  const watcher = new Service(service.endpoint);
  try {
    await watcher.ok('subscribe', { channel: 'room:gap', since: { offset: 1, epoch: first.epoch } });
    await until('the gap', () => watcher.events.length > 0);
    assert.equal(watcher.events[0].body.type, 'gap');
    await service.ok('publish', { channel: 'room:gap' }, '106');
    await until('the next one', () => watcher.events.at(-1).body.offset === 106);
  } finally {
    watcher.close();
  }
});

test('info tells of the broker and of the cluster', async () => {
  await world.connected(server);
  let info;
  await until('the connection is counted', async () => {
    info = await service.ok('info', {});
    return info.connections >= 1 && info.gateways === 1;
  });
  assert.deepEqual([info.engine, info.connected, info.brokers], ['memory', true, 1]);
  for (const name of ['publications', 'uptime', 'shards', 'channels', 'users', 'subscriptions', 'requests']) assert.equal(typeof info[name], 'number', name);
});

test('a batch answers each request in order, each for itself', async () => {
  const requests = [
    { method: 'publish', params: { channel: 'room:batch' }, payload: true },
    { method: 'history', params: { channel: 'nowhere:x' } },
    { method: 'broadcast', params: { channels: ['room:batch', 'bad name'] }, payload: true },
    { method: 'batch', params: { requests: [] } },
    { method: 'publish', params: { channel: 'room:batch' }, payload: true },
    { method: 'nothing' },
    { method: 'publish', params: { channel: 'room:batch', ack: 'none' }, payload: true },
    { method: 'channels', params: { pattern: 'none' } },
    { method: 'subscribe', params: { channel: 'room:batch' } },
    7,
    { method: 'history', params: { channel: 'room:batch', limit: 0 }, more: 1 },
  ];
  const { replies } = await service.ok('batch', { requests }, ['"a"', '"b"', '"c"', '"d"']);
  assert.deepEqual(replies.map(({ result, error }) => error?.code ?? result.offset ?? Object.keys(result)[0] ?? 'ok'),
    [1, 102, 'results', 107, 3, 104, 'ok', 'channels', 107, 107, 107]);
  assert.deepEqual(replies[2].result.results.map(({ offset, error }) => error?.code ?? offset), [2, 107]);
  const { publications } = await service.ok('history', { channel: 'room:batch' });
  assert.deepEqual(publications.map(({ data }) => data), ['a', 'b', 'c', 'd']);
  assert.match((await service.error('batch', { requests: requests.slice(0, 1) })).message, /1 of requests say "payload": true, and 0 frames/);
  assert.match((await service.error('batch', { requests: [{ method: 'info' }] }, 'x')).message, /0 of requests/);
  for (const bad of [[], Array(1001).fill({ method: 'info' })]) assert.equal((await service.error('batch', { requests: bad })).code, 107);
});

test('a batch of a thousand publications is kept in order', async () => {
  const requests = Array.from({ length: 1000 }, (_, n) => ({ method: 'publish', params: { channel: n % 2 ? 'demo:batch-odd' : 'demo:batch-even' }, payload: true }));
  const { replies } = await service.ok('batch', { requests }, requests.map((_, n) => `${n}`));
  assert.deepEqual(replies.map(({ result }) => result.offset), requests.map((_, n) => Math.floor(n / 2) + 1));
});
