/* Puts the events of a run in order for the rules: publications by key, what stands at each position, each subscriber's stretches of
 * continuity, faults as intervals, and the epochs of each channel. Every index is one pass, or one sort.
 *
 *   pub_invoke {key, ch, try, hash?}            a publish was sent (the same key again: a retry)
 *   pub_ok {key, ch, try, epoch?, off?, dup?}   an SDK's ack names no position
 *   pub_no {key, ch, try, code}                 a definite no
 *   pub_unknown {key, ch, try}                  no answer, or one that says so
 *   sub_ok {sid, ch, epoch, off, since?, recovered, n}   followed by its n recv
 *   recv {sid, ch, epoch, off, key, hash?}
 *   lost {sid, ch}                              the subscriber was told that continuity is lost
 *   disc {sid, code}                            its connection ended
 *   nemesis {edge: begin | strike | end, kind, target, ch?, id?}   strike: what it is about happened only now
 *   sign {who, what}                            a program of ours said that something is wrong: in its log, or by its health
 *   unconfirmable {edge: begin | end, scope?}   no replica can confirm anything, as whoever made it so has seen; all: Redis answers nothing
 *   wait {count, need}                          a WAIT of a broker was answered so, as the proxy between has seen
 *   publishers_stop {}                          from now on only canaries are sent
 *   stall {who, ms}                             whoever should have run waited for a processor until now
 *   promise {id, what, ms, reads?}, kept {id}   what has to be so within a time, and that it is; reads: a gateway has to open a file for it
 *   open {sid, user, client}                    a guest (a client that a fault brought) was let in
 *   stops {sid}                                 it stops reading what it is sent, until it subscribes again
 *   refused {sid, status, retry}                its handshake was answered so
 *   expires {sid, at_ns, renews}                the token that it has shown ends then; renews: it asks for another one before
 *   revoked {user}
 *   member {edge: in | out, sid, client, ch}    a guest stands in a channel's presence, as far as it knows
 *   presence {sid, ch, asked, clients}          who is there, as was answered to a question of then
 *   drain {guests, ms}                          the gateway of these closes everyone within that time from now on
 *   busy {who, share, before}                   so much of the time the busiest thread of a program ran, out of descriptors, and before
 *   left {sid}                                  it is gone, and does not come back
 *   sample {who, pid, rss, fds, gauges, lagging}   memory in bytes, descriptors, queues of a program; what it has counted since its start
 *
 * All carry `at`, nanoseconds of one monotonic clock. */
import { faultKind } from './fault_kinds.mjs';

const newPublication = (event) => ({
  key: event.key, ch: event.ch, hash: event.hash, invoked: event.at, last: event.at, tries: 0, no: 0, ok: null, acks: [], places: new Map(),
});

export function publications(events) {
  const keys = new Map();
  for (const event of events) {
    if (!event.type.startsWith('pub_')) continue;
    if (!keys.has(event.key)) keys.set(event.key, newPublication(event));
    const pub = keys.get(event.key);
    if (event.type === 'pub_invoke' && (pub.tries += 1) === 1) pub.invoked = event.at;
    if (event.type === 'pub_invoke') pub.last = event.at;
    if (event.type === 'pub_no') pub.no += 1;
    if (event.type !== 'pub_ok') continue;
    pub.ok ??= event.at;
    pub.acks.push(event);
  }
  return keys;
}

/* Faults as intervals; one that has no end goes on for ever. */
export function faults(events) {
  const open = new Map();
  const list = [];
  for (const event of events) {
    if (event.type !== 'nemesis') continue;
    const id = event.id ?? `${event.kind} ${event.target ?? ''}`;
    if (event.edge === 'begin') {
      const fault = { kind: event.kind, target: event.target, ch: event.ch, guests: event.guests, begin: event.at, end: Infinity, ...faultKind(event.kind) };
      open.set(id, fault);
      list.push(fault);
    } else if (event.edge === 'strike') {
      open.get(id).struck = event.at;
    } else if (open.has(id)) {
      open.get(id).end = event.at;
      open.delete(id);
    }
  }
  return list;
}

/* The epochs of each channel in the order they were first seen: ch → [{epoch, first}]. */
export function epochs(events) {
  const seen = new Map();
  for (const event of events) {
    if (!event.epoch || !['sub_ok', 'recv', 'pub_ok'].includes(event.type)) continue;
    if (!seen.has(event.ch)) seen.set(event.ch, new Map());
    const ofChannel = seen.get(event.ch);
    if (!ofChannel.has(event.epoch)) ofChannel.set(event.epoch, { epoch: event.epoch, first: event.at });
  }
  return new Map([...seen].map(([ch, ofChannel]) => [ch, [...ofChannel.values()]]));
}

/* Which of two epochs subscribers saw first, if one saw both: ch → (earlier, later) → boolean; and those that came back. */
export function epochOrder(events) {
  const last = new Map();
  const seen = new Map();
  const edges = new Set();
  const returns = [];
  for (const event of events) {
    if (event.type !== 'sub_ok' && event.type !== 'recv') continue;
    const id = `${event.sid} ${event.ch}`;
    if (last.get(id) === event.epoch) continue;
    last.set(id, event.epoch);
    if (!seen.has(id)) seen.set(id, new Set());
    const before = seen.get(id);
    if (before.has(event.epoch)) returns.push(event);
    else for (const epoch of before) edges.add(`${event.ch} ${epoch} ${event.epoch}`);
    before.add(event.epoch);
  }
  return { returns, isBefore: (ch, earlier, later) => edges.has(`${ch} ${earlier} ${later}`) };
}

/* A stretch is what a subscriber was told without a break: from a sub_ok on to the next that does not go on from there, or the loss.
 * strays: receipts outside of any. */
export function stretches(events) {
  const live = new Map();
  const all = [];
  const strays = [];
  for (const event of events) {
    if (!['sub_ok', 'recv', 'lost'].includes(event.type)) continue;
    const id = `${event.sid} ${event.ch}`;
    const stretch = live.get(id);
    if (event.type === 'lost') {
      live.delete(id);
    } else if (event.type === 'recv') {
      if (stretch) stretch.receipts.push(event);
      else strays.push(event);
    } else if (stretch && event.recovered && event.since?.epoch === stretch.epoch) {
      stretch.resumed.push({ ...event, after: stretch.receipts.length });
    } else {
      const from = event.recovered ? event.off - event.n : event.off;
      const begun = { sid: event.sid, ch: event.ch, epoch: event.epoch, from, first: event, receipts: [], resumed: [] };
      live.set(id, begun);
      all.push(begun);
    }
  }
  return { all, live, strays };
}

/* Everyone who says what stands where: receipts, acks that name a position, and the history in the end. */
export function sightings(events, final) {
  const list = [];
  for (const event of events) {
    if (event.type === 'recv') list.push({ ...event, who: event.sid });
    if (event.type === 'pub_ok' && event.off !== undefined) list.push({ ...event, who: 'the ack' });
  }
  for (const [ch, { epoch, entries }] of final) for (const { off, key, hash } of entries) list.push({ ch, epoch, off, key, hash, who: 'the history' });
  return list;
}

/* What holds for the run as a whole, with what a history may leave out. */
export function withDefaults(history) {
  const events = [...history.events].sort((a, b) => a.at - b.at);
  const bounds = { recovery: 300, quiet: 2000, confirms: 1, rss: Infinity, fds: Infinity, gauges: {}, ...history.bounds };
  const durability = (ch) => history.channels?.get(ch) ?? 'fast';
  return { ...history, events, bounds, durability };
}
