/* SSE and HTTP streaming: what clients fall back to where no WebSocket comes through. The published SDK over both, and
   requests by hand for what an SDK never sends. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import EventSource from 'eventsource';
import { World, makeToken, subscribed, until, get, streamFetch } from './support.mjs';

/* The world's settings already have an http section: these go by the environment. */
const ENV = { CALLBOARD_HTTP_SSE: 'true', CALLBOARD_HTTP_HTTP_STREAM: 'true', CALLBOARD_HTTP_ALLOWED_ORIGINS: 'https://app.example.com', CALLBOARD_GATEWAY_WORKERS: '2' };

/* `transport`: sse, http_stream, or http_stream in protobuf. */
function sdk(world, server, transport, options = {}) {
  const base = `http://127.0.0.1:${server.port}`;
  const [name, , encoding = 'json'] = transport.split(' ');
  return world.client([{ transport: name, endpoint: `${base}/connection/${name}` }], {
    encoding, emulationEndpoint: `${base}/emulation`, eventsource: EventSource, fetch: streamFetch, readableStream: ReadableStream, ...options });
}

async function metric(server, name) {
  const { body } = await get(server.internal, '/metrics');
  return body.split('\n').filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

/* One request as it stands; resolves with what came when `enough` says so, or at the end. */
function exchange(port, text, enough = () => false) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text));
    let got = '';
    const timer = setTimeout(() => { socket.destroy(); reject(new Error(`no end in 10 s, so far: ${got}`)); }, 10000);
    const done = () => { clearTimeout(timer); socket.destroy(); resolve(got); };
    socket.on('data', (bytes) => { got += bytes; if (enough(got)) done(); });
    socket.on('close', done);
    socket.on('error', done);
  });
}
const status = (answer) => Number(answer.split(' ')[1]);
const post = (path, body, headers = '') => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;

let world;
let server;
before(async () => { world = new World(); server = await world.appliance({ env: ENV }); });
after(() => world.close());

for (const transport of ['sse', 'http_stream', 'http_stream in protobuf']) {
  const [kind] = transport.split(' ');
  describe(`the SDK over ${transport}`, () => {
    test('connects, subscribes, publishes, gets its own publication, reads history and presence', async () => {
      const client = sdk(world, server, transport);
      client.connect();
      await client.ready(10000);
      assert.equal(client.events.find((event) => event.name === 'connected').transport, kind);
      const subscription = await subscribed(client, `demo:${transport.replaceAll(' ', '-')}`);
      await subscription.publish({ n: 1, text: 'größer als\n„ASCII“ 🎉' });
      await until('the publication', () => subscription.got.length === 1);
      assert.deepEqual(subscription.got[0].data, { n: 1, text: 'größer als\n„ASCII“ 🎉' });
      assert.equal((await subscription.history({ limit: 10 })).publications.length, 1);
      client.disconnect();
    });

    test('a message for a stream of another worker finds it: forty clients, each publishes', async () => {
      const clients = [];
      for (let i = 0; i < 40; i++) {
        const client = sdk(world, server, transport, { user: `user${i}` });
        client.connect();
        clients.push(client);
      }
      const subscriptions = await Promise.all(clients.map(async (client) => {
        await client.ready(10000);
        return subscribed(client, `demo:${kind}-many`);
      }));
      await Promise.all(subscriptions.map((subscription, i) => subscription.publish({ i })));
      await until('1,600 deliveries', () => subscriptions.every((subscription) => subscription.got.length === 40));
      assert.ok(await metric(server, 'callboard_emulation_forwarded_total') > 0, 'both workers had streams');
      clients.forEach((client) => client.disconnect());
      await until('the streams are gone', async () => (await metric(server, `callboard_http_streams{transport="${kind}"}`)) === 0);
    });

    test('a gateway that is drained says so in a last push; the client comes back and recovers what it missed', async () => {
      const broker = await world.broker({ id: `broker-${kind}` });
      const first = await world.gateway({ brokers: [broker], env: ENV });
      const client = sdk(world, first, transport);
      client.connect();
      await client.ready(10000);
      const subscription = await subscribed(client, 'demo:drained');
      const other = await world.gateway({ brokers: [broker], env: ENV });
      const publisher = await world.connected(other, { user: 'bob' });
      await publisher.publish('demo:drained', { n: 1 });
      await until('the first', () => subscription.got.length === 1);
      first.kill('SIGTERM');
      await until('the last push', () => client.events.some((event) => event.name === 'connecting' && event.code === 3001));
      await publisher.publish('demo:drained', { n: 2 });
      await first.done;
      const second = world.start('gateway/callboard-gateway', ['--config', first.file], ENV);
      await until('the second', () => subscription.got.length === 2);
      assert.deepEqual(subscription.got.map((publication) => publication.data.n), [1, 2]);
      client.disconnect();
      second.kill('SIGTERM');
    });

    test('a bad token disconnects for good', async () => {
      const client = sdk(world, server, transport, { token: 'not.a.token' });
      client.connect();
      await until('the end', () => client.events.some((event) => event.name === 'disconnected'));
      assert.equal(client.events.find((event) => event.name === 'disconnected').code, 3500);
    });

    test('a client that vanishes is noticed', async () => {
      const answer = exchange(server.port, post(`/connection/${kind}`, JSON.stringify({ id: 1, connect: { token: makeToken({ sub: 'carol' }) } })), (got) => got.includes('"client"'));
      assert.equal(status(await answer), 200);
      await until('the stream is gone', async () => (await metric(server, `callboard_http_streams{transport="${kind}"}`)) === 0);
    });
  });
}

describe('by hand', () => {
  const connect = JSON.stringify({ id: 1, connect: { token: makeToken({ sub: 'dave' }) } });

  test('the answer of an SSE begins with an empty line, then an event for each reply', async () => {
    const answer = await exchange(server.port, post('/connection/sse', `${connect}\n{"id":2,"subscribe":{"channel":"demo:x"}}`), (got) => got.includes('"subscribe"'));
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-stream\r\n/);
    assert.match(answer, /\r\n\r\n2\r\n\r\n\r\n[0-9a-f]+\r\ndata: \{"id":1,"connect":\{"client":"[^"]+".*"session":"[0-9a-f]{2}-[0-9A-Za-z]{22}","node":"[^"]+"\}\}\n\n/);
    assert.match(answer, /data: \{"id":2,"subscribe":\{.*\}\n\n\r\n/);
  });

  test('an allowed page of another origin gets its CORS headers, another page 403', async () => {
    const allowed = await exchange(server.port, post('/connection/http_stream', connect, 'Origin: https://app.example.com\r\n'), (got) => got.includes('"client"'));
    assert.match(allowed, /\r\nAccess-Control-Allow-Origin: https:\/\/app\.example\.com\r\nAccess-Control-Allow-Credentials: true\r\n/);
    const preflight = await exchange(server.port, 'OPTIONS /emulation HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.com\r\nAccess-Control-Request-Headers: content-type\r\n\r\n');
    assert.equal(status(preflight), 204);
    assert.match(preflight, /\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n/);
    assert.match(preflight, /\r\nAccess-Control-Allow-Headers: content-type\r\n/);
    for (const path of ['/connection/sse', '/connection/http_stream', '/emulation']) {
      assert.equal(status(await exchange(server.port, post(path, connect, 'Origin: https://evil.example.com\r\n'))), 403, path);
    }
  });

  const refused = [
    ['GET on the stream', 'GET /connection/http_stream HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['GET on emulation', 'GET /emulation HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['SSE without commands', 'GET /connection/sse HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    /* libwebsockets ends the request line at a line feed, escaped or not: what stands behind it would be lost. */
    ['SSE by GET with a line feed between commands', `GET /connection/sse?cf_connect=${encodeURIComponent('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"plain:x"}}')} HTTP/1.1\r\nHost: x\r\n\r\n`, 400],
    ['no length', 'POST /emulation HTTP/1.1\r\nHost: x\r\n\r\n', 411],
    ['a chunked body', 'POST /emulation HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', 411],
    ['an empty body', 'POST /emulation HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', 400],
    ['a negative length', 'POST /emulation HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello', 400],
    ['a length that is no number', 'POST /emulation HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\nhello', 400],
    ['too long a body', 'POST /emulation HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n', 413],
    ['no JSON', post('/emulation', 'hello'), 400],
    ['no object', post('/emulation', '[]'), 400],
    ['no data', post('/emulation', '{"session":"00-aaaaaaaaaaaaaaaaaaaaaa","node":"n"}'), 400],
    ['another node', post('/emulation', '{"session":"00-aaaaaaaaaaaaaaaaaaaaaa","node":"elsewhere","data":"{}"}'), 404],
    ['a session that is none', post('/emulation', '{"session":"x","node":"elsewhere","data":"{}"}'), 404],
  ];
  for (const [what, request, expected] of refused) {
    test(`${what}: ${expected}`, async () => { assert.equal(status(await exchange(server.port, request)), expected); });
  }

  test('a session of this node that is not there: 404, of whichever worker', async () => {
    const answer = await exchange(server.port, post('/connection/sse', connect), (got) => got.includes('"node"'));
    const node = /"node":"([^"]+)"/.exec(answer)[1];
    for (const worker of ['00', '01', '02', 'ff']) {
      const body = JSON.stringify({ session: `${worker}-aaaaaaaaaaaaaaaaaaaaaa`, node, data: '{}' });
      assert.equal(status(await exchange(server.port, post('/emulation', body))), 404, worker);
    }
  });

  test('what stands behind a request is never read as another', async () => {
    const commands = `${connect}\n{"id":2,"subscribe":{"channel":"plain:behind"}}`;
    const second = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n';
    const publisher = await world.connected(server, { user: 'bob' });
    for (const first of [post('/connection/sse', commands), post('/connection/http_stream', commands)]) {
      const answer = exchange(server.port, first + second, (got) => got.includes('"late"'));
      await until('it is open', async () => (await metric(server, 'callboard_http_streams{')) === 1);
      const timer = setInterval(() => publisher.publish('plain:behind', 'late').catch(() => {}), 50);
      const got = await answer.finally(() => clearInterval(timer));
      assert.ok(got.includes('"late"') && !got.includes('"connections"'), got);
      await until('it is gone', async () => (await metric(server, 'callboard_http_streams{')) === 0);
    }
  });

  test('without the setting the paths are not there', async () => {
    const plain = await world.appliance();
    for (const path of ['/connection/sse', '/connection/http_stream', '/emulation']) {
      assert.notEqual(status(await exchange(plain.port, post(path, connect))), 200, path);
    }
  });

  test('one stream more than client.streams_max is answered 503', async () => {
    const small = await world.appliance({ env: { ...ENV, CALLBOARD_GATEWAY_WORKERS: '1', CALLBOARD_CLIENT_STREAMS_MAX: '1' } });
    const first = http.request({ port: small.port, path: '/connection/sse', method: 'POST', agent: false });
    first.on('error', () => {});
    first.end(connect);
    await until('it is open', async () => (await metric(small, 'callboard_http_streams{')) === 1);
    const answer = await exchange(small.port, post('/connection/sse', connect));
    assert.equal(status(answer), 503);
    assert.match(answer, /\r\nRetry-After: 1\r\n/);
    first.destroy();
    await until('there is room again', async () => (await metric(small, 'callboard_http_streams{')) === 0);
  });

  /* libwebsockets polls what it does not read: a client that has gone must not leave it spinning. */
  test('clients of GET streams that close or talk are let go within seconds', async () => {
    const open = [];
    for (let i = 0; i < 20; i++) {
      const request = http.request({ port: server.port, path: `/connection/sse?cf_connect=${encodeURIComponent(connect)}`, agent: false });
      request.on('error', () => {});
      request.end();
      open.push(request);
    }
    await until('they are open', async () => (await metric(server, 'callboard_http_streams{')) === 20);
    open.forEach((request, i) => (i % 2 ? request.destroy() : request.socket.write('more')));
    await until('they are gone', async () => (await metric(server, 'callboard_http_streams{')) === 0);
  });
});
