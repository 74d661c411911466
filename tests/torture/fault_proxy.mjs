/* A TCP proxy that misbehaves on demand: stalls a direction, delays, cuts into crumbs, resets, half-closes, refuses, and listens in.
 *
 *   client ── up ──▶ proxy ──▶ server
 *          ◀─ down ──
 *
 * A connection belongs to a class, told by its first bytes: `replication` (a replica's), `sentinel`, or `client`; and to an owner, if they
 * name one: a broker by its name among Redis' clients, a cluster node by its id on the bus. Every fault may be meant for one class or one
 * owner, so replication can be cut while clients go on, and one broker can be shut out. What is not forwarded is not read either: the
 * sender sees a peer that does not take anything, as behind a black hole. */
import net from 'node:net';
import { parse } from './worlds/resp.mjs';
import { MessageFilter } from './zmtp.mjs';

const CRUMBS = 96; // of each chunk: so many bytes go one by one, the rest as it is

const classOf = (head) => {
  if (/REPLCONF|PSYNC/i.test(head)) return 'replication';
  return /sentinel-|SENTINEL/i.test(head) ? 'sentinel' : 'client';
};

/* CLIENT SETNAME of a broker; a message of the bus, which has the sender's id in it. */
const ownerOf = (head) => /callboard-(broker-\d+)\r\n/.exec(head)?.[1] ?? /^RCmb.*?([0-9a-f]{40})/s.exec(head)?.[1];

/* One direction of one connection: chunks in order, held while the direction is stalled or late. */
class Pipe {
  constructor(pair, name, from, to, proxy) {
    Object.assign(this, { pair, name, from, to, proxy });
    this.queue = [];
    this.free = 0;
    this.moving = false;
    if (proxy.ofMessages) this.messages = new MessageFilter();
    from.on('data', (read) => {
      pair.observe(name, read);
      const bytes = this.messages?.pass(read, this.drops()) ?? read;
      if (bytes.length > 0) this.queue.push({ bytes, due: performance.now() + proxy.rule(pair).delay });
      this.move();
    });
    from.on('end', () => {
      this.ended = true;
      this.move();
    });
  }

  drops() {
    const { drops } = this.proxy.rule(this.pair);
    return drops?.way === this.name ? drops.drops : null;
  }

  isStalled() {
    const { stall } = this.proxy.rule(this.pair);
    return stall === 'both' || stall === this.name;
  }

  async move() {
    if (this.moving) return;
    this.moving = true;
    while (this.queue.length > 0 && !this.isStalled() && !this.to.destroyed) {
      const { bytes, due } = this.queue[0];
      const wait = Math.max(due, this.through(this.queue[0])) - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.isStalled()) break;
      this.queue.shift();
      await this.write(bytes);
      // So that a rate is felt by who sends, and does not fill our memory.
      if (this.proxy.rule(this.pair).rate && this.queue.length > 1) this.from.pause();
      else this.from.resume();
    }
    this.moving = false;
    if (this.isStalled()) this.from.pause();
    else if (this.ended && this.queue.length === 0) this.to.end();
  }

  /* With a rate: when all of a chunk has passed, behind the ones before it. */
  through(chunk) {
    const { rate } = this.proxy.rule(this.pair);
    if (!rate) return 0;
    chunk.through ??= Math.max(performance.now(), this.free) + (chunk.bytes.length * 1000) / rate;
    this.free = chunk.through;
    return chunk.through;
  }

  async write(bytes) {
    let at = 0;
    if (this.proxy.rule(this.pair).crumbs) {
      for (; at < Math.min(CRUMBS, bytes.length) && !this.to.destroyed; at += 1) {
        this.to.write(bytes.subarray(at, at + 1));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (at < bytes.length && !this.to.destroyed) this.to.write(bytes.subarray(at));
  }

  resume() {
    this.from.resume();
    this.move();
  }
}

class Pair {
  constructor(proxy, client) {
    this.proxy = proxy;
    this.client = client;
    this.head = '';
    this.class = 'client';
    this.server = net.connect(proxy.target, '127.0.0.1');
    for (const socket of [client, this.server]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
    }
    client.on('close', () => this.server.destroy());
    this.server.on('close', () => client.destroy());
    this.up = new Pipe(this, 'up', client, this.server, proxy);
    this.down = new Pipe(this, 'down', this.server, client, proxy);
    this.waits = proxy.onWait ? new WaitTap(proxy.onWait) : null;
  }

  observe(direction, bytes) {
    if (direction === 'up' && this.head.length < 400) {
      this.head += bytes.toString('latin1', 0, 400);
      this.class = classOf(this.head);
      this.owner ??= ownerOf(this.head);
      if (this.class !== 'client') this.waits = null;
      if (this.proxy.rule(this).refuse) this.reset();
    }
    if (this.waits && !this.waits.see(direction, bytes)) this.waits = null;
  }

  reset() {
    for (const socket of [this.client, this.server]) {
      if (socket.writableEnded) socket.destroy(); // libuv resets no socket that is shutting down, and would never end
      else socket.resetAndDestroy();
    }
  }
}

/* Follows requests and replies of a connection, and tells how each WAIT was answered. */
class WaitTap {
  constructor(tell) {
    this.tell = tell;
    this.asked = [];
    this.rest = { up: Buffer.alloc(0), down: Buffer.alloc(0) };
  }

  /* False when this connection cannot be followed: it subscribes, or is none of Redis. */
  see(direction, bytes) {
    this.rest[direction] = Buffer.concat([this.rest[direction], bytes]);
    try {
      for (let item; (item = parse(this.rest[direction])); ) {
        this.rest[direction] = this.rest[direction].subarray(item.next);
        if (direction === 'up') this.asked.push(item.value);
        else this.answered(this.asked.shift(), item.value);
      }
    } catch {
      return false;
    }
    return !this.asked.some((words) => /subscribe/i.test(words?.[0] ?? ''));
  }

  answered(words, value) {
    if (/^wait$/i.test(words?.[0] ?? '')) this.tell({ count: Number(value), need: Number(words[1]) });
  }
}

export class FaultProxy {
  /* onWait: told {count, need} of each answer to WAIT. ofMessages: what passes is ZeroMQ's, and single messages may be dropped. */
  constructor(target, onWait = null, { ofMessages = false } = {}) {
    this.target = target;
    this.ofMessages = ofMessages;
    this.onWait = onWait;
    this.pairs = new Set();
    this.rules = { client: this.harmless(), replication: this.harmless(), sentinel: this.harmless() };
    this.ownerRules = new Map();
    this.server = net.createServer({ allowHalfOpen: true }, (client) => this.accept(client));
  }

  harmless() {
    return { stall: null, delay: 0, crumbs: false, refuse: false, rate: 0, drops: null };
  }

  listen(port) {
    this.port = port;
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', () => resolve(this));
    });
  }

  /* What is meant for the owner goes before what is meant for the class. */
  rule(pair) {
    return (this.ownerRules.size > 0 && this.ownerRules.get(pair.owner)) || this.rules[pair.class];
  }

  accept(client) {
    if (Object.values(this.rules).every((rule) => rule.refuse)) {
      client.resetAndDestroy();
      return;
    }
    const pair = new Pair(this, client);
    this.pairs.add(pair);
    client.on('close', () => this.pairs.delete(pair));
  }

  /* For the connections of one owner. heal() ends it. */
  setFor(owner, rule) {
    this.ownerRules.set(owner, { ...this.harmless(), ...rule });
  }

  /* rule: any of {stall: up | down | both, delay: ms, crumbs, refuse, rate: bytes a second,
   * drops: {way: up | down, drops: (bytes of a message) → boolean}}; heal() ends all of it. */
  set(rule, classes = ['client']) {
    for (const each of classes) Object.assign(this.rules[each], rule);
    for (const pair of this.pairs) {
      if (rule.refuse && classes.includes(pair.class)) pair.reset();
    }
  }

  reset(classes = ['client']) {
    for (const pair of this.pairs) if (classes.includes(pair.class)) pair.reset();
  }

  /* The proxy says goodbye to the server and goes on listening to it. */
  halfClose(classes = ['client']) {
    for (const pair of this.pairs) if (classes.includes(pair.class)) pair.server.end();
  }

  /* All of it, or what was set for these classes. */
  heal(classes) {
    for (const name of classes ?? Object.keys(this.rules)) this.rules[name] = this.harmless();
    if (!classes) this.ownerRules.clear();
    for (const pair of this.pairs) {
      pair.up.resume();
      pair.down.resume();
    }
  }

  close() {
    for (const pair of this.pairs) pair.reset();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
