/* Makes clean histories: what publishers and subscribers would write down next to a broker that keeps its promises, in virtual time.
 *
 * The model holds each channel's log, how much of it is confirmed, and its epoch. Faults cut deliveries and answers, take the newest of
 * a fast channel's log together with its epoch, keep a safe one's, or wipe everything. Whatever it writes down is permitted, so the
 * checker has to find nothing. */
import { Dice } from '../dice.mjs';

const MS = 1e6;
const DEADLINE_MS = 2000;
const RECOVERY = 40;
const FAULTS = ['broker-kill', 'gateway-stop', 'redis-stop', 'primary-kill', 'redis-kill', 'flushall', 'meta-lost', 'unconfirmable'];

class Model {
  constructor(seed) {
    this.dice = new Dice(seed);
    this.now = 0;
    this.queue = [];
    this.events = [];
    this.serial = 0;
    this.down = 0; // faults that stop answers and deliveries
    this.unconfirmable = 0;
    this.troubled = 0;
    const names = Array.from({ length: 1 + this.dice.below(3) }, (_, i) => `c${i}`);
    this.trims = this.dice.chance(0.2);
    this.channels = new Map(names.map((ch) => [ch, {
      ch, durability: this.dice.chance(0.5) ? 'safe' : 'fast', epoch: this.newEpoch(), log: [], confirmed: 0, ids: new Map(), waiting: [],
      keeps: this.trims ? 25 : Infinity,
    }]));
    this.readers = Array.from({ length: 2 + this.dice.below(2) }, (_, i) => ({ sid: `s${i}`, live: false, at: new Map(), roams: i > 0 }));
  }

  newEpoch() {
    this.serial += 1;
    return `E${this.serial}`;
  }

  say(type, fields) {
    this.now += 1000; // no two events at one time
    this.events.push({ at: Math.round(this.now), type, ...fields });
  }

  after(ms, what) {
    const due = this.now + ms * MS;
    let at = this.queue.length;
    while (at > 0 && this.queue[at - 1].due > due) at -= 1;
    this.queue.splice(at, 0, { due, what });
  }

  run() {
    while (this.queue.length > 0) {
      const { due, what } = this.queue.shift();
      this.now = Math.max(this.now, due);
      what();
    }
  }

  /* ---- publishers ---- */

  publish() {
    this.serial += 1;
    const pub = { key: `k${this.serial}`, ch: this.dice.pick([...this.channels.keys()]), keyed: this.dice.chance(0.6), tries: 0, done: false };
    this.attempt(pub);
    if (pub.keyed && this.dice.chance(0.2)) this.after(this.dice.between(0, 3), () => this.attempt(pub));
  }

  attempt(pub) {
    const flight = { ...pub, pub, try: (pub.tries += 1), open: true };
    this.say('pub_invoke', { key: pub.key, ch: pub.ch, try: flight.try, hash: `h-${pub.key}` });
    this.after(DEADLINE_MS, () => this.answer(flight, 'pub_unknown', {}));
    this.after(this.dice.between(0.1, 3), () => this.arrive(flight));
  }

  answer(flight, type, fields) {
    if (!flight.open) return;
    flight.open = false;
    if (type === 'pub_ok') flight.pub.done = true;
    const place = flight.keyed ? fields : {};
    this.say(type, { key: flight.key, ch: flight.ch, try: flight.try, ...(type === 'pub_ok' ? place : fields) });
    if (type !== 'pub_ok' && flight.keyed && flight.pub.tries < 3) {
      this.after(this.dice.between(10, 400), () => { if (!flight.pub.done) this.attempt(flight.pub); });
    }
  }

  arrive(flight) {
    const channel = this.channels.get(flight.ch);
    if (this.down > 0) {
      if (this.dice.chance(0.5)) return this.answer(flight, 'pub_no', { code: this.dice.pick([100, 111]) });
      if (this.dice.chance(0.5)) return undefined; // lost on the way: unknown at its deadline
      return this.after(this.dice.between(100, 1900), () => this.arrive(flight));
    }
    const known = flight.keyed ? channel.ids.get(flight.key) : undefined;
    if (!known) channel.log.push(flight.key);
    const place = known ?? { epoch: channel.epoch, off: channel.log.length };
    if (flight.keyed) channel.ids.set(flight.key, place);
    const silent = this.troubled > 0 && this.dice.chance(0.1);
    channel.waiting.push({ off: place.off, tell: () => { if (!silent) this.answer(flight, 'pub_ok', { ...place, dup: known !== undefined }); } });
    return this.after(this.dice.between(0.1, 1), () => this.confirm(channel));
  }

  /* ---- the channel ---- */

  told(channel) {
    return channel.durability === 'safe' ? channel.confirmed : channel.log.length;
  }

  confirm(channel) {
    if (this.down > 0 || (channel.durability === 'safe' && this.unconfirmable > 0)) return;
    channel.confirmed = channel.log.length;
    const { waiting } = channel;
    channel.waiting = [];
    for (const { tell } of waiting) tell();
    for (const reader of this.readers) this.after(this.dice.between(0.1, 5), () => this.deliver(reader, channel));
  }

  deliver(reader, channel) {
    const at = reader.at.get(channel.ch);
    if (this.down > 0 || !reader.live || !at || at.lost || at.epoch !== channel.epoch) return;
    while (at.off < this.told(channel)) this.receive(reader, channel, at);
  }

  receive(reader, channel, at) {
    at.off += 1;
    const key = channel.log[at.off - 1];
    this.say('recv', { sid: reader.sid, ch: channel.ch, epoch: channel.epoch, off: at.off, key, hash: `h-${key}` });
  }

  firstKept(channel) {
    return Math.max(1, channel.log.length - channel.keeps + 1);
  }

  /* The epoch changes at its first touch; what is left of the log goes on under the new one. */
  forget(channel, keeps) {
    channel.log.length = Math.min(channel.log.length, keeps);
    channel.confirmed = channel.log.length;
    channel.waiting = [];
    const left = new Set(channel.log);
    for (const key of channel.ids.keys()) if (!left.has(key)) channel.ids.delete(key);
    channel.epoch = this.newEpoch();
    for (const reader of this.readers) this.after(this.dice.between(1, 300), () => this.tellLoss(reader, channel));
  }

  tellLoss(reader, channel) {
    const at = reader.at.get(channel.ch);
    if (!reader.live || !at || at.epoch === channel.epoch) return;
    this.say('lost', { sid: reader.sid, ch: channel.ch, code: 2500 });
    this.subscribe(reader, channel);
  }

  /* ---- subscribers ---- */

  subscribe(reader, channel) {
    if (!reader.live) return;
    if (this.down > 0) {
      this.after(this.dice.between(50, 400), () => this.subscribe(reader, channel));
      return;
    }
    const since = reader.at.get(channel.ch);
    const off = this.told(channel);
    const recovered = since !== undefined && since.epoch === channel.epoch && off - since.off <= RECOVERY && since.off + 1 >= this.firstKept(channel);
    const at = { epoch: channel.epoch, off: recovered ? since.off : off };
    reader.at.set(channel.ch, at);
    this.say('sub_ok', { sid: reader.sid, ch: channel.ch, epoch: channel.epoch, off, recovered, n: recovered ? off - since.off : 0,
      since: since && { epoch: since.epoch, off: since.off } });
    while (at.off < off) this.receive(reader, channel, at);
  }

  enter(reader) {
    reader.live = true;
    for (const channel of this.channels.values()) this.subscribe(reader, channel);
    if (reader.roams && !this.ending) this.after(this.dice.between(200, 2500), () => this.leave(reader));
  }

  leave(reader) {
    if (this.ending) return;
    reader.live = false;
    this.say('disc', { sid: reader.sid, code: 1006, why: 'churn' });
    this.after(this.dice.between(50, 600), () => this.enter(reader));
  }

  /* ---- faults ---- */

  fault(kind) {
    const ms = this.dice.between(100, 1500);
    const unconfirmable = kind === 'unconfirmable';
    const edge = (name) => {
      this.say('nemesis', { edge: name, kind: unconfirmable ? 'replica-stop' : kind, target: 'x' });
      if (unconfirmable) this.say('unconfirmable', { edge: name });
    };
    edge('begin');
    this.troubled += 1;
    if (unconfirmable) this.unconfirmable += 1;
    else this.down += 1;
    this.after(ms / 2, () => this.strike(kind));
    this.after(ms, () => {
      if (unconfirmable) this.unconfirmable -= 1;
      else this.down -= 1;
      this.troubled -= 1;
      edge('end');
      for (const channel of this.channels.values()) this.after(this.dice.between(1, 50), () => this.confirm(channel));
      if (!this.ending) this.after(this.dice.between(100, 1500), () => this.fault(this.dice.pick(FAULTS)));
    });
  }

  strike(kind) {
    for (const channel of this.channels.values()) {
      if (kind === 'flushall') this.forget(channel, 0);
      else if (kind === 'meta-lost') this.forget(channel, channel.log.length);
      else if (kind !== 'primary-kill' && kind !== 'redis-kill') continue;
      else if (channel.durability === 'fast') this.forget(channel, Math.max(0, channel.log.length - this.dice.below(6)));
      else this.loseUnconfirmed(channel);
    }
  }

  /* Of what a safe channel has told nobody some may be gone. */
  loseUnconfirmed(channel) {
    channel.log.length = channel.confirmed + this.dice.below(channel.log.length - channel.confirmed + 1);
    channel.waiting = channel.waiting.filter(({ off }) => off <= channel.log.length);
    const left = new Set(channel.log);
    for (const key of channel.ids.keys()) if (!left.has(key)) channel.ids.delete(key);
  }

  history(seconds) {
    for (const reader of this.readers) this.after(this.dice.between(0, 20), () => this.enter(reader));
    for (let ms = 30; ms < seconds * 1000; ms += this.dice.between(5, 60)) this.after(ms, () => this.publish());
    this.after(this.dice.between(50, 1000), () => this.fault(this.dice.pick(FAULTS)));
    this.after(seconds * 1000, () => { this.ending = true; });
    this.after(seconds * 1000 + 100, () => this.say('sample', { who: 'broker', rss: 5e7, fds: 40, gauges: { inbox: 3 } }));
    this.run();
    for (const reader of this.readers) if (!reader.live) this.enter(reader);
    this.run();
    const final = new Map([...this.channels.values()].map((channel) => {
      const first = this.firstKept(channel);
      const entries = channel.log.slice(first - 1).map((key, i) => ({ off: first + i, key, hash: `h-${key}` }));
      return [channel.ch, { epoch: channel.epoch, off: channel.log.length, entries }];
    }));
    const durability = new Map([...this.channels.values()].map((channel) => [channel.ch, channel.durability]));
    const bounds = { recovery: RECOVERY, trims: this.trims, quiet: 2000, rss: 1e8, fds: 100, gauges: { inbox: 10 } };
    return { seed: this.seed, events: this.events, final, channels: durability, bounds };
  }
}

/* The same seed gives the same history. */
export const cleanHistory = (seed, seconds = 4) => new Model(seed).history(seconds);
