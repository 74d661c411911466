/* The checker finds what is wrong, by the right name, and nothing where nothing is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './checker.mjs';
import { FAULT_KINDS } from './fault_kinds.mjs';
import { cleanHistory } from './generator.mjs';
import { epochs } from './history.mjs';

const MS = 1e6;

/* One channel, n publications with keys, two subscribers, one of whom comes back in the middle. */
class History {
  constructor({ n = 6, durability = 'fast' } = {}) {
    this.now = 0;
    this.events = [];
    this.final = new Map([['c', { epoch: 'E', off: n, entries: [] }]]);
    this.channels = new Map([['c', durability]]);
    this.bounds = {};
    for (const sid of ['a', 'b']) this.add('sub_ok', { sid, epoch: 'E', off: 0, recovered: false, n: 0 });
    for (let off = 1; off <= n; off += 1) {
      this.publish(`k${off}`, off);
      this.add('recv', { sid: 'a', epoch: 'E', off, key: `k${off}` });
      if (off !== 3 && off !== 4) this.add('recv', { sid: 'b', epoch: 'E', off, key: `k${off}` });
      if (off === 4) this.comeBack('b', 2, 4);
    }
  }

  add(type, fields, ms = 10) {
    this.now += ms * MS;
    this.events.push({ at: this.now, type, ch: 'c', ...fields });
    return this;
  }

  publish(key, off, epoch = 'E') {
    this.add('pub_invoke', { key, try: 1 }).add('pub_ok', { key, try: 1, epoch, off, dup: false });
    this.final.get('c').entries.push({ off, key });
    return this;
  }

  /* Acked by someone who is told no position, and not to be found in the end. */
  publishAndLose(key) {
    return this.add('pub_invoke', { key, try: 1 }).add('pub_ok', { key, try: 1 });
  }

  comeBack(sid, since, off) {
    this.add('sub_ok', { sid, epoch: 'E', off, since: { epoch: 'E', off: since }, recovered: true, n: off - since });
    for (let each = since + 1; each <= off; each += 1) this.add('recv', { sid, epoch: 'E', off: each, key: `k${each}` });
    return this;
  }

  fault(kind, fields = {}) {
    return this.add('nemesis', { edge: 'begin', kind, ...fields }).add('nemesis', { edge: 'end', kind, ...fields });
  }

  /* A fault of clients that is going on: its guest is let in. */
  guest(kind, fields = {}) {
    return this.add('nemesis', { edge: 'begin', kind, guests: 'guest-1.' }).add('open', { sid: 'guest-1.0', user: 'guest', ...fields });
  }

  member(edge) {
    return this.add('member', { edge: 'in', sid: 'm', client: 'm' }).add('member', { edge, sid: 'm', client: 'm' });
  }

  presence(clients, ms, sid = 'w') {
    return this.add('presence', { sid, asked: this.now + ms * MS - 1, clients }, ms);
  }

  /* Forty guests, each closed so many ms after the one before. */
  drained(msOf) {
    this.guest('gateway-drain').add('drain', { guests: 'guest-1.', ms: 1000 });
    for (let i = 0; i < 40; i += 1) this.add('disc', { sid: `guest-1.${i}`, code: 3001 }, msOf(i));
    return this;
  }

  promised(ms, took) {
    return this.add('promise', { id: 'p', what: 'it is closed', ms }).add('kept', { id: 'p' }, took);
  }

  /* Both are told, and subscribe in epoch F at the top. */
  newEpoch(off, epoch = 'F') {
    for (const sid of ['a', 'b']) this.add('lost', { sid, code: 2500 }).add('sub_ok', { sid, epoch, off, recovered: false, n: 0 });
    const { entries } = this.final.get('c');
    this.final.set('c', { epoch, off, entries: entries.filter((entry) => entry.off <= off) });
    return this;
  }

  both(epoch, off, key) {
    for (const sid of ['a', 'b']) this.add('recv', { sid, epoch, off, key });
    const now = this.final.get('c');
    now.off = off;
    if (!now.entries.some((entry) => entry.off === off)) now.entries.push({ off, key });
    return this;
  }

  index(wanted) {
    return this.events.findIndex((event) => Object.entries(wanted).every(([name, value]) => event[name] === value));
  }

  one(wanted) {
    return this.events[this.index(wanted)];
  }

  remove(wanted) {
    return this.events.splice(this.index(wanted), 1)[0];
  }

  before(wanted, event) {
    const at = this.index(wanted);
    this.events.splice(at, 0, { ch: 'c', ...event, at: this.events[at].at - 1 });
  }
}

const rules = (history) => [...new Set(judge(history).findings.map((finding) => finding.rule))].sort();
const nth = (list, wanted, n) => list.filter((event) => Object.entries(wanted).every(([name, value]) => event[name] === value))[n];

/* The next epoch goes on to 8; then somebody is acked a place in the one before. */
const sentToThePast = (h) => {
  h.newEpoch(6).publish('y', 7, 'F').both('F', 7, 'y').publish('y2', 8, 'F').both('F', 8, 'y2');
  h.add('pub_invoke', { key: 'z', try: 1 }).add('pub_ok', { key: 'z', try: 1, epoch: 'E', off: 7, dup: false });
};

/* [what, the rule that names it, how it comes about, options] */
const PLANTED = [
  ['a position that two subscribers know differently', 'C1', (h) => { h.one({ type: 'recv', sid: 'a', off: 5 }).key = 'k6'; }],
  ['an ack that names the position of another publication', 'C1', (h) => { h.one({ type: 'pub_ok', key: 'k5' }).off = 4; }],
  ['a history that differs from what was received', 'C1', (h) => { h.final.get('c').entries[2].key = 'k6'; }],
  ['a fork: an acked publication gone and another at its offset', 'C1', (h) => {
    h.fault('primary-kill').publish('other', 6).both('E', 6, 'other');
  }],

  ['a missing receipt', 'C2', (h) => { h.remove({ type: 'recv', sid: 'a', off: 3 }); }],
  ['a receipt that comes twice', 'C2', (h) => { h.before({ type: 'recv', sid: 'a', off: 4 }, { ...h.one({ type: 'recv', sid: 'a', off: 3 }) }); }],
  ['a change of order', 'C2', (h) => {
    const [x, y] = [h.one({ type: 'recv', sid: 'a', off: 3 }), h.one({ type: 'recv', sid: 'a', off: 4 })];
    [x.off, y.off, x.key, y.key] = [4, 3, 'k4', 'k3'];
  }],
  ['a receipt after the loss was told and before a subscribe', 'C2', (h) => {
    h.fault('redis-kill').add('lost', { sid: 'b' }).add('recv', { sid: 'b', epoch: 'E', off: 7, key: 'k6' });
  }],
  ['another epoch without a word', 'C2', (h) => { h.fault('redis-kill').publish('k7', 7, 'F').both('F', 7, 'k7'); h.final.get('c').epoch = 'F'; }],

  ['an acked publication that is not in the history', 'C3', (h) => { h.publishAndLose('gone'); }],
  ['the same, with a fault that makes Redis forget nothing', 'C3', (h) => { h.publishAndLose('gone').fault('redis-stop'); }],
  ['the same on a safe channel, with a failover', 'C3', (h) => { h.publishAndLose('gone').fault('primary-kill'); }, { durability: 'safe' }],
  ['an acked publication that a failover lost, and nobody was told', 'C3', (h) => { h.publishAndLose('gone').fault('primary-kill'); }],
  ['an acked publication sent after the last fault had healed', 'C3', (h) => {
    h.fault('primary-kill').newEpoch(6).add('disc', { sid: 'x', why: 'over' }, 30000).publishAndLose('gone');
  }],
  ['an acked position that a subscriber went past without', 'C3', (h) => {
    h.remove({ type: 'recv', sid: 'a', off: 3 });
  }],

  ['a receipt that nobody published', 'C4', (h) => { h.one({ type: 'recv', sid: 'a', off: 5 }).key = 'phantom'; }],
  ['a publication of another channel', 'C4', (h) => { h.events.filter((e) => e.key === 'k5' && e.type.startsWith('pub_')).forEach((e) => { e.ch = 'd'; }); }],
  ['a definite no that was published all the same', 'C4', (h) => { Object.assign(h.one({ type: 'pub_ok', key: 'k5' }), { type: 'pub_no', code: 111 }); }],
  ['another payload than was published', 'C4', (h) => { h.one({ type: 'pub_invoke', key: 'k5' }).hash = 'x'; h.one({ type: 'recv', sid: 'a', off: 5 }).hash = 'y'; }],

  ['a key at two offsets', 'C5', (h) => { h.both('E', 7, 'k2'); }],
  ['a key that a retry published again', 'C5', (h) => {
    h.add('pub_invoke', { key: 'k2', try: 2 }).add('pub_ok', { key: 'k2', try: 2, epoch: 'E', off: 7, dup: false }).both('E', 7, 'k2');
  }],
  ['a key in two epochs when the first was not lost', 'C5', (h) => { h.fault('redis-kill').newEpoch(6).both('F', 7, 'k6'); }],
  ['the same, where the history in the end is of yet another epoch', 'C5', (h) => {
    h.fault('redis-kill').newEpoch(5);
    h.events.push({ at: h.now, type: 'recv', sid: 'late', ch: 'c', epoch: 'F', off: 5, key: 'k5' });
    h.before({ type: 'recv', sid: 'late' }, { type: 'sub_ok', sid: 'late', epoch: 'F', off: 5, since: { epoch: 'F', off: 4 }, recovered: true, n: 1 });
    h.publish('k7', 6, 'F').both('F', 6, 'k4').fault('flushall').newEpoch(0, 'G');
  }],
  ['a key that is refused as used by another payload', 'C5', (h) => { h.add('pub_invoke', { key: 'k2', try: 2 }).add('pub_no', { key: 'k2', try: 2, code: 121 }); }],

  ['a publication before one that was acked before it was sent', 'C6', (h) => {
    h.one({ type: 'pub_invoke', key: 'k2' }).at = h.now + 1;
  }],
  ['the same, over two epochs', 'C6', (h) => {
    h.fault('redis-kill').newEpoch(5).publish('k7', 7, 'F');
    for (const [off, key] of [[6, 'k8'], [7, 'k7']]) h.both('F', off, key);
    h.before({ type: 'nemesis' }, { type: 'pub_invoke', key: 'k8', try: 1 });
    h.one({ type: 'pub_invoke', key: 'k6' }).at = h.now + 1;
    h.remove({ type: 'pub_ok', key: 'k6' });
  }],

  ['a publication sent twice whose clock nobody has set', 'C5', (h) => {
    h.fault('redis-clock-near').add('pub_invoke', { key: 'k6', try: 2 }).both('E', 7, 'k6').add('pub_ok', { key: 'k6', try: 2, epoch: 'E', off: 7, dup: false });
  }],
  ['a publication that stands before an earlier one of the next epoch', 'C6', (h) => { h.fault('primary-kill'); sentToThePast(h); }],
  ['recovered with a publication too few', 'C7', (h) => { h.one({ type: 'sub_ok', recovered: true }).n = 1; }],
  ['recovered in another epoch', 'C7', (h) => { h.one({ type: 'sub_ok', recovered: true }).since.epoch = 'D'; }],
  ['recovered from above the top', 'C7', (h) => { Object.assign(h.one({ type: 'sub_ok', recovered: true }), { since: { epoch: 'E', off: 5 }, n: 0 }); }],
  ['recovered from elsewhere than it was', 'C7', (h) => { Object.assign(h.one({ type: 'sub_ok', recovered: true }), { since: { epoch: 'E', off: 3 }, n: 1 }); }],
  ['not recovered and still sent publications', 'C7', (h) => { h.one({ type: 'sub_ok', recovered: true }).recovered = false; }],
  ['not recovered though all was there', 'C7', (h) => {
    h.add('sub_ok', { sid: 'b', epoch: 'E', off: 6, since: { epoch: 'E', off: 5 }, recovered: false, n: 0 });
  }],

  ['a new epoch without a fault that may change it', 'C8', (h) => { h.newEpoch(6); }],
  ['two new epochs by one fault', 'C8', (h) => { h.fault('redis-kill').newEpoch(6).newEpoch(6, 'G'); }],
  ['a new epoch before the fault that may change it', 'C8', (h) => { h.newEpoch(6).fault('redis-kill'); }],
  ['a new epoch of a safe channel in a failover', 'C8', (h) => { h.fault('primary-kill').newEpoch(6); }, { durability: 'safe' }],
  ['a new epoch of one channel by a fault of another', 'C8', (h) => { h.fault('meta-lost', { ch: 'd' }).newEpoch(6); }],
  ['an epoch that comes back', 'C8', (h) => { h.fault('flushall').newEpoch(6).newEpoch(6, 'E'); }],
  ['a loss told without a fault', 'C8', (h) => { h.add('lost', { sid: 'b', code: 2500 }).comeBack('b', 6, 6); }],

  ['a subscriber that ends behind the top', 'C9', (h) => { h.final.get('c').off = 7; }],
  ['a subscriber that is not subscribed in the end', 'C9', (h) => { h.fault('redis-kill').add('lost', { sid: 'b' }); }],
  ['a silence longer than any fault explains', 'C9', (h) => { h.add('disc', { sid: 'x', why: 'over' }, 5000).publish('k7', 7).both('E', 7, 'k7'); }],
  ['a subscriber long behind the other', 'C9', (h) => {
    h.publish('k7', 7).both('E', 7, 'k7');
    nth(h.events, { type: 'recv', sid: 'b', off: 7 }, 0).at += 4000 * MS;
  }],
  ['a refusal when all is healed', 'C9', (h) => {
    h.fault('redis-stop').add('pub_invoke', { key: 'n', try: 1 }, 30000).add('pub_no', { key: 'n', try: 1, code: 111 });
  }],
  ['a canary that does not pass', 'C9', (h) => { h.add('canary_late', { what: 'no canary passes' }); }],

  ['memory above its bound', 'C10', (h) => { h.bounds.rss = 1000; h.add('sample', { who: 'broker', rss: 1001 }); }],
  ['descriptors above their bound', 'C10', (h) => { h.bounds.fds = 10; h.add('sample', { who: 'broker', fds: 11 }); }],
  ['a queue above its bound', 'C10', (h) => { h.bounds.gauges = { inbox: 1 }; h.add('sample', { who: 'broker', gauges: { inbox: 2 } }); }],

  ['an answer that no fault gives', 'matrix', (h) => { h.fault('redis-stop').add('pub_invoke', { key: 'n', try: 1 }).add('pub_no', { key: 'n', try: 1, code: 103 }); }],
  ['a connection that ends by a fault of Redis', 'matrix', (h) => { h.fault('redis-stop').add('disc', { sid: 'a', code: 1006 }); }],

  ['a client that reads nothing and is closed too late', 'C12', (h) => { h.guest('slow-reader').promised(5000, 5100); }],
  ['a client that reads nothing and is never closed', 'C12', (h) => { h.guest('slow-reader').add('promise', { id: 'p', what: 'it is closed', ms: 5000 }); }],
  ['a storm that takes too long, beside another fault of clients', 'C12', (h) => { h.fault('token-expiry').guest('reconnect-storm').promised(30000, 31000); }],
  ['clients beside that wait for a slow one', 'C9', (h) => {
    h.guest('slow-reader').add('nemesis', { edge: 'end', kind: 'slow-reader' }, 5000).publish('k7', 7).both('E', 7, 'k7');
  }],
  ['a subscriber that reads and is long behind one that stopped reading', 'C9', (h) => {
    h.guest('slow-reader').add('stops', { sid: 'a' }).publish('k7', 7).both('E', 7, 'k7');
    nth(h.events, { type: 'recv', sid: 'b', off: 7 }, 0).at += 4000 * MS;
  }],
  ['a connection that says nothing in time, though we had time', 'matrix', (h) => { h.add('disc', { sid: 'a', code: 3012 }); }],
  ['a command without an answer', 'matrix', (h) => { h.add('disc', { sid: 'a', code: 1006, why: 'no answer' }); }],
  ['a connection of somebody else that a slow one ends', 'matrix', (h) => { h.guest('slow-reader').add('disc', { sid: 'a', code: 3008 }); }],
  ['somebody who is closed as slow by a fault that held back no flood', 'matrix', (h) => { h.fault('link-cut').add('disc', { sid: 'a', code: 3008 }); }],
  ['a promise that has nothing to do with files, and is late where none can be opened', 'C12', (h) => { h.guest('fd-crowd').promised(2000, 3000); }],
  ['a guest that is closed by a code of another fault', 'matrix', (h) => { h.guest('token-expiry').add('disc', { sid: 'guest-1.0', code: 3008 }); }],
  ['a storm that ends connections', 'matrix', (h) => { h.guest('reconnect-storm').add('disc', { sid: 'guest-1.0', code: 3012 }); }],
  ['a guest that is let in after it was revoked', 'C13', (h) => { h.add('revoked', { user: 'guest' }).add('disc', { sid: 'x', why: 'over' }, 2000).guest('token-revoked'); }],
  ['a revoked user that is told something', 'C13', (h) => {
    h.guest('token-revoked').add('sub_ok', { sid: 'guest-1.0', epoch: 'E', off: 5, recovered: false, n: 0 }).add('revoked', { user: 'guest' });
    h.add('recv', { sid: 'guest-1.0', epoch: 'E', off: 6, key: 'k6' }, 2500);
  }],
  ['a token that ends before its time', 'C13', (h) => {
    h.guest('token-expiry').add('expires', { sid: 'guest-1.0', at_ns: h.now + 3000 * MS }).add('disc', { sid: 'guest-1.0', code: 3005 }, 2000);
  }],
  ['a token renewed in time that ends all the same', 'C13', (h) => {
    h.guest('token-expiry').add('expires', { sid: 'guest-1.0', at_ns: h.now + 1000 * MS, renews: true }).add('disc', { sid: 'guest-1.0', code: 3005 }, 2000);
  }],
  ['a handshake refused without a time to come back', 'C13', (h) => { h.guest('reconnect-storm').add('refused', { sid: 'guest-1.0', status: 503 }); }],
  ['a handshake refused by another status', 'C13', (h) => { h.guest('reconnect-storm').add('refused', { sid: 'guest-1.0', status: 500, retry: '3' }); }],

  ['a ghost in presence', 'C14', (h) => { h.member('out').presence(['x', 'm'], 6000); }],
  ['a ghost of a gateway that was killed', 'C14', (h) => { h.guest('presence-kill').member('out').presence(['m'], 6000, 'guest-1.1'); }],
  ['a member that is missing', 'C14', (h) => { h.member('in').presence(['m'], 1000).presence([], 3000).presence([], 3000); }],
  ['a drain that closes everyone at once', 'C15', (h) => { h.drained(() => 1); }],
  ['a drain that closes nearly everyone in the end', 'C15', (h) => { h.drained((i) => (i < 10 ? 10 : i === 10 ? 850 : 1)); }],
  ['a drain that ends connections without a word', 'matrix', (h) => { h.guest('gateway-drain').add('disc', { sid: 'guest-1.0', code: 1006 }); }],
  ['a thread that turns in circles', 'C10', (h) => { h.add('busy', { who: 'gateway 0', share: 0.95, before: 0.04 }); }],
  ['connections that end when descriptors are out', 'matrix', (h) => { h.guest('fd-crowd').add('disc', { sid: 'a', code: 1006 }); }],
  ['a loss told by a link that was cut for less than is waited', 'C8', (h) => { h.fault('gateway-apart').add('lost', { sid: 'b', code: 2500 }).comeBack('b', 6, 6); }],

  ['an ack while nothing could confirm it', 'C11', (h) => {
    h.before({ type: 'pub_invoke', key: 'k4' }, { type: 'unconfirmable', edge: 'begin' });
  }, { durability: 'safe' }],
  ['an ack on any channel while Redis answered nothing', 'C11', (h) => {
    h.before({ type: 'pub_invoke', key: 'k4' }, { type: 'unconfirmable', edge: 'begin', scope: 'all' });
  }],
  ['an ack without an answer to WAIT since it was sent', 'C11', (h) => {
    for (const pub of h.events.filter((e) => e.type === 'pub_ok' && e.key !== 'k4')) h.events.push({ at: pub.at - 1, type: 'wait', count: 1 });
  }, { durability: 'safe' }],
  ['an ack when WAIT counted too few', 'C11', (h) => {
    h.bounds.confirms = 2;
    for (const pub of h.events.filter((e) => e.type === 'pub_ok')) h.events.push({ at: pub.at - 1, type: 'wait', count: pub.key === 'k4' ? 1 : 2 });
  }, { durability: 'safe' }],
];

for (const [what, rule, plant, options] of PLANTED) {
  test(`${rule} finds ${what}`, () => {
    const history = new History(options);
    assert.deepEqual(rules(history), []);
    plant(history);
    const found = rules(history);
    assert.ok(found.includes(rule), `found ${found.join(', ') || 'nothing'}`);
  });
}

test('planted anomalies are 25 at least', () => assert.ok(PLANTED.length >= 25));

/* [what, how it comes about, options] */
const PERMITTED = [
  ['an acked publication that Redis forgot, and told so', (h) => { h.publishAndLose('gone').fault('redis-kill').newEpoch(6); }],
  ['a loss on a safe channel where everything was wiped', (h) => { h.publishAndLose('gone').fault('flushall').newEpoch(0); }, { durability: 'safe' }],
  ['a definite no to one of two tries', (h) => {
    Object.assign(h.one({ type: 'pub_ok', key: 'k5' }), { type: 'pub_unknown' });
    h.add('pub_invoke', { key: 'k5', try: 2 }).add('pub_no', { key: 'k5', try: 2, code: 100 }).fault('redis-stop');
  }],
  ['a lost publication that its publisher sent again', (h) => {
    h.fault('redis-kill').newEpoch(5).add('pub_invoke', { key: 'k6', try: 2 }).publish('k7', 6, 'F').both('F', 6, 'k7').both('F', 7, 'k6')
      .add('pub_ok', { key: 'k6', try: 2, epoch: 'F', off: 7, dup: false });
  }],
  ['a publication sent twice whose key a clock has let expire', (h) => {
    h.fault('redis-clock-far').add('pub_invoke', { key: 'k6', try: 2 }).both('E', 7, 'k6').add('pub_ok', { key: 'k6', try: 2, epoch: 'E', off: 7, dup: false });
    Object.assign(h.final.get('c'), { off: 7 }).entries.push({ off: 7, key: 'k6' });
  }],
  ['a publication acked by the side that lost', (h) => { h.fault('primary-shut-in'); sentToThePast(h); }],
  ['a trimmed history', (h) => { h.final.get('c').entries.splice(0, 3); h.bounds.trims = true; }],
  ['a failover of a safe channel that nobody notices', (h) => { h.fault('primary-kill').publish('k7', 7).both('E', 7, 'k7'); }, { durability: 'safe' }],
  ['a connection that ends with its gateway', (h) => { h.fault('gateway-kill').add('disc', { sid: 'a', code: 1006 }); }],
  ['an entry that was damaged', (h) => { h.fault('entry-flipped', { ch: 'c' }); h.final.get('c').entries.splice(2, 1); }],
  ['a client that is closed late because a fault was in the way', (h) => { h.fault('gateway-kill').guest('slow-reader').promised(5000, 9000); }],
  ['the same because nothing ran', (h) => {
    h.guest('slow-reader').promised(5000, 5900);
    h.events.push({ at: h.now, type: 'stall', who: 'torture', ms: 1000 });
  }],
  ['a client that reads nothing and gets late what waited', (h) => {
    h.guest('slow-reader').add('stops', { sid: 'b' }).publish('k7', 7).both('E', 7, 'k7').add('disc', { sid: 'x', why: 'over' }, 1500).publish('k8', 8).both('E', 8, 'k8');
    nth(h.events, { type: 'recv', sid: 'b', off: 7 }, 0).at = h.now + 1400 * MS;
    nth(h.events, { type: 'recv', sid: 'b', off: 8 }, 0).at = h.now + 1500 * MS;
  }],
  ['guests that end as their fault says', (h) => { h.guest('token-revoked').add('disc', { sid: 'guest-1.0', code: 3500 }); }],
  ['a guest that ends with its gateway', (h) => { h.guest('token-revoked').fault('gateway-kill').add('disc', { sid: 'guest-1.0', code: 1006 }); }],
  ['a guest that is gone before the end', (h) => {
    h.guest('slow-reader').add('sub_ok', { sid: 'guest-1.0', epoch: 'E', off: 5, recovered: false, n: 0 }).add('left', { sid: 'guest-1.0' });
  }],
  ['a refusal that a busy machine has brought about', (h) => {
    h.fault('redis-stop').add('pub_invoke', { key: 'n', try: 1 }, 30000).add('pub_no', { key: 'n', try: 1, code: 100 });
    h.events.push({ at: h.now - 1000 * MS, type: 'stall', who: 'torture', ms: 900 });
  }],
  ['a loss told on a machine where nothing ran', (h) => {
    h.add('lost', { sid: 'b', code: 2500 }, 8000).comeBack('b', 6, 6);
    h.events.push({ at: h.now - 100 * MS, type: 'stall', who: 'torture', ms: 7000 });
  }],
  ['times of which a starved run says nothing', (h) => {
    h.guest('slow-reader').promised(5000, 16000);
    h.events.push({ at: h.now, type: 'stall', who: 'torture', ms: 8000 });
  }],
  ['a flood that another fault has held back, and that is too much at once', (h) => { h.guest('slow-reader').fault('link-cut').add('disc', { sid: 'a', code: 3008 }); }],
  ['a revocation that is late where no file can be opened', (h) => {
    h.guest('fd-crowd').add('revoked', { user: 'guest' }).add('promise', { id: 'p', what: 'they are closed', ms: 2000, reads: true });
    h.add('open', { sid: 'guest-1.1', user: 'guest' }, 3000).add('kept', { id: 'p' }).add('nemesis', { edge: 'end', kind: 'fd-crowd' });
  }],
  ['a receipt that was on its way when the publishers stopped, and the first canary later', (h) => {
    h.add('publishers_stop', {}).publish('k7', 7).both('E', 7, 'k7').publish('k8', 8).add('disc', { sid: 'x', why: 'over' }, 5000).both('E', 8, 'k8');
  }],
  ['a silence after the publishers have stopped', (h) => { h.add('publishers_stop', {}).publish('k7', 7).add('disc', { sid: 'x', why: 'over' }, 5000).both('E', 7, 'k7'); }],
  ['connections that end because we had no time', (h) => {
    for (const event of [{ code: 3012 }, { code: 3008 }, { code: 1006, why: 'no answer' }]) h.add('disc', { sid: 'a', ...event });
    h.events.push({ at: h.now - 100 * MS, type: 'stall', who: 'torture', ms: 2500 });
  }],
  ['a silence that is ours', (h) => {
    h.add('disc', { sid: 'x', why: 'over' }, 2500).publish('k7', 7).both('E', 7, 'k7');
    h.events.push({ at: h.now - 100 * MS, type: 'stall', who: 'torture', ms: 1000 });
  }],
  ['a token that ends early while clocks jump', (h) => {
    h.fault('clock-jump').guest('token-expiry').add('expires', { sid: 'guest-1.0', at_ns: h.now + 3000 * MS }).add('disc', { sid: 'guest-1.0', code: 3005 }, 2000);
  }],
  ['a member that is seen again in time', (h) => { h.member('in').presence([], 4000).presence(['m'], 500).presence([], 4000); }],
  ['a ghost that goes in time', (h) => { h.member('out').presence(['m'], 4900).presence([], 1000); }],
  ['a ghost while a broker was away', (h) => { h.member('out').fault('broker-kill').presence(['m'], 9000); }],
  ['a drain that is spread', (h) => { h.drained(() => 24); }],
  ['a thread that is as busy as before', (h) => { h.add('busy', { who: 'gateway 0', share: 0.7, before: 0.5 }); }],
  ['a silence in a fault', (h) => { h.add('nemesis', { edge: 'begin', kind: 'redis-stop' }).add('nemesis', { edge: 'end', kind: 'redis-stop' }, 5000).publish('k7', 7).both('E', 7, 'k7'); }],
];

for (const [what, make, options] of PERMITTED) {
  test(`permitted is ${what}`, () => {
    const history = new History(options);
    make(history);
    assert.deepEqual(judge(history).findings, []);
  });
}

test('1,000 clean histories have no findings', () => {
  const sum = { events: 0, acked: 0, recovered: 0, lostAndTold: 0, kinds: new Set() };
  for (let seed = 1; seed <= 1000; seed += 1) {
    const history = cleanHistory(seed);
    const { findings, figures } = judge(history);
    assert.deepEqual(findings, [], `seed ${seed}`);
    for (const name of ['acked', 'recovered', 'lostAndTold']) sum[name] += figures[name];
    sum.events += history.events.length;
    for (const { kind } of figures.faults) sum.kinds.add(kind);
  }
  // They are worth something only if things happen in them.
  assert.ok(sum.events > 300000 && sum.acked > 50000 && sum.recovered > 2000 && sum.lostAndTold > 5000 && sum.kinds.size >= 8, JSON.stringify({ ...sum, kinds: [...sum.kinds] }));
});

test('the same seed gives the same history', () => assert.deepEqual(cleanHistory(7), cleanHistory(7)));

/* Anomalies at random places of generated histories: [what, rule, how; false where the history has no such place]. */
const pickLast = (list) => list[Math.floor(list.length / 2)];
const ANYWHERE = [
  ['a receipt is taken out', 'C2', (h) => {
    const receipts = h.events.filter((e) => e.type === 'recv');
    const victim = receipts.find((e) => receipts.some((f) => f.sid === e.sid && f.ch === e.ch && f.epoch === e.epoch && f.off === e.off + 1));
    return victim && h.events.splice(h.events.indexOf(victim), 1);
  }],
  ['a receipt is another publication', 'C1', (h) => {
    const victim = pickLast(h.events.filter((e) => e.type === 'recv' && h.events.some((f) => f.type === 'recv' && f.sid !== e.sid && f.ch === e.ch && f.epoch === e.epoch && f.off === e.off)));
    const other = victim && h.events.find((e) => e.type === 'recv' && e.ch === victim.ch && e.key !== victim.key);
    return other && Object.assign(victim, { key: other.key, hash: other.hash });
  }],
  ['a safe channel forgets its newest acked', 'C3', (h) => {
    const wiped = h.bounds.trims || h.events.some((e) => e.type === 'nemesis' && FAULT_KINDS[e.kind].wipes);
    const [ch] = [...h.channels].find(([name, durability]) => durability === 'safe' && h.final.get(name).entries.length > 0) ?? [];
    const acked = ch && !wiped && h.events.findLast((e) => e.type === 'pub_ok' && e.ch === ch);
    const entries = acked && h.final.get(ch).entries;
    return acked && entries.splice(entries.findIndex((entry) => entry.key === acked.key), 1);
  }],
  ['a key stands twice', 'C5', (h) => {
    const [, last] = [...h.final].find(([, { entries }]) => entries.length > 2) ?? [];
    return last && last.entries.push({ ...last.entries[0], off: (last.off += 1) });
  }],
  ['a recovery says one too many', 'C7', (h) => {
    const reply = h.events.find((e) => e.type === 'sub_ok' && e.recovered && e.n > 0);
    return reply && (reply.n -= 1) >= 0;
  }],
  ['an epoch changes without a fault', 'C8', (h) => {
    h.events = h.events.filter((e) => e.type !== 'nemesis');
    return [...epochs(h.events).values()].some((list) => list.length > 1);
  }],
];

for (const [what, rule, plant] of ANYWHERE) {
  test(`${rule}: ${what} anywhere`, () => {
    let planted = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const history = cleanHistory(seed);
      if (!plant(history)) continue;
      planted += 1;
      const found = rules(history);
      assert.ok(found.includes(rule), `seed ${seed}: found ${found.join(', ') || 'nothing'}`);
    }
    assert.ok(planted >= 5, `planted in ${planted} histories`);
  });
}

test('a fault that is alone has times of its own, one beside another has not', () => {
  const history = new History();
  history.add('nemesis', { edge: 'begin', kind: 'broker-kill' }, 1000).add('sign', { who: 'gateway' }, 30).add('pub_unknown', { key: 'n', try: 1 }, 20)
    .publish('k7', 7).both('E', 7, 'k7').add('nemesis', { edge: 'end', kind: 'broker-kill' }, 100);
  history.add('nemesis', { edge: 'begin', kind: 'failover', id: 1 }, 20000).add('nemesis', { edge: 'begin', kind: 'redis-cut', id: 2 }).add('nemesis', { edge: 'end', id: 2 })
    .add('nemesis', { edge: 'strike', id: 1 }).publish('k8', 8).both('E', 8, 'k8').add('nemesis', { edge: 'end', id: 1 });
  const [kill, failover, cut] = judge(history).figures.faults;
  assert.deepEqual(kill, { kind: 'broker-kill', alone: true, noticed: 30, told: 50, served: 80, silent: 1080 });
  assert.equal(failover.served, 30); // from when it struck
  assert.deepEqual([failover.alone, cut.alone], [false, false]);
});
