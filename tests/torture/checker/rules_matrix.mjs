/* What the fault matrix says of every fault alike: publishers are told temporary errors or "unknown" and nothing else, and only faults
 * of a gateway end a connection. */

/* 100 internal, 111 too many requests, 113 try again, 120 unknown; below 100 are the SDK's own, 0 is a full socket. */
const TEMPORARY = new Set([undefined, 100, 111, 113, 120]);
const OWN = new Set(['churn', 'over']);

/* A client that a fault brought ends as that fault says; by another one as everybody may. */
const mayEnd = (fault, { sid, code }) => (fault.guests && sid.startsWith(fault.guests) ? fault.closes.includes(code) : fault.cuts);

/* What a client is closed for that says nothing, or reads nothing: here it was we who had no time to. code, or why we left → [within ms, waited ms] */
const FOR_OUR_LATENESS = new Map([[3012, [8000, 1000]], [3008, [2000, 300]], ['no answer', [10000, 2000]]]);
function isOurs({ at, code, why }, stalled) {
  const [within, waited] = FOR_OUR_LATENESS.get(why ?? code) ?? [0, Infinity];
  return stalled(at - within * 1e6, at) > waited * 1e6;
}

/* A flood that a fault of now has held back: at once it may be more than a gateway keeps for a client. */
const SLOW = 3008;
const isFlooded = ({ at, code }, faults, near) => code === SLOW && near.some((fault) => !fault.mild && faults.some((flood) => flood.floods && flood.begin <= at && flood.end >= fault.begin));

export function checkMatrix({ events, faults, add, around, stalled }) {
  for (const event of events) {
    if ((event.type === 'pub_no' || event.type === 'pub_unknown') && event.code >= 100 && !TEMPORARY.has(event.code) && event.code !== 121) {
      add('matrix', event.ch, `${event.key} was answered ${event.code} ${event.message ?? ''}`);
    }
    if (event.type !== 'disc' || OWN.has(event.why)) continue;
    const near = around(event.at, event.at);
    if (!near.some((fault) => mayEnd(fault, event)) && !isFlooded(event, faults, near) && !isOurs(event, stalled)) add('matrix', '*', `${event.sid} lost its connection (${event.why ?? event.code}), and no fault of a gateway was about`);
  }
}
