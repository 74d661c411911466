/* C2, C3, C7: what one subscriber was told, step by step. */

const show = ({ epoch, off }) => `(${epoch}, ${off})`;

/* C2: from where a stretch begins its receipts step by one. C7: what "recovered" said was so. */
export function checkSteps({ stretches, add, bounds, mayTell }) {
  for (const stray of stretches.strays) add('C2', stray.ch, `${stray.sid}: ${stray.off} came without a subscription`);
  for (const stretch of stretches.all) {
    const say = (rule, what) => add(rule, stretch.ch, `${stretch.sid}: ${what}`);
    checkFlag(stretch.first, stretch.first.recovered ? stretch.first.since : null, say);
    if (!stretch.first.recovered && stretch.first.since) checkRefusal(stretch.first, bounds, mayTell, say);
    let position = { epoch: stretch.epoch, off: stretch.from };
    let resumed = 0;
    stretch.receipts.forEach((receipt, i) => {
      for (; resumed < stretch.resumed.length && stretch.resumed[resumed].after === i; resumed += 1) checkResumed(stretch.resumed[resumed], position, say);
      if (receipt.epoch !== position.epoch || receipt.off !== position.off + 1) say('C2', `${show(receipt)} after ${show(position)}`);
      position = receipt;
    });
    for (; resumed < stretch.resumed.length; resumed += 1) checkResumed(stretch.resumed[resumed], position, say);
  }
}

function checkFlag(reply, since, say) {
  if (!reply.recovered) {
    if (reply.n > 0) say('C7', `not recovered, yet ${reply.n} publications came`);
    return;
  }
  if (!since || since.epoch !== reply.epoch) say('C7', `recovered in ${reply.epoch} from another epoch`);
  else if (since.off > reply.off) say('C7', `recovered from ${since.off}, above the top ${reply.off}`);
  else if (reply.n !== reply.off - since.off) say('C7', `recovered ${since.off} to ${reply.off} with ${reply.n}`);
}

function checkResumed(reply, position, say) {
  checkFlag(reply, reply.since, say);
  if (reply.epoch === position.epoch && reply.off - reply.n !== position.off) say('C7', `recovered after ${reply.off - reply.n}, was at ${position.off}`);
}

/* A no must be true as well: nothing was gone, and it was not too much. */
function checkRefusal(reply, bounds, mayTell, say) {
  const { since } = reply;
  if (since.epoch !== reply.epoch || since.off > reply.off || reply.off - since.off > bounds.recovery || bounds.trims) return;
  if (!mayTell(reply.ch, reply.at)) say('C7', `not recovered from ${since.off}, though ${reply.epoch} had all up to ${reply.off}`);
}

/* C3, at the subscribers: an acked position inside of a stretch was received in it. */
function checkAckedReceived({ stretches, pubs, add }) {
  const byEpoch = new Map();
  for (const stretch of stretches.all) {
    const id = `${stretch.ch} ${stretch.epoch}`;
    const offs = new Set(stretch.receipts.map((receipt) => receipt.off));
    const top = stretch.receipts.at(-1)?.off ?? stretch.from;
    if (!byEpoch.has(id)) byEpoch.set(id, []);
    byEpoch.get(id).push({ ...stretch, offs, top });
  }
  for (const pub of pubs.values()) {
    for (const { epoch, off } of pub.acks) {
      for (const stretch of byEpoch.get(`${pub.ch} ${epoch}`) ?? []) {
        if (off > stretch.from && off <= stretch.top && !stretch.offs.has(off)) add('C3', pub.ch, `${pub.key} was acked at ${show({ epoch, off })}; ${stretch.sid} went past it without`);
      }
    }
  }
}

/* C3, in the end: what was acked is in the history, unless a fault that may lose it came after, and a new epoch told so. */
function checkAckedHeld({ pubs, final, epochs, add, mayLose, mayBeDamaged, figures }) {
  const held = new Map([...final].map(([ch, { entries }]) => [ch, new Set(entries.map((entry) => entry.key))]));
  for (const pub of pubs.values()) {
    if (pub.ok === null) continue;
    figures.acked += 1;
    const now = final.get(pub.ch);
    if (!now || held.get(pub.ch).has(pub.key)) continue;
    const trimmed = now.entries.length === 0 ? now.trimmed : now.entries[0].off > 1;
    if (trimmed || mayBeDamaged(pub.ch)) continue;
    const known = [...pub.places.values()];
    const told = known.length > 0 ? known.every((place) => place.epoch !== now.epoch) : (epochs.get(pub.ch) ?? []).length > 1;
    if (!mayLose(pub.ch, pub.invoked)) add('C3', pub.ch, `${pub.key} was acked and is not in the history`);
    else if (!told) add('C3', pub.ch, `${pub.key} was acked and lost, and nobody was told: the epoch is ${now.epoch} still`);
    else figures.lostAndTold += 1;
  }
}

export function checkAcked(run) {
  checkAckedReceived(run);
  checkAckedHeld(run);
}
