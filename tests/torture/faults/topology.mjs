/* Faults of a Redis that fails over: primaries, replicas and Sentinels killed and stopped, replication cut, slots moved. One at a time
 * in a world; each leaves the topology whole again. */
import { sleep } from '../../e2e/support.mjs';

const REPLICATION = ['replication'];
const pick = (list, at) => list[at % list.length];
const target = () => 'redis';

async function revive(world, server) {
  await server.start();
  await server.answers();
  await world.revived?.(server);
}

/* With Sentinel the old primary would come back as one for a moment, as it does. */
async function killPrimary({ world }, { ms }) {
  const old = world.primary;
  await old.die();
  await world.failedOver(old);
  await sleep(ms / 3);
  await revive(world, old);
  await world.settle();
}

async function stopPrimary({ world }) {
  const old = world.primary;
  old.kill('SIGSTOP');
  await world.failedOver(old).finally(() => old.kill('SIGCONT'));
  await world.revived?.(old);
  await world.settle();
}

/* Split brain: the primary keeps its clients and loses its replicas and Sentinels, who make another one. */
async function isolatePrimary({ world }, { ms }) {
  const old = world.primary;
  old.proxy.set({ stall: 'both' }, ['replication', 'sentinel']);
  await world.failedOver(old).finally(async () => {
    await sleep(ms / 4);
    old.proxy.heal();
  });
  await world.settle();
}

/* Broker 0 or 1 is shut in with the old primary, and one time in two a gateway with both: on this side fast channels go on and safe ones
 * cannot, on the other the rest makes another primary. A backend speaks to both sides. */
async function shutIn({ world }, { at, ms, dice }) {
  const old = world.primary;
  const broker = at % 2;
  const gateway = dice.chance(0.5) ? dice.below(2) : undefined;
  old.proxy.set({ stall: 'both' }, ['replication', 'sentinel']);
  divide(world, { inside: [old], others: [...world.servers, ...world.sentinels], broker, gateway });
  await world.failedOver(old).finally(async () => {
    await sleep(ms / 4);
    world.heal();
  });
  await world.settle();
}

/* {inside: nodes, broker, gateway} | the rest: no byte passes between them. others: nodes of both sides. */
function divide(world, { inside, others, broker, gateway }) {
  const [mine, theirs] = [`broker-${broker}`, `broker-${1 - broker}`];
  for (const node of others) node.proxy.setFor(inside.includes(node) ? theirs : mine, { stall: 'both' });
  world.links.forEach((links, g) => links.forEach((link, b) => {
    if ((g === gateway) !== (b === broker)) link.set({ stall: 'both' });
  }));
}

async function failover({ world }) {
  await world.askForFailover();
  await world.settle();
}

/* Nobody gets what the primary appends. What is sent from then on can be confirmed by none. */
async function cut(world, say, primaries) {
  for (const primary of primaries) primary.proxy.set({ refuse: true }, REPLICATION);
  for (const primary of primaries) await world.await('no replica is left', async () => (await primary.info('replication')).connected_slaves === '0');
  if (primaries.length === world.primaries().length) say('unconfirmable', { edge: 'begin' });
}

function join(world, say, primaries) {
  if (primaries.length === world.primaries().length) say('unconfirmable', { edge: 'end' });
  for (const primary of primaries) primary.proxy.heal();
}

async function cutReplication({ world, say }, { ms }) {
  const primaries = [...world.primaries()];
  await cut(world, say, primaries);
  await sleep(ms);
  join(world, say, primaries);
  await world.settle();
}

/* The recipe: replication cut, publications go on (meanwhile: what else to wait for), the primary dies, a replica without them is
 * promoted. */
async function cutAndKill({ world, say, struck, meanwhile }, { ms }) {
  const old = world.primary;
  await cut(world, say, [old]);
  await (meanwhile?.() ?? sleep(Math.min(ms, 700))); // long, and the Sentinels think the replicas too old
  const dead = old.die();
  struck?.();
  say('unconfirmable', { edge: 'end' });
  await dead;
  old.proxy.heal();
  await world.failedOver(old);
  await revive(world, old);
  await world.settle();
}

async function killReplica({ world }, { at, ms }) {
  const replica = pick(world.replicas(), at);
  await replica.die();
  await sleep(ms);
  await revive(world, replica);
  await world.settle();
}

async function stopReplicas({ world }, { at, ms, dice }) {
  const stopped = dice.chance(0.5) ? world.replicas() : [pick(world.replicas(), at)];
  for (const replica of stopped) replica.kill('SIGSTOP');
  await sleep(ms);
  for (const replica of stopped) replica.kill('SIGCONT');
  await world.settle();
}

async function killSentinel({ world }, { at, ms }) {
  const sentinel = pick(world.sentinels, at);
  await sentinel.die();
  await sleep(ms);
  await revive(world, sentinel);
  await world.shorten(sentinel);
  await world.settle();
}

async function stopSentinel({ world }, { at, ms }) {
  const sentinel = pick(world.sentinels, at);
  sentinel.kill('SIGSTOP');
  await sleep(ms);
  sentinel.kill('SIGCONT');
  await world.settle();
}

/* ---- a cluster ---- */

async function killOwner({ world }, { at, ms }) {
  const owner = pick(world.primaries(), at);
  const replica = await world.replicaOf(owner);
  await owner.die();
  await world.promoted(replica);
  await sleep(ms / 3);
  await revive(world, owner);
  await world.settle();
}

async function stopOwner({ world }, { at }) {
  const owner = pick(world.primaries(), at);
  const replica = await world.replicaOf(owner);
  owner.kill('SIGSTOP');
  await world.promoted(replica).finally(() => owner.kill('SIGCONT'));
  await world.settle();
}

async function cutAndKillOwner({ world, say, struck, meanwhile }, { at, ms }) {
  const owner = pick(world.primaries(), at);
  const replica = await world.replicaOf(owner);
  await cut(world, say, [owner]);
  await (meanwhile?.() ?? sleep(Math.min(ms, 1000)));
  struck?.();
  await owner.die();
  owner.proxy.heal();
  await world.promoted(replica);
  await revive(world, owner);
  await world.settle();
}

/* An owner, a broker, and one time in two a gateway, on one side; all other nodes, the other broker and gateway on the other. The owner's
 * replica takes its slots over; the owner finds that it sees no majority, and refuses. */
async function isolateOwner({ world }, { at, ms, dice }) {
  const owner = pick(world.primaries(), at);
  const replica = await world.replicaOf(owner);
  const gateway = dice.chance(0.5) ? dice.below(2) : undefined;
  owner.proxy.set({ stall: 'both' }, ['replication']);
  for (const server of world.servers) {
    if (server === owner) server.bus.set({ stall: 'both' });
    else server.bus.setFor(owner.id, { stall: 'both' });
  }
  divide(world, { inside: [owner], others: world.servers, broker: at % 2, gateway });
  await world.promoted(replica).finally(async () => {
    await sleep(ms / 4);
    world.heal();
  });
  await world.settle();
}

async function clusterFailover({ world }, { at, dice }) {
  const replica = await world.replicaOf(pick(world.primaries(), at));
  await replica.cli('CLUSTER', 'FAILOVER', ...dice.pick([[], ['FORCE'], ['TAKEOVER']]));
  await world.promoted(replica);
  await world.settle();
}

/* The slot of a channel of this schedule moves, key by key, to another owner. */
async function moveSlot({ world, channels }, { dice }) {
  const ch = dice.pick(channels);
  for (const from of world.primaries()) {
    const [, [key]] = await from.cli('SCAN', '0', 'MATCH', `*:m:${ch}`, 'COUNT', '100000');
    if (!key) continue;
    const slot = await from.cli('CLUSTER', 'KEYSLOT', key);
    const to = dice.pick(world.primaries().filter((server) => server !== from));
    await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    for (let keys; (keys = await from.cli('CLUSTER', 'GETKEYSINSLOT', slot, 5)).length > 0; await sleep(5)) {
      await from.cli('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
    }
    await to.cli('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    await from.cli('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    break;
  }
  await world.settle();
}

const sentinel = ['sentinel'];
const one = ['sentinel', 'replicas'];
const cluster = ['cluster'];
const all = ['sentinel', 'replicas', 'cluster'];

export const TOPOLOGY_FAULTS = {
  'primary-kill': { weight: 3, worlds: one, target, run: killPrimary },
  'primary-stop': { weight: 2, worlds: one, target, run: stopPrimary },
  'primary-cut-kill': { weight: 3, worlds: one, target, run: cutAndKill },
  'primary-isolated': { weight: 2, worlds: sentinel, target, run: isolatePrimary },
  'primary-shut-in': { weight: 2, worlds: sentinel, target, run: shutIn },
  'failover': { weight: 3, worlds: one, target, run: failover },
  'sentinel-kill': { weight: 1, worlds: sentinel, target, run: killSentinel },
  'sentinel-stop': { weight: 1, worlds: sentinel, target, run: stopSentinel },
  'replication-cut': { weight: 2, worlds: all, target, run: cutReplication },
  'replica-kill': { weight: 1, worlds: all, target, run: killReplica },
  'replica-stop': { weight: 1, worlds: all, target, run: stopReplicas },
  'cluster-kill': { weight: 3, worlds: cluster, wide: true, target, run: killOwner },
  'cluster-stop': { weight: 2, worlds: cluster, wide: true, target, run: stopOwner },
  'cluster-cut-kill': { weight: 3, worlds: cluster, wide: true, target, run: cutAndKillOwner },
  'cluster-isolated': { weight: 2, worlds: cluster, wide: true, target, run: isolateOwner },
  'cluster-failover': { weight: 3, worlds: cluster, wide: true, target, run: clusterFailover },
  'slot-move': { weight: 2, worlds: cluster, target, run: moveSlot },
};
