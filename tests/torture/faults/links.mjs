/* Faults on the ways between the programs, made by the fault proxies. */
import { sleep } from '../../e2e/support.mjs';

/* All proxies from one broker on, or to the node that serves it. */
const redisProxies = (world, at) => (world.uplinks ? [world.uplinks[at]] : world.primaries().map((node) => node.proxy));
const CLIENTS = ['client']; // what others have set for replicas and Sentinels stays
const direction = (dice) => dice.pick(['up', 'down']);

async function during(proxies, rule, ms) {
  for (const proxy of proxies) proxy.set(rule);
  await sleep(ms);
  for (const proxy of proxies) proxy.heal(CLIENTS);
}

const onRedis = (weight, run) => ({ weight, target: (at) => `redis link ${at}`, run: (ctx, fault) => run(redisProxies(ctx.world, fault.at), fault) });
const onLink = (weight, run) => ({
  weight,
  target: (at) => `link ${at}`,
  run: ({ world }, fault) => run([world.links[fault.at][fault.dice.below(2)]], fault),
});

/* A narrow way to one gateway, and more load than fits through: lanes come to the end of their credit, subscriptions fall behind and come
 * back by position; or heartbeats come too late, and the link starts anew. */
async function narrow({ world, burst }, { at, ms, dice }) {
  for (const link of world.links[at]) link.set({ rate: 100000 + dice.below(150000) });
  await burst({ rate: 4000, ms: 2500, filler: -150 });
  await sleep(ms / 3);
  for (const link of world.links[at]) link.heal(CLIENTS);
}

async function bouts(ms, strike) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(ms / 3)) strike();
}

export const LINK_FAULTS = {
  'redis-stall': onRedis(2, (proxies, { ms }) => during(proxies, { stall: 'both' }, ms)),
  'redis-half': onRedis(2, (proxies, { ms, dice }) => during(proxies, { stall: direction(dice) }, ms)),
  'redis-reset': onRedis(1, (proxies, { ms }) => bouts(ms, () => proxies.forEach((proxy) => proxy.reset()))),
  'redis-half-close': onRedis(1, (proxies, { ms }) => bouts(ms, () => proxies.forEach((proxy) => proxy.halfClose()))),
  'redis-refuse': onRedis(1, (proxies, { ms }) => during(proxies, { refuse: true }, ms)),
  'redis-crumbs': onRedis(1, (proxies, { ms }) => during(proxies, { crumbs: true }, ms)),
  'redis-slow': onRedis(1, (proxies, { ms, dice }) => during(proxies, { delay: 20 + dice.below(180) }, ms)),
  'link-cut': onLink(2, (proxies, { ms }) => during(proxies, { stall: 'both' }, ms)),
  'link-half': onLink(2, (proxies, { ms, dice }) => during(proxies, { stall: direction(dice) }, ms)),
  'link-reset': onLink(1, (proxies, { ms }) => bouts(ms, () => proxies.forEach((proxy) => proxy.reset()))),
  'link-narrow': { weight: 1, target: (at) => `link ${at}`, run: narrow },
  'link-slow': onLink(1, (proxies, { ms, dice }) => during(proxies, { delay: 20 + dice.below(180), crumbs: true }, ms)),
};
