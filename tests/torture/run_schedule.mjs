/* One schedule on a running world: channels of its own, publishers and readers, the faults at their times, healing, canaries, and the
 * judge. */
import { sleep, until } from '../e2e/support.mjs';
import { judge } from './checker/checker.mjs';
import { FAULT_KINDS } from './checker/fault_kinds.mjs';
import { Dice } from './dice.mjs';
import { Guest } from './guest.mjs';
import { backendPublisher, hashOf, publishOnce, sdkPublisher, token } from './publishers.mjs';
import { Reader } from './reader.mjs';
import { FAULTS } from './schedule.mjs';

const CANARY_MS = 20000;
const CHANNELS_EACH = { 1: 16, 2: 8 };
const PATIENCE_MS = 30000; // beyond its time, for what is promised: late is judged, never is given up
const TICK_MS = 20;
const STALL_MS = 100;

const isTemporary = ({ code, temporary }) => temporary || code === 100 || code < 100; // those below are the SDK's own

export class Run {
  constructor({ world, number, plan, seconds, seed, note, sampler }) {
    Object.assign(this, { world, number, plan, seconds, note, sampler });
    this.dice = new Dice(seed);
    this.seed = seed;
    this.events = [];
    this.busy = new Map();
    this.began = performance.now();
    this.channels = world.durabilities.flatMap((durability) => Array.from({ length: CHANNELS_EACH[world.durabilities.length] }, (_, i) => `${durability}:${number}-${i}`));
    this.say = (type, fields) => this.events.push({ at: Number(process.hrtime.bigint()), type, ...fields });
  }

  async go() {
    this.world.say = this.say;
    this.sampler.say = this.say;
    const stalls = this.watchStalls();
    await this.world.settle?.(); // and know who is primary
    const primaries = [...this.world.primaries()];
    const from = Number(process.hrtime.bigint());
    const readers = this.startReaders();
    this.readers = readers;
    await until('all are subscribed', () => readers.every((each) => each.positions.size === this.channels.length), 60000);
    const publishers = this.startPublishers();
    const began = performance.now();
    await Promise.all(this.plan.map((fault, i) => this.strike(fault, i, began)));
    this.world.heal();
    await this.unasked(primaries, from);
    await sleep(Math.max(1000, this.seconds * 1000 - (performance.now() - began)));
    this.say('publishers_stop', {});
    for (const publisher of publishers) publisher.stop instanceof Function ? publisher.stop() : (publisher.stop = true);
    await Promise.all(publishers.map((publisher) => publisher.done));
    for (const each of readers) each.churn = 0;
    await this.canaries();
    let final = await this.readHistories();
    await this.caughtUp(readers, final);
    if (await this.unasked(primaries, from)) { // it has come since: what was read is of before it
      final = await this.readHistories();
      await this.caughtUp(readers, final);
    }
    await Promise.all(readers.map((each) => each.stop()));
    clearInterval(stalls);
    return this.judged(final, readers);
  }

  /* A machine that is short of time lets us wait: how long is written down, for nobody else is to blame. */
  watchStalls() {
    let last = performance.now();
    return setInterval(() => {
      const late = performance.now() - last - TICK_MS;
      last = performance.now();
      if (late > STALL_MS) this.say('stall', { who: 'torture', ms: late });
    }, TICK_MS);
  }

  /* On a machine that is short of time Sentinels and cluster nodes may take one of theirs for dead, and fail over. That was a fault, too. */
  async unasked(before, from) {
    const asked = this.events.some((event) => event.type === 'nemesis' && FAULT_KINDS[event.kind].reigns > 0);
    await this.world.settle?.();
    const now = this.world.primaries();
    if (asked || now.every((node) => before.includes(node))) return false;
    this.note('a failover that nobody asked for');
    const name = { kind: 'unasked-failover', target: 'redis', id: `${this.number}/unasked` };
    this.events.push({ at: from, type: 'nemesis', edge: 'begin', ...name });
    this.say('nemesis', { edge: 'end', ...name });
    return true;
  }

  judged(final, readers) {
    const bounds = { recovery: 300, quiet: 3000, ...this.sampler.bounds };
    const channels = new Map(this.channels.map((ch) => [ch, ch.split(':')[0]]));
    const { findings, figures } = judge({ events: this.events, final, channels, bounds });
    for (const event of this.events) if (event.type === 'crash' || event.type === 'broken') findings.push({ rule: event.type, ch: '*', what: event.what });
    this.events.sort((a, b) => a.at - b.at);
    return { findings, figures, final, events: this.events, trouble: readers.map((each) => `${each.sid}\n  ${each.trouble.join('\n  ')}`) };
  }

  startReaders() {
    const urls = this.world.urls();
    const reader = (sid, more) => new Reader({ sid: `${sid}-${this.number}`, urls, channels: this.channels, churn: 0, random: () => this.dice.next(), say: (...event) => this.say(...event), ...more });
    return [reader('steady-0', { urls: [urls[0]] }), reader('steady-1', { urls: [urls[1]] }), reader('roaming-0', { churn: 1200 }), reader('roaming-1', { churn: 4000 })];
  }

  startPublishers() {
    const { world, say, dice, channels, seed, events } = this;
    const sdk = world.gateways.map((gateway, g) => sdkPublisher({ world, say, dice, channels, gateway, name: `sdk-${g}-${this.number}`, interval: 25 }));
    return [...sdk, backendPublisher({ world, seed, channels, rate: 60, prefix: `backend-${this.number}`, events })];
  }

  /* More load for `ms`, by a backend of its own. */
  async burst({ ms, ...load }) {
    const { world, channels, events } = this;
    const publisher = backendPublisher({ world, channels, events, ...load });
    await sleep(ms);
    publisher.stop();
    await publisher.done;
  }

  async strike(fault, i, began) {
    await sleep(Math.max(0, fault.start - (performance.now() - began)));
    const { kind, at, target } = fault;
    // What is broken already is left to heal first, however long that takes.
    const before = this.busy.get(target);
    let free;
    this.busy.set(target, new Promise((resolve) => { free = resolve; }));
    await before;
    const missing = FAULTS[kind].needs?.(this.world);
    if (missing) {
      this.note(`${kind} left out: ${missing}`);
      free();
      return;
    }
    const guests = `guest-${this.number}-${i}.`;
    const ch = FAULTS[kind].channel ? this.channels[fault.seed % this.channels.length] : undefined;
    const name = { kind, target, id: `${this.number}/${i}`, ...(ch ? { ch } : {}), ...(FAULTS[kind].brings ? { guests } : {}) };
    this.say('nemesis', { edge: 'begin', ...name });
    this.note(`${kind} ${ch ?? target}, ${fault.ms} ms`);
    const burst = (load) => this.burst({ ...load, prefix: `burst-${this.number}-${i}`, seed: fault.seed });
    const struck = () => this.say('nemesis', { edge: 'strike', ...name });
    const there = [];
    const ctx = {
      world: this.world, say: this.say, channels: this.channels, readers: this.readers, events: this.events, number: this.number, burst, struck,
      guests: (n, more) => this.invite(guests, n, more, there),
      inTime: (what, ms, probe, more) => this.inTime(`${name.id}: ${what}`, ms, probe, more),
    };
    try {
      await FAULTS[kind].run(ctx, { ...fault, at: FAULTS[kind].wide ? at : at % 2, ch, dice: new Dice(fault.seed) });
    } catch (error) {
      this.say('broken', { what: `${kind} ${target}: ${error.stack}` });
    }
    await Promise.all(there.map((guest) => guest.goAway()));
    this.say('nemesis', { edge: 'end', ...name });
    free();
  }

  /* n clients that a fault brings along; they go when it ends. more: as it is, or (k) → for each one. of: another class than Guest. */
  invite(prefix, n, more, there) {
    const list = Array.from({ length: n }, (_, k) => {
      const { of: Kind = Guest, ...options } = more instanceof Function ? more(k) : more;
      return new Kind({ sid: `${prefix}${there.length + k}`, urls: this.world.urls(), channels: this.channels, random: () => this.dice.next(), say: this.say, ...options });
    });
    there.push(...list);
    return list;
  }

  /* Waits until it is so, and writes down that it was promised, within how long, and when it came. */
  async inTime(what, ms, probe, more = {}) {
    const id = `${what} ${this.promises = (this.promises ?? 0) + 1}`;
    this.say('promise', { id, what, ms, ...more });
    for (const end = performance.now() + ms + PATIENCE_MS; performance.now() < end; await sleep(TICK_MS)) {
      if (!await probe()) continue;
      this.say('kept', { id });
      return true;
    }
    return false;
  }

  /* One publication on every channel through each gateway, however many tries it takes. */
  async canaries() {
    await Promise.all(this.world.gateways.map(async (gateway, g) => {
      const user = `canary-${g}-${this.number}`;
      const client = await this.connected(gateway, user, 4000);
      await Promise.all(this.channels.map((ch) => this.canary(client, `${user}-${ch}`, ch)));
      client.disconnect();
    }));
  }

  /* However many tries it takes: who is starved or drained just now is there later. */
  async connected(gateway, user, timeout) {
    for (const end = performance.now() + 3 * CANARY_MS; ; ) {
      try {
        return await this.world.kit.connected({ url: gateway.url }, { user, token: token(user), timeout });
      } catch (error) {
        if (performance.now() > end) throw new Error(`${user} cannot connect to ${gateway.url}: ${error.code} ${error.message}`);
      }
    }
  }

  async canary(client, name, ch) {
    for (let i = 1, end = performance.now() + CANARY_MS; ; i += 1) {
      const error = await publishOnce(client, this.say, `${name}-${i}`, ch);
      if (!error) return;
      if (performance.now() > end) {
        this.say('canary_late', { ch, what: `no canary passes as ${name}: ${error.code} ${error.message}` });
        return;
      }
      await sleep(200);
    }
  }

  async readHistories() {
    const user = `historian-${this.number}`;
    const client = await this.connected(this.world.gateways[0], user, 8000);
    const final = new Map();
    for (const ch of this.channels) {
      try {
        final.set(ch, await this.patiently(ch, () => this.readHistory(client, ch)));
      } catch (error) {
        if (!this.isDamaged(ch)) this.say('broken', { what: `history of ${ch}: ${error.code} ${error.message}` });
      }
    }
    client.disconnect();
    return final;
  }

  /* What is temporary is asked again. */
  async patiently(ch, ask) {
    for (const end = performance.now() + CANARY_MS; ; await sleep(200)) {
      try {
        return await ask();
      } catch (error) {
        if (!isTemporary(error) || this.isDamaged(ch) || performance.now() > end) throw error;
      }
    }
  }

  /* An entry that cannot be read may make the history unreadable. */
  isDamaged(ch) {
    return this.events.some((event) => event.type === 'nemesis' && event.ch === ch && FAULT_KINDS[event.kind].damages);
  }

  async readHistory(client, ch) {
    const entries = [];
    for (let since; ;) {
      const page = await client.history(ch, { limit: 300, since });
      entries.push(...page.publications.map((pub) => ({ off: pub.offset, key: pub.data.k, hash: hashOf(pub.data) })));
      if (page.publications.length < 300) return { epoch: page.epoch, off: page.offset, entries };
      since = { epoch: page.epoch, offset: entries.at(-1).off };
    }
  }

  async caughtUp(readers, final) {
    const isBehind = (reader) => [...final.keys()].some((ch) => {
      const position = reader.positions.get(ch);
      return !position || position.epoch !== final.get(ch).epoch || position.off !== final.get(ch).off;
    });
    await until('all caught up', () => !readers.some(isBehind), 15000).catch(() => {});
  }
}
