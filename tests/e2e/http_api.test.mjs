/* The HTTP API: each method and each error on the memory engine and on Redis, keys and their scopes, and requests that
 * are none. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BUILD, World, freePort, metric, subscribed, until } from './support.mjs';

const newKey = () => crypto.randomBytes(32).toString('base64url');
const hash = (key) => crypto.createHash('sha256').update(key).digest('hex');
const KEYS = { all: newKey(), next: newKey(), narrow: newKey(), slow: newKey() };

const settings = (port, keys = KEYS, more = '') => `  - name: patched
    allow_subscribe_for_client: true
    history_size: 10
    history_ttl: 1m
    allowed_delta_types: [fossil]
http_api:
  port: ${port}
${more}  body_max: 64KiB
  parts_max: 20
  timeout: 3s
  keys:
    - {name: all, hashes: [${hash(keys.all)}, ${hash(keys.next)}], methods: ["*"], channels: ["*"]}
    - {name: narrow, hashes: [${hash(keys.narrow)}], methods: [publish, broadcast, batch], channels: ["demo:open-*"]}
    - {name: slow, hashes: [${hash(keys.slow)}], methods: [publish, broadcast], channels: ["*"], rate: 2}
`;

/* One request; `headers` may take the key away. */
function post(port, method, body, headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: `/api/${method}`, method: 'POST', agent: false, timeout: 8000, headers: { 'X-API-Key': KEYS.all, 'Content-Length': Buffer.byteLength(text), ...headers } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => { answer += bytes; });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, ...JSON.parse(answer), text: answer }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 8 s')));
    request.on('error', reject);
    request.end(text);
  });
}

async function failed(answer, code, pattern = /./) {
  const { status, error, result, text } = await answer;
  assert.equal(status, 200, text);
  assert.equal(result, undefined, text);
  assert.equal(error?.code, code, text);
  assert.match(error.message, pattern);
  assert.equal(error.definite, true, text);
}

for (const engine of ['memory', 'redis']) {
  describe(`on ${engine}`, () => {
    let world;
    let server;
    let port;
    let redis;
    let n = 0;
    const channel = () => `demo:api-${++n}`;
    const call = (method, body, headers) => post(port, method, body, headers);

    before(async () => {
      world = new World();
      port = await freePort();
      redis = engine === 'redis' ? await world.redis() : null;
      server = await world.appliance({ settings: settings(port), args: redis ? ['--redis', redis.url] : [] });
    });
    after(async () => {
      await world.close();
      await redis?.stop();
    });

    test('what publish sends comes to the SDK, with tags and position', async () => {
      const name = channel();
      const subscription = await subscribed(await world.connected(server), name);
      const { result, headers } = await call('publish', { channel: name, data: { hello: ['wörld', 1.5] }, tags: { lang: 'de' } });
      assert.equal(result.offset, 1);
      assert.match(result.epoch, /^\w{16}$/);
      assert.equal(headers.connection, 'close');
      await until('the publication', () => subscription.got.length === 1);
      assert.deepEqual(subscription.got[0].data, { hello: ['wörld', 1.5] });
      assert.deepEqual(subscription.got[0].tags, { lang: 'de' });
      assert.equal(subscription.got[0].offset, 1);
    });

    test('data may be any JSON; b64data wins over data, and must be JSON where the namespace says so', async () => {
      const name = channel();
      for (const data of [null, false, 0, '', [], { deep: { er: [] } }]) await call('publish', { channel: name, data });
      const encoded = Buffer.from('{"b":64}').toString('base64');
      assert.ok((await call('publish', { channel: name, data: 1, b64data: encoded })).result);
      const { result } = await call('history', { channel: name, limit: -1 });
      assert.deepEqual(result.publications.map((each) => each.data), [null, false, 0, '', [], { deep: { er: [] } }, { b: 64 }]);
      await failed(call('publish', { channel: name, b64data: Buffer.from([0xff, 0]).toString('base64') }), 107, /not JSON.*publication_data_format/);
      await failed(call('publish', { channel: name, b64data: 'not base64!' }), 107, /b64data/);
    });

    test('delta: true publishes what may be sent as a patch, for this publication alone', async () => {
      const subscription = await subscribed(await world.connected(server), 'patched:x', { delta: 'fossil' });
      const patches = () => metric(server, 'callboard_gateway_patches_total{used="true"}');
      const before = await patches();
      const text = (n) => ({ n, same: 'x'.repeat(200) });
      for (const [n, delta] of [[1, true], [2, true], [3, false], [4, false], [5, true], [6, true]]) {
        const method = n % 2 ? 'publish' : 'broadcast';
        const to = n % 2 ? { channel: 'patched:x' } : { channels: ['patched:x'] };
        assert.ok((await call(method, { ...to, data: text(n), delta })).result);
      }
      await until('all', () => subscription.got.length === 6);
      assert.deepEqual(subscription.got.map(({ data }) => data), [1, 2, 3, 4, 5, 6].map(text));
      assert.equal(await patches() - before, 2, 'the second and the sixth: they and those before them were published so');
    });

    test('a payload of several lines reaches clients as one', async () => {
      const name = channel();
      const subscription = await subscribed(await world.connected(server), name);
      await call('publish', `{"channel":"${name}",\n "data": {\r\n  "a":\n 1 }\n}`);
      await until('the publication', () => subscription.got.length === 1);
      assert.deepEqual(subscription.got[0].data, { a: 1 });
    });

    test('a channel without history has no offset, and skip_history leaves none behind', async () => {
      assert.deepEqual((await call('publish', { channel: 'plain:x', data: 1 })).result, {});
      const name = channel();
      await call('publish', { channel: name, data: 1, skip_history: true });
      assert.deepEqual((await call('history', { channel: name, limit: 10 })).result.publications, []);
    });

    test('the same idempotency_key publishes once and gives the same position; with another payload it is refused', async () => {
      const name = channel();
      const first = await call('publish', { channel: name, data: 1, idempotency_key: 'k' });
      const second = await call('publish', { channel: name, data: 1, idempotency_key: 'k' });
      assert.deepEqual({ ...second.result, duplicate: undefined }, { ...first.result, duplicate: undefined });
      assert.equal(second.result.duplicate, true);
      assert.equal((await call('history', { channel: name, limit: 10 })).result.publications.length, 1);
      await failed(call('publish', { channel: name, data: 2, idempotency_key: 'k' }), 121);
    });

    test('an older version is passed over, without an error', async () => {
      const name = channel();
      await call('publish', { channel: name, data: 'new', version: 5, version_epoch: 'e' });
      const old = await call('publish', { channel: name, data: 'old', version: 5, version_epoch: 'e' });
      assert.equal(old.result.suppressed, true, old.text);
      await call('publish', { channel: name, data: 'newer', version: 6, version_epoch: 'e' });
      const { result } = await call('history', { channel: name, limit: 10 });
      assert.deepEqual(result.publications.map((each) => each.data), ['new', 'newer']);
      await failed(call('publish', { channel: 'plain:v', data: 1, version: 1 }), 107, /version/);
    });

    test('broadcast answers for each channel in its order; one that is refused does not keep the others', async () => {
      const [a, b] = [channel(), channel()];
      const { result } = await call('broadcast', { channels: [a, 'nowhere:x', b, 'bad name', 7], data: { all: true } });
      assert.equal(result.responses.length, 5);
      assert.equal(result.responses[0].result.offset, 1);
      assert.equal(result.responses[1].error.code, 102);
      assert.equal(result.responses[2].result.offset, 1);
      assert.equal(result.responses[3].error.code, 107);
      assert.equal(result.responses[4].error.code, 107);
      await failed(call('broadcast', { channels: [], data: 1 }), 107, /channels/);
      await failed(call('broadcast', { channels: Array(21).fill(a), data: 1 }), 106, /parts_max/);
    });

    test('history: pages both ways, the position alone, another epoch', async () => {
      const name = channel();
      for (let i = 1; i <= 5; i++) await call('publish', { channel: name, data: i });
      const { result: top } = await call('history', { channel: name });
      assert.deepEqual([top.publications, top.offset], [[], 5]);
      const numbers = async (body) => (await call('history', { channel: name, ...body })).result.publications.map((each) => each.data);
      assert.deepEqual(await numbers({ limit: 2, since: { offset: 1, epoch: top.epoch } }), [2, 3]);
      assert.deepEqual(await numbers({ limit: 2, reverse: true }), [5, 4]);
      assert.deepEqual(await numbers({ limit: 2, since: { offset: 4, epoch: top.epoch }, reverse: true }), [3, 2]);
      await failed(call('history', { channel: name, since: { offset: 1, epoch: 'other' }, limit: 1 }), 112, /since.epoch/);
      await failed(call('history', { channel: name, since: { offset: 0, epoch: top.epoch }, limit: 1, reverse: true }), 107);
      await failed(call('history', { channel: 'plain:x' }), 108, /history_size/);
    });

    test('history_remove takes the entries; epoch and offset go on', async () => {
      const name = channel();
      const { result: first } = await call('publish', { channel: name, data: 1 });
      assert.deepEqual((await call('history_remove', { channel: name })).result, {});
      const { result: empty } = await call('history', { channel: name, limit: 10 });
      assert.deepEqual([empty.publications, empty.offset, empty.epoch], [[], 1, first.epoch]);
      assert.equal((await call('publish', { channel: name, data: 2 })).result.offset, 2);
    });

    test('presence and presence_stats see who is subscribed', async () => {
      const name = channel();
      const client = await world.connected(server, { user: 'bob' });
      await subscribed(client, name);
      const { result } = await until('presence', async () => {
        const answer = await call('presence', { channel: name });
        return Object.keys(answer.result.presence).length === 1 && answer;
      });
      const [[id, info]] = Object.entries(result.presence);
      assert.deepEqual([info.user, info.client], ['bob', id]);
      assert.deepEqual((await call('presence_stats', { channel: name })).result, { num_clients: 1, num_users: 1 });
      await failed(call('presence', { channel: 'plain:x' }), 108, /presence: true/);
      await failed(call('presence_stats', { channel: 'plain:x' }), 108, /presence: true/);
    });

    test('info names this gateway with its figures', async () => {
      await world.connected(server, { user: 'carol' });
      const [node] = (await call('info', {})).result.nodes;
      assert.match(node.version, /^\d+\.\d+/);
      assert.ok(node.uid.length > 0 && node.uptime >= 0);
      await until('the connections are counted', async () => (await call('info', {})).result.nodes[0].num_clients >= 1);
    });

    test('a batch runs in order, each command with its own answer; parallel too', async () => {
      const name = channel();
      for (const parallel of [false, true]) {
        const { replies } = await call('batch', { parallel, commands: [
          { publish: { channel: name, data: 1 } },
          { publish: { channel: 'nowhere:x', data: 1 } },
          { broadcast: { channels: [name, channel()], data: 2 } },
          { nonsense: {} },
          { batch: { commands: [{ info: {} }] } },
          { presence_stats: { channel: name } },
        ] });
        assert.equal(replies.length, 6);
        assert.ok(replies[0].publish.offset >= 1);
        assert.equal(replies[1].error.code, 102);
        assert.equal(replies[2].broadcast.responses.length, 2);
        assert.equal(replies[3].error.code, 104);
        assert.equal(replies[4].error.code, 104);
        assert.deepEqual(replies[5].presence_stats, { num_clients: 0, num_users: 0 });
      }
      const { replies } = await call('batch', { commands: [{ publish: { channel: name, data: 'seen' } }, { history: { channel: name, limit: 1, reverse: true } }] });
      assert.equal(replies[1].history.publications[0].data, 'seen');
      await failed(call('batch', { commands: [] }), 107, /commands/);
      await failed(call('batch', { commands: Array(21).fill({ info: {} }) }), 106, /parts_max/);
    });

    test('what is missing, of the wrong type or there twice is refused by name', async () => {
      await failed(call('publish', { data: 1 }), 107, /channel is missing/);
      await failed(call('publish', { channel: 'demo:a' }), 107, /data .* is missing/);
      await failed(call('publish', { channel: 5, data: 1 }), 107, /channel must be a string/);
      await failed(call('publish', { channel: 'has space', data: 1 }), 107, /no channel name/);
      await failed(call('publish', { channel: 'demo:a', data: 1, tags: { a: 1 } }), 107, /tags/);
      await failed(call('publish', { channel: 'demo:a', data: 1, skip_history: 'yes' }), 107, /skip_history/);
      await failed(call('publish', { channel: 'demo:a', data: 1, version: -1 }), 107, /version/);
      await failed(call('publish', { channel: 'demo:a', data: 1, delta: true }), 108, /allowed_delta_types/);
      await failed(call('publish', '{"channel":"demo:a","channel":"demo:b","data":1}'), 107, /twice/);
      await failed(call('publish', []), 107, /object/);
      await failed(call('history', { channel: 'demo:a', limit: '5' }), 107, /limit/);
      await failed(call('publish', { channel: 'nowhere:x', data: 1 }), 102, /"nowhere"/);
      assert.ok((await call('publish', { channel: 'demo:a', data: 1, a_newer_field: true, tags: null })).result);
    });

    test('error mode transport: the status says it, the error stands bare', async () => {
      const transport = { 'X-Centrifugo-Error-Mode': 'transport' };
      for (const [method, body, status, code] of [
        ['publish', { channel: 'nowhere:x', data: 1 }, 404, 102],
        ['publish', { data: 1 }, 400, 107],
        ['history', { channel: 'plain:x' }, 400, 108],
        ['history', { channel: 'demo:h', since: { offset: 1, epoch: 'other' }, limit: 1 }, 416, 112],
      ]) {
        const answer = await call(method, body, transport);
        assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
      }
      assert.ok((await call('publish', { channel: 'demo:a', data: 1 }, transport)).result);
    });

    test('an answer is counted, and its time', async () => {
      const before = await metric(server, 'callboard_http_api_commands_total{method="info"}');
      await call('info', {});
      assert.equal(await metric(server, 'callboard_http_api_commands_total{method="info"}'), before + 1);
      assert.ok(await metric(server, 'callboard_http_api_errors_total{code="107"}') > 0);
    });
  });
}

describe('keys', () => {
  let world;
  let server;
  let port;
  const call = (method, body, headers) => post(port, method, body, headers);
  const as = (key) => ({ 'X-API-Key': key });

  before(async () => {
    world = new World();
    port = await freePort();
    server = await world.appliance({ settings: settings(port) });
  });
  after(() => world.close());

  test('no key, a wrong one, one too short, its hash, two headers: 401, and nothing of the body is looked at', async () => {
    for (const headers of [as(''), as(newKey()), as('short'), as(hash(KEYS.all)), { 'X-API-Key': KEYS.all, Authorization: `apikey ${KEYS.all}` }, as(`${KEYS.all}x`), as(KEYS.all.slice(1))]) {
      const { status, error } = await call('publish', 'no JSON', headers);
      assert.deepEqual([status, error.code], [401, 101]);
    }
    assert.ok(await metric(server, 'callboard_http_api_refused_total{reason="key"}') >= 7);
  });

  test('Authorization: apikey, and both keys of an exchange', async () => {
    for (const key of [KEYS.all, KEYS.next]) {
      const answer = await new Promise((resolve, reject) => {
        const request = http.request({ host: '127.0.0.1', port, path: '/api/info', method: 'POST', agent: false, headers: { Authorization: `apikey ${key}`, 'Content-Length': 2 } }, (response) => { response.resume(); resolve(response.statusCode); });
        request.on('error', reject);
        request.end('{}');
      });
      assert.equal(answer, 200);
      assert.equal((await call('info', {}, as(key))).status, 200);
    }
  });

  test('a key is held to its methods and channels, in batches and broadcasts too', async () => {
    assert.ok((await call('publish', { channel: 'demo:open-1', data: 1 }, as(KEYS.narrow))).result);
    await failed(call('publish', { channel: 'demo:closed', data: 1 }, as(KEYS.narrow)), 103, /"narrow"/);
    await failed(call('publish', { channel: 'demo:open', data: 1 }, as(KEYS.narrow)), 103);
    await failed(call('history', { channel: 'demo:open-1' }, as(KEYS.narrow)), 103, /history/);
    const { result } = await call('broadcast', { channels: ['demo:open-1', 'demo:closed'], data: 1 }, as(KEYS.narrow));
    assert.deepEqual([result.responses[0].error, result.responses[1].error.code], [undefined, 103]);
    const { replies } = await call('batch', { commands: [{ history: { channel: 'demo:open-1' } }, { publish: { channel: 'demo:open-1', data: 1 } }] }, as(KEYS.narrow));
    assert.equal(replies[0].error.code, 103);
    assert.ok(replies[1].publish);
  });

  test('a key has a rate: what is over it is refused, definitely', async () => {
    await failed(call('broadcast', { channels: Array(5).fill('demo:r'), data: 1 }, as(KEYS.slow)), 111, /rate/);
    assert.ok((await call('broadcast', { channels: Array(4).fill('demo:r'), data: 1 }, as(KEYS.slow))).result);
    await failed(call('publish', { channel: 'demo:r', data: 1 }, as(KEYS.slow)), 111, /rate/);
    assert.equal((await call('history', { channel: 'demo:r' })).result.offset, 4);
  });

  test('a reload exchanges keys: the old one is out, the new one in', async () => {
    const fresh = { ...KEYS, all: newKey() };
    const text = fs.readFileSync(server.file, 'utf8');
    fs.writeFileSync(server.file, text.replace(hash(KEYS.all), hash(fresh.all)));
    server.kill('SIGHUP');
    await until('the new key serves', async () => (await call('info', {}, as(fresh.all))).status === 200);
    assert.equal((await call('info', {}, as(KEYS.all))).status, 401);
    assert.equal((await call('info', {}, as(KEYS.next))).status, 200);
    fs.writeFileSync(server.file, text);
    server.kill('SIGHUP');
    await until('the old key serves again', async () => (await call('info', {})).status === 200);
  });

  test('callboardctl keygen --api makes a key and its hash', () => {
    const { stdout, status } = spawnSync(path.join(BUILD, 'tools/callboardctl'), ['keygen', '--api'], { encoding: 'utf8' });
    const [, key, digest] = /^key: {2}([\w-]{43})\nhash: ([0-9a-f]{64})\n$/.exec(stdout) ?? [];
    assert.equal(status, 0);
    assert.equal(hash(key), digest);
  });

  test('a key in place of its hash, unknown methods, no scope: the settings are refused, with how to mend them', () => {
    for (const [row, pattern] of [
      [`{name: a, hashes: ["${KEYS.all}"], methods: ["*"], channels: ["*"]}`, /hashes/],
      [`{name: a, hashes: ["${hash('x').toUpperCase()}"], methods: ["*"], channels: ["*"]}`, /small letters/],
      [`{name: a, hashes: [${Array(3).fill(hash('x')).join(', ')}], methods: ["*"], channels: ["*"]}`, /one or two/],
      [`{name: a, hashes: [${hash('x')}], methods: [publsh], channels: ["*"]}`, /no "publsh"/],
      [`{name: a, hashes: [${hash('x')}], methods: ["*"]}`, /channels.*is needed/],
      [`{name: a, hashes: [${hash('x')}], channels: ["*"]}`, /methods.*is needed/],
      [`{hashes: [${hash('x')}], methods: ["*"], channels: ["*"]}`, /name.*is needed/],
    ]) {
      const file = world.write('wrong.yaml', `http_api:\n  keys:\n    - ${row}\n`);
      const { status, stderr, stdout } = spawnSync(path.join(BUILD, 'gateway/callboard-gateway'), ['--config', file], { encoding: 'utf8', timeout: 10000 });
      assert.notEqual(status, 0);
      assert.match(stderr + stdout, pattern);
    }
  });

  test('without keys nothing listens', async () => {
    const other = await freePort();
    await world.appliance({ settings: `\nhttp_api:\n  port: ${other}\n` });
    await assert.rejects(post(other, 'info', {}), /ECONNREFUSED/);
  });
});

/* Bytes as they are; gives everything that comes back until the end. */
function raw(port, bytes, { half = false } = {}) {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(bytes);
      if (half) socket.end();
    });
    socket.on('data', (data) => { answer += data.toString('latin1'); });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

describe('requests that are none', () => {
  let world;
  let server;
  let port;
  const BODY = '{"channel":"demo:smuggled","data":1}';
  const SECOND = () => `POST /api/publish HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEYS.all}\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
  const request = ({ line = 'POST /api/info HTTP/1.1', host = 'Host: a\r\n', key = `X-API-Key: ${KEYS.all}\r\n`, headers = 'Content-Length: 2\r\n', body = '{}', rest = '' }) => `${line}\r\n${host}${key}${headers}\r\n${body}${rest}`;

  before(async () => {
    world = new World();
    port = await freePort();
    server = await world.appliance({ settings: settings(port) });
  });
  after(() => world.close());

  const LENGTHS = ['-1', '+2', ' 2 2', '2,2', '0x2', '02', '2.0', '2e0', '18446744073709551616', '18446744073709551618', '4294967298', '9223372036854775808', 'two', '2;', '２', '2_0'];
  const CODINGS = ['chunked', 'Chunked', ' chunked', 'chunked, identity', 'identity', 'gzip', 'xchunked', 'chunked\r\nTransfer-Encoding: identity'];
  const LINES = ['GET /api/info HTTP/1.1', 'HEAD /api/info HTTP/1.1', 'PUT /api/info HTTP/1.1', 'DELETE /api/info HTTP/1.1', 'PATCH /api/info HTTP/1.1', 'OPTIONS /api/info HTTP/1.1', 'TRACE /api/info HTTP/1.1', 'CONNECT a:1 HTTP/1.1', 'post /api/info HTTP/1.1',
    'POST /api/info HTTP/1.0', 'POST /api/info HTTP/0.9', 'POST /api/info HTTP/2.0', 'POST /api/info', 'POST  /api/info HTTP/1.1', 'POST /api/info  HTTP/1.1', 'POST\t/api/info\tHTTP/1.1', 'PRI * HTTP/2.0', '\u0000POST /api/info HTTP/1.1'];
  const PATHS = ['/', '/api', '/api/', '/api/nothing', '/api/info/', '/api//info', '/API/info', '/api/info%00', '/api/../info', '/api/info?api_key=x', '/api/info?%0AX-API-Key:%20x', '/api/info%20x', '/metrics', '/api/rpc', '/api/publish/../info/x'];
  const probes = [
    ...LENGTHS.map((length) => [`Content-Length: ${length}`, request({ headers: `Content-Length: ${length}\r\n`, rest: SECOND() })]),
    ...CODINGS.map((coding) => [`Transfer-Encoding: ${coding}`, request({ headers: `Transfer-Encoding: ${coding}\r\n`, body: `2\r\n{}\r\n0\r\n\r\n`, rest: SECOND() })]),
    ...CODINGS.map((coding) => [`both lengths, ${coding}`, request({ headers: `Content-Length: 2\r\nTransfer-Encoding: ${coding}\r\n`, body: `0\r\n\r\n`, rest: SECOND() })]),
    ...LINES.map((line) => [`line ${JSON.stringify(line)}`, request({ line, rest: SECOND() })]),
    ...PATHS.map((where) => [`path ${where}`, request({ line: `POST ${where} HTTP/1.1`, rest: SECOND() })]),
    ['no length', request({ headers: '', rest: SECOND() })],
    ['two lengths', request({ headers: 'Content-Length: 2\r\nContent-Length: 2\r\n', rest: SECOND() })],
    ['two other lengths', request({ headers: 'Content-Length: 2\r\nContent-Length: 200\r\n', rest: SECOND() })],
    ['length 0', request({ headers: 'Content-Length: 0\r\n', body: '', rest: SECOND() })],
    ['no Host', request({ host: '', rest: SECOND() })],
    ['two Hosts', request({ host: 'Host: a\r\nHost: b\r\n', rest: SECOND() })],
    ['an upgrade', request({ headers: 'Content-Length: 2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n', rest: SECOND() })],
    ['h2c', request({ headers: 'Content-Length: 2\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n', rest: SECOND() })],
    ['a body too long', request({ headers: 'Content-Length: 65537\r\n', body: 'x', rest: SECOND() })],
    ['a header of 8 KiB', request({ headers: `Content-Length: 2\r\nX-Filler: ${'a'.repeat(8192)}\r\n`, rest: SECOND() })],
  ];

  test(`${probes.length} malformed and smuggling requests: the connection ends, nothing behind them is read`, async () => {
    assert.ok(probes.length >= 60);
    const taken = [];
    for (const [what, bytes] of probes) {
      const answer = await raw(port, bytes);
      assert.ok((answer.match(/^HTTP\//gm) ?? []).length <= 1, `${what}: ${answer}`);
      if (/^HTTP\/1\.1 2/m.test(answer)) taken.push(what);
    }
    /* libwebsockets reads these as what they look like; the key is right, and nothing behind them was taken. */
    assert.deepEqual(taken, ['line "post /api/info HTTP/1.1"', 'line "POST  /api/info HTTP/1.1"', 'line "POST /api/info  HTTP/1.1"', 'path /api//info']);
    const { result } = await post(port, 'history', { channel: 'demo:smuggled' });
    assert.equal(result.offset, 0);
  });

  test('a request behind a good one is not read, nor is what is more than the body', async () => {
    for (const bytes of [request({ rest: SECOND() }), request({ body: '{}   ', rest: SECOND() })]) {
      const answer = await raw(port, bytes);
      assert.ok((answer.match(/^HTTP\//gm) ?? []).length <= 1, answer);
    }
    assert.equal((await post(port, 'history', { channel: 'demo:smuggled' })).result.offset, 0);
  });

  test('bodies that are no JSON: 400, whatever the mode of errors', async () => {
    for (const body of ['{', '{}}', '{"a":1,}', '\ufeff{}', '{"a":"\u0001"}', '[1', 'null null', '{"channel":"demo:a","data":01}', `${'['.repeat(100)}${']'.repeat(100)}`]) {
      const { status, error, text } = await post(port, 'publish', body);
      assert.deepEqual([status, error.code], [400, 107], text);
    }
  });

  test('a body that does not come is cut off in http_api.timeout, and counted', async () => {
    const begun = Date.now();
    await raw(port, request({ headers: 'Content-Length: 100\r\n' }));
    assert.ok(Date.now() - begun < 8000);
    assert.equal(await metric(server, 'callboard_http_api_timeouts_total'), 1);
  });

  test('callers that go away while their call is under way harm nobody', async () => {
    const bytes = SECOND().replace('demo:smuggled', 'demo:hastily_').replace('"data":1', '"data":2');
    await Promise.all(Array.from({ length: 50 }, () => new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes, () => { socket.destroy(); resolve(); }));
    })));
    assert.equal((await post(port, 'info', {})).status, 200);
    await until('their connections are gone', async () => await metric(server, 'callboard_http_api_connections') === 0);
  });
});

describe('at the bounds', () => {
  let world;
  let server;
  let port;

  before(async () => {
    world = new World();
    port = await freePort();
    server = await world.appliance({ settings: settings(port, KEYS, '  connections_max: 2\n  answer_max: 64KiB\n') });
  });
  after(() => world.close());

  test('over http_api.connections_max a request is answered 503, until another one has ended', async () => {
    const slow = await Promise.all([1, 2].map(() => new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(`POST /api/info HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEYS.all}\r\nContent-Length: 2\r\n\r\n{`, () => resolve(socket)));
    })));
    const refused = await until('503', async () => {
      const answer = await post(port, 'info', {});
      return answer.status === 503 && answer;
    });
    assert.deepEqual([refused.headers['retry-after'], refused.error.code, refused.error.definite], ['1', 111, true]);
    assert.ok(await metric(server, 'callboard_http_api_refused_total{reason="busy"}') >= 1);
    for (const socket of slow) socket.write('}');
    await until('room again', async () => (await post(port, 'info', {})).status === 200);
    for (const socket of slow) socket.destroy();
  });

  test('over http_api.answer_max a part is answered with error 124, the others with their results', async () => {
    for (const size of [40000, 30000]) await post(port, 'publish', { channel: `demo:${size}`, data: 'x'.repeat(size) });
    const history = (size) => ({ history: { channel: `demo:${size}`, limit: 5 } });
    const { replies } = await post(port, 'batch', { commands: [history(40000), history(30000), { info: {} }] });
    assert.equal(replies[0].history.publications.length, 1);
    assert.equal(replies[1].error.code, 124);
    assert.ok(replies[2].info);
  });
});

describe('at the end', () => {
  test('a gateway that is stopped lets its requests go: one whose body comes, one whose broker is silent', async () => {
    const world = new World();
    const port = await freePort();
    const broker = await world.broker({ id: 'silent' });
    const gateway = await world.gateway({ brokers: [broker], settings: settings(port) });
    assert.ok((await post(port, 'publish', { channel: 'demo:a', data: 1 })).result);
    broker.kill('SIGSTOP');
    const body = '{"channel":"demo:a","data":2}';
    const head = `POST /api/publish HTTP/1.1\r\nHost: a\r\nX-API-Key: ${KEYS.all}\r\nContent-Length: ${body.length}\r\n\r\n`;
    const open = [raw(port, head), raw(port, head + body)];
    await until('both are there', async () => await metric(gateway, 'callboard_http_api_connections') === 2);
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    await Promise.all(open);
    await world.close();
  });
});

describe('without a broker', () => {
  test('publish and reads are answered in time, with what is known', async () => {
    const world = new World();
    const port = await freePort();
    const broker = await world.broker({ id: 'only' });
    await world.gateway({ brokers: [broker], settings: `${settings(port)}` });
    assert.ok((await post(port, 'publish', { channel: 'demo:a', data: 1 })).result);
    broker.kill('SIGSTOP');
    const unknown = await post(port, 'publish', { channel: 'demo:a', data: 2 });
    assert.deepEqual([unknown.error.code, unknown.error.definite, unknown.error.temporary], [120, false, true], unknown.text);
    assert.match(unknown.error.message, /idempotency_key/);
    const { replies } = await post(port, 'batch', { commands: Array(5).fill({ publish: { channel: 'demo:a', data: 3 } }) });
    assert.ok(replies.every((reply) => [100, 120].includes(reply.error.code)), JSON.stringify(replies));
    broker.kill('SIGCONT');
    await until('it serves again', async () => (await post(port, 'publish', { channel: 'demo:a', data: 4 })).result);
    await world.close();
  });
});
