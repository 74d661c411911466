/* callboard-operator apply against an API server of this file's own: what it sends and in which order, and what it makes of every way in which a cluster may refuse,
 * stall or talk nonsense. A real API server: tests/cluster/test_apply.py. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD } from './support.mjs';

const OPERATOR = path.join(BUILD, 'operator/callboard-operator');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-apply-'));
const at = (name) => path.join(folder, name);
const SPEC = 'apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop, namespace: push}\nspec: {profile: dev}\n';
const KINDS = {
  v1: ['ServiceAccount', 'ConfigMap', 'Service', 'Pod', 'Event'], 'apps/v1': ['Deployment', 'StatefulSet'], 'batch/v1': ['CronJob'], 'policy/v1': ['PodDisruptionBudget'],
  'networking.k8s.io/v1': ['NetworkPolicy', 'Ingress'], 'autoscaling/v2': ['HorizontalPodAutoscaler'],
};
const pluralOf = (kind) => (/y$/.test(kind) ? `${kind.slice(0, -1)}ies` : /s$/.test(kind) ? `${kind}es` : `${kind}s`).toLowerCase();
const status = (code, reason, message, details) => ({ code, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, details, code } });

/* The API as far as apply uses it: discovery, lists, objects, server-side apply, deletion. */
class Api {
  objects = new Map(); // by path
  requests = [];
  answers = []; // functions that answer the next requests instead: (request, body) => {code, body, headers} | undefined
  version = 0;

  discovery(group) {
    return { kind: 'APIResourceList', resources: KINDS[group].map((kind) => ({ name: pluralOf(kind), kind, namespaced: true })) };
  }

  answer(request, text) {
    const url = new URL(request.url, 'https://x');
    const where = url.pathname;
    const group = /^\/api(?:s)?\/(.*?)(?:\/namespaces\/|$)/.exec(where)[1];
    if (where === `/api${group.includes('/') ? 's' : ''}/${group}`) return KINDS[group] ? { code: 200, body: this.discovery(group) } : { code: 404, body: '404 page not found' };
    if (!where.startsWith(`/api${group.includes('/') ? 's' : ''}/${group}/namespaces/push/`)) return status(404, 'NotFound', 'namespaces "other" not found');
    const [plural, name] = where.split('/namespaces/push/')[1].split('/');
    if (request.method === 'GET' && name === undefined) {
      const items = [...this.objects].filter(([key]) => key.startsWith(`${where}/`)).map(([, object]) => object);
      return { code: 200, body: { kind: 'List', items } };
    }
    const found = this.objects.get(where);
    if (request.method === 'PATCH') return this.apply(where, JSON.parse(text), url.searchParams);
    if (found === undefined) return status(404, 'NotFound', `${plural} "${name}" not found`);
    if (request.method === 'DELETE') this.objects.delete(where);
    return { code: 200, body: found };
  }

  apply(where, wanted, query) {
    assert.equal(query.get('fieldManager'), 'callboard-operator');
    const found = this.objects.get(where);
    const managedFields = [{ manager: 'callboard-operator', operation: 'Apply', time: `${this.version}`, fieldsV1: { '.': {} } }];
    const metadata = { ...wanted.metadata, uid: found?.metadata.uid ?? `uid-${++this.version}`, resourceVersion: `${++this.version}`, managedFields };
    const object = { ...wanted, metadata };
    if (query.get('dryRun') === null) this.objects.set(where, object);
    return { code: found ? 200 : 201, body: object };
  }

  async handle(request, response) {
    let text = '';
    for await (const part of request) text += part;
    this.requests.push({ method: request.method, url: request.url, headers: request.headers });
    const special = this.answers.length > 0 ? this.answers[0](request, response) : undefined;
    if (special === 'own') return;
    if (special !== undefined) this.answers.shift();
    const { code, body, headers } = special ?? this.answer(request, text);
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  sent() {
    return this.requests.filter(({ method, url }) => method !== 'GET' && !url.includes('dryRun'));
  }
}

let api;
let server;
before(async () => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=kubernetes', '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:kubernetes', '-keyout', at('tls.key'), '-out', at('tls.crt')], { stdio: 'ignore' });
  server = https.createServer({ key: fs.readFileSync(at('tls.key')), cert: fs.readFileSync(at('tls.crt')) }, (request, response) => {
    api.handle(request, response).catch((error) => response.destroy(error));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  fs.writeFileSync(at('spec.yaml'), SPEC);
  writeConfig('config', {});
});
after(() => {
  server.closeAllConnections();
  server.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

function writeConfig(name, { cluster = {}, user = { token: 'hunter2' }, port = server.address().port }) {
  fs.writeFileSync(at(name), JSON.stringify({ 'current-context': 'a', contexts: [{ name: 'a', context: { cluster: 'c', user: 'u', namespace: 'push' } }],
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority': 'tls.crt', ...cluster } }], users: [{ name: 'u', user }] }));
}

function operator(args, { config = 'config', fresh = true } = {}) {
  if (fresh) api = new Api();
  return new Promise((resolve) => {
    const child = spawn(OPERATOR, ['apply', '--kubeconfig', at(config), ...args], { env: { PATH: process.env.PATH, HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (part) => (out += part));
    child.stderr.on('data', (part) => (err += part));
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

/* A run whose first requests are answered by these. */
function answered(answers, args = [], options = {}) {
  api = new Api();
  api.answers = answers;
  return operator([...args, at('spec.yaml')], { ...options, fresh: false });
}

// ---- what is sent ----

test('all is asked before anything is sent, in the order of installation, and once more sends nothing', async () => {
  const first = await operator([at('spec.yaml')]);
  assert.equal(first.code, 0, first.err);
  const lines = first.out.trim().split('\n');
  assert.ok(lines.length > 5 && lines.every((line) => line.startsWith('created    push/')), first.out);
  assert.deepEqual(lines.map((line) => line.split('/')[1]).filter((kind, place, all) => kind !== all[place - 1]).slice(-2), ['Deployment', 'StatefulSet']);
  const dry = api.requests.findLastIndex(({ url }) => url.includes('dryRun'));
  const real = api.requests.findIndex(({ method, url }) => method === 'PATCH' && !url.includes('dryRun'));
  assert.ok(dry < real, 'the last dry run comes before the first that counts');
  assert.ok(api.requests.every(({ headers }) => headers.authorization === 'Bearer hunter2'));
  const objects = api;
  api.requests = [];
  const second = await operator([at('spec.yaml')], { fresh: false });
  assert.equal(second.code, 0, second.err);
  assert.ok(second.out.trim().split('\n').every((line) => line.startsWith('unchanged ')), second.out);
  assert.deepEqual(objects.sent(), []);
});

test('a dry run sends nothing, and says what would be', async () => {
  const { code, out } = await operator(['--dry-run=server', '-o', 'json', at('spec.yaml')]);
  assert.equal(code, 0);
  const [deployment] = JSON.parse(out).deployments;
  assert.equal(deployment.dryRun, true);
  assert.ok(deployment.objects.length > 5 && deployment.objects.every(({ result }) => result === 'created'));
  assert.deepEqual(api.sent(), []);
});

test('--prune deletes what is no longer rendered, by its uid, and nothing else', async () => {
  await operator([at('spec.yaml')]);
  const labels = { 'app.kubernetes.io/managed-by': 'callboard-operator', 'app.kubernetes.io/part-of': 'callboard', 'app.kubernetes.io/instance': 'shop' };
  const add = (name, more) => api.objects.set(`/api/v1/namespaces/push/configmaps/${name}`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'push', uid: `u-${name}`, labels: { ...labels, ...more } } });
  add('shop-old', {});
  add('other-old', { 'app.kubernetes.io/instance': 'other' });
  const kept = await operator([at('spec.yaml')], { fresh: false });
  assert.equal(kept.code, 0, kept.err);
  assert.ok(!kept.out.includes('old'));
  const shown = await operator(['--prune', '--dry-run=server', at('spec.yaml')], { fresh: false });
  assert.match(shown.out, /^pruned {5}push\/ConfigMap\/shop-old \(dry run\)$/m);
  assert.ok(api.objects.has('/api/v1/namespaces/push/configmaps/shop-old'));
  const done = await operator(['--prune', at('spec.yaml')], { fresh: false });
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /^pruned {5}push\/ConfigMap\/shop-old$/m);
  assert.ok(!api.objects.has('/api/v1/namespaces/push/configmaps/shop-old'));
  assert.ok(api.objects.has('/api/v1/namespaces/push/configmaps/other-old'));
  assert.equal(api.sent().filter(({ method }) => method === 'DELETE').length, 1);
});

test('a kind that the cluster lacks is left out, with a note', async () => {
  const { code, out } = await operator(['--set', 'monitoring.podMonitor=true', at('spec.yaml')]);
  assert.equal(code, 0);
  assert.match(out, /^skipped {4}push\/PodMonitor\/\S+: the cluster has no PodMonitor of monitoring.coreos.com\/v1$/m);
});

test("a conflict names the manager and the field, and what is another's is left alone", async () => {
  const conflict = (request) => (request.method === 'PATCH' && request.url.includes('/deployments/') ? status(409, 'Conflict', 'Apply failed with 1 conflict', {
    causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "kubectl-edit" using apps/v1', field: '.spec.replicas' }] }) : undefined);
  const first = await answered([conflict]);
  assert.equal(first.code, 5);
  assert.match(first.err, /push\/Deployment\/shop-gateway: \.spec\.replicas is owned by kubectl-edit; .*--force-conflicts/);
  assert.deepEqual(api.sent(), []);
  api = new Api();
  api.objects.set('/api/v1/namespaces/push/services/shop-gateway', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'shop-gateway', namespace: 'push', labels: { 'app.kubernetes.io/managed-by': 'Helm' } } });
  const second = await operator([at('spec.yaml')], { fresh: false });
  assert.equal(second.code, 5);
  assert.match(second.err, /push\/Service\/shop-gateway is Helm's/);
  assert.deepEqual(api.sent(), []);
});

test('data at risk and what cannot be changed is refused until it is accepted', async () => {
  await operator([at('spec.yaml')]);
  api.requests = [];
  const refused = await operator(['--set', 'broker.partitions=128', at('spec.yaml')], { fresh: false });
  assert.equal(refused.code, 4, refused.err);
  assert.match(refused.err, /CB3001 .*--accept=CB3001/);
  assert.deepEqual(api.sent(), []);
  const accepted = await operator(['--set', 'broker.partitions=128', '--accept=CB3001', at('spec.yaml')], { fresh: false });
  assert.equal(accepted.code, 0, accepted.err);
  assert.match(accepted.out, /^configured push\/ConfigMap\/shop-broker$/m);
  // A StatefulSet's serviceName cannot change: deleted without its pods, and made anew.
  const set = '/apis/apps/v1/namespaces/push/statefulsets/shop-broker';
  api.objects.get(set).spec.serviceName = 'old';
  api.requests = [];
  const forbidden = (request) => (request.method === 'PATCH' && request.url.startsWith(set) && api.objects.has(set)
    ? status(422, 'Invalid', 'StatefulSet.apps "shop-broker" is invalid', { causes: [{ field: 'spec', message: 'Forbidden: updates to statefulset spec' }] }) : undefined);
  const again = ['--set', 'broker.partitions=128', at('spec.yaml')];
  api.answers = [forbidden];
  const immutable = await operator(again, { fresh: false });
  assert.equal(immutable.code, 4, immutable.err);
  assert.match(immutable.err, /re-create CB3008 push\/StatefulSet\/shop-broker: .*--cascade=orphan/);
  assert.deepEqual(api.sent(), []);
  api.answers = [forbidden];
  const anew = await operator([...again, '--accept=cb3008'], { fresh: false });
  assert.equal(anew.code, 0, anew.err);
  assert.match(anew.out, /^re-created push\/StatefulSet\/shop-broker$/m);
  assert.deepEqual(api.sent().map(({ method }) => method), ['DELETE', 'PATCH']);
});

// ---- what a cluster may do ----

test('429 and 503 are waited out, as long as the server says', async () => {
  const { code, err } = await answered([() => ({ ...status(429, 'TooManyRequests', 'slow down'), headers: { 'retry-after': '1' } }), () => status(503, 'ServiceUnavailable', 'soon')]);
  assert.equal(code, 0, err);
  assert.match(err, /no success yet \(429\), once more in 2 s/);
  const late = await answered([() => ({ ...status(429, 'TooManyRequests', 'slow down'), headers: { 'retry-after': '900' } })]);
  assert.equal(late.code, 5);
  assert.match(late.err, /429: slow down; the API server is busy/);
});

test('what stays broken ends the run after some attempts', async () => {
  let n = 0;
  api = new Api();
  api.handle = async (request, response) => { n++; response.writeHead(500).end('<html>no</html>'); };
  const { code, err } = await operator([at('spec.yaml')], { fresh: false });
  assert.equal(code, 5);
  assert.equal(n, 5);
  assert.match(err, /500, without a reason that is Kubernetes'/);
});

test('answers that are none, too large, or never end', async () => {
  const broken = await answered([() => ({ code: 200, body: '{"kind": "APIResourceList", ' })]);
  assert.equal(broken.code, 5);
  assert.match(broken.err, /answered 200 with what is no object \(invalid JSON at byte 28\)/);
  const html = await answered([() => ({ code: 200, body: '[]' })]);
  assert.match(html.err, /no JSON object/);
  const endless = await answered([(request, response) => {
    response.writeHead(200);
    const more = () => { while (!response.destroyed && response.write('x'.repeat(65536))); };
    response.on('drain', more).on('error', () => {});
    more();
    return 'own';
  }]);
  assert.equal(endless.code, 5);
  assert.match(endless.err, /more than 16777216 bytes/);
});

test('a server that does not answer in time is exit code 6', async () => {
  const { code, err } = await answered([() => 'own'], ['--timeout', '1s']);
  assert.equal(code, 6);
  assert.match(err, /timed out/i);
});

test('a server that is not there, or not the one, is told with its place in the kubeconfig', async () => {
  writeConfig('nobody', { port: 9 });
  const nobody = await operator([at('spec.yaml')], { config: 'nobody' });
  assert.equal(nobody.code, 5);
  assert.match(nobody.err, /https:\/\/127\.0\.0\.1:9 \(context a, .*nobody:1\).*is the server there/);
  writeConfig('stranger', { cluster: { 'certificate-authority': undefined } });
  const stranger = await operator([at('spec.yaml')], { config: 'stranger' });
  assert.equal(stranger.code, 5);
  assert.match(stranger.err, /its certificate is not trusted: .*certificate-authority/);
  writeConfig('named', { cluster: { 'tls-server-name': 'kubernetes' } });
  assert.equal((await operator([at('spec.yaml')], { config: 'named' })).code, 0);
  assert.match(api.requests[0].headers.host, /^127\.0\.0\.1:/);
  writeConfig('misnamed', { cluster: { 'tls-server-name': 'other' } });
  assert.match((await operator([at('spec.yaml')], { config: 'misnamed' })).err, /its certificate is not trusted/);
  assert.ok(![nobody, stranger].some(({ err }) => err.includes('hunter2')));
});

test('a token that expires is got again from the plugin, once', async () => {
  fs.writeFileSync(at('login'), `#!/bin/sh\nn=$(cat ${at('count')} 2>/dev/null || echo 0); n=$((n + 1)); echo $n > ${at('count')}\n`
    + 'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "token-\'$n\'"}}\'\n', { mode: 0o755 });
  writeConfig('plugin', { user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './login', interactiveMode: 'Never' } } });
  api = new Api();
  const old = api.handle.bind(api);
  api.handle = async (request, response) => (request.headers.authorization === 'Bearer token-2' ? old(request, response)
    : (response.writeHead(401), response.end(JSON.stringify(status(401, 'Unauthorized', 'Unauthorized').body))));
  const { code, err } = await operator([at('spec.yaml')], { config: 'plugin', fresh: false });
  assert.equal(code, 0, err);
  assert.equal(fs.readFileSync(at('count'), 'utf8').trim(), '2');
  const refused = await answered([() => status(401, 'Unauthorized', 'Unauthorized')]);
  assert.equal(refused.code, 5);
  assert.match(refused.err, /401: Unauthorized; the credentials are not taken/);
});

test('a namespace that is not there is told once, with what makes it', async () => {
  const { code, err } = await operator([at('spec.yaml'), '--set', 'metadata.namespace=other']);
  assert.equal(code, 5);
  assert.equal(err.match(/kubectl create namespace other/g).length, 1);
});

// ---- what a person may do ----

test('a spec that is wrong, an option that is none, and a kubeconfig that is not there reach no cluster', async () => {
  assert.equal((await operator([at('spec.yaml'), '--set', 'gateway.replicas=-1'])).code, 3);
  assert.equal((await operator([at('spec.yaml'), '--dry-run=client'])).code, 2);
  const { code, err } = await operator([at('spec.yaml')], { config: 'none' });
  assert.equal(code, 5);
  assert.match(err, /none: No such file or directory/);
  assert.deepEqual(api.requests, []);
});

// ---- waiting ----

test('--wait ends when the pods are ready, and says what keeps them', async () => {
  api = new Api();
  const plain = api.answer.bind(api);
  let looks = 0;
  const ready = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
  api.answer = (request, text) => {
    if (request.method === 'GET' && request.url.includes('/events?')) {
      return { code: 200, body: { items: [{ type: 'Warning', reason: 'FailedMount', message: 'secret "shop-auth" not found' }] } };
    }
    if (request.method === 'GET' && request.url.includes('/pods?')) {
      if (request.url.includes('broker')) return { code: 200, body: { items: [{ metadata: { name: 'shop-broker-0' }, status: {} }] } };
      return { code: 200, body: { items: [{ metadata: { name: 'shop-gateway-x' }, status: { containerStatuses: [{ name: 'gateway', state: { waiting: { reason: 'ImagePullBackOff' } } }] } }] } };
    }
    const answer = plain(request, text);
    const isWorkload = /(deployments|statefulsets)\/[^?]+$/.test(request.url) && request.method === 'GET' && answer.code === 200;
    if (isWorkload) looks++;
    return isWorkload ? { code: 200, body: { ...answer.body, status: looks > 2 ? { ...ready, replicas: answer.body.spec.replicas ?? 1 } : {} } } : answer;
  };
  const { code, out, err } = await operator(['--wait', at('spec.yaml')], { fresh: false });
  assert.equal(code, 0, err);
  assert.match(err, /push\/Deployment\/shop-gateway: 0 of 1 pods are of the new version; shop-gateway-x: container gateway: ImagePullBackOff/);
  assert.match(err, /push\/Deployment\/shop-gateway: 1 of 1 pods are ready/);
  assert.match(out, /^created {4}push\/Deployment\/shop-gateway$/m);
  looks = -1000000;
  const late = await operator(['--wait', '--timeout', '8s', at('spec.yaml')], { fresh: false });
  assert.equal(late.code, 6);
  assert.match(late.err, /the time of --timeout is over, and these are not ready:\npush\/Deployment\/shop-gateway: 0 of 1 .*ImagePullBackOff/);
  assert.match(late.err, /shop-broker-0: FailedMount: secret "shop-auth" not found\ncallboard-operator secret SPEC… \| kubectl apply -f - makes/);
});
