/* The checker finds what is wrong, by the right name, and nothing where nothing is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './checker.mjs';

/* One channel, n publications with keys, two subscribers, one of whom comes back in the middle. */
function clean(n = 6) {
  let at = 0;
  const events = [];
  const add = (type, fields) => events.push({ at: (at += 10), type, ch: 'c', ...fields });
  add('sub_ok', { sid: 'a', epoch: 'E', off: 0, recovered: false, n: 0 });
  add('sub_ok', { sid: 'b', epoch: 'E', off: 0, recovered: false, n: 0 });
  for (let off = 1; off <= n; off += 1) {
    const key = `k${off}`;
    add('pub_invoke', { key, try: 1 });
    add('pub_ok', { key, try: 1, epoch: 'E', off, dup: false });
    add('recv', { sid: 'a', epoch: 'E', off, key });
    if (off !== 3 && off !== 4) add('recv', { sid: 'b', epoch: 'E', off, key });
    if (off === 4) {
      add('sub_ok', { sid: 'b', epoch: 'E', off: 4, since: { epoch: 'E', off: 2 }, recovered: true, n: 2 });
      add('recv', { sid: 'b', epoch: 'E', off: 3, key: 'k3' });
      add('recv', { sid: 'b', epoch: 'E', off: 4, key: 'k4' });
    }
  }
  const entries = Array.from({ length: n }, (_, i) => ({ off: i + 1, key: `k${i + 1}` }));
  return { events, final: new Map([['c', { epoch: 'E', off: n, entries }]]), add };
}

const rules = ({ events, final }) => [...new Set(check(events, final).map((finding) => finding.rule))].sort();
const index = (history, wanted) => history.events.findIndex((event) => Object.entries(wanted).every(([name, value]) => event[name] === value));
const one = (history, wanted) => history.events[index(history, wanted)];

test('a clean history has no findings', () => {
  for (let n = 5; n < 50; n += 1) assert.deepEqual(rules(clean(n)), []);
});

test('a position that two subscribers know differently is C1', () => {
  const history = clean();
  one(history, { type: 'recv', sid: 'a', off: 5 }).key = 'k6';
  assert.ok(rules(history).includes('C1'));
});

test('an ack that names the position of another publication is C1', () => {
  const history = clean();
  one(history, { type: 'pub_ok', key: 'k5' }).off = 4;
  assert.ok(rules(history).includes('C1'));
});

test('a missing receipt is C2', () => {
  const history = clean();
  history.events.splice(index(history, { type: 'recv', sid: 'a', off: 3 }), 1);
  assert.deepEqual(rules(history), ['C2']);
});

test('a receipt that comes twice is C2', () => {
  const history = clean();
  const at = index(history, { type: 'recv', sid: 'a', off: 3 });
  history.events.splice(at, 0, { ...history.events[at] });
  assert.deepEqual(rules(history), ['C2']);
});

test('a change of order is C2', () => {
  const history = clean();
  const [x, y] = [index(history, { type: 'recv', sid: 'a', off: 3 }), index(history, { type: 'recv', sid: 'a', off: 4 })];
  [history.events[x], history.events[y]] = [history.events[y], history.events[x]];
  assert.deepEqual(rules(history), ['C2']);
});

test('a receipt after the loss was told and before a subscribe is C2', () => {
  const history = clean();
  history.events.splice(index(history, { type: 'recv', sid: 'a', off: 5 }), 0, { at: 0, type: 'lost', sid: 'a', ch: 'c' });
  assert.ok(rules(history).includes('C2'));
});

test('an acked publication that is not in the history is C3', () => {
  const history = clean();
  history.add('pub_invoke', { key: 'gone', try: 1 });
  history.add('pub_ok', { key: 'gone', try: 1 });
  assert.deepEqual(rules(history), ['C3']);
});

test('an acked publication may be gone when Redis forgot after it', () => {
  const history = clean();
  history.add('pub_invoke', { key: 'gone', try: 1 });
  history.add('pub_ok', { key: 'gone', try: 1 });
  history.add('nemesis', { edge: 'begin', kind: 'redis-kill' });
  assert.deepEqual(rules(history), []);
});

test('a fault that makes Redis forget nothing excuses nothing', () => {
  const history = clean();
  history.add('pub_invoke', { key: 'gone', try: 1 });
  history.add('pub_ok', { key: 'gone', try: 1 });
  history.add('nemesis', { edge: 'begin', kind: 'redis-stop' });
  assert.deepEqual(rules(history), ['C3']);
});

test('a payload that nobody published is C4', () => {
  const history = clean();
  one(history, { type: 'recv', sid: 'a', off: 5 }).key = 'phantom';
  assert.ok(rules(history).includes('C4'));
});

test('a publication of another channel is C4', () => {
  const history = clean();
  history.events.filter((event) => event.key === 'k5' && event.type.startsWith('pub_')).forEach((event) => { event.ch = 'd'; });
  assert.ok(rules(history).includes('C4'));
});

test('a definite no that was published all the same is C4', () => {
  const history = clean();
  const ok = one(history, { type: 'pub_ok', key: 'k5' });
  Object.assign(ok, { type: 'pub_no', code: 111 });
  assert.deepEqual(rules(history), ['C4']);
});

test('a definite no to one of two tries says nothing of the other', () => {
  const history = clean();
  const at = index(history, { type: 'pub_ok', key: 'k5' });
  history.events.splice(at, 1, { at: 0, type: 'pub_unknown', key: 'k5', ch: 'c', try: 1 }, { at: 0, type: 'pub_invoke', key: 'k5', ch: 'c', try: 2 },
    { at: 0, type: 'pub_no', key: 'k5', ch: 'c', try: 2, code: 100 });
  assert.deepEqual(rules(history), []);
});

test('a key at two offsets is C5', () => {
  const history = clean();
  history.add('recv', { sid: 'a', epoch: 'E', off: 7, key: 'k2' });
  history.add('recv', { sid: 'b', epoch: 'E', off: 7, key: 'k2' });
  history.final.get('c').off = 7;
  history.final.get('c').entries.push({ off: 7, key: 'k2' });
  assert.ok(rules(history).includes('C5'));
});

test('a key twice over two epochs is C5 when the first was not lost', () => {
  const history = clean();
  history.add('nemesis', { edge: 'begin', kind: 'redis-kill' });
  for (const sid of ['a', 'b']) {
    history.add('lost', { sid });
    history.add('sub_ok', { sid, epoch: 'F', off: 6, recovered: false, n: 0 });
    history.add('recv', { sid, epoch: 'F', off: 7, key: 'k6' });
  }
  history.final.set('c', { epoch: 'F', off: 7, entries: [...history.final.get('c').entries, { off: 7, key: 'k6' }] });
  assert.deepEqual(rules(history), ['C5']);
});

test('a key that is refused as used by another payload is C5', () => {
  const history = clean();
  history.add('pub_invoke', { key: 'k2', try: 2 });
  history.add('pub_no', { key: 'k2', try: 2, code: 121 });
  assert.deepEqual(rules(history), ['C5']);
});

test('a publication ordered before one that was acked before it was sent is C6', () => {
  const history = clean();
  one(history, { type: 'pub_invoke', key: 'k2' }).at = 10000;
  assert.deepEqual(rules(history), ['C6']);
});

test('recovered with a publication too few is C7', () => {
  const history = clean();
  one(history, { type: 'sub_ok', recovered: true }).n = 1;
  assert.ok(rules(history).includes('C7'));
});

test('recovered in another epoch is C7', () => {
  const history = clean();
  one(history, { type: 'sub_ok', recovered: true }).since.epoch = 'D';
  assert.deepEqual(rules(history), ['C7']);
});

test('not recovered and still sent publications is C7', () => {
  const history = clean();
  Object.assign(one(history, { type: 'sub_ok', recovered: true }), { recovered: false });
  assert.ok(rules(history).includes('C7'));
});

test('a new epoch without a fault that may change it is C8', () => {
  const history = clean();
  for (const sid of ['a', 'b']) {
    history.add('lost', { sid });
    history.add('sub_ok', { sid, epoch: 'F', off: 6, recovered: false, n: 0 });
  }
  history.final.get('c').epoch = 'F';
  assert.deepEqual(rules(history), ['C8']);
});

test('a subscriber that ends behind the top is C9', () => {
  const history = clean();
  history.final.get('c').off = 7;
  assert.deepEqual(rules(history), ['C9']);
});

test('a subscriber that is not subscribed in the end is C9', () => {
  const history = clean();
  history.add('lost', { sid: 'b' });
  assert.deepEqual(rules(history), ['C9']);
});
