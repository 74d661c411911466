/* A Redis Cluster gets a shard more and loses it again under publications, as a rendered one: its redis.conf and users, an agent
 * in each pod, and `callboard-operator redis scale` from outside as the user that is rendered for it. It is killed in the
 * middle once. Nothing that was acknowledged is lost, subscribers see every publication once and in order, and the
 * agents agree with each state. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BUILD, World, freePort, get, sleep, subscribed, until } from './support.mjs';

const RENDERED = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../k8s/redis-cluster/configmap-feed-redis.yaml');
const PASSWORD = 'a password of Redis';
const SETTINGS = `
  - name: safe
    durability: safe
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 5000
    history_ttl: 10m
    force_recovery: true
    force_positioning: true`;
const KEYS = 40;
const BIG = 800000;
const CHANNELS = Array.from({ length: 24 }, (_, i) => `safe:room-${i}`); /* in as many partitions, on all shards */

/* The texts of the ConfigMap that is rendered. */
function rendered() {
  const files = {};
  let name;
  for (const line of fs.readFileSync(RENDERED, 'utf8').split('\n')) {
    const begins = /^ {2}([a-z.]+): \|$/.exec(line);
    if (begins) files[name = begins[1]] = '';
    else if (name && line.startsWith('    ')) files[name] += `${line.slice(4)}\n`;
  }
  return files;
}

class Pods {
  constructor(world, port) {
    this.world = world;
    this.port = port;
    this.net = `127.${10 + process.pid % 240}.${1 + crypto.randomInt(250)}`;
    this.pods = [];
    this.secrets = path.join(world.folder, 'secrets');
    fs.mkdirSync(this.secrets);
    this.password = path.join(this.secrets, 'redis-password');
    fs.writeFileSync(this.password, `${PASSWORD}\n`);
  }

  address(i) { return `${this.net}.${i + 1}`; }
  list(n) { return Array.from({ length: n }, (_, i) => `${this.address(i)}:${this.port}`).join(','); }

  async start(i, n, shards) {
    const folder = path.join(this.world.folder, `pod-${i}`);
    const [templates, output, data] = ['templates', 'output', 'data'].map((name) => path.join(folder, name));
    for (const each of [templates, output, data]) fs.mkdirSync(each, { recursive: true });
    const files = rendered();
    files['redis.conf'] = files['redis.conf'].replace(/^bind .*$/m, `bind ${this.address(i)}`).replace(/^port .*$/m, `port ${this.port}`)
      .replace(/^dir .*$/m, `dir ${data}`).replace(/^aclfile .*$/m, `aclfile ${output}/users.acl`).replace(/^cluster-(announce-hostname|preferred-endpoint-type) .*\n/mg, '')
      .replace(/^repl-backlog-size .*$/m, 'repl-backlog-size 1mb');
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(templates, name), text);
    const probes = await freePort();
    const agent = this.world.start('operator/agent/callboard-agent', ['run', '--', process.env.TEST_REDIS_SERVER ?? 'redis-server', path.join(output, 'redis.conf')], {
      POD_NAME: `redis-${i}`, POD_NAMESPACE: 'test', POD_IP: this.address(i), CALLBOARD_AGENT_MODE: 'cluster', CALLBOARD_AGENT_PEERS: this.list(n), CALLBOARD_AGENT_SHARDS: String(shards),
      CALLBOARD_AGENT_HOST: this.address(i), CALLBOARD_AGENT_USER: 'agent', CALLBOARD_AGENT_PASSWORD_FILE: this.password, CALLBOARD_AGENT_TEMPLATES: templates, CALLBOARD_AGENT_OUTPUT: output,
      CALLBOARD_AGENT_DATA: data, CALLBOARD_AGENT_SECRETS: this.secrets, CALLBOARD_AGENT_LISTEN: `127.0.0.1:${probes}`, CALLBOARD_AGENT_INTERVAL_MS: '300', CALLBOARD_AGENT_TIMEOUT: '20',
    });
    this.pods[i] = { agent, probes };
  }

  async ready(i) {
    const { agent, probes } = this.pods[i];
    await until(`pod ${i} is ready`, () => {
      if (agent.exited) throw new Error(agent.log());
      return get(probes, '/readyz').then(({ status }) => status === 200, () => false);
    }, 60000);
  }

  cli(user, i, ...args) {
    return new Promise((resolve, reject) => {
      execFile('redis-cli', ['-h', this.address(i), '-p', String(this.port), '--user', user, '--no-auth-warning', ...args], { env: { ...process.env, REDISCLI_AUTH: PASSWORD } },
        (error, out) => (error ? reject(error) : resolve(out.trim())));
    });
  }

  /* By what pod i itself says: slots, and whether it is a replica. */
  async own(i) {
    const line = (await this.cli('agent', i, 'cluster', 'nodes')).split('\n').find((each) => each.includes('myself')) ?? '';
    const words = line.split(' ');
    const slots = words.slice(8).filter((word) => !word.startsWith('[')).map((word) => word.split('-').map(Number)).reduce((sum, [first, last = first]) => sum + last - first + 1, 0);
    return { slots, isReplica: words[2]?.includes('slave'), follows: words[3] };
  }

  async ownerOf(slot) {
    const nodes = (await this.cli('agent', 0, 'cluster', 'nodes')).split('\n').map((line) => line.split(' '));
    const owner = nodes.find((words) => words.slice(8).map((word) => word.split('-').map(Number)).some(([first, last = first]) => slot >= first && slot <= last));
    return Number(/^[\d.]+\.(\d+):/.exec(owner[1])[1]) - 1;
  }

  redis(action, n, shards, ...args) {
    const child = spawn(path.join(BUILD, 'operator/callboard-operator'), ['redis', action, '--peers', this.list(n), '--shards', String(shards), '--user', 'operator', '--password-file', this.password, ...args]);
    const run = { child, text: '' };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { run.text += bytes; });
    run.done = new Promise((resolve) => { child.on('close', (code, signal) => resolve({ code, signal })); });
    return run;
  }

  async status(n, shards, pattern) {
    let last;
    await until(`status ${pattern}`, async () => {
      last = this.redis('status', n, shards);
      await last.done;
      return pattern.test(last.text);
    }, 60000).catch((error) => { throw new Error(`${error.message}:\n${last.text}`); });
  }

  async expect(code, pattern, ...args) {
    const run = this.redis(...args);
    assert.equal((await run.done).code, code, run.text);
    assert.match(run.text, pattern);
    return run.text;
  }
}

/* Publishes until it is stopped; what is refused is published again, as another one. */
class Publisher {
  constructor(client) {
    this.acked = new Map(CHANNELS.map((channel) => [channel, []]));
    this.refused = 0;
    this.isOver = false;
    this.done = Promise.all(CHANNELS.map((channel) => this.publish(client, channel)));
  }

  async publish(client, channel) {
    for (let n = 0; !this.isOver; n++) {
      await client.publish(channel, `${n}`).then(() => this.acked.get(channel).push(`${n}`), () => { this.refused++; });
      await sleep(20);
    }
  }

  async stop() {
    this.isOver = true;
    await this.done;
  }
}

test('a shard more and one less under publications: nothing is lost, nobody sees a gap, the agents agree', async (context) => {
  const world = new World();
  let publisher;
  let server; /* of pod 7, which is stopped for a while */
  context.after(async () => {
    if (server) { try { process.kill(server, 'SIGCONT'); } catch { /* it has ended */ } }
    if (publisher) publisher.isOver = true;
    await world.close();
  });
  const pods = new Pods(world, await freePort());
  for (let i = 0; i < 6; i++) await pods.start(i, 6, 3);
  for (let i = 0; i < 6; i++) await pods.ready(i);
  const broker = await world.broker({ id: 'scale', redis: { url: `redis+cluster://${pods.list(3)}\n  user: callboard\n  password_file: ${pods.password}` }, settings: SETTINGS });
  const gateway = await world.gateway({ brokers: [broker], settings: SETTINGS });
  const client = await world.connected(gateway);
  const subscriptions = [];
  for (const channel of CHANNELS) subscriptions.push(await subscribed(client, channel));
  publisher = new Publisher(await world.connected(gateway, { user: 'bob' }));
  for (let i = 0; i < KEYS; i++) await pods.cli('callboard', i % 3, '-c', 'set', `cb:{kept-${i}}:k:x`, `value ${i}`, 'px', '3600000');
  await pods.cli('callboard', 0, '-c', 'eval', `return redis.call('SET', KEYS[1], string.rep('x', ${BIG}))`, '1', 'cb:{kept-big}:k:x');
  const wellKept = async (i) => {
    assert.equal(await pods.cli('callboard', 0, '-c', 'get', `cb:{kept-${i}}:k:x`), `value ${i}`);
    const ttl = Number(await pods.cli('callboard', 0, '-c', 'pttl', `cb:{kept-${i}}:k:x`));
    assert.ok(ttl > 3000000 && ttl <= 3600000, `${ttl}`);
  };

  /* The spec with a shard more is applied: two pods come, and are ready, so that a roll is not stopped by them. */
  await pods.expect(4, /4 shards with 1 replicas each are 8 pods, and --peers has 6/, 'scale', 6, 4);
  for (const i of [6, 7]) await pods.start(i, 8, 4);
  for (const i of [6, 7]) await pods.ready(i);
  assert.equal((await pods.own(6)).slots, 0);
  await pods.status(8, 4, /\nhealthy: .*; 1 of 4 shards wait for redis scale --shards 4\n/);
  const commands = await pods.expect(0, /CLUSTER SETSLOT \d+ IMPORTING [0-9a-f]{40}\n/, 'scale', 8, 4, '--dry-run');
  assert.equal(commands.match(/ MIGRATE /g).length, 4096);
  assert.doesNotMatch(commands, new RegExp(PASSWORD));
  assert.equal((await pods.own(6)).slots, 0);

  /* Killed in the middle, and called again. */
  const first = pods.redis('scale', 8, 4);
  await until('some slots have moved', async () => (await pods.own(6)).slots > 200, 60000);
  first.child.kill('SIGKILL');
  assert.equal((await first.done).signal, 'SIGKILL', first.text);
  const { slots } = await pods.own(6);
  assert.ok(slots > 200 && slots < 4096, `${slots}`);
  await pods.expect(0, /4 shards with 1 replicas each: each serves its share/, 'scale', 8, 4);
  for (const i of [0, 1, 2, 6]) assert.equal((await pods.own(i)).slots, 4096);
  assert.equal((await pods.own(7)).follows, await pods.cli('agent', 6, 'cluster', 'myid'));
  await pods.status(8, 4, /\nhealthy: every slot is served and every replica is in sync\n/);
  for (let i = 0; i < KEYS; i += 4) await wellKept(i);

  /* A slot that somebody left open, one of its keys here and the other one there, is gone on with. */
  const slot = await pods.cli('agent', 0, 'cluster', 'keyslot', 'cb:{kept-0}:k:x');
  const from = await pods.ownerOf(Number(slot));
  const to = from === 1 ? 2 : 1;
  await pods.cli('callboard', from, '-c', 'set', 'cb:{kept-0}:k:y', 'other');
  await pods.cli('operator', to, 'cluster', 'setslot', slot, 'importing', await pods.cli('agent', from, 'cluster', 'myid'));
  await pods.cli('operator', from, 'cluster', 'setslot', slot, 'migrating', await pods.cli('agent', to, 'cluster', 'myid'));
  await pods.cli('operator', from, 'migrate', pods.address(to), String(pods.port), '', '0', '5000', 'auth2', 'operator', PASSWORD, 'keys', 'cb:{kept-0}:k:y');
  await pods.expect(0, /going on with 1 slots that are open\n/, 'scale', 8, 4);
  assert.equal(await pods.cli('callboard', 0, '-c', 'get', 'cb:{kept-0}:k:y'), 'other');
  await wellKept(0);

  /* One shard less: not while a replica is away; then it is emptied, and its pods may go. */
  const nobody = pods.redis('scale', 8, 3, '--accept', 'CB9999');
  assert.equal((await nobody.done).code, 2, nobody.text);
  await pods.expect(4, /refused\[CB3105\]/, 'scale', 8, 2);
  server = Number(await pods.cli('agent', 7, 'info', 'server').then((text) => /process_id:(\d+)/.exec(text)[1]));
  process.kill(server, 'SIGSTOP');
  await pods.expect(4, /refused\[CB3102\]: pod .* does not answer .*--accept=CB3102 goes on all the same/, 'scale', 8, 3);
  process.kill(server, 'SIGCONT');
  await pods.ready(7);
  await pods.status(8, 4, /\nhealthy: /);
  const said = await pods.expect(0, /3 shards with 1 replicas each: each serves its share/, 'scale', 8, 3);
  for (const i of [6, 7]) assert.match(said, new RegExp(`${pods.address(i)} may go`));
  assert.equal((await pods.own(6)).slots + (await pods.own(7)).slots, 0);
  for (const i of [7, 6]) assert.deepEqual(await pods.pods[i].agent.stop('SIGTERM', 30000), { code: 0, signal: null });
  for (let i = 0; i < 6; i++) await until(`pod ${i} has forgotten them`, () => pods.cli('agent', i, 'cluster', 'info').then((text) => text.includes('cluster_known_nodes:6')), 60000);
  await pods.status(6, 3, /\nhealthy: every slot is served and every replica is in sync\n/);
  assert.equal((await pods.cli('callboard', 0, '-c', 'get', 'cb:{kept-big}:k:x')).length, BIG);
  for (let i = 0; i < KEYS; i += 4) await wellKept(i);
  for (const { agent } of pods.pods.slice(0, 6)) assert.doesNotMatch(agent.log(), /"verdict":"refused"/);

  await publisher.stop();
  for (const { channel, got, events } of subscriptions) {
    const acked = publisher.acked.get(channel);
    await until(`${channel} has all`, () => { /* what was refused may have come true, too, also as the last one */
      const there = new Set(got.map(({ data }) => data));
      return acked.every((text) => there.has(text));
    }, 30000);
    assert.deepEqual(got.map(({ offset }) => offset), got.map((_, i) => i + 1), `${channel}: a gap`);
    const seen = new Set(got.map(({ data }) => data));
    assert.deepEqual(acked.filter((text) => !seen.has(text)), [], `${channel}: lost`);
    for (const { name, wasRecovering, recovered } of events) assert.ok(name !== 'subscribed' || !wasRecovering || recovered, `${channel}: not recovered`);
  }
  const sum = [...publisher.acked.values()].reduce((n, texts) => n + texts.length, 0);
  assert.ok(sum > 500, `${sum} acknowledged, ${publisher.refused} refused`);
});
