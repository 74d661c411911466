/* What a seed means stays what it was: faults of gateways with clients on them stand behind the others, and change nothing in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_KINDS } from './checker/fault_kinds.mjs';
import { CLIENT_FAULTS } from './faults/clients.mjs';
import { GATEWAY_FAULTS } from './faults/gateways.mjs';
import { FAULTS, kindsFor, schedule } from './schedule.mjs';
import { WORLDS } from './worlds/worlds.mjs';

const others = Object.keys({ ...CLIENT_FAULTS, ...GATEWAY_FAULTS });
const rest = Object.keys(FAULTS).filter((kind) => !others.includes(kind));
const plan = (world, number, wanted) => schedule({ seed: 101, world, number, seconds: 7, wanted });

for (const world of Object.keys(WORLDS)) {
  test(`in ${world} kinds of faults of clients leave the others where they are`, () => {
    let found = 0;
    for (let number = 1; number <= 50; number += 1) {
      const without = plan(world, number, rest);
      const withAll = plan(world, number, [...rest, ...others]);
      assert.deepEqual(withAll.slice(0, without.length), without);
      assert.ok(withAll.slice(without.length).every(({ kind }) => others.includes(kind)));
      found += withAll.length - without.length;
    }
    assert.ok(found >= 20, `${found} faults of clients in 50 schedules`);
  });
}

test('a schedule of faults of clients alone has some', () => assert.equal(plan('standalone', 1, others).length, 3));

test('every kind of fault says what it permits', () => {
  for (const world of Object.keys(WORLDS)) for (const kind of kindsFor(world)) assert.ok(FAULT_KINDS[kind], kind);
});
