/* C8, C9, C11 and what the fault matrix says of each fault: epochs, silence, confirmation, who is told what. */

const MS = 1e6;
const FLIGHT_NS = 10000 * MS; // so long a publication may be on its way to a broker that is held up
const GRACE_NS = 10000 * MS; // how long a gateway looks for a channel's broker before it tells
const HOLD_UP_NS = 5000 * MS; // a link that waited for one is back so much later
const WAITED_NS = 500 * MS; // without a processor, for an answer that was temporary
const STARVED = 0.3; // of a run without a processor: then it says nothing of times

/* What faults permit on a channel of a durability: fast forgets with each reign, safe only where the data are wiped. */
export function permissions({ events, faults, durability }) {
  const stalls = events.filter((event) => event.type === 'stall');
  const touches = (fault, ch) => fault.ch === undefined || fault.ch === ch;
  const changes = (fault, ch) => {
    if (!touches(fault, ch)) return 0;
    return (fault.wipes ? 1 : 0) + (durability(ch) === 'safe' ? 0 : fault.reigns);
  };
  const effect = (fault) => fault.end + fault.recovers * MS;
  const around = (from, to) => faults.filter((fault) => fault.begin <= to && effect(fault) >= from);
  const stalled = (from, to) => stalls.reduce((sum, { at, ms }) => sum + (at >= from && at - ms * MS <= to ? ms * MS : 0), 0);
  const length = events.length > 0 ? events.at(-1).at - events[0].at : 0;
  return {
    around,
    stalled,
    blinded: (from, to) => around(from, to).reduce((sum, fault) => sum + (fault.blinds ? fault.end - fault.begin : 0), 0),
    isStarved: stalled(-Infinity, Infinity) > length * STARVED,
    allowance: (from, to, own) => spent(around(from, to).filter((fault) => fault !== own)) + stalled(from, to),
    epochsBy: (ch, at) => faults.reduce((sum, fault) => sum + (fault.begin <= at ? changes(fault, ch) : 0), 0),
    mayLose: (ch, invoked) => faults.some((fault) => changes(fault, ch) > 0 && effect(fault) >= invoked),
    mayForget: (pub) => faults.some((fault) => fault.forgets && fault.begin <= pub.last + FLIGHT_NS && effect(fault) >= pub.invoked),
    maySplit: (pub) => durability(pub.ch) === 'fast' && faults.some((fault) => fault.splits && fault.begin <= pub.invoked && effect(fault) >= pub.invoked),
    mayBeDamaged: (ch) => faults.some((fault) => fault.damages && touches(fault, ch)),
    mayTell: (ch, at) => faults.some((fault) => fault.begin <= at && touches(fault, ch)
      && (changes(fault, ch) > 0 || fault.tells || fault.end - fault.begin > GRACE_NS)) || stalled(at - 2 * GRACE_NS, at) > GRACE_NS / 2,
  };
}

/* C8: the nth new epoch was seen after the nth event that permits one; none comes back; and nobody is told of a loss without any. */
export function checkEpochs({ events, epochs, order, durability, add, epochsBy, mayTell }) {
  for (const [ch, list] of epochs) {
    list.forEach(({ epoch, first }, nth) => {
      const permitted = epochsBy(ch, first);
      if (nth > permitted) add('C8', ch, `${durability(ch)}: ${epoch} is new epoch ${nth}, and ${permitted} were permitted`);
    });
  }
  for (const event of order.returns) add('C8', event.ch, `${event.sid} is back in ${event.epoch}, an epoch that had ended`);
  for (const event of events) {
    if (event.type === 'lost' && !mayTell(event.ch, event.at)) add('C8', event.ch, `${event.sid} was told of a loss (${event.code}), and no fault permits one`);
  }
}

const spent = (faults) => faults.reduce((sum, fault) => sum + (fault.mild ? 0 : fault.end - fault.begin + fault.recovers * MS), 0);

/* C9: no channel is silent for longer than the faults at that time may make it. */
export function checkSilence({ events, bounds, add, allowance, figures }) {
  const heard = new Map();
  for (const event of events) {
    if (event.type === 'publishers_stop') return; // what comes then is on its way still, or a canary
    if (event.type !== 'recv') continue;
    const last = heard.get(event.ch);
    heard.set(event.ch, event.at);
    if (last === undefined) continue;
    const silent = event.at - last;
    if (silent > figures.silent.ns) figures.silent = { ns: silent, ch: event.ch };
    if (silent > bounds.quiet * MS && silent > bounds.quiet * MS + allowance(last, event.at)) {
      add('C9', event.ch, `silent for ${Math.round(silent / MS)} ms`);
    }
  }
}

/* C9: who is subscribed gets a publication soon after the first one does. */
export function checkLag({ events, stretches, bounds, add, allowance, figures }) {
  const stopped = new Map();
  for (const event of events) if (event.type === 'stops') stopped.set(event.sid, [...(stopped.get(event.sid) ?? []), event.at]);
  const reads = ({ sid, at }, since) => !stopped.get(sid)?.some((stop) => stop >= since && stop <= at);
  const first = new Map();
  const where = (receipt) => `${receipt.ch} ${receipt.epoch} ${receipt.off}`;
  for (const { receipts } of stretches.all) {
    for (const receipt of receipts) first.set(where(receipt), Math.min(first.get(where(receipt)) ?? Infinity, receipt.at));
  }
  for (const stretch of stretches.all) {
    const begun = [stretch.first, ...stretch.resumed];
    let at = 0;
    stretch.receipts.forEach((receipt, i) => {
      while (at + 1 < begun.length && begun[at + 1].after <= i) at += 1;
      const from = Math.max(first.get(where(receipt)), begun[at].at);
      const behind = receipt.at - from;
      if (!reads(receipt, begun[at].at)) return;
      if (behind > figures.behind.ns) figures.behind = { ns: behind, ch: receipt.ch, sid: receipt.sid };
      if (behind > bounds.quiet * MS && behind > bounds.quiet * MS + allowance(from, receipt.at)) {
        add('C9', receipt.ch, `${receipt.sid} got ${receipt.off} ${Math.round(behind / MS)} ms after another did`);
      }
    });
  }
}

/* C9: when the faults are over and have had their time, publishers are told ok. */
export function checkHealed({ events, faults, add, stalled }) {
  if (faults.some((fault) => fault.end === Infinity)) return;
  const healed = Math.max(0, ...faults.map((fault) => fault.end + fault.recovers * MS));
  const sent = new Map();
  for (const event of events) {
    if (event.type === 'pub_invoke') sent.set(`${event.key} ${event.try}`, event.at);
    if (event.type !== 'pub_no' && event.type !== 'pub_unknown') continue;
    const at = sent.get(`${event.key} ${event.try}`);
    if (at > healed && event.code !== 121 && stalled(at - HOLD_UP_NS, event.at) < WAITED_NS) add('C9', event.ch, `${event.key}: ${event.type} ${event.code ?? ''}, ${Math.round((at - healed) / MS)} ms after all was healed`);
  }
}

/* C9: in the end every subscriber stands at the channel's top, and a canary passed. */
export function checkEnd({ events, stretches, final, add }) {
  for (const event of events) if (event.type === 'canary_late') add('C9', event.ch, event.what);
  const sids = new Set(events.filter((event) => event.type === 'sub_ok').map((event) => event.sid));
  for (const event of events) if (event.type === 'left') sids.delete(event.sid);
  for (const [ch, { epoch, off }] of final) {
    for (const sid of sids) {
      const stretch = stretches.live.get(`${sid} ${ch}`);
      const at = stretch?.receipts.at(-1)?.off ?? stretch?.from;
      if (!stretch) add('C9', ch, `${sid} is not subscribed in the end`);
      else if (stretch.epoch !== epoch || at !== off) add('C9', ch, `${sid} ends at (${stretch.epoch}, ${at}), the channel at (${epoch}, ${off})`);
    }
  }
}

/* C11: no ack while nothing could confirm it (of a safe channel; of any, where the scope is all); and each of a safe one has an answer to WAIT behind it, where those are known. */
export function checkConfirmed({ events, pubs, durability, bounds, add }) {
  const windows = [];
  const waits = [];
  for (const event of events) {
    if (event.type === 'unconfirmable' && event.edge === 'begin') windows.push({ begin: event.at, end: Infinity, all: event.scope === 'all' });
    if (event.type === 'unconfirmable' && event.edge === 'end' && windows.length > 0) windows.at(-1).end = event.at;
    if (event.type === 'wait' && event.count >= (event.need ?? bounds.confirms)) waits.push(event.at);
  }
  const proxied = events.some((event) => event.type === 'wait');
  for (const pub of pubs.values()) {
    if (pub.ok === null) continue;
    const isSafe = durability(pub.ch) === 'safe';
    const window = windows.find(({ begin, end, all }) => (all || isSafe) && pub.invoked >= begin && pub.ok < end);
    if (window) add('C11', pub.ch, `${pub.key} was sent and acked while nothing could confirm it`);
    else if (isSafe && proxied && !hasBetween(waits, pub.invoked, pub.ok)) add('C11', pub.ch, `${pub.key} was acked without an answer to WAIT since it was sent`);
  }
}

/* The list is sorted. */
function hasBetween(list, from, to) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < from) low = middle + 1;
    else high = middle;
  }
  return low < list.length && list[low] <= to;
}
