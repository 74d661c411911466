/* How long each fault lasted for those outside. Nothing is judged here: a fault in the middle of others has no times of its own, and is
 * marked so. */

const MS = 1e6;
const REST_NS = 3000 * MS; // so long after its end a fault is taken to work still

/* {kind, alone, noticed, told, served, silent} of each fault, in ms from when it struck, null where nothing of the kind happened:
 *
 *   alone     no other fault was about until everything was served again
 *   noticed   a program said that something is wrong, in its log or by its health
 *   told      somebody was: a publisher, a subscriber, a connection that ended
 *   served    a publication that was sent after it had come through, on every channel
 *   silent    the longest time that a channel was without any publication until then */
export function measureFaults({ events, faults, pubs }) {
  const channels = new Set([...pubs.values()].map((pub) => pub.ch));
  const measured = faults.map((fault) => measure(fault, { events, pubs, channels }));
  return measured.map(({ from, until, ...figures }, i) => ({
    ...figures,
    alone: !faults.some((other, j) => j !== i && other.begin < until && other.end + REST_NS > from),
  }));
}

function measure(fault, { events, pubs, channels }) {
  const from = fault.struck ?? fault.begin;
  const end = fault.end + fault.recovers * MS;
  const served = new Map();
  const heard = lastHeard(events, from);
  let [noticed, told, silent, until] = [null, null, 0, end];
  for (let i = lowerBound(events, from); i < events.length && events[i].at <= end; i += 1) {
    const { type, at, ch, key } = events[i];
    if (type === 'sign') noticed ??= at - from;
    if (['pub_no', 'pub_unknown', 'lost', 'disc'].includes(type) && !OWN.has(events[i].why)) told ??= at - from;
    if (type !== 'recv' || served.size === channels.size) continue;
    if (heard.has(ch)) silent = Math.max(silent, at - heard.get(ch));
    heard.set(ch, at);
    if (served.has(ch) || !(pubs.get(key)?.invoked > from)) continue;
    served.set(ch, at - from);
    until = at;
  }
  const isServed = served.size === channels.size;
  const ms = (ns) => (ns === null ? null : ns / MS);
  return {
    kind: fault.kind, from, until: isServed ? until : end,
    noticed: ms(noticed), told: ms(told), served: ms(isServed ? Math.max(...served.values()) : null), silent: ms(isServed ? silent : null),
  };
}

/* Ends of connections that a reader wanted. */
const OWN = new Set(['churn', 'over']);

/* When each channel was last heard of before. */
function lastHeard(events, from) {
  const heard = new Map();
  for (let i = lowerBound(events, from - 10000 * MS); i < events.length && events[i].at < from; i += 1) {
    if (events[i].type === 'recv') heard.set(events[i].ch, events[i].at);
  }
  return heard;
}

/* The first event at or after a time. */
function lowerBound(events, at) {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle].at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}
