/* What the fault matrix says of every fault alike: publishers are told temporary errors or "unknown" and nothing else, and only faults
 * of a gateway end a connection. */

/* 100 internal, 111 too many requests, 113 try again, 120 unknown; below 100 are the SDK's own, 0 is a full socket. */
const TEMPORARY = new Set([undefined, 100, 111, 113, 120]);
const OWN = new Set(['churn', 'over']);

export function checkMatrix({ events, add, around }) {
  for (const event of events) {
    if ((event.type === 'pub_no' || event.type === 'pub_unknown') && event.code >= 100 && !TEMPORARY.has(event.code) && event.code !== 121) {
      add('matrix', event.ch, `${event.key} was answered ${event.code} ${event.message ?? ''}`);
    }
    if (event.type !== 'disc' || OWN.has(event.why)) continue;
    if (!around(event.at, event.at).some((fault) => fault.cuts)) add('matrix', '*', `${event.sid} lost its connection (${event.why ?? event.code}), and no fault of a gateway was about`);
  }
}
