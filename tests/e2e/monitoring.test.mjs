/* k8s/monitoring against a real Prometheus that scrapes a gateway, a broker with Redis and an appliance while something happens: every query
 * of every dashboard and alarm is answered, and every selector in one finds series, so that none names a metric, a label or a label's value that
 * does not exist. The alarms' own cases run with promtool; a Redis that is ended raises the alarm that it should. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { World, freePort, get, subscribed, until } from './support.mjs';

const FOLDER = path.resolve('../../k8s/monitoring');
const DASHBOARDS = path.join(FOLDER, 'dashboards');
const API_KEY_HASH = 'ab'.repeat(32);

let world;
let redis;
let port;
before(async () => {
  world = new World();
  redis = await world.redis();
  const apiPort = await freePort();
  const broker = await world.broker({ id: 'b1', redis: { url: `${redis.url}\n  fallback: memory\n  command_timeout: 1s` } });
  const gateway = await world.gateway({ brokers: [broker], settings: `
http_api:
  port: ${apiPort}
  keys:
    - {name: all, hashes: [${API_KEY_HASH}], methods: ["*"], channels: ["*"]}
` });
  const appliance = await world.appliance();
  for (const server of [gateway, appliance]) {
    const client = await world.connected(server, { user: 'alice' });
    const subscription = await subscribed(client, 'demo:news');
    await subscription.publish({ n: 1 });
    await subscription.history({ limit: 1 });
  }
  port = await startPrometheus([gateway, appliance], [broker]);
});
after(() => world.close());

/* The configuration that is shipped, but for where the programs are and how often they are asked. */
async function startPrometheus(gateways, brokers) {
  const listen = await freePort();
  const targets = (servers) => `static_configs: [{targets: [${servers.map(({ internal }) => `"127.0.0.1:${internal}"`).join(', ')}]}]`;
  const [toGateways, toBrokers] = [targets(gateways), targets(brokers)];
  const config = fs.readFileSync(path.join(FOLDER, 'prometheus.yml'), 'utf8')
    .replace(/dns_sd_configs:\n.*callboard-gateway.*/, toGateways).replace(/dns_sd_configs:\n.*callboard-broker.*/, toBrokers)
    .replaceAll('_interval: 10s', '_interval: 1s').replace('- alerts.yml', `- ${path.join(FOLDER, 'alerts.yml')}`);
  assert.ok(config.includes(toGateways) && config.includes(toBrokers), config);
  const file = world.write('prometheus.yml', config);
  const program = world.start('/usr/bin/prometheus', [`--config.file=${file}`, `--storage.tsdb.path=${path.join(world.folder, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${listen}`, '--log.level=warn']);
  await until('Prometheus is ready', async () => {
    assert.equal(program.exited, null, program.log());
    return get(listen, '/-/ready').then(({ status }) => status === 200, () => false);
  }, 30000);
  return listen;
}

const ask = (where, parameters) => new Promise((resolve, reject) => {
  const request = http.request({ host: '127.0.0.1', port, path: `/api/v1/${where}`, method: 'POST', agent: false, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }, (response) => {
    let body = '';
    response.on('data', (bytes) => { body += bytes; });
    response.on('end', () => {
      const answer = JSON.parse(body);
      if (answer.status === 'success') resolve(answer.data);
      else reject(new Error(`${new URLSearchParams(parameters)}: ${answer.error}`));
    });
  });
  request.on('error', reject);
  request.end(new URLSearchParams(parameters).toString());
});
const query = async (text) => (await ask('query', { query: text })).result;

/* What Grafana makes of a panel's query. */
const filled = (text) => text.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '10s');

/* Every selector of a query, and every label that it groups by or that its legend shows. */
function parts(text, legend = '') {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, (string) => string.replace(/[{}()]/g, '_'));
  const selectors = [...bare.matchAll(/\b((?:callboard_\w+)|up)\b(\{[^}]*\})?/g)].map(([whole, name]) => ({ name, selector: whole }));
  const labels = [...bare.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list.split(',')).map((label) => label.trim());
  return { selectors, labels, shown: [...legend.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label]) => label) };
}

async function problemsOf(where, text, legend) {
  const problems = [];
  const { selectors, labels, shown } = parts(text, legend);
  if (selectors.length === 0) problems.push(`${where}: asks for nothing: ${text}`);
  for (const { name, selector } of selectors) {
    const series = await query(selector);
    if (series.length === 0) problems.push(`${where}: no series is ${selector}`);
    for (const label of labels) {
      if (series.length > 0 && !series.every(({ metric }) => label in metric)) problems.push(`${where}: ${name} has no label ${label}`);
    }
  }
  const result = await query(text); /* a wrong query is an error */
  for (const label of shown) {
    if (!result.every(({ metric }) => label in metric)) problems.push(`${where}: the legend shows ${label}, which the result has not`);
  }
  return problems;
}

const panelsOf = (file) => JSON.parse(fs.readFileSync(path.join(DASHBOARDS, file), 'utf8')).panels;

async function scrapedTwice() {
  await until('each program was scraped twice', async () =>
    (await query('count_over_time(callboard_build_info[1m]) >= 2')).length === 3 && (await query('up == 1')).length === 3, 30000);
}

test('the dashboards are what their maker writes; promtool takes the alarms, and their cases pass', () => {
  execFileSync('python3', [path.join(FOLDER, 'make_dashboards.py'), '--check'], { encoding: 'utf8' });
  execFileSync('promtool', ['check', 'config', path.join(FOLDER, 'prometheus.yml')], { encoding: 'utf8', stdio: 'pipe' });
  execFileSync('promtool', ['test', 'rules', 'alerts_test.yml'], { cwd: FOLDER, encoding: 'utf8', stdio: 'pipe' });
});

test('every query of every dashboard finds what it asks for', async () => {
  await scrapedTwice();
  const files = fs.readdirSync(DASHBOARDS);
  assert.deepEqual(files.sort(), ['channels.json', 'gateway.json', 'overview.json', 'redis.json']);
  const problems = [];
  for (const file of files) {
    const panels = panelsOf(file);
    assert.ok(panels.length >= 10, file);
    for (const { title, description, targets } of panels) {
      assert.ok(description, `${file}: ${title} says what it tells`);
      for (const { expr, legendFormat } of targets) problems.push(...await problemsOf(`${file}: ${title}`, filled(expr), legendFormat));
    }
  }
  assert.deepEqual(problems, []);
});

test('every alarm is well, asks for what exists, and none is raised without reason', async () => {
  const { groups: [{ rules }] } = await until('all were evaluated', async () => {
    const answer = JSON.parse((await get(port, '/api/v1/rules')).body).data;
    return answer.groups.length === 1 && answer.groups[0].rules.every(({ health }) => health !== 'unknown') && answer;
  }, 30000);
  const problems = [];
  for (const { name, query: expr, health, lastError } of rules) {
    assert.equal(health, 'ok', `${name}: ${lastError}`);
    problems.push(...await problemsOf(name, expr, ''));
  }
  assert.deepEqual(problems, []);
  assert.deepEqual(rules.filter(({ state }) => state === 'firing').map(({ name }) => name), []);
});

test('a Redis that is away raises its alarm', async () => {
  await redis.stop();
  await until('CallboardRedisAway fires', async () => {
    const { alerts } = JSON.parse((await get(port, '/api/v1/alerts')).body).data;
    return alerts.some(({ labels, state }) => labels.alertname === 'CallboardRedisAway' && state !== 'inactive');
  }, 30000);
});
