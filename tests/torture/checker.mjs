/* Judges the history of a torture run: a list of events in the order of their clock, and what the channels held at the end.
 *
 * Offsets are the order, so nothing is searched for: every rule is a pass over the events.
 *
 *   pub_invoke {key, ch, try}            a publish was sent (the same key again: a retry)
 *   pub_ok {key, ch, try, epoch?, off?, dup?}   an SDK's ack names no position
 *   pub_no {key, ch, try, code}          a definite no
 *   pub_unknown {key, ch, try}           no answer, or one that says so
 *   sub_ok {sid, ch, epoch, off, since?, recovered, n}   followed by its n recv
 *   recv {sid, ch, epoch, off, key}
 *   lost {sid, ch}                       the subscriber was told that continuity is lost
 *   nemesis {edge: begin | end, kind}
 *
 * final: channel → {epoch, off, entries: [{off, key}]}; trimmed is said by the entries not starting at 1.
 * A finding is {rule, ch, what}. Rules: reliability of the appliance's promises, named C1 to C9 in README.md here. */

/* After these an epoch may change and, on a fast channel, what was acked may be lost (and is told). */
const FORGETTING = new Set(['redis-kill', 'flushall']);

class Findings {
  constructor() {
    this.list = [];
  }

  add(rule, ch, what) {
    this.list.push({ rule, ch, what });
  }
}

const place = (ch, epoch, off) => `${ch} ${epoch} ${off}`;

/* key → {ch, invoked, answers, places: Map(place → {epoch, off})} */
function gatherPublications(events, findings) {
  const keys = new Map();
  for (const event of events) {
    if (!event.type.startsWith('pub_')) continue;
    let pub = keys.get(event.key);
    if (!pub) {
      pub = { key: event.key, ch: event.ch, invoked: event.at, tries: 0, no: 0, ok: null, places: new Map() };
      keys.set(event.key, pub);
    }
    if (event.type === 'pub_invoke') pub.tries += 1;
    if (event.type === 'pub_no') {
      pub.no += 1;
      if (event.code === 121) findings.add('C5', pub.ch, `${pub.key} was refused as another payload's key`);
    }
    if (event.type === 'pub_ok') pub.ok ??= event.at;
  }
  return keys;
}

/* C1, C4, C5: every sighting of a publication, in acks, receipts and the final history. */
function checkSightings(events, final, keys, findings) {
  const at = new Map();
  const see = (ch, epoch, off, key, who) => {
    const pub = keys.get(key);
    if (!pub || pub.ch !== ch) return findings.add('C4', ch, `${who} has ${key}, which nobody published there`);
    if (pub.no > 0 && pub.no === pub.tries) findings.add('C4', ch, `${who} has ${key}, whose publisher was told a definite no`);
    const where = place(ch, epoch, off);
    const other = at.get(where);
    if (other !== undefined && other !== key) findings.add('C1', ch, `(${epoch}, ${off}) is ${other} and, for ${who}, ${key}`);
    at.set(where, key);
    pub.places.set(where, { epoch, off });
  };
  for (const event of events) {
    if (event.type === 'recv') see(event.ch, event.epoch, event.off, event.key, event.sid);
    if (event.type === 'pub_ok' && event.off !== undefined) see(event.ch, event.epoch, event.off, event.key, 'the ack');
  }
  for (const [ch, { epoch, entries }] of final) {
    const first = new Map();
    for (const { off, key } of entries) {
      if (first.has(key)) findings.add('C5', ch, `${key} stands at ${first.get(key)} and at ${off} of the history`);
      first.set(key, off);
      see(ch, epoch, off, key, 'the history');
    }
  }
  for (const pub of keys.values()) {
    const byEpoch = new Map();
    for (const { epoch, off } of pub.places.values()) {
      const other = byEpoch.get(epoch);
      if (other !== undefined) findings.add('C5', pub.ch, `${pub.key} is at ${other} and at ${off} of ${epoch}`);
      byEpoch.set(epoch, off);
    }
  }
}

/* C2, C7: one subscriber's receipts of one channel. */
function checkSteps(events, findings) {
  const subscriptions = new Map();
  for (const event of events) {
    if (!['sub_ok', 'recv', 'lost'].includes(event.type)) continue;
    const id = `${event.sid} ${event.ch}`;
    const sub = subscriptions.get(id);
    const say = (rule, what) => findings.add(rule, event.ch, `${event.sid}: ${what}`);
    if (event.type === 'lost') {
      subscriptions.delete(id);
      continue;
    }
    if (event.type === 'sub_ok') {
      let next = event.off;
      if (event.recovered) {
        if (!event.since || event.since.epoch !== event.epoch) say('C7', `recovered in ${event.epoch} from another epoch`);
        else if (event.n !== event.off - event.since.off) say('C7', `recovered ${event.since.off} to ${event.off} with ${event.n}`);
        next = event.off - event.n;
        if (sub && sub.epoch === event.epoch && sub.off !== next) say('C7', `recovered after ${next}, was at ${sub.off}`);
      } else if (event.n > 0) {
        say('C7', `not recovered, yet ${event.n} publications came`);
      }
      subscriptions.set(id, { epoch: event.epoch, off: next });
      continue;
    }
    if (!sub) {
      say('C2', `${event.off} came without a subscription`);
      continue;
    }
    if (event.epoch !== sub.epoch || event.off !== sub.off + 1) say('C2', `(${event.epoch}, ${event.off}) after (${sub.epoch}, ${sub.off})`);
    subscriptions.set(id, { epoch: event.epoch, off: event.off });
  }
  return subscriptions;
}

/* C3: what was acked is seen, unless Redis forgot it in a fault that ended after the publish began. */
function checkAcked(events, final, keys, findings) {
  const forgot = events.filter((event) => event.type === 'nemesis' && FORGETTING.has(event.kind));
  const lastForgot = forgot.length > 0 ? forgot.at(-1).at : -Infinity;
  const sightings = new Map();
  for (const event of events) if (event.type === 'recv') sightings.set(event.key, (sightings.get(event.key) ?? 0) + 1);
  const held = new Set([...final.values()].flatMap(({ entries }) => entries.map((entry) => entry.key)));
  for (const pub of keys.values()) {
    if (pub.ok === null || held.has(pub.key)) continue;
    const now = final.get(pub.ch);
    const trimmed = now !== undefined && now.entries.length > 0 && now.entries[0].off > 1;
    if (pub.invoked > lastForgot && !trimmed) findings.add('C3', pub.ch, `${pub.key} was acked and is not in the history`);
    else if (!sightings.has(pub.key) && forgot.every((fault) => fault.at < pub.invoked)) findings.add('C3', pub.ch, `${pub.key} was acked and nobody saw it`);
  }
}

/* C6: answered before the other was sent, hence before it in the order. */
function checkRealTime(keys, findings) {
  const lines = new Map();
  for (const pub of keys.values()) {
    for (const { epoch, off } of pub.places.values()) {
      const id = `${pub.ch} ${epoch}`;
      if (!lines.has(id)) lines.set(id, []);
      lines.get(id).push({ off, pub });
    }
  }
  for (const line of lines.values()) {
    line.sort((a, b) => a.off - b.off);
    let latest = null;
    for (const { off, pub } of line) {
      if (latest && pub.ok !== null && latest.pub.invoked > pub.ok) {
        findings.add('C6', pub.ch, `${latest.pub.key} at ${latest.off} was sent after ${pub.key} at ${off} was acked`);
      }
      if (!latest || pub.invoked > latest.pub.invoked) latest = { off, pub };
    }
  }
}

/* C8: a new epoch for each fault that makes Redis forget, and no more. */
function checkEpochs(events, findings) {
  const faults = events.filter((event) => event.type === 'nemesis' && event.edge === 'begin' && FORGETTING.has(event.kind)).length;
  const epochs = new Map();
  for (const event of events) {
    if (!['sub_ok', 'recv'].includes(event.type) && !(event.type === 'pub_ok' && event.epoch)) continue;
    if (!epochs.has(event.ch)) epochs.set(event.ch, new Set());
    epochs.get(event.ch).add(event.epoch);
  }
  for (const [ch, seen] of epochs) {
    if (seen.size > 1 + faults) findings.add('C8', ch, `${seen.size} epochs and ${faults} faults that may change it`);
  }
}

/* C9: in the end every subscriber stands at the channel's top. */
function checkEnd(subscriptions, sids, final, findings) {
  for (const [ch, { epoch, off }] of final) {
    for (const sid of sids) {
      const sub = subscriptions.get(`${sid} ${ch}`);
      if (!sub) findings.add('C9', ch, `${sid} is not subscribed in the end`);
      else if (sub.epoch !== epoch || sub.off !== off) findings.add('C9', ch, `${sid} ends at (${sub.epoch}, ${sub.off}), the channel at (${epoch}, ${off})`);
    }
  }
}

export function check(events, final) {
  const findings = new Findings();
  const keys = gatherPublications(events, findings);
  checkSightings(events, final, keys, findings);
  const subscriptions = checkSteps(events, findings);
  checkAcked(events, final, keys, findings);
  checkRealTime(keys, findings);
  checkEpochs(events, findings);
  checkEnd(subscriptions, new Set(events.filter((event) => event.type === 'sub_ok').map((event) => event.sid)), final, findings);
  return findings.list;
}
