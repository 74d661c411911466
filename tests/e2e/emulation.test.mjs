/* Clients without WebSockets behind a load balancer that knows nothing of them: each request goes to one of the gateways by
   chance, so that about half of the POSTs reach the one that has not their stream. The published SDK over both transports. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import EventSource from 'eventsource';
import { World, freePort, makeToken, metric, subscribed, until, streamFetch } from './support.mjs';

const ENV = { CALLBOARD_HTTP_SSE: 'true', CALLBOARD_HTTP_HTTP_STREAM: 'true' };
const TO_GATEWAY = 'callboard_emulation_forwarded_total{to="gateway"}';
const NOT_SENT = 'callboard_emulation_forward_failed_total{reason="not_sent"}';
const NO_ANSWER = 'callboard_emulation_forward_failed_total{reason="no_answer"}';

/* Passes each request on to any server, whatever it is. In turn would not do: twenty clients that ask one after another meet their own
   gateway each time. */
async function balancer(servers) {
  const port = await freePort();
  const proxy = http.createServer((request, response) => {
    const { port: target } = servers[crypto.randomInt(servers.length)];
    const onward = http.request({ host: '127.0.0.1', port: target, path: request.url, method: request.method, headers: request.headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => { proxy.listen(port, '127.0.0.1', resolve); });
  return { port, close: () => { proxy.closeAllConnections(); proxy.close(); } };
}

function post(port, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: '/emulation', method: 'POST', agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

/* A stream by hand: its lines, and what its connect reply says of it. */
async function stream(server, user) {
  const lines = [];
  const request = http.request({ host: '127.0.0.1', port: server.port, path: '/connection/http_stream', method: 'POST', agent: false }, (answer) => {
    answer.on('data', (bytes) => lines.push(...bytes.toString().split('\n').filter(Boolean).map((line) => JSON.parse(line))));
    answer.on('error', () => {});
  });
  request.on('error', () => {});
  request.end(JSON.stringify({ id: 1, connect: { token: makeToken({ sub: user }) } }));
  const reply = await until('the connect reply', () => lines.find((line) => line.connect));
  return { lines, session: reply.connect.session, node: reply.connect.node, close: () => request.destroy() };
}

let world;
let broker;
let gateways;
let proxy;
before(async () => {
  world = new World();
  broker = await world.broker({ id: 'broker-0' });
  gateways = [await world.gateway({ brokers: [broker], env: ENV }), await world.gateway({ brokers: [broker], env: ENV })];
  proxy = await balancer(gateways);
});
after(async () => { proxy.close(); await world.close(); });

const sum = async (row) => (await Promise.all(gateways.map((gateway) => metric(gateway, row)))).reduce((a, b) => a + b, 0);

for (const transport of ['sse', 'http_stream', 'http_stream in protobuf']) {
  describe(`the SDK over ${transport}, each request to one of two gateways`, () => {
    test('twenty clients subscribe, publish, read history; nobody connects twice', async () => {
      const [name, , encoding = 'json'] = transport.split(' ');
      const base = `http://127.0.0.1:${proxy.port}`;
      const forwarded = await sum(TO_GATEWAY);
      const clients = Array.from({ length: 20 }, (_, i) => world.client([{ transport: name, endpoint: `${base}/connection/${name}` }], {
        encoding, user: `user${i}`, emulationEndpoint: `${base}/emulation`, eventsource: EventSource, fetch: streamFetch, readableStream: ReadableStream }));
      const channel = `demo:anywhere-${transport.replaceAll(' ', '-')}`;
      clients.forEach((client) => client.connect());
      const subscriptions = await Promise.all(clients.map(async (client) => {
        await client.ready(10000);
        return subscribed(client, channel);
      }));
      for (let n = 0; n < 3; n++) {
        await Promise.all(subscriptions.map((subscription, i) => subscription.publish({ i, n })));
      }
      await until('1,200 deliveries', () => subscriptions.every((subscription) => subscription.got.length === 60));
      assert.equal((await subscriptions[0].history({ limit: 10 })).publications.length, 10);
      for (const client of clients) {
        assert.equal(client.events.filter((event) => event.name === 'connected').length, 1);
      }
      assert.ok(await sum(TO_GATEWAY) > forwarded, 'some POST reached the other gateway');
      clients.forEach((client) => client.disconnect());
      await until('the streams are gone', async () => (await sum(`callboard_http_streams{transport="${name}"}`)) === 0);
    });
  });
}

describe('by hand', () => {
  test('a POST at the other gateway is that client\'s message; a session that is not there is 404, as is a node', async () => {
    const own = await stream(gateways[0], 'alice');
    const data = JSON.stringify({ id: 2, subscribe: { channel: 'demo:by-hand' } });
    assert.equal(await post(gateways[1].port, { session: own.session, node: own.node, data }), 204);
    await until('the reply', () => own.lines.some((line) => line.id === 2 && line.subscribe));
    for (const worker of ['00', '01', '02', 'ff']) {
      assert.equal(await post(gateways[1].port, { session: `${worker}-aaaaaaaaaaaaaaaaaaaaaa`, node: own.node, data }), 404, worker);
    }
    assert.equal(await post(gateways[1].port, { session: own.session, node: 'elsewhere', data }), 404);
    assert.equal(await post(gateways[1].port, { session: own.session, node: '', data }), 404);
    assert.equal(await post(gateways[1].port, { session: own.session, node: 'x'.repeat(300), data }), 404);
    const passed = 'callboard_broker_emulations_total{result="no_gateway"}';
    assert.ok(await metric(broker, passed) >= 5, 'the broker counts them');
    own.close();
  });

  test('a message as large as one may be is passed on; the outcome of a client that went meanwhile concerns nobody', async () => {
    const own = await stream(gateways[0], 'bob');
    const data = JSON.stringify({ id: 2, publish: { channel: 'demo:large', data: 'x'.repeat(60000) } });
    assert.equal(await post(gateways[1].port, { session: own.session, node: own.node, data }), 204);
    await until('the reply', () => own.lines.some((line) => line.id === 2 && line.publish));
    for (let i = 0; i < 20; i++) {
      const request = http.request({ host: '127.0.0.1', port: gateways[1].port, path: '/emulation', method: 'POST', agent: false });
      request.on('error', () => {});
      request.end(JSON.stringify({ session: own.session, node: own.node, data: JSON.stringify({ id: 10 + i, ping: {} }) }), () => request.destroy());
    }
    assert.equal(await post(gateways[1].port, { session: own.session, node: own.node, data: JSON.stringify({ id: 50, publish: { channel: 'demo:large', data: 1 } }) }), 204);
    await until('it still serves', () => own.lines.some((line) => line.id === 50));
    own.close();
  });

  test('a gateway that says nothing: 504 when brokers.request_timeout is over; one more than client.emulations_max: 503', async () => {
    const silent = await world.gateway({ brokers: [broker], env: ENV });
    const few = await world.gateway({ brokers: [broker], env: { ...ENV, CALLBOARD_GATEWAY_WORKERS: '1', CALLBOARD_CLIENT_EMULATIONS_MAX: '2' } });
    const own = await stream(silent, 'carol');
    silent.kill('SIGSTOP');
    const body = { session: own.session, node: own.node, data: '{"id":2,"subscribe":{"channel":"demo:x"}}' };
    const answers = await Promise.all([1, 2, 3].map(() => post(few.port, body)));
    silent.kill('SIGCONT');
    assert.deepEqual(answers.sort(), [503, 504, 504]);
    assert.equal(await metric(few, NOT_SENT), 1);
    assert.equal(await metric(few, NO_ANSWER), 2);
    own.close();
  });

  test('without a broker: 503', async () => {
    const lonely = await world.broker({ id: 'broker-1' });
    const gateway = await world.gateway({ brokers: [lonely], env: { ...ENV, CALLBOARD_GATEWAY_WORKERS: '1' } });
    await lonely.stop('SIGKILL');
    await until('it knows', async () => (await metric(gateway, 'callboard_gateway_brokers_alive')) === 0);
    assert.equal(await post(gateway.port, { session: '00-aaaaaaaaaaaaaaaaaaaaaa', node: 'elsewhere', data: '{}' }), 503);
  });
});
