/* A world to break: a Redis of some topology, two brokers, two gateways, and fault proxies on every way between them.
 *
 *   readers, SDK ──▶ gateway 0, 1 ──▶ links[g][b] ──▶ broker 0, 1 ──▶ (proxies of the topology) ──▶ Redis
 *   backend ─────────────────────────────────────────▶
 *
 * A topology is a subclass: it starts Redis, names the URL for each broker, and knows the primaries. */
import fs from 'node:fs';
import path from 'node:path';
import { BUILD, World, freePort, get, sleep, until } from '../../e2e/support.mjs';
import { Clock } from '../clock/clock.mjs';
import { FaultProxy } from '../fault_proxy.mjs';
import { RedisNode } from './redis_node.mjs';

const NAMESPACE = (name, more) => `  - name: ${name}
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 20000
    history_ttl: 30m
    force_recovery: true
    force_positioning: true
${more}`;

/* For faults that need something else of a channel: who is there; that it goes with its namespace. */
const OTHERS = `  - name: crowd
    allow_subscribe_for_client: true
    allow_presence_for_subscriber: true
    presence: true
  - name: leaving
    allow_subscribe_for_client: true
`;

/* Of clients' connections: short enough for a schedule, long enough for a busy machine; what faults/ and the judge wait for. */
export const CLIENT_MS = { ping: 4000, pong: 3000, stall: 3000, expiry: 2000 };
const CLIENT = `client:
  commands_per_second: 1000000
  handshakes_per_second: 60
  ping_interval: ${CLIENT_MS.ping}ms
  pong_timeout: ${CLIENT_MS.pong}ms
  write_stall: ${CLIENT_MS.stall}ms
  expired_close_delay: ${CLIENT_MS.expiry}ms
`;

const SETTLE_MS = 40000;

export const BROKER = 'broker/callboard-broker';
export const GATEWAY = 'gateway/callboard-gateway';

/* The same programs as the next release could be (next/next_wire.cmake). */
const NEXT_BUILD = path.resolve(process.env.TORTURE_NEXT_BUILD ?? path.join(BUILD, '../build-next'));
const next = (name) => path.join(NEXT_BUILD, name);
export const whyNoNext = () => (fs.existsSync(next(BROKER)) && fs.existsSync(next(GATEWAY)) ? undefined : `no programs in ${NEXT_BUILD}: next/build_next ${NEXT_BUILD}`);

export class TortureWorld {
  /* say: writes an event down. */
  constructor({ say }) {
    this.say = say;
    this.kit = new World();
    this.env = this.isClockFalse ? this.falseClock() : {};
    this.nodes = [];
    this.brokers = [];
    this.gateways = [];
    this.links = [];
  }

  /* What its Redis can do. */
  get durabilities() {
    return this.fsync === 'everysec' ? ['fast'] : ['fast', 'safe'];
  }

  settings() {
    return this.durabilities.map((durability) => NAMESPACE(durability, `    durability: ${durability}\n`)).join('') + OTHERS;
  }

  /* Whether this world's programs run with a wall clock that can be moved (libfaketime); what counts time keeps the real one. */
  get isClockFalse() {
    return false;
  }

  get whyNoClock() {
    if (!this.isClockFalse) return 'the clocks of this world are real';
    return this.env.LD_PRELOAD ? undefined : 'libfaketime is not installed';
  }

  falseClock() {
    const found = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`).find((file) => fs.existsSync(file));
    if (!found) return {};
    this.clockFile = this.kit.write('clock', '+0');
    return { LD_PRELOAD: found, FAKETIME_TIMESTAMP_FILE: this.clockFile, FAKETIME_CACHE_DURATION: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
  }

  setClock(seconds) {
    fs.writeFileSync(this.clockFile, `${seconds < 0 ? '' : '+'}${seconds}`);
  }

  async node(options) {
    const port = await freePort();
    const proxyPort = options.proxied === false ? null : await freePort();
    const folder = path.join(this.kit.folder, `redis-${port}`);
    const waits = (wait) => this.say('wait', wait);
    const clock = new Clock(this.kit.write(`clock-${port}`, ''));
    const node = new RedisNode({ folder, port, proxyPort, clock, onWait: this.countsWaits ? waits : undefined, ...options, lines: options.lines(port, proxyPort, folder) });
    this.nodes.push(node);
    this.kit.programs.push(node);
    await node.start();
    return node;
  }

  /* Worlds that begin in the middle of an upgrade: one of each role is of the next release. */
  get isMixed() {
    return false;
  }

  programFor(name, i) {
    return this.isMixed && i === 0 && !whyNoNext() ? next(name) : name;
  }

  async start() {
    await this.startRedis();
    for (let i = 0; i < 2; i += 1) {
      const redis = { url: await this.urlFor(i) };
      this.brokers.push(await this.kit.broker({ id: `broker-${i}`, redis, settings: this.settings(), env: this.env, args: this.brokerArguments(), program: this.programFor(BROKER, i) }));
    }
    for (let g = 0; g < 2; g += 1) {
      const links = [];
      for (const broker of this.brokers) links.push(await new FaultProxy(broker.port, null, { ofMessages: true }).listen(await freePort()));
      this.links.push(links);
      const settings = this.settings() + CLIENT;
      this.gateways.push(await this.kit.gateway({ brokers: links, settings, env: this.env, args: this.gatewayArguments(), program: this.programFor(GATEWAY, g) }));
    }
    return this;
  }

  brokerArguments() {
    return [];
  }

  /* All gateways look at one list of who is locked out. */
  gatewayArguments() {
    this.revocations ??= this.kit.write('revocations', '');
    return ['--set', `token.revocation_file=${this.revocations}`];
  }

  urls() {
    return this.gateways.map((gateway) => gateway.url);
  }

  /* Starts a program of ours again that ended, with the same settings, of its own release or the other; libzmq may hold its address for
   * a moment. */
  async startAgain(list, at, { otherRelease = false } = {}) {
    const old = list[at];
    const role = list === this.brokers ? BROKER : GATEWAY;
    const isNext = (old.name === next(role)) !== otherRelease;
    await until(`${role} ${at} is back`, async () => {
      const program = this.kit.start(isNext ? next(role) : role, ['--config', old.file, ...(role === BROKER ? this.brokerArguments() : this.gatewayArguments())], this.env);
      const { file, port, internal, router, pull, id, url } = old;
      list[at] = Object.assign(program, { file, port, internal, router, pull, id, url });
      return this.isReady(program);
    }, 30000);
  }

  /* A probe that fails is asked again; what it said last is told. */
  async await(what, probe, ms = SETTLE_MS) {
    let last;
    for (const end = performance.now() + ms; performance.now() < end; await sleep(50)) {
      try {
        if (await probe()) return;
      } catch (error) {
        last = error;
      }
    }
    throw new Error(`waited ${ms} ms in vain: ${what}${last ? ` (${last.message})` : ''}`);
  }

  async isReady(program) {
    await until(`${program.name} is ready`, () => program.exited || get(program.internal, '/ready').then((a) => a.status === 200, () => false), 20000);
    return program.exited === null;
  }

  /* Every way open, every node up: what a fault should have left behind. */
  heal() {
    for (const proxy of this.proxies()) proxy.heal();
  }

  proxies() {
    return [...this.links.flat(), ...this.nodes.map((node) => node.proxy).filter(Boolean)];
  }

  async close() {
    await this.kit.close();
    await Promise.all(this.links.flat().map((proxy) => proxy.close()));
  }
}
