/* Commands of services for sessions: subscribe, unsubscribe, disconnect, refresh, channels over the HTTP API of one gateway reach
 * the sessions of every gateway, by either broker; and an answer is ok only where everybody has confirmed. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { World, freePort, makeToken, metric, rawConnected, subscribed, until } from './support.mjs';

const KEY = crypto.randomBytes(32).toString('base64url');
const NARROW = crypto.randomBytes(32).toString('base64url');
const hash = (key) => crypto.createHash('sha256').update(key).digest('hex');

const settings = (port) => `
http_api:
  port: ${port}
  timeout: 5s
  channels_max: 50
  keys:
    - {name: all, hashes: [${hash(KEY)}], methods: ["*"], channels: ["*"]}
    - {name: narrow, hashes: [${hash(NARROW)}], methods: ["*"], channels: ["demo:open-*"]}
`;

function post(port, method, body, key = KEY) {
  const text = JSON.stringify(body, null, 1); // with line feeds, which separate messages in the client protocol
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: `/api/${method}`, method: 'POST', agent: false, timeout: 10000, headers: { 'X-API-Key': key, 'Content-Length': Buffer.byteLength(text) } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => { answer += bytes; });
      response.on('end', () => resolve(JSON.parse(answer)));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.on('error', reject);
    request.end(text);
  });
}

/* A signal is a wish: threads go on until each of them has come by. */
const hasStopped = ({ pid }) => fs.readdirSync(`/proc/${pid}/task`).every((task) => /\) T /.test(fs.readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')));
const seen = (client, name) => until(name, () => client.events.find((event) => event.name === name));
const pushes = (socket, kind) => socket.messages.flatMap((m) => m.split('\n')).map((m) => JSON.parse(m).push).filter((push) => push?.[kind]);

for (const engine of ['memory', 'redis']) {
  describe(`on ${engine}`, () => {
    let world;
    let gateways;
    let brokers;
    let redis;
    let port;
    let n = 0;
    const name = (what) => `${what}-${engine}-${++n}`;
    const call = (method, body, key) => post(port, method, body, key);
    /* A broker that has just begun, or a gateway, is known to the others a moment later. */
    const ok = async (method, body, key) => {
      const answer = await call(method, body, key);
      assert.deepEqual(answer, { result: {} }, JSON.stringify(answer));
    };

    before(async () => {
      world = new World();
      port = await freePort();
      redis = engine === 'redis' ? await world.redis(['--appendonly', 'no']) : null;
      brokers = [await world.broker({ id: 'broker-0', redis })];
      if (redis) brokers.push(await world.broker({ id: 'broker-1', redis }));
      gateways = [await world.gateway({ brokers, settings: settings(port) }), await world.gateway({ brokers })];
      await until('every gateway is linked everywhere', async () => (await call('channels', {})).result);
    });
    after(async () => {
      await world.close();
      await redis?.stop();
    });

    test('disconnect ends every connection of the user, wherever it is, and nobody else\'s', async () => {
      const user = name('user');
      const clients = [await world.connected(gateways[0], { user }), await world.connected(gateways[1], { user })];
      const other = await world.connected(gateways[1], { user: name('other') });
      await ok('disconnect', { user });
      for (const client of clients) {
        const { code, reason } = await seen(client, 'disconnected');
        assert.deepEqual([code, reason], [3503, 'force disconnect']);
      }
      assert.equal(other.state, 'connected');
    });

    test('disconnect with a code and a reason of its own, for one client, or for all but some', async () => {
      const user = name('user');
      const sockets = [await rawConnected(gateways[0].url, { sub: user }), await rawConnected(gateways[1].url, { sub: user })];
      const clients = [await world.connected(gateways[0], { user }), await world.connected(gateways[1], { user })];
      const ids = clients.map((client) => client.events.find((event) => event.name === 'connected').client);
      await ok('disconnect', { user, client: ids[0], disconnect: { code: 4501, reason: 'bye \u00e9' } });
      const { code, reason } = await seen(clients[0], 'disconnected');
      assert.deepEqual([code, reason], [4501, 'bye é']);
      assert.equal(clients[1].state, 'connected');
      await ok('disconnect', { user, whitelist: [ids[1]], disconnect: { code: 4000, reason: 'come back' } });
      for (const socket of sockets) assert.deepEqual(await socket.ended(), { code: 4000, reason: 'come back' });
      assert.equal(clients[1].state, 'connected');
    });

    test('subscribe makes a server-side subscription at run time, with data, info and presence', async () => {
      const user = name('user');
      const channel = name('demo:sub');
      const client = await world.connected(gateways[1], { user });
      await ok('subscribe', { user, channel, data: { hello: [1, 2] }, info: { role: 'x' } });
      const event = await seen(client, 'subscribed');
      assert.equal(event.channel, channel);
      assert.deepEqual(event.data, { hello: [1, 2] });
      assert.equal(event.recoverable, true);
      await call('publish', { channel, data: 'first' });
      const publication = await seen(client, 'publication');
      assert.deepEqual([publication.channel, publication.data, publication.offset], [channel, 'first', 1]);
      const { result } = await call('presence', { channel });
      const [member] = Object.values(result.presence);
      assert.deepEqual([member.user, member.chan_info], [user, { role: 'x' }]);
      await ok('subscribe', { user, channel }); // again: nothing more happens
    });

    test('a subscription made at run time is recovered when the connection comes back', async () => {
      const user = name('user');
      const channel = name('demo:sub');
      const client = await world.connected(gateways[0], { user });
      await ok('subscribe', { user, channel });
      await seen(client, 'subscribed');
      client.disconnect();
      await call('publish', { channel, data: 'meanwhile' });
      client.connect();
      assert.equal((await seen(client, 'publication')).data, 'meanwhile');
    });

    test('subscribe from a position brings what was published since', async () => {
      const user = name('user');
      const channel = name('demo:sub');
      const { result: first } = await call('publish', { channel, data: 1 });
      await call('publish', { channel, data: 2 });
      await call('publish', { channel, data: 3 });
      const client = await world.connected(gateways[1], { user });
      await ok('subscribe', { user, channel, recover_since: { offset: first.offset, epoch: first.epoch } });
      await until('both', () => client.events.filter((event) => event.name === 'publication').length === 2);
      assert.deepEqual(client.events.filter((event) => event.name === 'publication').map((event) => [event.data, event.offset]), [[2, 2], [3, 3]]);
    });

    test('unsubscribe takes a channel away for good, and only from those who have it', async () => {
      const user = name('user');
      const [channel, kept] = [name('demo:ch'), name('demo:ch')];
      const clients = [await world.connected(gateways[0], { user }), await world.connected(gateways[1], { user })];
      const subscriptions = [await subscribed(clients[0], channel), await subscribed(clients[1], channel)];
      const other = await subscribed(clients[1], kept);
      const socket = await rawConnected(gateways[1].url, { sub: user });
      await ok('unsubscribe', { user, channel });
      for (const subscription of subscriptions) {
        const { code, reason } = await until('unsubscribed', () => subscription.events.find((event) => event.name === 'unsubscribed'));
        assert.deepEqual([code, reason], [2000, 'server unsubscribe']);
      }
      assert.equal(other.state, 'subscribed');
      await ok('unsubscribe', { user, channel: '' });
      await until('the other one too', () => other.state === 'unsubscribed');
      assert.deepEqual(pushes(socket, 'unsubscribe'), []);
      socket.close();
    });

    test('refresh ends a connection as expired, or gives it another time to live', async () => {
      const user = name('user');
      const soon = Math.floor(Date.now() / 1000) + 1000;
      const socket = await rawConnected(gateways[1].url, { sub: user });
      await ok('refresh', { user, expire_at: soon });
      await until('the push', () => pushes(socket, 'refresh').length > 0);
      const [{ refresh }] = pushes(socket, 'refresh');
      assert.ok(refresh.expires && refresh.ttl > 900 && refresh.ttl <= 1000, JSON.stringify(refresh));
      await ok('refresh', { user, expired: true });
      assert.deepEqual(await socket.ended(), { code: 3005, reason: 'connection expired' });
    });

    test('refresh gives a connection another conn_info, which its publications and presence carry', async () => {
      const user = name('user');
      const channel = name('demo:ch');
      const client = await world.connected(gateways[1], { user });
      const reader = await subscribed(await world.connected(gateways[0]), channel);
      await subscribed(client, channel);
      await until('presence is loaded', () => reader.presence().then(({ clients }) => Object.keys(clients).length === 2));
      await ok('refresh', { user, info: { name: 'new' } });
      await client.publish(channel, 'hello');
      await until('the publication', () => reader.got.length === 1);
      await until('presence says the same', () => reader.presence().then(({ clients }) => Object.values(clients).some((each) => each.user === user && each.connInfo?.name === 'new')));
      assert.deepEqual([reader.got[0].info.user, reader.got[0].info.connInfo], [user, { name: 'new' }]);
    });

    test('channels are counted over all gateways, by pattern, as far as the key goes', async () => {
      const word = name('demo:list');
      const open = name('demo:open-list');
      const clients = [await world.connected(gateways[0]), await world.connected(gateways[1]), await world.connected(gateways[1])];
      for (const client of clients) await subscribed(client, `${word}-a`);
      await subscribed(clients[0], `${word}-b`);
      await subscribed(clients[0], open);
      assert.deepEqual((await call('channels', { pattern: `${word}-*` })).result.channels, { [`${word}-a`]: { num_clients: 3 }, [`${word}-b`]: { num_clients: 1 } });
      assert.deepEqual((await call('channels', { pattern: `${word}-a` })).result.channels, { [`${word}-a`]: { num_clients: 3 } });
      assert.deepEqual((await call('channels', {}, NARROW)).result.channels, { [open]: { num_clients: 1 } });
      assert.equal((await call('channels', { pattern: 'demo:[ab]' })).error.code, 107);
      const first = (await call('channels', { pattern: `${word}-*`, limit: 1 })).result;
      assert.deepEqual(first, { channels: { [`${word}-a`]: { num_clients: 3 } }, cursor: `${word}-a` });
      const next = (await call('channels', { pattern: `${word}-*`, limit: 1, cursor: first.cursor })).result;
      assert.deepEqual(next, { channels: { [`${word}-b`]: { num_clients: 1 } } });
      assert.deepEqual((await call('channels', { pattern: `${word}-*`, cursor: `${word}-b` })).result, { channels: {} });
      for (const wrong of [{ limit: 0 }, { limit: -1 }, { limit: '1' }, { limit: 2 ** 40 }, { cursor: 1 }]) assert.equal((await call('channels', wrong)).error.code, 107, JSON.stringify(wrong));
    });

    test('more channels than http_api.channels_max are refused as too many', async () => {
      const word = name('demo:many');
      const client = await world.connected(gateways[1]);
      for (let i = 0; i <= 50; i += 1) await subscribed(client, `${word}-${i}`);
      const { error } = await call('channels', { pattern: `${word}-*` });
      assert.equal(error.code, 106);
      assert.deepEqual(Object.keys((await call('channels', { pattern: `${word}-1*` })).result.channels).length, 11);
      client.disconnect();
      await until('they are left', async () => Object.keys((await call('channels', { pattern: `${word}-*` })).result?.channels ?? { no: 1 }).length === 0);
    });

    test('what is wrong with a command is told, and nothing is done', async () => {
      const user = name('user');
      const channel = 'demo:x';
      const client = await world.connected(gateways[1], { user });
      for (const [method, body, code, key] of [
        ['disconnect', {}, 107],
        ['disconnect', { user: '' }, 107],
        ['disconnect', { user, disconnect: { code: 1000 } }, 107],
        ['disconnect', { user, disconnect: { code: 4000, reason: 'x'.repeat(124) } }, 107],
        ['disconnect', { user, whitelist: 'x' }, 107],
        ['disconnect', { user, session: 's' }, 108],
        ['subscribe', { user }, 107],
        ['subscribe', { user, channel: 'nowhere:x' }, 102],
        ['subscribe', { user, channel, b64info: '*' }, 107],
        ['subscribe', { user, channel }, 103, NARROW],
        ['unsubscribe', { user }, 107],
        ['unsubscribe', { user, channel }, 103, NARROW],
        ['unsubscribe', { user, channel: '' }, 103, NARROW],
        ['refresh', { user }, 107],
        ['refresh', { user, expire_at: 'soon' }, 107],
      ]) {
        const { error } = await call(method, body, key);
        assert.equal(error?.code, code, `${method} ${JSON.stringify(body)}`);
      }
      assert.equal(client.state, 'connected');
      await ok('disconnect', { user: name('nobody') });
    });

    test('commands in a batch run one after another', async () => {
      const user = name('user');
      const channel = name('demo:sub');
      const client = await world.connected(gateways[1], { user });
      const { replies } = await call('batch', { commands: [{ subscribe: { user, channel } }, { unsubscribe: { user, channel } }, { disconnect: { user } }] });
      assert.deepEqual(replies, [{ subscribe: {} }, { unsubscribe: {} }, { disconnect: {} }]);
      await seen(client, 'disconnected');
    });

    test('a gateway that does not confirm makes the answer unknown, and the metrics say so', async () => {
      const user = name('user');
      const client = await world.connected(gateways[0], { user });
      gateways[1].kill('SIGSTOP');
      try {
        await until('every thread has stopped', () => hasStopped(gateways[1]));
        const { error } = await call('disconnect', { user });
        assert.equal(error.code, 120);
        assert.equal(error.definite, false);
        assert.match(error.message, /not every gateway/);
        await seen(client, 'disconnected'); // the others have done it
        const partial = await Promise.all(brokers.map((broker) => metric(broker, 'callboard_broker_commands_total{result="partial"}')));
        assert.ok(partial.some((count) => count > 0));
      } finally {
        gateways[1].kill('SIGCONT');
      }
      await until('everybody confirms again', async () => (await call('disconnect', { user })).result);
    });
  });
}
