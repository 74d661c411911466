/* C1, C4, C5, C6: what stands where, once, in whose order. */

const place = (ch, epoch, off) => `${ch} ${epoch} ${off}`;

/* C1, C4: every sighting agrees with every other, and with what was published. Fills pub.places and returns place → key. */
export function checkSightings({ seen, pubs, add }) {
  const at = new Map();
  for (const { ch, epoch, off, key, hash, who } of seen) {
    const pub = pubs.get(key);
    if (!pub || pub.ch !== ch) {
      add('C4', ch, `${who} has ${key} at (${epoch}, ${off}), which nobody published there`);
      continue;
    }
    if (hash !== undefined && pub.hash !== undefined && hash !== pub.hash) add('C4', ch, `${who} has another payload for ${key} than was published`);
    if (pub.no > 0 && pub.no === pub.tries) add('C4', ch, `${who} has ${key}, whose publisher was told a definite no`);
    const where = place(ch, epoch, off);
    const other = at.get(where);
    if (other !== undefined && other !== key) add('C1', ch, `(${epoch}, ${off}) is ${other} and, for ${who}, ${key}`);
    at.set(where, key);
    pub.places.set(where, { epoch, off });
  }
  return at;
}

/* Did (epoch, off) outlive its epoch in `later`? Only if what stands behind it did, without a break, up to one that cannot have been
 * sent again: a publication of one try. Then nothing before it was lost. */
function surelySurvived(ch, at, pubs, epoch, off, later) {
  for (let next = off + 1; ; next += 1) {
    const key = at.get(place(ch, epoch, next));
    if (key === undefined || at.get(place(ch, later, next)) !== key) return false;
    if (pubs.get(key)?.tries === 1) return true;
  }
}

/* C5: a key has one place. In another epoch it may have another one if the first was lost with the end of its epoch. */
export function checkOnce({ events, pubs, order, final, add, mayForget }, at) {
  for (const event of events) {
    if (event.type === 'pub_no' && event.code === 121) add('C5', event.ch, `${event.key} was refused as another payload's key`);
  }
  for (const [ch, { entries }] of final) {
    const first = new Map();
    for (const { off, key } of entries) {
      if (first.has(key) && !mayForget(pubs.get(key))) add('C5', ch, `${key} stands at ${first.get(key)} and at ${off} of the history`);
      else first.set(key, off);
    }
  }
  for (const pub of pubs.values()) {
    const { key, ch, places } = pub;
    if (mayForget(pub)) continue; // its key may have expired: what was sent again is another publication then
    const all = [...places.values()];
    for (let i = 0; i < all.length; i += 1) {
      for (let j = i + 1; j < all.length; j += 1) {
        const [a, b] = [all[i], all[j]];
        if (a.off === b.off) continue;
        if (a.epoch === b.epoch) add('C5', ch, `${key} is at ${a.off} and at ${b.off} of ${a.epoch}`);
        else if (twice(ch, at, pubs, order, a, b)) add('C5', ch, `${key} is at (${a.epoch}, ${a.off}), which was not lost, and at (${b.epoch}, ${b.off})`);
      }
    }
  }
}

function twice(ch, at, pubs, order, a, b) {
  const [first, second] = order.isBefore(ch, b.epoch, a.epoch) ? [b, a] : [a, b];
  return order.isBefore(ch, first.epoch, second.epoch) && surelySurvived(ch, at, pubs, first.epoch, first.off, second.epoch);
}

/* When the publication at this place had been acked for sure: an ack of another epoch's place says nothing of it, since what was lost
 * with the end of that epoch may have been sent again. */
function ackedAt(pub, epoch) {
  if (pub.tries === 1) return pub.ok;
  const acks = pub.acks.filter((ack) => ack.epoch === epoch);
  return acks.length > 0 ? acks[0].at : null;
}

/* C6: answered before the other was sent, hence before it in the order. */
export function checkRealTime({ pubs, order, add, mayForget, maySplit }) {
  const lines = new Map();
  for (const pub of pubs.values()) {
    if (mayForget(pub) && pub.places.size > 1) continue; // which of them was acked?
    for (const { epoch, off } of pub.places.values()) {
      const id = `${pub.ch} ${epoch}`;
      if (!lines.has(id)) lines.set(id, { ch: pub.ch, epoch, list: [] });
      lines.get(id).list.push({ off, pub });
    }
  }
  const say = (late, early) => add('C6', late.pub.ch, `${late.pub.key} at ${late.off} was sent after ${early.pub.key} at ${early.off} was acked`);
  for (const { epoch, list } of lines.values()) {
    list.sort((a, b) => a.off - b.off);
    let latest = null;
    for (const each of list) {
      const acked = ackedAt(each.pub, epoch);
      if (latest && acked !== null && latest.pub.invoked > acked) say(latest, each);
      if (!latest || each.pub.invoked > latest.pub.invoked) latest = each;
    }
  }
  checkAcrossEpochs([...lines.values()], order, maySplit, say);
}

/* Across epochs offsets go on, so a publication that stands higher in a later epoch, and not in the earlier one, came later. */
function checkAcrossEpochs(lines, order, maySplit, say) {
  const byChannel = new Map();
  for (const line of lines) byChannel.set(line.ch, [...(byChannel.get(line.ch) ?? []), line]);
  for (const ofChannel of byChannel.values()) {
    for (const earlier of ofChannel) {
      for (const later of ofChannel) if (order.isBefore(earlier.ch, earlier.epoch, later.epoch)) compare(earlier, later, maySplit, say);
    }
  }
}

const standsIn = (pub, epoch) => [...pub.places.values()].some((place) => place.epoch === epoch);

/* For each of the earlier epoch, from the lowest up, the one of the later epoch above it that was acked first. */
function compare(earlier, later, maySplit, say) {
  const firstAcked = new Array(later.list.length);
  for (let i = later.list.length - 1, best = null; i >= 0; i -= 1) {
    const { pub } = later.list[i];
    const counts = pub.ok !== null && pub.tries === 1 && !standsIn(pub, earlier.epoch);
    if (counts && (!best || pub.ok < best.pub.ok)) best = later.list[i];
    firstAcked[i] = best;
  }
  let at = 0;
  for (const each of earlier.list) {
    while (at < later.list.length && later.list[at].off <= each.off) at += 1;
    const acked = firstAcked[at];
    if (acked && each.pub.invoked > acked.pub.ok && !standsIn(each.pub, later.epoch) && !maySplit(each.pub)) say(each, acked);
  }
}
