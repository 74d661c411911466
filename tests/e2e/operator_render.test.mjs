/* What callboard-operator renders: the folders of k8s are what it makes of k8s/specs, the same bytes on every machine; and the configurations
 * in them are such as the real programs take.
 *
 * UPDATE_GOLDEN=1 writes the folders anew; read the difference. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { BUILD, freePort, until } from './support.mjs';

const OPERATOR = path.join(BUILD, 'operator/callboard-operator');
const K8S = path.resolve('../../k8s');
const SPECS = fs.readdirSync(path.join(K8S, 'specs')).filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -5));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-render-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const SPECS_WITH_EXPORTER = SPECS.filter((name) => /exporter:/.test(fs.readFileSync(path.join(K8S, 'specs', `${name}.yaml`), 'utf8')));
const specOf = (name) => path.join(K8S, 'specs', `${name}.yaml`);
const operator = (args, env = {}) => spawnSync(OPERATOR, args, { encoding: 'utf8', env: { ...process.env, ...env } });
const files = (from) => Object.fromEntries(fs.readdirSync(from).sort().map((name) => [name, fs.readFileSync(path.join(from, name), 'utf8')]));
const objectsOf = (name, ...args) => {
  const { stdout, status, stderr } = operator(['render', '-o', 'json', ...args, specOf(name)]);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).items;
};

for (const name of SPECS) {
  test(`k8s/${name} is what its spec renders to`, () => {
    const golden = path.join(K8S, name);
    const target = process.env.UPDATE_GOLDEN ? golden : path.join(folder, name);
    if (process.env.UPDATE_GOLDEN) fs.rmSync(golden, { recursive: true, force: true });
    const { status, stderr } = operator(['render', '--to', target, specOf(name)]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(files(target), files(golden));
  });

  test(`k8s/${name}: the same bytes twice, and in another language`, () => {
    const one = operator(['render', specOf(name)], { LC_ALL: 'C' });
    const two = operator(['render', specOf(name)], { LC_ALL: 'tr_TR.UTF-8', TZ: 'Asia/Tokyo' });
    assert.equal(one.status, 0);
    assert.equal(one.stdout, two.stdout);
  });
}

test('a drain that is longer than an hour is what balancers take at most', () => {
  const drain = ['--set', 'gateway.drain.propagation=5m', '--set', 'gateway.drain.window=1h', '--set', 'gateway.drain.grace=2h'];
  const text = (name) => JSON.stringify(objectsOf(name, ...drain));
  assert.match(text('elasticache-alb'), /deregistration_delay\.timeout_seconds=3600,/);
  for (const name of ['memorystore-gce', 'cluster-gke-gateway']) assert.match(text(name), /"drainingTimeoutSec":3600\b/);
});

test('no CPU asked for, no CPU metric; a lag of one and a half seconds is two to Redis', () => {
  const scaling = ['--set', 'gateway.autoscaling.cpuPercent=0'];
  const find = (objects, wanted) => objects.find(({ kind }) => kind === wanted).spec;
  assert.deepEqual(find(objectsOf('cluster-gke-gateway', ...scaling), 'HorizontalPodAutoscaler').metrics.map(({ type }) => type), ['Pods']);
  assert.deepEqual(find(objectsOf('external-gateway-api', ...scaling), 'ScaledObject').triggers.map(({ type }) => type), ['prometheus']);
  const lines = objectsOf('redis-cluster', '--set', 'redis.minReplicasToWrite=1', '--set', 'redis.minReplicasMaxLag=1500ms').map(({ data }) => data?.['redis.conf'] ?? '').join('');
  assert.match(lines, /^min-replicas-max-lag 2$/m);
});

test('the examples stand beside each other: one folder, no mistake in it', () => {
  const { status, stdout } = operator(['check', '-o', 'json', path.join(K8S, 'specs')]);
  assert.equal(status, 0, stdout);
  assert.equal(JSON.parse(stdout).errors, 0);
  const all = operator(['render', '-o', 'json', '-q', path.join(K8S, 'specs')]);
  assert.equal(JSON.parse(all.stdout).items.length, SPECS.flatMap((name) => objectsOf(name)).length);
});

/* The keys, passwords and certificates that configurations name; all of them name the same. */
const keys = path.join(folder, 'keys');
function makeKeys() {
  for (const part of ['auth', 'curve/gateways', 'services', 'tls', 'redis-auth', 'redis-tls']) fs.mkdirSync(path.join(keys, part), { recursive: true });
  for (const key of ['gateway', 'broker']) execFileSync(path.join(BUILD, 'tools/callboardctl'), ['keygen', path.join(keys, `curve/${key}.key`)]);
  fs.copyFileSync(path.join(keys, 'curve/gateway.key.pub'), path.join(keys, 'curve/gateways/gateway.pub'));
  for (const secret of ['auth/token-secret', 'auth/internal-token', 'auth/redis-password', 'auth/sentinel-password', 'redis-auth/redis-password']) fs.writeFileSync(path.join(keys, secret), 'x'.repeat(40), { mode: 0o600 });
  makeCertificate(path.join(keys, 'tls'));
  fs.copyFileSync(path.join(keys, 'tls/tls.crt'), path.join(keys, 'redis-tls/ca.crt'));
}
function makeCertificate(where) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', path.join(where, 'tls.key'), '-out', path.join(where, 'tls.crt')], { stdio: 'ignore' });
}

/* Names of deployments and hosts differ; what a program makes of the rest does not. */
const withoutNames = (text) => text.replaceAll(/[a-z]+-(redis|sentinel|broker|gateway)\S*/g, '$1').replaceAll(/^ +(issuer|audience): .*$/gm, '');
test('gateways and brokers take their configurations: each that differs once', () => {
  makeKeys();
  const seen = new Set();
  for (const name of SPECS) {
    const maps = objectsOf(name).filter(({ kind }) => kind === 'ConfigMap');
    for (const part of ['gateway', 'broker']) {
      const text = maps.map(({ data }) => data[`${part}.yaml`]).find(Boolean);
      if (seen.has(withoutNames(text))) continue;
      seen.add(withoutNames(text));
      const file = path.join(folder, `${name}-${part}.yaml`);
      fs.writeFileSync(file, text.replaceAll('/etc/callboard/', `${keys}/`));
      const { status, stdout, stderr } = spawnSync(path.join(BUILD, `${part}/callboard-${part}`), ['--config', file, '--check'], { encoding: 'utf8', env: { PATH: process.env.PATH } });
      assert.equal(status, 0, `${name}: ${part}: ${stdout}${stderr}\n${text}`);
    }
  }
  assert.ok(seen.size > 8, `${seen.size} configurations`);
});

test('every pod fits Pod Security "restricted", and no object holds a secret', () => {
  for (const name of SPECS) {
    for (const object of objectsOf(name)) {
      assert.notEqual(object.kind, 'Secret');
      const pod = (object.spec?.jobTemplate?.spec ?? object.spec)?.template?.spec;
      if (pod === undefined) continue;
      assert.equal(pod.securityContext.runAsNonRoot, true);
      assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault');
      assert.equal(pod.automountServiceAccountToken, false);
      for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
        assert.equal(container.securityContext.allowPrivilegeEscalation, false);
        assert.equal(container.securityContext.readOnlyRootFilesystem, true);
        assert.deepEqual(container.securityContext.capabilities.drop, ['ALL']);
      }
      for (const volume of pod.volumes) assert.ok(volume.configMap || volume.secret || volume.emptyDir || volume.projected || volume.persistentVolumeClaim, JSON.stringify(volume));
    }
  }
});

/* What rolls pods and what does not: the checksum is over the keys that a running program does not take up. */
test('a namespace more rolls nobody, another port of the gateways does', () => {
  const checksum = (...args) => objectsOf('dev', ...args).filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet').map(({ spec }) => spec.template.metadata.annotations['callboard.dev/config']);
  const before = checksum();
  assert.deepEqual(checksum('--set', 'gateway.allowedOrigins=https://a.example.com'), before);
  const after = checksum('--set', 'broker.ports.gateways=7799');
  assert.notEqual(after[0], before[0]);
  assert.notEqual(after[1], before[1]);
});

test('a part of it: by kind, by name, for a cluster without the APIs of others', () => {
  assert.deepEqual(objectsOf('dev', '--only', 'statefulset').map(({ kind }) => kind), ['StatefulSet']);
  assert.deepEqual(objectsOf('dev', '--only', 'Service/callboard-broker').map(({ metadata }) => metadata.name), ['callboard-broker']);
  const kinds = objectsOf('elasticache-alb', '--api-versions', 'networking.k8s.io/v1').map(({ kind }) => kind);
  assert.ok(kinds.includes('Ingress') && !kinds.includes('PodMonitor') && !kinds.includes('PrometheusRule'), `${kinds}`);
});

test('what the cluster has no API for is left out, and that is told', () => {
  const { status, stdout, stderr } = operator(['render', '-o', 'json', '--api-versions', 'apps/v1', specOf('ha-issuer')]);
  assert.equal(status, 0, stderr);
  assert.ok(JSON.parse(stdout).items.every(({ kind }) => kind !== 'Certificate' && kind !== 'PodMonitor'));
  assert.match(stderr, /left out: Certificate talk-redis, as the cluster has no cert-manager\.io\/v1/);
});

test('overrides patch what is rendered, last; one that does not apply is an error with its place', () => {
  const objects = objectsOf('ha-issuer');
  const service = objects.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'talk-gateway');
  assert.deepEqual(service.spec.loadBalancerSourceRanges, ['203.0.113.0/24']);
  const [broker] = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'talk-broker').spec.template.spec.containers;
  assert.deepEqual(broker.env.at(-1), { name: 'MALLOC_ARENA_MAX', value: '2' });
  const bad = path.join(folder, 'bad-override.yaml');
  fs.writeFileSync(bad, fs.readFileSync(specOf('ha-issuer'), 'utf8').replace('name: talk-gateway', 'name: talk-gatewey').replace('/containers/0/name', '/containers/9/name'));
  for (const command of ['render', 'check']) {
    const { status, stdout, stderr } = operator([command, bad]);
    assert.equal(status, 3);
    assert.match(`${stdout}${stderr}`, /bad-override\.yaml:16:37: error\[CB2201\]: spec\.overrides\[0\]\.target\.name: no Service is called talk-gatewey\n.*\n.*did you mean talk-gateway\?/);
    assert.match(`${stdout}${stderr}`, /:21:11: error\[CB2202\]: spec\.overrides\[1\]\.patch\[0\]: StatefulSet talk-broker: \/spec\/template\/spec\/containers\/9 is behind the end of a list of 1/);
  }
});

test('backups read every Redis pod as their own user, and write to their claim only', () => {
  for (const [name, mode] of [['small-standalone', 'standalone'], ['ha-issuer', 'replicated'], ['cluster-gke-gateway', 'cluster']]) {
    const objects = objectsOf(name);
    const job = objects.find(({ kind }) => kind === 'CronJob').spec;
    const pod = job.jobTemplate.spec.template.spec;
    const [{ command, volumeMounts }] = pod.containers;
    assert.equal(job.concurrencyPolicy, 'Forbid');
    assert.deepEqual(command.slice(0, 5), ['/usr/bin/callboard-operator', 'redis', 'backup', '--mode', mode]);
    assert.deepEqual(volumeMounts.filter(({ readOnly }) => !readOnly).map(({ mountPath }) => mountPath), [command[command.indexOf('--to') + 1]]);
    const peers = objects.flatMap(({ spec }) => spec?.template?.spec.containers ?? []).flatMap(({ env }) => env ?? []).find((item) => item.name === 'CALLBOARD_AGENT_PEERS').value;
    assert.equal(command[command.indexOf('--peers') + 1], peers);
    const policy = objects.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.labels['app.kubernetes.io/component'] === 'redis').spec;
    assert.ok(policy.ingress[0].from.some(({ podSelector }) => podSelector.matchLabels['app.kubernetes.io/component'] === 'backup'));
    const users = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.labels['app.kubernetes.io/component'] === 'redis').data['users.acl'];
    assert.match(users, new RegExp(`^user ${command[command.indexOf('--user') + 1]} on `, 'm'));
  }
});

/* Balancers of a cloud are no pods: what lets only pods in keeps them out, and then nobody is sent to a gateway. */
test('load balancers look for health where they may come, and speak what the gateways speak', () => {
  const file = path.join(folder, 'balanced.yaml');
  for (const isTls of [false, true]) {
    for (const [kind, name] of [['ingress', 'alb'], ['ingress', 'gce'], ['ingress', 'haproxy'], ['ingress', 'nginx'], ['gateway', 'gke']]) {
      fs.writeFileSync(file, `apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n  profile: ha\n  gateway: {listeners: [{port: 8088${isTls ? ', tls: {secretName: own}' : ''}}]}
  edge: {kind: ${kind}, class: ${name}, hosts: [a.example.com]${kind === 'gateway' ? ', parentRefs: [{name: public}]' : ''}}\n`);
      const { stdout, status, stderr } = operator(['render', '-o', 'json', file]);
      assert.equal(status, 0, stderr);
      const objects = JSON.parse(stdout).items;
      const find = (wanted) => objects.find((object) => object.kind === wanted && object.metadata.name === 'shop-gateway');
      const ports = find('NetworkPolicy').spec.ingress.filter(({ from }) => from === undefined).flatMap((rule) => rule.ports.map(({ port }) => port));
      assert.deepEqual(ports, [8088], 'who is no pod comes to the public port only');
      const protocol = isTls ? 'HTTPS' : 'HTTP';
      const annotations = find('Ingress')?.metadata.annotations ?? {};
      const own = (key) => Object.entries(annotations).find(([each]) => each.endsWith(`/${key}`))?.[1];
      if (name === 'alb') assert.deepEqual([own('healthcheck-port'), own('healthcheck-path'), own('healthcheck-protocol'), own('backend-protocol')], ['traffic-port', '/ready', protocol, protocol]);
      if (name === 'gce') {
        assert.deepEqual(find('BackendConfig').spec.healthCheck, { type: protocol, requestPath: '/ready', port: 8088 });
        assert.equal(find('Service').metadata.annotations['cloud.google.com/app-protocols'], isTls ? '{"websocket": "HTTPS"}' : undefined);
      }
      if (name === 'haproxy') assert.equal(own('server-ssl'), isTls ? 'true' : undefined);
      if (name === 'nginx') assert.equal(own('backend-protocol'), isTls ? 'HTTPS' : undefined);
      if (name === 'gke') {
        const { config } = find('HealthCheckPolicy').spec.default;
        assert.deepEqual(config, { type: protocol, [isTls ? 'httpsHealthCheck' : 'httpHealthCheck']: { portSpecification: 'USE_SERVING_PORT', requestPath: '/ready' } });
        assert.deepEqual(find('HealthCheckPolicy').spec.targetRef, { group: '', kind: 'Service', name: 'shop-gateway' });
      }
    }
  }
});

test('dashboards are those of k8s/monitoring, to the byte', () => {
  const maps = objectsOf('dev', '--set', 'monitoring.dashboards=true').filter(({ metadata }) => metadata.labels.grafana_dashboard === '1');
  assert.equal(maps.length, 4);
  for (const { data } of maps) {
    const [[name, text]] = Object.entries(data);
    assert.equal(text, fs.readFileSync(path.join(K8S, 'monitoring/dashboards', name.replace('callboard-', '')), 'utf8'));
  }
});

/* Real servers, configured by callboard-agent from the ConfigMaps as in a pod: its folders and ports are ours. */
const wellKnown = { '/tls': 'tls', '/data': 'data', '/conf': 'conf' };
async function startServer(name, component, file, passwords = {}, { program = 'redis-server', settings: more = [] } = {}) {
  const objects = objectsOf(name, ...more.flatMap((each) => ['--set', each]));
  const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.labels['app.kubernetes.io/component'] === component);
  const set = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.labels['app.kubernetes.io/component'] === component);
  const base = fs.mkdtempSync(path.join(folder, `${name}-${component}-`));
  for (const part of ['tls', 'data', 'conf', 'templates', 'secrets']) fs.mkdirSync(path.join(base, part), { recursive: true });
  makeCertificate(path.join(base, 'tls'));
  fs.copyFileSync(path.join(base, 'tls/tls.crt'), path.join(base, 'tls/ca.crt'));
  for (const secret of ['redis-password', 'sentinel-password', 'exporter-password']) fs.writeFileSync(path.join(base, 'secrets', secret), passwords[secret] ?? `${secret} "of" tests\r\n`);
  const port = await freePort();
  for (const [key, text] of Object.entries(map.data)) {
    let mine = text.replaceAll(/ (\/tls|\/data|\/conf)(?=[/\n])/g, (_, from) => ` ${path.join(base, wellKnown[from])}`).replace(/^(tls-port|port) (6379|26379)$/m, `$1 ${port}`);
    if (key.endsWith('.conf')) mine += `bind 127.0.0.1\n${component === 'redis' ? `maxmemory 64mb\n` : ''}`;
    if (/^cluster-enabled yes$/m.test(text)) mine += `cluster-port ${await freePort()}\n`; /* else its port and 10,000 */
    fs.writeFileSync(path.join(base, 'templates', key), mine);
  }
  const settings = Object.fromEntries(set.spec.template.spec.containers[0].env.filter(({ value }) => value !== undefined).map((item) => [item.name, item.value]));
  if (settings.CALLBOARD_AGENT_MODE === 'replicated') settings.CALLBOARD_AGENT_MODE = 'standalone'; /* its Sentinels are not here */
  const env = { PATH: process.env.PATH, ...settings, POD_NAME: `${name}-0`, POD_NAMESPACE: 'test', POD_IP: '127.0.0.1', CALLBOARD_AGENT_TEMPLATES: path.join(base, 'templates'),
    CALLBOARD_AGENT_SECRETS: path.join(base, 'secrets'), CALLBOARD_AGENT_OUTPUT: path.join(base, 'conf'), CALLBOARD_AGENT_DATA: path.join(base, 'data') };
  for (const key of ['CALLBOARD_AGENT_PASSWORD_FILE', 'CALLBOARD_AGENT_SENTINEL_PASSWORD_FILE']) if (env[key]) env[key] = path.join(base, env[key]);
  const { status, stderr } = spawnSync(path.join(BUILD, 'operator/agent/callboard-agent'), ['prepare'], { env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  let server;
  let ended;
  let log = '';
  const launch = () => {
    server = spawn(program, [path.join(base, 'conf', file), ...(component === 'sentinel' ? ['--sentinel'] : [])], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (bytes) => { log += bytes; });
    ended = new Promise((resolve) => { server.on('close', resolve); });
  };
  const ask = (user, password, ...command) => spawnSync('redis-cli', [...(map.data[file].includes('tls-port') ? ['--tls', '--cacert', path.join(base, 'tls/ca.crt')] : []), '-h', '127.0.0.1', '-p', `${port}`, '--user', user, ...command],
    { encoding: 'utf8', env: { PATH: process.env.PATH, REDISCLI_AUTH: password } }).stdout.trim();
  const stop = async () => { server.kill('SIGKILL'); await ended; };
  const start = async () => {
    launch();
    try {
      await until(`${name}: ${component} answers`, () => server.exitCode !== null || ask('agent', (passwords[`${component}-password`] ?? `${component}-password "of" tests`).split('\n')[0], 'PING') === 'PONG');
      assert.equal(server.exitCode, null, log);
    } catch (error) {
      await stop();
      throw new Error(`${error.message}: ${log}`);
    }
  };
  await start();
  return { ask, stop, start, log: () => log };
}

for (const name of SPECS.filter((each) => objectsOf(each).some(({ kind, metadata }) => kind === 'StatefulSet' && metadata.labels['app.kubernetes.io/component'] === 'redis'))) {
  test(`k8s/${name}: a real Redis takes redis.conf and users.acl, and each user may what it needs`, async () => {
    const { ask, stop } = await startServer(name, 'redis', 'redis.conf');
    try {
      const password = 'redis-password "of" tests';
      assert.match(ask('callboard', password, 'CONFIG', 'GET', 'maxmemory-policy'), /noeviction/);
      assert.match(ask('callboard', password, 'SET', 'other:key', '1'), /NOPERM/);
      assert.match(ask('callboard', password, 'FLUSHALL'), /NOPERM/);
      assert.match(ask('agent', password, 'INFO', 'replication'), /role:master/);
      assert.match(ask('agent', password, 'GET', 'cb:x'), /NOPERM/);
      assert.match(ask('agent', 'guess', 'PING'), /NOAUTH|WRONGPASS/);
      assert.match(ask('default', '', 'PING'), /NOAUTH|WRONGPASS/);
      assert.match(ask('backup', password, 'INFO', 'replication'), /role:master/);
      assert.match(ask('backup', password, 'REPLICAOF', 'NO', 'ONE'), /NOPERM/);
      assert.match(ask('operator', password, 'CONFIG', 'GET', 'masterauth'), /NOPERM/);
      if (SPECS_WITH_EXPORTER.includes(name)) { /* what redis_exporter asks, and not what holds passwords or data */
        const exporter = (...command) => ask('exporter', 'exporter-password "of" tests', ...command);
        assert.match(exporter('INFO', 'ALL'), /used_memory:/);
        assert.match(exporter('SLOWLOG', 'LEN'), /^\d+$/);
        assert.doesNotMatch(exporter('LATENCY', 'LATEST') + exporter('LATENCY', 'HISTOGRAM') + exporter('CLIENT', 'SETNAME', 'redis_exporter'), /NOPERM/);
        for (const command of [['CONFIG', 'GET', '*'], ['GET', 'cb:x'], ['KEYS', '*'], ['CLUSTER', 'RESET']]) assert.match(exporter(...command), /NOPERM/);
        assert.match(ask('exporter', password, 'PING'), /NOAUTH|WRONGPASS/);
      }
    } finally {
      await stop();
    }
  });
}

/* Redis loads its file as the default user: turned off without a right, it would leave out each transaction, which is what scripts write. */
test('k8s/small-standalone: what a script wrote is there after a crash', async () => {
  const { ask, stop, start, log } = await startServer('small-standalone', 'redis', 'redis.conf');
  const callboard = (...command) => ask('callboard', 'redis-password "of" tests', ...command);
  try {
    callboard('EVAL', "redis.call('SET', KEYS[1], 'kept'); redis.call('HSET', KEYS[2], 'o', '1')", '2', 'cb:{x}:a', 'cb:{x}:b');
    assert.equal(callboard('GET', 'cb:{x}:a'), 'kept');
    await stop();
    await start();
    assert.equal(callboard('GET', 'cb:{x}:a'), 'kept', log());
    assert.match(ask('default', 'redis-password "of" tests', 'PING'), /NOAUTH|WRONGPASS/);
  } finally {
    await stop();
  }
});

/* Of two lines Redis takes the last one: nobody's own line may be without effect. */
test('redis.config: what is ours is refused in any case of its letters, what is not counts, and the order of the file does not', () => {
  const file = path.join(folder, 'lines.yaml');
  const run = (command, redis, lines) => {
    const config = Object.entries(lines).map(([key, value]) => `      ${key}: "${value}"\n`).join('');
    fs.writeFileSync(file, `apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n  ${redis}\n    config:\n${config}`);
    return operator([command, '-o', 'json', file]);
  };
  const confOf = ({ stdout, status, stderr }) => {
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout).items.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'shop-redis').data['redis.conf'];
  };
  const namesOf = (part) => [...new Set(part.split('\n').filter(Boolean).map((line) => line.split(' ')[0]))];
  const modes = ['profile: ha\n  redis:\n    minReplicasToWrite: 1', 'profile: small\n  redis:\n    persistence: {size: 0}',
    'profile: cluster\n  tls: {secretName: own}\n  redis:\n    engine: valkey\n    version: "9.1"'];
  for (const redis of modes) {
    const text = confOf(run('render', redis, { 'zset-max-listpack-entries': 7, activerehashing: 'no' }));
    assert.equal(confOf(run('render', redis, { activerehashing: 'no', 'zset-max-listpack-entries': 7 })), text);
    const [before, after] = text.split('activerehashing no\nzset-max-listpack-entries 7\n').map(namesOf);
    assert.ok(after.includes('aclfile') && before.includes('timeout'), text);
    const refused = (names) => JSON.parse(run('check', redis, Object.fromEntries(names.map((name) => [name, 1]))).stdout).diagnostics
      .filter(({ code }) => code === 'CB2034').map(({ path: where }) => where.slice('spec.redis.config.'.length)).sort();
    const ours = after.filter((name) => name !== 'maxmemory-policy'); /* noeviction may stand there: another one is an error of its own */
    for (const spelt of [ours, ours.map((name) => name.toUpperCase())]) assert.deepEqual(refused(spelt), [...spelt].sort(), 'ours wins, so another one is no line without effect');
    assert.deepEqual(refused(before), [], 'a default may be changed');
  }
});

const valkey = path.resolve('../servers/valkey-server');
test('Valkey 9 takes a cluster\'s redis.conf, and hands over by itself at SIGTERM', { skip: fs.existsSync(valkey) ? false : 'no Valkey (tools/bring_valkey)' }, async () => {
  const { ask, stop } = await startServer('redis-cluster', 'redis', 'redis.conf', {}, { program: valkey, settings: ['redis.engine=valkey', 'redis.version=9.1'] });
  try {
    assert.match(ask('callboard', 'redis-password "of" tests', 'CONFIG', 'GET', 'shutdown-on-sigterm'), /failover/);
  } finally {
    await stop();
  }
});

test('k8s/ha-sentinel: a real Sentinel takes sentinel.conf and its users', async () => {
  const { ask, stop, log } = await startServer('ha-sentinel', 'sentinel', 'sentinel.conf');
  try {
    const password = 'sentinel-password "of" tests';
    assert.match(ask('agent', password, 'SENTINEL', 'MASTER', 'callboard'), /chat-redis-0\.chat-redis-pods/);
    assert.match(ask('callboard', password, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'callboard'), /chat-redis-0/);
    assert.match(ask('callboard', password, 'SENTINEL', 'FAILOVER', 'callboard'), /NOPERM/);
    assert.doesNotMatch(log(), /not writable|WARNING: Sentinel was not able to save/);
  } finally {
    await stop();
  }
});

/* Of the Secret before and after each step, servers and clients live at the same time while pods roll. */
test('secret --rotate: in every step servers of the old and the new Secret take clients of both', async () => {
  const encoded = (text) => Buffer.from(text).toString('base64');
  const secrets = [{ kind: 'Secret', metadata: { name: 'feed-auth' }, data: { 'redis-password': encoded('first of all\n'), 'token-secret': encoded('x') } }];
  const spec = specOf('redis-cluster');
  for (const step of ['add', 'use', 'drop']) {
    const { status, stdout, stderr } = spawnSync(OPERATOR, ['secret', '--rotate', step, '--current', '-', spec], { encoding: 'utf8', input: JSON.stringify(secrets.at(-1)) });
    assert.equal(status, 0, stderr);
    secrets.push({ kind: 'Secret', metadata: { name: 'feed-auth' }, data: Object.fromEntries([...stdout.matchAll(/^  ([a-z-]+): (\S+)$/gm)].map(([, key, value]) => [key, value]).filter(([key]) => key !== 'name')) });
  }
  const values = secrets.map(({ data }) => Buffer.from(data['redis-password'], 'base64').toString());
  const used = values.map((value) => value.split('\n')[0]);
  assert.deepEqual([used[0] === used[1], used[1] === used[2], used[2] === used[3]], [true, false, true]);
  for (const [i, value] of values.entries()) {
    const { ask, stop } = await startServer('redis-cluster', 'redis', 'redis.conf', { 'redis-password': value });
    try {
      for (const neighbour of [used[i - 1], used[i], used[i + 1]].filter(Boolean)) {
        if (i === 0 || i === 3) assert.equal(neighbour, used[i]); /* servers with one password: their neighbours use that one */
        assert.equal(ask('agent', neighbour, 'PING'), 'PONG');
      }
      if (i === 3) assert.match(ask('agent', used[0], 'PING'), /NOAUTH|WRONGPASS/);
    } finally {
      await stop();
    }
  }
});

test('a bug of the program itself ends with 70, and says that it is none of the spec', async () => {
  const child = spawn(OPERATOR, ['check', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (bytes) => { told += bytes; });
  const ended = new Promise((resolve) => { child.on('close', (code, signal) => resolve({ code, signal })); });
  const catches = () => parseInt(/^SigCgt:\s*(\S+)$/m.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1].slice(-4) ?? '0', 16);
  await until('it catches the abort of a failed check', () => (catches() & 0x20) !== 0);
  child.kill('SIGABRT');
  assert.deepEqual(await ended, { code: 70, signal: null });
  assert.match(told, /a bug of this program, not of the spec/);
});

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
test('as a plugin of kubectl: found on PATH under its name, and tells that name', { skip: hasKubectl ? false : 'kubectl is not here' }, () => {
  const bin = path.join(folder, 'bin');
  fs.mkdirSync(bin);
  fs.symlinkSync(OPERATOR, path.join(bin, 'kubectl-callboard'));
  const plugin = (...args) => spawnSync('kubectl', ['callboard', ...args], { encoding: 'utf8', env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, HOME: folder } });
  assert.equal(plugin('render', '-n', 'push', specOf('dev')).stdout, operator(['render', '--namespace', 'push', specOf('dev')]).stdout);
  assert.match(plugin('--help').stdout, /^Usage: kubectl callboard COMMAND/);
  const wrong = plugin('render', '--too', 'x');
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /kubectl callboard render: there is no option --too; did you mean --to\?\nUsage: kubectl callboard render --help/);
  assert.equal(plugin('check', '--warnings', 'error', specOf('small-standalone')).status, 3); /* the plugin's own exit code */
});

test('kustomize takes the folders', { skip: hasKubectl ? false : 'kubectl is not here' }, () => {
  for (const name of SPECS) {
    const built = execFileSync('kubectl', ['kustomize', path.join(K8S, name)], { encoding: 'utf8' });
    assert.equal(built.split('\n---\n').length, fs.readdirSync(path.join(K8S, name)).length - 1, name);
  }
});
