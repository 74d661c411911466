/* What a running server's /metrics is: text that Prometheus reads, Centrifugo's names with its types and labels, figures
 * that follow what clients do, and nothing of clients in any label. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { World, freePort, get, rawConnected, subscribed, until } from './support.mjs';

/* Of Centrifugo 6 and its library, where a name of ours means the same: type, labels. */
const CENTRIFUGO = {
  node_num_clients: ['gauge'],
  node_num_users: ['gauge'],
  node_num_subscriptions: ['gauge'],
  node_num_channels: ['gauge'],
  node_num_nodes: ['gauge'],
  node_build: ['gauge', 'version'],
  node_messages_sent_count: ['counter', 'type', 'channel_namespace'],
  node_messages_received_count: ['counter', 'type', 'channel_namespace'],
  node_action_count: ['counter', 'action', 'channel_namespace'],
  node_tags_filter_dropped_publications: ['counter', 'channel_namespace'],
  node_client_connection_limit: ['counter'],
  client_connections_accepted: ['counter', 'transport', 'accept_protocol', 'client_name', 'client_version'],
  client_connections_inflight: ['gauge', 'transport', 'accept_protocol', 'client_name', 'client_version'],
  client_subscriptions_inflight: ['gauge', 'client_name', 'channel_namespace'],
  client_command_duration_seconds: ['summary', 'method', 'channel_namespace'],
  client_command_duration_seconds_histogram: ['histogram', 'method', 'channel_namespace'],
  client_num_reply_errors: ['counter', 'method', 'code', 'channel_namespace'],
  client_num_server_disconnects: ['counter', 'code'],
  client_num_server_unsubscribes: ['counter', 'code', 'channel_namespace'],
  client_recover: ['counter', 'recovered', 'channel_namespace', 'has_recovered_publications'],
  transport_messages_sent: ['counter', 'transport', 'frame_type', 'channel_namespace'],
  transport_messages_sent_size: ['counter', 'transport', 'frame_type', 'channel_namespace'],
  transport_messages_received: ['counter', 'transport', 'frame_type', 'channel_namespace'],
  transport_messages_received_size: ['counter', 'transport', 'frame_type', 'channel_namespace'],
  api_command_duration_seconds: ['summary', 'protocol', 'method'],
  api_command_duration_seconds_histogram: ['histogram', 'protocol', 'method'],
  api_command_errors_total: ['counter', 'protocol', 'method', 'error'],
};
/* The buckets that its dashboards ask for. */
const COMMAND_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SERIES = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9]+(?:\.[0-9]+)?|NaN)$/;
const SUFFIXES = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'], counter: [''], gauge: [''] };

/* Prometheus text 0.0.4, read strictly: name → {type, series: Map of "name{labels}" → {suffix, labels, value}}. */
function parse(text) {
  assert.ok(text.endsWith('\n'), 'the last line ends, too');
  const families = new Map();
  let family = null;
  let helped = null;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP (\S+) ((?:[^\\\n]|\\[\\n])+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    if (help) {
      assert.match(help[1], NAME);
      assert.ok(!families.has(help[1]), `${help[1]} is told twice, its lines do not stand together`);
      helped = help[1];
    } else if (type) {
      assert.equal(type[1], helped, 'TYPE follows HELP');
      family = { name: type[1], type: type[2], series: new Map() };
      families.set(type[1], family);
    } else {
      const [, name, labelText = '', value] = SERIES.exec(line) ?? assert.fail(`no line of the format: ${line}`);
      const suffix = SUFFIXES[family.type].find((each) => name === family.name + each);
      assert.notEqual(suffix, undefined, `${name} stands under ${family.name}`);
      assert.ok(!labelText.endsWith(','), line);
      const pairs = [...labelText.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text]);
      const labels = Object.fromEntries(pairs);
      assert.equal(Object.keys(labels).length, pairs.length, `a label twice: ${line}`);
      const key = `${suffix}{${Object.keys(labels).sort().map((label) => `${label}=${labels[label]}`)}}`;
      assert.ok(!family.series.has(key), `a series twice: ${line}`);
      if (family.type === 'counter') assert.ok(Number(value) >= 0, line);
      const isQuantile = family.type === 'summary' && suffix === '';
      assert.equal(labels.quantile !== undefined, isQuantile, line);
      assert.ok(isQuantile || value !== 'NaN', line);
      family.series.set(key, { suffix, labels, value: Number(value) });
    }
  }
  for (const { name, type, series } of families.values()) if (type === 'histogram') checkHistogram(name, [...series.values()]);
  return families;
}

/* Buckets rise to +Inf, which is the count. */
function checkHistogram(name, series) {
  const groups = new Map();
  for (const { suffix, labels: { le, ...labels }, value } of series) {
    const key = JSON.stringify(labels);
    if (!groups.has(key)) groups.set(key, { buckets: [] });
    if (suffix === '_bucket') groups.get(key).buckets.push([le === '+Inf' ? Infinity : Number(le), value]);
    else groups.get(key)[suffix] = value;
  }
  for (const { buckets, _sum, _count } of groups.values()) {
    assert.ok(_sum >= 0, name);
    for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i][0] > buckets[i - 1][0] && buckets[i][1] >= buckets[i - 1][1], name);
    assert.deepEqual(buckets.at(-1), [Infinity, _count], name);
  }
}

let world;
let server;
let apiPort;
const apiKey = crypto.randomBytes(32).toString('base64url');
before(async () => {
  world = new World();
  apiPort = await freePort();
  server = await world.appliance({ settings: `
http_api:
  port: ${apiPort}
  keys:
    - {name: all, hashes: [${crypto.createHash('sha256').update(apiKey).digest('hex')}], methods: ["*"], channels: ["*"]}
` });
});
after(() => world.close());

const scrape = async () => {
  const { status, body, headers } = await get(server.internal, '/metrics');
  assert.equal(status, 200);
  if (headers) assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  return parse(body);
};
/* The sum of Centrifugo's series with these labels among theirs. */
const figure = (families, name, labels = {}, suffix = '') => [...families.get(`centrifugo_${name}`).series.values()]
  .filter((series) => series.suffix === suffix && Object.entries(labels).every(([label, text]) => series.labels[label] === text))
  .reduce((sum, { value }) => sum + value, 0);

const callApi = (method, params) => new Promise((resolve, reject) => {
  const request = http.request({ host: '127.0.0.1', port: apiPort, path: `/api/${method}`, method: 'POST', agent: false, headers: { 'X-API-Key': apiKey } }, (response) => {
    response.resume();
    response.on('end', resolve);
  });
  request.on('error', reject);
  request.end(JSON.stringify(params));
});

test("Centrifugo's names have Centrifugo's types, and no labels that it has not", async () => {
  const families = await scrape();
  for (const [name, [type, ...labels]] of Object.entries(CENTRIFUGO)) {
    const family = families.get(`centrifugo_${name}`);
    assert.ok(family !== undefined, `${name} is there`);
    assert.equal(family.type, type, name);
    for (const series of family.series.values()) {
      for (const label of Object.keys(series.labels)) assert.ok(label === 'le' || label === 'quantile' || labels.includes(label), `${name} has the label ${label}`);
    }
  }
  for (const name of families.keys()) {
    assert.ok(/^callboard_/.test(name) || CENTRIFUGO[name.replace(/^centrifugo_/, '')] !== undefined, `${name} stands in the table above`);
  }
  const buckets = new Set([...families.get('centrifugo_client_command_duration_seconds_histogram').series.values()].map(({ labels }) => Number(labels.le)));
  for (const bound of COMMAND_BUCKETS) assert.ok(buckets.has(bound), `a bucket up to ${bound}`);
});

test('they follow what clients do, and name none of them', async () => {
  const SECRET_USER = 'zaphod-beeblebrox';
  const SECRET_CHANNEL = 'demo:magrathea';
  const before_ = await scrape();
  const client = await world.connected(server, { user: SECRET_USER, name: 'heart-of-gold' });
  const subscription = await subscribed(client, SECRET_CHANNEL);
  await subscription.publish({ n: 1 });
  await subscription.history({ limit: 1 });
  await subscription.presence();
  await client.publish('unknown-namespace:x', {}).then(() => assert.fail('taken'), () => {});
  await callApi('publish', { channel: SECRET_CHANNEL, data: {} });
  await callApi('publish', { channel: '', data: {} });
  const bad = await rawConnected(server.url, { sub: SECRET_USER });
  bad.send('no json');
  await new Promise((resolve) => bad.once('close', resolve));

  const rose = (after_, name, labels, suffix) => figure(after_, name, labels, suffix) - figure(before_, name, labels, suffix);
  const now = await until('the disconnect, the user and both publications are counted', async () => {
    const families = await scrape();
    return rose(families, 'client_num_server_disconnects', { code: '3501' }) === 1 &&
      rose(families, 'transport_messages_sent') >= 2 && rose(families, 'node_num_clients') === 1 &&
      rose(families, 'node_num_users') === 1 && figure(families, 'node_num_nodes') === 1 && families; /* these are set now and then */
  });
  assert.equal(rose(now, 'node_num_channels'), 1);
  assert.equal(rose(now, 'node_num_subscriptions'), 1);
  assert.equal(figure(now, 'node_build'), 1);
  assert.equal(rose(now, 'node_messages_sent_count', { type: 'publication' }), 2);
  assert.equal(rose(now, 'node_messages_received_count', { type: 'publication' }), 2);
  assert.equal(rose(now, 'node_action_count', { action: 'history' }), 1);
  assert.equal(rose(now, 'node_action_count', { action: 'presence' }), 1);
  assert.equal(rose(now, 'client_connections_accepted', { transport: 'websocket', accept_protocol: 'h1' }), 2);
  assert.equal(rose(now, 'client_connections_inflight', { transport: 'websocket' }), 1);
  assert.equal(rose(now, 'client_subscriptions_inflight'), 1);
  for (const method of ['subscribe', 'history', 'presence']) {
    assert.equal(rose(now, 'client_command_duration_seconds', { method }, '_count'), 1, method);
    assert.equal(rose(now, 'client_command_duration_seconds_histogram', { method, le: '+Inf' }, '_bucket'), 1, method);
    assert.ok(rose(now, 'client_command_duration_seconds', { method }, '_sum') > 0, method);
    assert.equal(rose(now, 'transport_messages_received', { frame_type: method }), 1, method);
  }
  assert.equal(rose(now, 'client_command_duration_seconds', { method: 'connect' }, '_count'), 2);
  assert.equal(rose(now, 'client_command_duration_seconds', { method: 'publish' }, '_count'), 2);
  const [median, p99, p999] = ['0.5', '0.99', '0.999'].map((quantile) => figure(now, 'client_command_duration_seconds', { method: 'connect', quantile }));
  assert.ok(median > 0 && median <= p99 && p99 <= p999 && p999 <= 10, `${median}, ${p99}, ${p999}`);
  assert.ok(Number.isNaN(figure(now, 'client_command_duration_seconds', { method: 'send', quantile: '0.5' })), 'of nothing');
  assert.equal(rose(now, 'client_num_reply_errors'), 1);
  assert.equal(rose(now, 'api_command_duration_seconds', { protocol: 'http', method: 'publish' }, '_count'), 2);
  assert.equal(rose(now, 'api_command_errors_total', { protocol: 'http' }), 1);
  assert.ok(rose(now, 'transport_messages_received_size', { transport: 'websocket' }) > 100);
  assert.ok(rose(now, 'transport_messages_sent_size', { transport: 'websocket' }) > 100);

  const { body } = await get(server.internal, '/metrics');
  for (const secret of [SECRET_USER, SECRET_CHANNEL, 'magrathea', 'heart-of-gold', 'demo']) assert.ok(!body.includes(secret), `${secret} is in /metrics`);
  client.disconnect();
});
