/* A schedule: a few faults at given times, some of them in pairs, all told by (seed, world, number). */
import { Dice } from './dice.mjs';
import { DISK_AND_CLOCK_FAULTS } from './faults/disk_and_clock.mjs';
import { LINK_FAULTS } from './faults/links.mjs';
import { NETWORK_FAULTS } from './faults/network.mjs';
import { PROCESS_FAULTS } from './faults/processes.mjs';
import { REDIS_FAULTS } from './faults/redis_server.mjs';
import { TOPOLOGY_FAULTS } from './faults/topology.mjs';

export const FAULTS = { ...PROCESS_FAULTS, ...REDIS_FAULTS, ...TOPOLOGY_FAULTS, ...LINK_FAULTS, ...NETWORK_FAULTS, ...DISK_AND_CLOCK_FAULTS };

const textSeed = (text) => [...text].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7);

const diceFor = (seed, world, number) => new Dice(seed * 7919 + textSeed(world) + number * 104729);

/* Worlds in which the same is done as in another one, but for what is named. */
const LIKE = { always: ['standalone'], 'sentinel-1': ['sentinel', 'failover'] };

/* What is there to break in this world, of what was asked for. */
export function kindsFor(world, wanted) {
  const [family, ...without] = LIKE[world] ?? [world];
  const isThere = (name) => (!FAULTS[name].worlds || FAULTS[name].worlds.includes(family)) && !without.includes(name);
  return Object.keys(FAULTS).filter((name) => (!wanted || wanted.includes(name)) && isThere(name));
}

function pickKind(dice, kinds) {
  let pick = dice.next() * kinds.reduce((sum, name) => sum + FAULTS[name].weight, 0);
  return kinds.find((name) => (pick -= FAULTS[name].weight) <= 0) ?? kinds[0];
}

/* [{kind, at, target, start, ms, seed}], by start, in ms from the beginning. The next one begins within the one before in half of all
 * cases: a pair. Nothing is broken twice at a time. */
export function schedule({ seed, world, number, seconds, wanted }) {
  const dice = diceFor(seed, world, number);
  const kinds = kindsFor(world, wanted);
  const list = [];
  for (let start = dice.between(100, 600); start < seconds * 1000 - 1500;) {
    const kind = pickKind(dice, kinds);
    const at = dice.below(6);
    const ms = Math.min(dice.between(300, 3500), seconds * 1000 - start - 500);
    const target = FAULTS[kind].target(at % 2, at);
    const isBusy = list.some((fault) => fault.target === target && fault.start + fault.ms + 3000 > start);
    if (!isBusy) list.push({ kind, at, target, start: Math.round(start), ms: Math.round(ms), seed: dice.below(1e9) });
    start += dice.chance(0.5) ? ms * dice.between(0.1, 0.8) : ms + dice.between(300, 2000);
  }
  return list;
}
