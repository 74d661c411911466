/* A Redis Cluster as it is rendered: real servers in pods of their own, with the files that callboard-agent makes of the ConfigMaps, TLS as
 * cert-manager makes it, and a broker and a gateway on them. Nothing that was acknowledged is ever lost. One world serves all, in this order. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PodWorld, Publisher, checkRights, whyNot } from './pod_world.mjs';
import { World, makeToken, subscribed, until } from './support.mjs';

const SPEC = `
apiVersion: callboard.dev/v1alpha1
kind: Callboard
metadata: {name: feed, namespace: pods}
spec:
  profile: cluster
  gateway: {replicas: 1}
  broker:
    replicas: 1
    partitions: 64
    shardActors: 1
    namespaces:
      - name: safe
        durability: safe
        allow_subscribe_for_client: true
        allow_publish_for_client: true
        allow_history_for_client: true
        history_size: 100000
        history_ttl: 1h
        force_recovery: true
        force_positioning: true
  redis:
    appendfsync: always
    cluster: {nodeTimeout: 1s}
${process.env.CALLBOARD_REDIS_SERVER_PLAIN ? '' : '  tls: {issuerRef: {name: inside}}'}
`;
const SHARDS = 3;

describe('A Redis Cluster, as rendered', { skip: whyNot }, () => {
  let world;
  let clients;
  let publisher;
  let password;
  const roleOf = (pod) => (pod.child === null ? '' : pod.ask('agent', password, 'ROLE').split('\n')[0]);
  const shardOf = (pod) => world.of('redis').filter(({ ordinal }) => ordinal % SHARDS === pod.ordinal % SHARDS);
  const primary = (shard) => until(`shard ${shard} has a primary`, () => {
    const found = shardOf({ ordinal: shard }).filter((pod) => roleOf(pod) === 'master');
    return found.length === 1 && found[0];
  }, 120000);
  const status = () => world.operate('redis', 'status', 'agent', password);
  const allWell = async () => {
    await Promise.all(world.pods.map((pod) => pod.ready()));
    await until('the cluster is healthy', () => /^healthy: /m.test(status().text), 120000).catch((error) => { throw new Error(`${error.message}\n${status().text}`); });
  };

  /* Each goes on from where the last one left it. */
  let isBroken = false;
  const step = (name, body) => test(name, async (t) => {
    if (isBroken) return t.skip('the one before failed');
    isBroken = true;
    try {
      await body(t);
    } catch (error) {
      world.keepLogs();
      throw error;
    }
    isBroken = false;
  });

  before(async () => {
    world = new PodWorld(SPEC);
    password = world.secret('-auth', 'redis-password');
    for (const pod of world.pods) pod.start();
    await Promise.all(world.pods.map((pod) => pod.ready()));
    clients = new World();
    const [gateway] = world.of('gateway');
    const token = makeToken({ sub: 'alice', aud: 'feed', iss: 'feed' }, world.secret('-auth', 'token-secret'));
    const client = await clients.connected(`ws://${gateway.address}:8000/connection/websocket`, { token });
    publisher = new Publisher(await Promise.all(Array.from({ length: 8 }, (_, i) => subscribed(client, `safe:room${i}`))));
    await publisher.more(16);
  });
  after(async () => {
    await clients?.close();
    await world?.close();
  });

  step('it is formed, and each user may what it needs, and no more', async () => {
    await allWell();
    const one = await primary(0);
    const harm = ['FLUSHALL', 'CONFIG SET maxmemory 1mb', 'ACL LIST', 'SHUTDOWN NOSAVE', 'KEYS *', 'MODULE LIST'];
    checkRights(assert, one, 'callboard', password, { may: ['ROLE', 'CLUSTER SLOTS', 'CLUSTER INFO', 'TIME'], mayNot: [...harm, 'CLUSTER RESET', 'CLUSTER FAILOVER', 'CLUSTER MEET 10.0.0.1 6379', 'CLUSTER NODES', 'REPLICAOF NO ONE', 'GET other', 'SPUBLISH other 1'] });
    checkRights(assert, one, 'agent', password, { may: ['PING', 'ROLE', 'DBSIZE', 'CLUSTER NODES', 'CLUSTER INFO'], mayNot: [...harm, 'GET cb:{x}:y', 'SPUBLISH cb:{x} 1', 'CONFIG GET masterauth'] });
    checkRights(assert, one, 'backup', password, { may: ['PING', 'ROLE', 'DBSIZE', 'CLUSTER NODES', 'CLUSTER INFO'], mayNot: [...harm, 'CLUSTER RESET', 'CLUSTER FAILOVER', 'GET cb:{x}:y', 'REPLICAOF NO ONE'] });
    checkRights(assert, one, 'operator', password, { may: ['PING', 'ROLE', 'DBSIZE', 'CLUSTER NODES'], mayNot: [...harm, 'GET cb:{x}:y', 'CONFIG GET masterauth', 'RESTORE other 0 x'] });
    assert.match(one.ask('default', 'x', 'PING'), /NOAUTH|WRONGPASS/);
  });

  step('a primary crashes: its replica takes over, and nothing that was acknowledged is lost', async (t) => {
    const old = await primary(0);
    publisher.takeGap();
    await old.crash();
    assert.notEqual(await primary(0), old);
    await publisher.more(16);
    t.diagnostic(`longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    old.start(); /* at another address */
    await allWell();
  });

  step('a planned deletion of a primary hands over first', async (t) => {
    const old = await primary(1);
    publisher.takeGap();
    const took = await old.delete();
    await publisher.more(16);
    t.diagnostic(`gone after ${took} ms, longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    assert.notEqual(await primary(1), old);
    old.start();
    await allWell();
  });

  step('from outside: status, heal, a roll that hands over, a copy from the replicas', async () => {
    const old = await primary(2);
    assert.equal(status().status, 0);
    for (const action of ['form', 'heal']) {
      const { status: code, text } = world.operate('redis', action, 'agent', password, '--timeout', '20s');
      assert.equal(code, 0, text);
      assert.match(text, /every slot is served and every replica is in sync/);
    }
    const roll = world.operate('redis', 'roll', 'agent', password, '--ordinal', String(old.ordinal), '--timeout', '40s');
    assert.equal(roll.status, 0, roll.text);
    assert.match(roll.text, new RegExp(`${old.name}\\S* may be stopped`));
    assert.notEqual(await primary(2), old);
    await allWell();
    const copy = world.operate('redis', 'backup', 'backup', password, '--to', world.folder, '--timeout', '40s');
    assert.equal(copy.status, 0, copy.text);
    assert.match(copy.text, /bytes from the replica /);
    const restore = world.operate('redis', 'restore', 'operator', password, '--from', copy.text.split('\n')[0]);
    assert.equal(restore.status, 4, restore.text);
    assert.match(restore.text, /A copy goes into an empty Redis only/);
    assert.equal(world.operate('redis', 'status', 'agent', 'wrong').status, 5);
  });

  step('all of them come up at other addresses: they find each other by their names', async (t) => {
    publisher.takeGap();
    await Promise.all(world.of('redis').map((pod) => pod.crash()));
    for (const pod of world.of('redis')) pod.start();
    await publisher.more(16);
    t.diagnostic(`longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    await allWell();
  });

  step('all that was acknowledged is there, each once, in order', async (t) => {
    await publisher.stop(assert);
    t.diagnostic(`${publisher.acknowledged} acknowledged, ${publisher.refused} refused`);
  });
});
