/* C12, C13: what a gateway owes to clients that behave badly, and to everybody beside them. */

const MS = 1e6;
const SECOND_NS = 1e9;
const REVOKED_NS = 2 * SECOND_NS;
const EXPIRED = 3005;
const RENEWAL_NS = 10 * SECOND_NS;

/* C12: what is promised within a time comes within it; more only if faults or a busy machine were in the way. */
export function checkPromises({ events, add, allowance, blinded }) {
  const open = new Map();
  for (const event of events) {
    if (event.type === 'promise') open.set(event.id, event);
    if (event.type !== 'kept' || !open.has(event.id)) continue;
    const { at, what, ms, reads } = open.get(event.id);
    open.delete(event.id);
    const took = event.at - at;
    if (took > ms * MS + allowance(at, event.at) + (reads ? blinded(at, event.at) : 0)) add('C12', '*', `${what}: it took ${Math.round(took / MS)} ms, not ${Math.round(ms)}`);
  }
  for (const { at, what, ms } of open.values()) {
    if (allowance(at, Infinity) < Infinity) add('C12', '*', `${what}: not at all, though ${Math.round(ms)} ms were promised`);
  }
}

/* C13: who has to wait is told how long: 503 and Retry-After. */
export function checkAdmission({ events, add }) {
  for (const { type, sid, status, retry } of events) {
    if (type !== 'refused') continue;
    if (status !== 503) add('C13', '*', `${sid} was refused with ${status}`);
    else if (!(Number(retry) >= 1 && Number(retry) <= 60)) add('C13', '*', `${sid} was refused without a time to come back: Retry-After ${retry}`);
  }
}

/* C13: two seconds after a user was revoked he is let in no more, and is told nothing. */
export function checkRevoked({ events, add, allowance, blinded }) {
  const revoked = new Map();
  const userOf = new Map();
  const isLate = (user, at) => revoked.has(user) && at > revoked.get(user) + REVOKED_NS + allowance(revoked.get(user), at) + blinded(revoked.get(user), at);
  for (const { type, sid, user, at, ch, off } of events) {
    if (type === 'revoked') revoked.set(user, at);
    if (type === 'open') userOf.set(sid, user);
    if (type === 'open' && isLate(user, at)) add('C13', '*', `${sid} was let in as ${user}, who is revoked`);
    if (type === 'recv' && isLate(userOf.get(sid), at)) add('C13', ch, `${sid} received ${off} as ${userOf.get(sid)}, who is revoked`);
  }
}

/* C13: no connection ends as expired before its token does, and none of those that ask for another one in time. */
export function checkExpired({ events, faults, add, allowance }) {
  const shown = new Map();
  for (const event of events) {
    const { type, sid, at } = event;
    if (type === 'expires') shown.set(sid, event);
    if (type !== 'disc' || event.code !== EXPIRED || !shown.has(sid)) continue;
    if (faults.some((fault) => fault.clock && fault.begin <= at && fault.end + fault.recovers * MS >= at - RENEWAL_NS)) continue;
    const { at_ns: ends, renews } = shown.get(sid);
    if (at < ends) add('C13', '*', `${sid} was closed as expired ${Math.round((ends - at) / MS)} ms before its token ended`);
    else if (renews && allowance(at - RENEWAL_NS, at) < RENEWAL_NS / 20) add('C13', '*', `${sid} asks for tokens in time, and was closed as expired`);
  }
}
