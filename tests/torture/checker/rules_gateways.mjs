/* C14: presence shows who is there and nobody else. C15: a drain is spread over its time. */

const MS = 1e6;
const PRESENCE_NS = 5000 * MS;
const KOLMOGOROV = 1.63; // exceeded once in a hundred times by what is spread evenly
const STEP = 0.15; // of the window: closes come by steps

/* C14: who went is in no answer five seconds later; nobody who is there is missing for so long. */
export function checkPresence({ events, faults, add, allowance }) {
  const seen = new Map(); // client → when it was there for sure
  const gone = new Map();
  const told = new Set(); // each once
  for (const event of events) {
    const { type, edge, client, at } = event;
    if (type === 'member' && edge === 'in') seen.set(client, { ch: event.ch, at });
    if (type === 'member' && edge === 'out') {
      gone.set(client, { ch: event.ch, at });
      seen.delete(client);
    }
    if (type !== 'presence') continue;
    const clients = new Set(event.clients);
    const isLate = (since) => event.asked > since + PRESENCE_NS + allowanceBeside(since, event, { faults, allowance });
    for (const [id, { ch, at: since }] of gone) {
      if (ch === event.ch && clients.has(id) && isLate(since)) tell(told, add, ch, `${id} is in presence still, ${Math.round((event.asked - since) / MS)} ms after it went`);
    }
    for (const [id, member] of seen) {
      if (member.ch !== event.ch) continue;
      if (clients.has(id)) member.at = event.at;
      else if (isLate(member.at)) tell(told, add, member.ch, `${id} is there, and not in presence since ${Math.round((event.asked - member.at) / MS)} ms`);
    }
  }
}

/* What else was about; the fault that the members are there for is what is measured. */
function allowanceBeside(since, { sid, at }, { faults, allowance }) {
  const own = faults.find((fault) => fault.guests && sid.startsWith(fault.guests));
  return allowance(since, at, own);
}

function tell(told, add, ch, what) {
  const id = what.slice(0, what.indexOf(' ') + 12);
  if (told.has(id)) return;
  told.add(id);
  add('C14', ch, what);
}

/* C15: the times of a drain's closes are as even as chance (Kolmogorov and Smirnov), in its window. */
export function checkDrains({ events, add, stalled }) {
  for (const { type, at, guests, ms } of events) {
    if (type !== 'drain') continue;
    const end = at + 2 * ms * MS;
    const times = events.filter((event) => event.type === 'disc' && event.sid.startsWith(guests) && event.code === 3001 && event.at >= at && event.at <= end).map((event) => (event.at - at) / (ms * MS));
    if (times.length < 20) continue;
    const n = times.length;
    const distance = Math.max(...times.map((time, i) => Math.max(Math.abs(i / n - Math.min(1, time)), Math.abs((i + 1) / n - Math.min(1, time)))));
    const permitted = KOLMOGOROV / Math.sqrt(n) + STEP + stalled(at, end) / (ms * MS);
    if (distance > permitted) add('C15', '*', `${n} closes of a drain are not spread over it: ${distance.toFixed(2)} from even, ${permitted.toFixed(2)} at most`);
  }
}
