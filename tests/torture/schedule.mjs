/* A schedule: a few faults at given times, some of them in pairs, all told by (seed, world, number). */
import { Dice } from './dice.mjs';
import { CLIENT_FAULTS } from './faults/clients.mjs';
import { GATEWAY_FAULTS } from './faults/gateways.mjs';
import { DISK_AND_CLOCK_FAULTS } from './faults/disk_and_clock.mjs';
import { LINK_FAULTS } from './faults/links.mjs';
import { NETWORK_FAULTS } from './faults/network.mjs';
import { PROCESS_FAULTS } from './faults/processes.mjs';
import { REDIS_FAULTS } from './faults/redis_server.mjs';
import { TOPOLOGY_FAULTS } from './faults/topology.mjs';

const SERVER_FAULTS = { ...PROCESS_FAULTS, ...REDIS_FAULTS, ...TOPOLOGY_FAULTS, ...LINK_FAULTS, ...NETWORK_FAULTS, ...DISK_AND_CLOCK_FAULTS };
const OTHER_FAULTS = { ...CLIENT_FAULTS, ...GATEWAY_FAULTS };
export const FAULTS = { ...SERVER_FAULTS, ...OTHER_FAULTS };

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

/* One after another; the next one begins within the one before in half of all cases: a pair. Nothing is broken twice at a time. */
function drawServerFaults(dice, kinds, seconds) {
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

/* Two at most beside others, for most of them take longer; three where there are no others. */
function drawOtherFaults(dice, kinds, seconds, isAlone) {
  const list = [];
  for (let n = isAlone ? 3 : dice.pick([0, 1, 1, 2]); list.length < n;) {
    const [kind, at] = [pickKind(dice, kinds), dice.below(6)];
    list.push({ kind, at, target: FAULTS[kind].target(at % 2, at), start: Math.round(dice.between(100, seconds * 500)), ms: Math.round(dice.between(300, 3500)), seed: dice.below(1e9) });
  }
  return list;
}

/* [{kind, at, target, start, ms, seed}], start in ms from the beginning. Faults of gateways with clients on them are drawn by dice of their own, and stand
 * behind the others: which of them there are changes nothing in what a seed means for the others. */
export function schedule({ seed, world, number, seconds, wanted }) {
  const kinds = kindsFor(world, wanted);
  const isOther = (kind) => kind in OTHER_FAULTS;
  const [ofServers, others] = [kinds.filter((kind) => !isOther(kind)), kinds.filter(isOther)];
  return [
    ...(ofServers.length > 0 ? drawServerFaults(diceFor(seed, world, number), ofServers, seconds) : []),
    ...(others.length > 0 ? drawOtherFaults(diceFor(seed + 0.5, world, number), others, seconds, ofServers.length === 0) : []),
  ];
}
