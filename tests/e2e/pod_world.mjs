/* Pods as callboard-operator renders them, without a cluster: containers with their commands, environments, volumes and names, each in a network
 * namespace of its own with an address of its own, on this machine's programs instead of images.
 *
 *   test file ── import ──▶ unshare: network, mounts, processes ──▶ the same file again, in there
 *                             bridge 10.77.0.1 ── eth0 of each pod, 10.77.g.n (another one at each start)
 *                             each pod: chroot with /usr, /proc, /dev of the machine, /etc/hosts as DNS, its volumes at their mount paths
 *
 * What ends takes all with it: the namespace of processes ends with its first one. Where namespaces are not to be had, `whyNot` says so and the
 * specs are skipped. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ARTEFACTS, BUILD, get, sleep, until } from './support.mjs';

const OPERATOR = path.join(BUILD, 'operator/callboard-operator');
const PREFIX = '10.77';

function enter() {
  if (process.env.CALLBOARD_POD_WORLD === '1') return null;
  const apart = ['--pdeathsig', 'KILL', 'unshare', ...(process.getuid() === 0 ? [] : ['--user', '--map-root-user']), '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const trial = spawnSync('setpriv', [...apart, 'sh', '-c', 'mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up && ip link add pods type bridge && ip netns add pod'], { encoding: 'utf8' });
  if (trial.status !== 0) return `no namespaces here: ${(trial.stderr ?? trial.error.message).trim().split('\n')[0]}`;
  const { status } = spawnSync('setpriv', [...apart, process.execPath, ...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit', env: { ...process.env, CALLBOARD_POD_WORLD: '1' } });
  process.exit(status ?? 1);
}
export const whyNot = enter() ?? false;
/* Where all users are there to be had, pods run as theirs and read Secrets through their group, as under a kubelet. */
const hasUsers = process.getuid() === 0 && / 4294967295$/m.test(fs.readFileSync('/proc/self/uid_map', 'utf8').trim());

const run = (command, ...args) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
};

/* An authority and what it signs as cert-manager does for a rendered Certificate: names in subjectAltName only, the subject empty. */
function makeCertificate(folder, { dnsNames, usages, privateKey }) {
  fs.mkdirSync(folder, { recursive: true });
  const at = (name) => path.join(folder, name);
  const curve = ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:P-${privateKey.size}`, '-nodes'];
  const extended = usages.map((usage) => ({ 'server auth': 'serverAuth', 'client auth': 'clientAuth' })[usage]).filter(Boolean).join(',');
  run('openssl', 'req', '-x509', ...curve, '-subj', '/CN=inside', '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', at('ca.key'), '-out', at('ca.crt'), '-days', '2');
  run('openssl', 'req', ...curve, '-subj', '/', '-keyout', at('tls.key'), '-out', at('tls.csr'));
  fs.writeFileSync(at('extensions'), `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${extended}\nsubjectAltName=critical,${dnsNames.map((name) => `DNS:${name}`).join(',')}\n`);
  run('openssl', 'x509', '-req', '-in', at('tls.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('extensions'), '-out', at('tls.crt'));
  return Object.fromEntries(['tls.crt', 'tls.key', 'ca.crt'].map((name) => [name, fs.readFileSync(at(name), 'utf8')]));
}

/* stringData of what `callboard-operator secret` prints. */
function secretsOf(specFile) {
  const text = spawnSync('python3', ['-c', 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)'], { input: run(OPERATOR, 'secret', '-q', specFile), encoding: 'utf8' }).stdout;
  return new Map(JSON.parse(text).map(({ metadata, stringData }) => [metadata.name, stringData]));
}

class Pod {
  constructor(world, set, ordinal) {
    const { name, namespace } = set.metadata;
    Object.assign(this, { world, set, ordinal, name: `${name}-${ordinal}`, namespace, generation: 0, child: null, lines: [] });
    this.folder = path.join(world.folder, this.name);
    this.domain = set.spec.serviceName ? `${set.spec.serviceName}.${namespace}.svc.cluster.local` : null;
  }

  get spec() {
    return this.set.spec.template.spec;
  }

  get container() {
    return this.spec.containers[0];
  }

  /* The folder of a volume as the kubelet fills it; claims outlive the pod. */
  volume(name) {
    const folder = path.join(this.folder, 'volumes', name);
    const volume = this.spec.volumes.find((each) => each.name === name);
    const claim = this.set.spec.volumeClaimTemplates?.some(({ metadata }) => metadata.name === name);
    if (!claim) fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    const group = this.spec.securityContext.fsGroup;
    if (hasUsers) {
      fs.chownSync(folder, 0, group);
      fs.chmodSync(folder, 0o2770);
    }
    const from = volume?.configMap ? this.world.configMap(volume.configMap.name) : volume?.secret ? this.world.secrets.get(volume.secret.secretName) : {};
    if (from === undefined && !volume.secret.optional) throw new Error(`${this.name}: no Secret ${volume.secret.secretName}`);
    const items = volume?.secret?.items ?? Object.keys(from ?? {}).map((key) => ({ key, path: key }));
    for (const item of items) {
      const file = path.join(folder, item.path);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, from[item.key], { mode: hasUsers ? (volume.secret ?? volume.configMap).defaultMode | 0o440 : 0o400 });
      if (hasUsers) for (const each of [path.dirname(file), file]) fs.chownSync(each, 0, group);
    }
    return folder;
  }

  environment(container) {
    const fields = { 'metadata.name': this.name, 'metadata.namespace': this.namespace, 'status.podIP': this.address };
    const own = (container.env ?? []).map(({ name, value, valueFrom }) => [name, value ?? fields[valueFrom.fieldRef.fieldPath]]);
    return { PATH: '/servers:/usr/bin:/bin', ...Object.fromEntries(own) };
  }

  connect() {
    this.address = this.world.newAddress();
    this.net = `${this.name}-${this.generation++}`;
    const link = `v${this.address.split('.').slice(2).join('_')}`;
    run('ip', 'netns', 'add', this.net);
    run('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.net);
    run('ip', 'link', 'set', link, 'master', 'pods', 'up');
    run('ip', '-n', this.net, 'address', 'add', `${this.address}/16`, 'dev', 'eth0');
    for (const device of ['lo', 'eth0']) run('ip', '-n', this.net, 'link', 'set', device, 'up');
    this.link = link;
  }

  /* The shell's lines that make the container's root and become its command. */
  script(container, command) {
    const root = path.join(this.folder, 'root');
    const { runAsUser, runAsGroup, fsGroup } = this.spec.securityContext;
    const lines = ['set -e', `mount -t tmpfs none ${root}`, `cd ${root}`, 'mkdir usr proc dev etc servers', 'ln -s usr/bin usr/lib usr/lib64 .'];
    const mounts = [['/usr', 'usr'], ['/proc', 'proc'], ['/dev', 'dev'], [this.world.etc, 'etc'], [this.world.servers, 'servers']];
    for (const { name, mountPath } of container.volumeMounts ?? []) mounts.push([(this.filled[name] ??= this.volume(name)), mountPath.slice(1)]);
    for (const [from, to] of mounts) lines.push(`mkdir -p ${to}; mount --rbind ${from} ${to}`);
    lines.push('exec /usr/sbin/chroot . setpriv --no-new-privs --bounding-set=-all --inh-caps=-all ' + (hasUsers ? `--reuid=${runAsUser} --regid=${runAsGroup} --groups=${fsGroup} ` : '') + '"$@"');
    fs.mkdirSync(root, { recursive: true });
    return ['--net=/run/netns/' + this.net, 'unshare', '--mount', 'sh', '-c', lines.join('\n'), 'sh', ...command.map((word) => word.replace(/^\/usr\/bin\/callboard/, '/servers/callboard'))];
  }

  /* Init containers, then the first container, at a new address. Does not wait. */
  start() {
    if (this.child !== null) throw new Error(`${this.name} runs`);
    this.connect();
    this.filled = {};
    this.world.publishNames();
    for (const container of this.spec.initContainers ?? []) {
      const { status, stderr } = spawnSync('nsenter', this.script(container, [...container.command, ...(container.args ?? [])]), { env: this.environment(container), encoding: 'utf8' });
      if (status !== 0) throw new Error(`${this.name}: ${container.name} ends with ${status}: ${stderr}`);
    }
    const { container } = this;
    const child = spawn('nsenter', this.script(container, [...container.command, ...(container.args ?? [])]), { env: this.environment(container), stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.on('data', (bytes) => {
        const lines = (rest + bytes).split('\n');
        rest = lines.pop();
        this.lines.push(...lines);
      });
    }
    this.ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        this.child = null;
        run('ip', 'link', 'delete', this.link);
        run('ip', 'netns', 'delete', this.net);
        resolve({ code, signal });
      });
    });
  }

  log() {
    return this.lines.join('\n');
  }

  /* The process that the agent started: redis-server. */
  get server() {
    const [pid] = fs.readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'latin1').trim().split(' ');
    return pid === '' ? null : Number(pid);
  }

  /* As if its node were gone. */
  async crash() {
    this.child.kill('SIGSTOP'); /* else it would end the server in order */
    if (this.server !== null) process.kill(this.server, 'SIGKILL');
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /* As the kubelet deletes a pod: how long it took; the grace period has to suffice. */
  async delete() {
    const begin = Date.now();
    const grace = this.spec.terminationGracePeriodSeconds * 1000;
    this.child.kill('SIGTERM');
    let isKilled = false;
    const killer = setTimeout(() => { isKilled = true; this.child?.kill('SIGKILL'); }, grace);
    await this.ended;
    clearTimeout(killer);
    if (isKilled) throw new Error(`${this.name} is still there after ${grace} ms:\n${this.log()}`);
    return Date.now() - begin;
  }

  async probe(kind = 'readinessProbe') {
    const { path: where, port } = this.container[kind].httpGet;
    const number = this.container.ports.find(({ name }) => name === port).containerPort;
    return this.child === null ? false : get(number, where, this.address).then(({ status }) => status === 200, () => false);
  }

  ready(ms = 120000) {
    return until(`${this.name} is ready`, () => this.probe(), ms).catch((error) => { throw new Error(`${error.message}\n${this.lines.slice(-15).join('\n')}`); });
  }

  /* What one user gets for commands, a line each (without line feeds in the answers). */
  ask(user, password, ...commands) {
    const isTls = this.world.certificate !== undefined;
    const { containerPort } = this.container.ports[0];
    const args = ['-h', this.address, '-p', containerPort, '--user', user, '--no-auth-warning', ...(isTls ? ['--tls', '--cacert', this.world.caFile] : [])];
    const { stdout, stderr, status } = spawnSync('redis-cli', args, { encoding: 'utf8', input: commands.join('\n') + '\n', env: { PATH: process.env.PATH, REDISCLI_AUTH: password }, timeout: 10000 });
    return status === 0 ? stdout.trim() : `${stdout}${stderr}`;
  }
}

export class PodWorld {
  constructor(spec, { server = process.env.CALLBOARD_REDIS_SERVER } = {}) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-pods-'));
    fs.chmodSync(this.folder, 0o755);
    this.etc = path.join(this.folder, 'etc');
    this.servers = path.join(this.folder, 'servers');
    this.n = 0;
    fs.mkdirSync(this.etc);
    fs.mkdirSync(this.servers);
    for (const file of ['passwd', 'group']) fs.copyFileSync(`/etc/${file}`, path.join(this.etc, file));
    fs.writeFileSync(path.join(this.etc, 'nsswitch.conf'), 'hosts: files\n');
    fs.writeFileSync(path.join(this.etc, 'resolv.conf'), '');
    for (const program of ['operator/agent/callboard-agent', 'broker/callboard-broker', 'gateway/callboard-gateway']) fs.copyFileSync(path.join(BUILD, program), path.join(this.servers, path.basename(program)));
    if (server) for (const name of ['redis-server', 'valkey-server']) fs.copyFileSync(server, path.join(this.servers, name));
    this.specFile = path.join(this.folder, 'spec.yaml');
    fs.writeFileSync(this.specFile, spec);
    this.objects = JSON.parse(run(OPERATOR, 'render', '-o', 'json', this.specFile)).items;
    this.secrets = secretsOf(this.specFile);
    this.certificate = this.objects.find(({ kind }) => kind === 'Certificate')?.spec;
    if (this.certificate) {
      this.secrets.set(this.certificate.secretName, makeCertificate(path.join(this.folder, 'certificate'), this.certificate));
      this.caFile = path.join(this.folder, 'certificate/ca.crt');
    }
    this.pods = this.objects.filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment').flatMap((set) => Array.from({ length: set.spec.replicas ?? 1 }, (_, i) => new Pod(this, set, i)));
    run('sh', '-ec', `mount -t tmpfs none /run; mkdir /run/netns; ip link set lo up; ip link add pods type bridge; ip address add ${PREFIX}.0.1/16 dev pods; ip link set pods up`);
  }

  /* callboard-operator redis, from outside of the pods, with this world's names and certificates. */
  operate(component, action, user, password, ...more) {
    const { env } = this.of(component)[0].container;
    const variable = (name) => env.find((each) => each.name === `CALLBOARD_AGENT_${name}`)?.value;
    const args = ['redis', action, '--mode', variable('MODE'), '--peers', variable('PEERS'), '--hosts-file', path.join(this.etc, 'hosts'), '--user', user, '--password-file', this.passwordFile('redis', password)];
    if (variable('SHARDS')) args.push('--shards', variable('SHARDS'));
    if (variable('SENTINELS')) args.push('--sentinels', variable('SENTINELS'), '--sentinel-user', 'agent', '--sentinel-password-file', this.passwordFile('sentinel', this.secret('-auth', 'sentinel-password')));
    if (this.caFile) args.push('--tls', '--tls-ca-file', this.caFile);
    const { status, stdout, stderr } = spawnSync(OPERATOR, [...args, ...more], { encoding: 'utf8' });
    return { status, text: stdout + stderr };
  }

  passwordFile(name, password) {
    const file = path.join(this.folder, `${name}-password`);
    fs.writeFileSync(file, `${password}\n`, { mode: 0o600 });
    return file;
  }

  configMap(name) {
    return this.objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name).data;
  }

  of(component) {
    return this.pods.filter(({ set }) => set.metadata.labels['app.kubernetes.io/component'] === component);
  }

  secret(suffix, key) {
    return [...this.secrets].find(([name]) => name.endsWith(suffix))[1][key];
  }

  newAddress() {
    this.n += 1;
    return `${PREFIX}.${1 + Math.floor(this.n / 200)}.${1 + this.n % 200}`;
  }

  /* What DNS would answer: each pod by its name, and all of a headless Service by its. `swapped`: another pod's address for a pod's name. */
  publishNames() {
    const lines = ['127.0.0.1 localhost'];
    for (const pod of this.pods) if (pod.domain && pod.address && pod.child !== undefined) lines.push(`${pod.address} ${pod.name}.${pod.domain}`, `${pod.address} ${pod.domain}`);
    fs.writeFileSync(path.join(this.etc, 'hosts'), lines.join('\n') + '\n'); /* in place: it is mounted */
  }

  /* Of a spec that failed: the log of each pod, beside the other artefacts. */
  keepLogs() {
    for (const pod of this.pods) fs.writeFileSync(path.join(ARTEFACTS, `${pod.name}.log`), pod.log());
  }

  async close() {
    for (const pod of this.pods) if (pod.child !== null) await pod.crash().catch(() => {});
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/* Publishes one number after the other, to each of its subscriptions in turn; keeps which were acknowledged, and the longest time without that. */
export class Publisher {
  constructor(subscriptions) {
    Object.assign(this, { subscriptions, acked: subscriptions.map(() => []), n: 0, acknowledged: 0, refused: 0, gap: 0, last: Date.now(), isStopped: false });
    this.done = this.#run();
  }

  async #run() {
    while (!this.isStopped) {
      const number = this.n++;
      const turn = number % this.subscriptions.length;
      try {
        await this.subscriptions[turn].publish({ number });
        this.acked[turn].push(number);
        this.acknowledged += 1;
        this.gap = Math.max(this.gap, Date.now() - this.last);
        this.last = Date.now();
      } catch {
        this.refused += 1; /* it may be there, or not; it is another number that goes next */
      }
      await sleep(10);
    }
  }

  more(n, ms = 120000) {
    const wanted = this.acknowledged + n;
    return until(`${n} more acknowledgements; ${this.acknowledged} and ${this.refused} refused of ${this.n}`, () => this.acknowledged >= wanted, ms);
  }

  /* The longest time without an acknowledgement since it was last asked. */
  takeGap() {
    const { gap } = this;
    this.gap = 0;
    return gap;
  }

  /* What was acknowledged is in the history and was delivered once, all in order. */
  async stop(assert) {
    this.isStopped = true;
    await this.done;
    for (const [turn, subscription] of this.subscriptions.entries()) {
      const kept = [];
      for (let since; ;) {
        const { publications, epoch } = await subscription.history({ limit: 300, since });
        if (publications.length === 0) break;
        kept.push(...publications.map(({ data }) => data.number));
        since = { epoch, offset: publications.at(-1).offset };
      }
      const got = () => subscription.got.map(({ data }) => data.number);
      const missing = (list) => this.acked[turn].filter((number) => !list.includes(number));
      assert.deepEqual(missing(kept), [], `${subscription.channel}: acknowledged, and not kept`);
      await until('all of them are delivered', () => got().length >= kept.length, 60000);
      assert.deepEqual(got(), kept, `${subscription.channel}: each once, in the order of the history`);
    }
  }
}

/* Lines that a user may send, and lines that it may not: each answer to the latter is NOPERM. */
export function checkRights(assert, pod, user, password, { may, mayNot }) {
  const allowed = pod.ask(user, password, ...may);
  assert.doesNotMatch(allowed, /^(NOPERM|NOAUTH|WRONGPASS)|^Could not connect/m, `${user} at ${pod.name}: ${allowed}`);
  const denied = pod.ask(user, password, ...mayNot).split('\n').filter((line) => line !== '');
  assert.deepEqual(mayNot.filter((_, i) => !/NOPERM/.test(denied[i] ?? '')), [], `${user} at ${pod.name}: ${denied.join('\n').slice(0, 2000)}`);
}
