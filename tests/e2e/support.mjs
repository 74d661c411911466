/* Starts our programs and a Redis for a test, on free ports and in a folder of their own, and stops them again. */
import { spawn, execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';

/* Of Node 18 the built-in fetch leaves a stream open that was aborted. */
export { fetch as streamFetch } from 'undici';

export const BUILD = process.env.E2E_BUILD ?? path.resolve('../../build-test');
export const ARTEFACTS = process.env.E2E_ARTEFACTS ?? os.tmpdir();
const SECRET = 'e2e-secret-of-at-least-thirty-two-bytes';

const used = new Set();
/* Below 32768, where the kernel takes no ports for outgoing connections from. */
export async function freePort() {
  for (;;) {
    const port = 20000 + crypto.randomInt(12000);
    if (used.has(port)) continue;
    const free = await new Promise((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) {
      used.add(port);
      return port;
    }
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Waits until `probe` gives something truthy; fails loudly after `ms`. */
export async function until(what, probe, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await sleep(20);
  }
}

export function makeToken(claims, secret = SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ aud: 'e2e', iss: 'tests', exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`;
  return `${body}.${crypto.createHmac('sha256', secret).update(body).digest('base64url')}`;
}

export const NAMESPACES = `
namespaces:
  - name: demo
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    allow_presence_for_client: true
    presence: true
    join_leave: true
    force_push_join_leave: true
    history_size: 1000
    history_ttl: 10m
    force_recovery: true
    force_positioning: true
  - name: plain
    allow_subscribe_for_client: true
    allow_publish_for_client: true
  - name: short
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_subscriber: true
    history_size: 3
    history_ttl: 10m
    force_recovery: true
`;

export const TOKENS = `
token:
  secret: ${SECRET}
  audience: e2e
  issuer: tests
`;

/* SIGSTOP reaches a program's threads one by one: on a busy machine some go on, and answer, for long after kill(2) has
 * returned. Returns when all of them stand still. */
export function halt(child) {
  const isRunning = (thread) => {
    try {
      return !/^[TtZX]/.test(fs.readFileSync(`/proc/${child.pid}/task/${thread}/stat`, 'latin1').replace(/^.*\) /s, ''));
    } catch {
      return false; /* it has ended */
    }
  };
  child.kill('SIGSTOP');
  const end = Date.now() + 20000;
  while (fs.existsSync(`/proc/${child.pid}/task`) && fs.readdirSync(`/proc/${child.pid}/task`).some(isRunning)) {
    if (Date.now() > end) throw new Error(`process ${child.pid} goes on 20 s after SIGSTOP`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

function signalTo(child, signal) {
  if (signal === 'SIGSTOP') halt(child);
  else child.kill(signal);
}

/* A program of ours, of this build or with its whole path: its log lines are kept, it is stopped by its pid. */
class Program {
  constructor(name, args, env = {}) {
    this.name = name;
    this.lines = [];
    this.exited = null;
    this.child = spawn(path.resolve(BUILD, name), args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      let rest = '';
      stream.on('data', (bytes) => {
        const lines = (rest + bytes).split('\n');
        rest = lines.pop();
        this.lines.push(...lines);
      });
    }
    this.done = new Promise((resolve) => {
      const end = (exited) => {
        this.exited = exited;
        resolve(exited);
      };
      this.child.on('close', (code, signal) => end({ code, signal })); /* 'exit' may come before its last lines */
      this.child.on('error', (error) => end({ code: null, signal: null, error: error.message }));
    });
  }

  get pid() {
    return this.child.pid;
  }

  kill(signal = 'SIGTERM') {
    if (this.exited === null) signalTo(this.child, signal);
  }

  async stop(signal = 'SIGTERM', ms = 15000) {
    this.kill(signal);
    const timer = setTimeout(() => this.kill('SIGKILL'), ms);
    const exit = await this.done;
    clearTimeout(timer);
    return exit;
  }

  log() {
    return this.lines.join('\n');
  }
}

export function get(port, where, host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    const request = http.get({ host, port, path: where, agent: false, timeout: 5000 }, (response) => {
      let body = '';
      response.on('data', (bytes) => { body += bytes; });
      response.on('end', () => resolve({ status: response.statusCode, body, headers: response.headers }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 5 s')));
    request.on('error', reject);
  });
}

async function ready(program, port) {
  await until(`${program.name} is ready`, async () => {
    if (program.exited) throw new Error(`${program.name} ended (${JSON.stringify(program.exited)}):\n${program.log()}`);
    return get(port, '/ready').then((answer) => answer.status === 200, () => false);
  }, 20000);
}

/* To the protobuf SDK a payload is bytes: here they are JSON, so that a test reads the same in both encodings. */
const toBytes = (data) => new TextEncoder().encode(JSON.stringify(data));
const fromBytes = (publication) => ({ ...publication, data: JSON.parse(new TextDecoder().decode(publication.data)) });

/* Subscriptions publish and ask through their client. */
function speakJson(client) {
  const { publish, rpc, history } = client;
  client.isProtobuf = true;
  client.publish = (channel, data) => publish.call(client, channel, toBytes(data));
  client.rpc = (method, data) => rpc.call(client, method, toBytes(data));
  client.history = async (...args) => {
    const result = await history.apply(client, args);
    return { ...result, publications: result.publications.map(fromBytes) };
  };
}

/* A spec that fails leaves its world running, and with it the file and all of its run, until the run's own end of time:
 * what is still open after a file's last spec is closed here. */
const openWorlds = new Set();
if (process.env.NODE_TEST_CONTEXT) {
  after(async () => {
    setTimeout(() => {
      console.error('something that a spec opened is still open 30 s after the last one');
      process.exit(1);
    }, 30000).unref();
    for (const world of openWorlds) await world.close();
  });
}

/* One test's world; its clients speak the encoding unless a test says otherwise. */
export class World {
  constructor({ encoding = 'json' } = {}) {
    this.encoding = encoding;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-e2e-'));
    this.programs = [];
    this.clients = [];
    openWorlds.add(this);
  }

  write(name, text) {
    const file = path.join(this.folder, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  start(name, args, env) {
    const program = new Program(name, args, env);
    this.programs.push(program);
    return program;
  }

  async appliance({ settings = '', args = [], env = {} } = {}) {
    const port = await freePort();
    const internal = await freePort();
    const router = await freePort();
    const pull = await freePort();
    const file = this.write(`appliance-${port}.yaml`, `
http:
  address: 127.0.0.1
  port: ${port}
  demo: true
internal:
  port: ${internal}
backend:
  endpoint: tcp://127.0.0.1:${router}
  pull_endpoint: tcp://127.0.0.1:${pull}
drain:
  delay: 0
  window: 1s
${TOKENS}${NAMESPACES}${settings}`);
    const program = this.start('tools/callboard', ['--config', file, ...args], env);
    Object.assign(program, { port, internal, router, pull, url: `ws://127.0.0.1:${port}/connection/websocket`, file });
    await ready(program, internal);
    return program;
  }

  /* A real redis-server; `port` of one that was stopped: the same folder again. */
  async redis(lines = [], port = undefined) {
    port ??= await freePort();
    const folder = path.join(this.folder, `redis-${port}`);
    fs.mkdirSync(folder, { recursive: true });
    const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...lines], { stdio: 'ignore' });
    const redis = { port, url: `redis://127.0.0.1:${port}`, child, kill: (signal) => signalTo(child, signal) };
    redis.stop = () => new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.on('exit', resolve);
      child.kill('SIGKILL');
    });
    redis.cli = (...args) => execFileSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' }).trim();
    this.programs.push(redis);
    await until('redis answers', () => { try { return redis.cli('ping') === 'PONG'; } catch { return false; } });
    return redis;
  }

  async broker({ id, redis, settings = '', port, args = [], env = {}, program: name = 'broker/callboard-broker' }) {
    port ??= await freePort();
    const internal = await freePort();
    const router = await freePort();
    const pull = await freePort();
    const file = this.write(`broker-${id}-${port}.yaml`, `
broker:
  id: ${id}
  shards: 2
  endpoint: tcp://127.0.0.1:${port}
internal:
  port: ${internal}
backend:
  endpoint: tcp://127.0.0.1:${router}
  pull_endpoint: tcp://127.0.0.1:${pull}
drain:
  window: 3s
${redis ? `redis:\n  url: ${redis.url}\n` : ''}${NAMESPACES}${settings}`);
    const program = this.start(name, ['--config', file, ...args], env);
    Object.assign(program, { port, internal, router, pull, file, id });
    await ready(program, internal);
    return program;
  }

  async gateway({ brokers, settings = '', port, args = [], env = {}, waits = true, program: name = 'gateway/callboard-gateway' }) {
    port ??= await freePort();
    const internal = await freePort();
    const file = this.write(`gateway-${port}.yaml`, `
gateway:
  id: gateway-${port}
  workers: 2
http:
  address: 127.0.0.1
  port: ${port}
internal:
  port: ${internal}
brokers:
  endpoints: [${brokers.map((broker) => `"tcp://127.0.0.1:${broker.port}"`).join(', ')}]
drain:
  delay: 0
  window: 1s
${TOKENS}${NAMESPACES}${settings}`);
    const program = this.start(name, ['--config', file, ...args], env);
    Object.assign(program, { port, internal, url: `ws://127.0.0.1:${port}/connection/websocket`, file });
    if (waits) await ready(program, internal);
    return program;
  }

  /* The published SDK, over Node's ws. */
  client(server, { user = 'alice', token = makeToken({ sub: user }), encoding = this.encoding, ...options } = {}) {
    const Client = encoding === 'protobuf' ? ProtobufCentrifuge : Centrifuge;
    const client = new Client(server.url ?? server, { websocket: WebSocket, token, minReconnectDelay: 50, maxReconnectDelay: 500, ...options });
    if (encoding === 'protobuf') speakJson(client);
    client.events = [];
    for (const name of ['connecting', 'connected', 'disconnected', 'error', 'subscribed', 'publication', 'message']) {
      client.on(name, (context) => client.events.push({ name, ...context }));
    }
    this.clients.push(client);
    return client;
  }

  async connected(server, options) {
    const client = this.client(server, options);
    client.connect();
    await client.ready(10000);
    return client;
  }

  async close() {
    openWorlds.delete(this);
    for (const client of this.clients) client.disconnect();
    await Promise.all(this.programs.map((program) => program.stop('SIGKILL')));
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/* A subscription that records what it gets. */
export async function subscribed(client, channel, options = {}) {
  const subscription = client.newSubscription(channel, options);
  subscription.got = [];
  subscription.events = [];
  subscription.on('publication', (context) => subscription.got.push(client.isProtobuf ? fromBytes(context) : context));
  for (const name of ['subscribing', 'subscribed', 'unsubscribed', 'error', 'join', 'leave']) {
    subscription.on(name, (context) => subscription.events.push({ name, ...context }));
  }
  subscription.subscribe();
  await subscription.ready(10000);
  return subscription;
}

/* A WebSocket without the SDK: sends text, keeps every message and the close. */
export async function rawSocket(url, options = {}) {
  const socket = new WebSocket(url, options.protocols ?? [], options);
  socket.messages = [];
  socket.closed = null;
  socket.on('message', (data, isBinary) => socket.messages.push(isBinary ? data : data.toString()));
  socket.on('error', () => {});
  socket.on('close', (code, reason) => { socket.closed = { code, reason: reason.toString() }; });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (request, response) => reject(new Error(`HTTP ${response.statusCode}`)));
  });
  socket.next = (n = 1) => until(`${n} messages`, () => socket.messages.length >= n).then(() => socket.messages.splice(0, n));
  socket.ended = () => until('the close', () => socket.closed);
  return socket;
}

/* One connect command; its reply is checked to be one. */
export async function rawConnected(url, claims = { sub: 'raw' }) {
  const socket = await rawSocket(url);
  socket.send(JSON.stringify({ id: 1, connect: { token: makeToken(claims) } }));
  const [reply] = await socket.next();
  if (!JSON.parse(reply).connect) throw new Error(`not connected: ${reply}`);
  return socket;
}

/* A figure of a program's /metrics; 0 where the row is not there. */
export async function metric(program, row) {
  const { body } = await get(program.internal, '/metrics');
  const line = body.split('\n').find((each) => each.startsWith(`${row} `));
  return line === undefined ? 0 : Number(line.slice(row.length + 1));
}
