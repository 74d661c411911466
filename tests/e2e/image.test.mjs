/* The image, as k8s/image makes it, and the set-up of k8s/compose: the root that the image has is put together from the build under test, and
 * its programs run in it as a container engine would run them: that root read-only, as a user without capabilities, each service of
 * docker-compose.yaml in a network of its own with its volumes and its environment. No engine is needed; root is. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, until } from './support.mjs';

const IMAGE = path.resolve('../../k8s/image');
const COMPOSE = path.resolve('../../k8s/compose');
const SECRET = '0123456789abcdef0123456789abcdef';
const ID = process.pid % 10000;
const NETWORK = `10.${200 + (ID % 50)}.${ID % 250}`;
const BRIDGE = `cb${ID}`;
const mayNetwork = process.getuid() === 0 && spawnSync('ip', ['netns', 'add', `cb${ID}probe`]).status === 0 && spawnSync('ip', ['netns', 'delete', `cb${ID}probe`]).status === 0;
const skip = mayNetwork ? false : 'needs root and network namespaces';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-image-'));
const root = path.join(folder, 'root');
const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const services = new Map(); /* name → {namespace, address, child, log} */

before(() => {
  if (skip) return;
  run('cmake', '--install', BUILD, '--prefix', path.join(folder, 'install'));
  run(path.join(IMAGE, 'collect_rootfs'), path.join(folder, 'install'), root);
});

after(async () => {
  for (const { child } of services.values()) child?.kill('SIGKILL');
  for (const { namespace } of services.values()) spawnSync('ip', ['netns', 'delete', namespace]);
  spawnSync('ip', ['link', 'delete', BRIDGE]);
  fs.rmSync(folder, { recursive: true, force: true });
});

/* As a container engine starts it. Volumes: [from, to], read-only. */
function contain(name, { program, args = [], env = {}, volumes = [], uid = 65532, inside = root }) {
  const { namespace } = services.get(name);
  const script = [];
  for (const [from, to] of volumes) {
    const target = path.join(inside, to);
    if (fs.statSync(from).isDirectory()) fs.mkdirSync(target, { recursive: true });
    else { fs.mkdirSync(path.dirname(target), { recursive: true }); fs.closeSync(fs.openSync(target, 'a')); }
    script.push(`mount --bind '${from}' '${target}'`);
  }
  script.unshift(`mount --bind '${inside}' '${inside}'`, `mkdir -p '${inside}/dev'`,
    `mount -t tmpfs dev '${inside}/dev' && touch '${inside}/dev/urandom' '${inside}/dev/null'`, `mount --bind /dev/urandom '${inside}/dev/urandom'`, `mount --bind /dev/null '${inside}/dev/null'`);
  script.push(`mount -o remount,bind,ro '${inside}'`, `exec chroot --userspec=${uid}:${uid} '${inside}' ${program} ${args.map((arg) => `'${arg}'`).join(' ')}`);
  const child = spawn('ip', ['netns', 'exec', namespace, 'unshare', '--mount', 'sh', '-ec', script.join('\n')], { env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const service = Object.assign(services.get(name), { child, log: '' });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { service.log += data; });
  service.ended = new Promise((resolve) => { child.on('close', (code, signal) => resolve(code ?? signal)); });
  return service;
}

function network(names) {
  run('ip', 'link', 'add', BRIDGE, 'type', 'bridge');
  run('ip', 'link', 'set', BRIDGE, 'up');
  names.forEach((name, i) => {
    const namespace = `cb${ID}n${i}`;
    const address = `${NETWORK}.${i + 2}`;
    run('ip', 'netns', 'add', namespace);
    services.set(name, { namespace, address });
    run('ip', 'link', 'add', `${namespace}h`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    run('ip', 'link', 'set', `${namespace}h`, 'master', BRIDGE, 'up');
    run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  });
}

const within = (name, program, ...args) => run('ip', 'netns', 'exec', services.get(name).namespace, program, ...args);
const health = (name, port) => JSON.parse(within(name, 'curl', '-sS', `http://127.0.0.1:${port}/health`));
const parsed = (file) => JSON.parse(run('/usr/bin/python3', '-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))', file));

test('the image holds the programs and what they load, no shell and nothing with the rights of another', { skip }, () => {
  const files = run('find', root, '-type', 'f').split('\n');
  const programs = files.filter((file) => file.startsWith(`${root}/usr/bin/`)).map((file) => path.basename(file)).sort();
  for (const name of ['callboard', 'callboard-broker', 'callboard-gateway', 'callboardctl']) assert.ok(programs.includes(name), `${programs}`);
  assert.deepEqual(programs.filter((name) => !name.startsWith('callboard')), []);
  assert.equal(run('find', root, '-perm', '/6000'), '');
  assert.ok(fs.existsSync(path.join(root, 'usr/share/doc/libzmq5/copyright')) && fs.existsSync(path.join(root, 'usr/share/doc/callboard/copyright')));
  for (const program of programs) assert.match(run('chroot', root, `/usr/bin/${program}`, '--version'), /0\.\d+\.\d+/, program);
});

test('a token for the appliance that the image starts comes from the same secret in the environment', { skip }, () => {
  const token = execFileSync('chroot', [root, '/usr/bin/callboardctl', 'token', '--config', '/etc/callboard/callboard.yaml', '--user', 'alice'],
    { env: { PATH: process.env.PATH, CALLBOARD_TOKEN_SECRET: SECRET, CALLBOARD_CONFIG: '/etc/callboard/callboard.yaml' }, encoding: 'utf8' }).trim();
  const [header, body, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  assert.deepEqual([claims.sub, claims.aud, claims.iss], ['alice', 'callboard', 'quickstart']);
  assert.equal(signature, crypto.createHmac('sha256', SECRET).update(`${header}.${body}`).digest('base64url'));
});

test('every service of docker-compose.yaml starts in a read-only root without rights, and they do the main job together', { skip, timeout: 120000 }, async () => {
  const compose = parsed(path.join(COMPOSE, 'docker-compose.yaml'));
  const ours = Object.entries(compose.services).filter(([, service]) => service.image === 'callboard');
  assert.deepEqual(ours.map(([name]) => name), ['broker-0', 'broker-1', 'gateway-0', 'gateway-1']);
  for (const [name, service] of ours) assert.deepEqual([service.read_only, service.cap_drop], [true, ['ALL']], name);

  /* A copy, because ./prepare writes beside the file. */
  const copy = path.join(folder, 'k8s/compose');
  fs.cpSync(COMPOSE, copy, { recursive: true, filter: (from) => !/compose\/(secrets|\.env)/.test(from) });
  fs.cpSync(path.resolve('../../docs/redis.md'), path.join(folder, 'docs/redis.md'));
  const prepare = () => execFileSync(path.join(copy, 'prepare'), { env: { ...process.env, CALLBOARDCTL: path.join(BUILD, 'tools/callboardctl') }, encoding: 'utf8' });
  prepare();
  const secret = fs.readFileSync(path.join(copy, 'secrets/gateways/token_secret'), 'utf8');
  prepare();
  assert.equal(fs.readFileSync(path.join(copy, 'secrets/gateways/token_secret'), 'utf8'), secret, 'a second ./prepare changes nothing');
  const uid = Number(/CALLBOARD_UID=(\d+)/.exec(fs.readFileSync(path.join(copy, '.env'), 'utf8'))[1]);
  assert.notEqual(uid, 0);
  for (const closed of [folder, path.join(folder, 'k8s'), copy]) fs.chmodSync(closed, 0o755);

  network(['redis', ...ours.map(([name]) => name), 'outside']);
  const hosts = path.join(folder, 'hosts');
  const aliases = ([name, service]) => [name, ...(service.networks?.default?.aliases ?? [])].map((alias) => `${services.get(name).address} ${alias}`);
  fs.writeFileSync(hosts, ['127.0.0.1 localhost', `${services.get('redis').address} redis`, ...ours.flatMap(aliases)].join('\n'));

  const mounted = (service) => service.volumes.filter((volume) => volume.startsWith('.')).map((volume) => volume.split(':')).map(([from, to]) => [path.join(copy, from), to]);
  const data = path.join(folder, 'redis-data');
  fs.mkdirSync(data);
  fs.chownSync(data, uid, uid);
  /* Redis is this machine's, with the file and the secrets of the set-up. */
  const redisConf = fs.readFileSync(path.join(copy, 'redis.conf'), 'utf8').replace('/secrets/', `${copy}/secrets/redis/`).replace('dir /data', `dir ${data}`);
  fs.writeFileSync(path.join(folder, 'redis.conf'), redisConf);
  fs.chmodSync(path.join(copy, 'secrets'), 0o755);
  services.get('redis').child = spawn('ip', ['netns', 'exec', services.get('redis').namespace, 'setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'redis-server', path.join(folder, 'redis.conf')], { stdio: 'ignore' });

  for (const [name, service] of ours) {
    contain(name, { program: `/usr/bin/${service.command[0]}`, args: service.command.slice(1), env: service.environment, uid, volumes: [...mounted(service), [hosts, '/etc/hosts']] });
  }
  for (const [name] of ours) {
    const port = name.startsWith('broker') ? 9001 : 9000; /* where k8s/monitoring/prometheus.yml looks */
    let heard;
    await until(`${name} is well`, () => {
      assert.equal(services.get(name).child.exitCode, null, services.get(name).log);
      try { heard = health(name, port); } catch (error) { heard = error.message; }
      return heard.status === 'ok';
    }, 20000).catch((error) => { throw new Error(`${error.message}: ${JSON.stringify(heard)}\n${services.get(name).log}`); });
  }

  /* Users of both gateways, whose publications reach the others through both brokers; and a service with its key. */
  const url = (name) => `ws://${services.get(name).address}:8000/connection/websocket`;
  const report = JSON.parse(within('outside', path.join(BUILD, 'tools/callboardctl'), '-o', 'json', 'bench', '--url', url('gateway-0'), '--url', url('gateway-1'), '--users', '20', '--channels', '10',
    '--channel-prefix', 'demo:', '--subscriptions', '5', '--rate', '5', '--duration', '2s', '--secret-file', path.join(copy, 'secrets/gateways/token_secret'), '--audience', 'callboard', '--issuer', 'quickstart'));
  assert.equal(report.figures.lost, 0, JSON.stringify(report));
  assert.ok(report.figures.delivered_total > 100 || report.figures.success === 100, JSON.stringify(report.figures));
  const service = path.join(copy, 'secrets/services');
  const published = JSON.parse(within('outside', path.join(BUILD, 'tools/callboardctl'), '-o', 'json', '--endpoint', `tcp://${services.get('broker-0').address}:7710`,
    '--curve-key', path.join(service, 'service.key'), '--curve-broker-key', path.join(service, 'broker.key.pub'), 'pub', 'demo:from-a-service', '{"n":1}'));
  assert.equal(published.offset, 1, JSON.stringify(published));

  for (const [name] of ours.reverse()) services.get(name).child.kill('SIGTERM');
  for (const [name] of ours) assert.equal(await services.get(name).ended, 0, `${name}: ${services.get(name).log.slice(-2000)}`);
});

test('the set-up looks for the programs under the names and ports that they have', () => {
  const compose = parsed(path.join(COMPOSE, 'docker-compose.yaml'));
  const jobs = parsed(path.resolve('../../k8s/monitoring/prometheus.yml')).scrape_configs;
  for (const { dns_sd_configs: [{ names, port }] } of jobs) {
    const found = Object.values(compose.services).filter((service) => service.networks?.default?.aliases?.includes(names[0]));
    assert.equal(found.length, 2, names[0]);
    const file = names[0].endsWith('gateway') ? 'gateway.yaml' : 'broker.yaml';
    assert.equal(parsed(path.join(COMPOSE, file)).internal.port, port);
  }
  const [source] = parsed(path.join(COMPOSE, 'grafana/datasources/prometheus.yaml')).datasources;
  assert.equal(source.url, 'http://prometheus:9090');
  const [provider] = parsed(path.join(COMPOSE, 'grafana/dashboards/callboard.yaml')).providers;
  assert.ok(compose.services.grafana.volumes.some((volume) => volume.includes(`:${provider.options.path}:`)));
});
