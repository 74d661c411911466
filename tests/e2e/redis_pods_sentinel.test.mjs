/* Redis under Sentinel as it is rendered: real servers in pods of their own, with the files that callboard-agent makes of the ConfigMaps, TLS as
 * cert-manager makes it, and a broker and a gateway on them. Nothing that was acknowledged is ever lost. One world serves all, in this order. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PodWorld, Publisher, checkRights, whyNot } from './pod_world.mjs';
import { World, makeToken, subscribed, until } from './support.mjs';

const SPEC = `
apiVersion: callboard.dev/v1alpha1
kind: Callboard
metadata: {name: talk, namespace: pods}
spec:
  profile: ha
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
    sentinel: {downAfter: 1s, failoverTimeout: 3s}
${process.env.CALLBOARD_REDIS_SERVER_PLAIN ? '' : '  tls: {issuerRef: {name: inside}}'}
`;

const SET = 'callboard';

describe('Redis under Sentinel, as rendered', { skip: whyNot }, () => {
  let world;
  let clients;
  let publisher;
  let passwords;
  const roleOf = (pod) => (pod.child === null ? '' : pod.ask('agent', passwords.redis, 'ROLE').split('\n')[0]);
  const primary = () => until('one pod is primary', () => {
    const found = world.of('redis').filter((pod) => roleOf(pod) === 'master');
    return found.length === 1 && found[0];
  }, 120000);
  const others = (one) => world.of('redis').filter((pod) => pod !== one);
  /* The primary has all others in sync, and all Sentinels name it. They ask each second what they ask each ten else, and
   * give a connection to an address where nobody is any more up after one, not after fifteen. */
  const allWell = async () => {
    await Promise.all(world.pods.map((pod) => pod.ready()));
    for (const pod of world.of('sentinel')) pod.ask('sentinel', passwords.sentinel, 'SENTINEL DEBUG info-period 1000 min-link-reconnect-period 1000');
    const one = await primary();
    await until('every replica is in sync', () => (one.ask('agent', passwords.redis, 'INFO replication').match(/state=online/g) ?? []).length === others(one).length, 120000);
    await until('every Sentinel names it, and knows the replicas', () => world.of('sentinel').every((pod) => {
      const said = pod.ask('callboard', passwords.sentinel, `SENTINEL MASTER ${SET}`);
      const replicas = pod.ask('callboard', passwords.sentinel, `SENTINEL SLAVES ${SET}`);
      return said.includes(`${one.name}.`) && /\nflags\nmaster\n/.test(said) && replicas.match(/\nflags\nslave\n/g)?.length === 2 && replicas.match(/\nmaster-link-status\nok\n/g)?.length === 2;
    }), 120000);
    return one;
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
    passwords = { redis: world.secret('-auth', 'redis-password'), sentinel: world.secret('-auth', 'sentinel-password') };
    for (const pod of world.pods) pod.start();
    await Promise.all(world.pods.map((pod) => pod.ready()));
    clients = new World();
    const [gateway] = world.of('gateway');
    const token = makeToken({ sub: 'alice', aud: 'talk', iss: 'talk' }, world.secret('-auth', 'token-secret'));
    const client = await clients.connected(`ws://${gateway.address}:8000/connection/websocket`, { token });
    publisher = new Publisher([await subscribed(client, 'safe:room')]);
    await publisher.more(10);
  });
  after(async () => {
    await clients?.close();
    await world?.close();
  });

  step('each user may what it needs, and no more', async () => {
    const one = await allWell();
    const needed = ['PING', 'ROLE', 'INFO replication'];
    const harm = ['FLUSHALL', 'CONFIG SET maxmemory 1mb', 'ACL LIST', 'SHUTDOWN NOSAVE', 'KEYS *', 'MODULE LIST', 'GET other', 'SET other x'];
    checkRights(assert, one, 'callboard', passwords.redis, {
      may: ['ROLE', 'INFO', 'SET cb:{x}:y 1', 'GET cb:{x}:y', 'DEL cb:{x}:y', 'PUBLISH cb:{x} 1', 'SPUBLISH cb:{x} 1', 'WAIT 0 1', 'TIME'],
      mayNot: [...harm, 'REPLICAOF NO ONE', 'PUBLISH other 1', 'SPUBLISH other 1', 'SUBSCRIBE other', 'XADD other * a b', 'EVAL "return 1" 1 other', 'SCRIPT FLUSH', 'CLIENT KILL TYPE normal', 'CLUSTER RESET'],
    });
    checkRights(assert, one, 'agent', passwords.redis, { may: [...needed, 'DBSIZE', 'REPLCONF capa eof'], mayNot: [...harm, 'GET cb:{x}:y', 'SET cb:{x}:y 1', 'PUBLISH cb:{x} 1', 'SUBSCRIBE cb:{x}', 'CONFIG GET masterauth'] });
    checkRights(assert, one, 'backup', passwords.redis, { may: [...needed, 'DBSIZE', 'REPLCONF capa eof'], mayNot: [...harm, 'GET cb:{x}:y', 'REPLICAOF NO ONE', 'RESTORE cb:{x}:y 0 x', 'CLUSTER RESET', 'PUBLISH cb:{x} 1'] });
    checkRights(assert, one, 'operator', passwords.redis, { may: [...needed, 'DBSIZE', 'SELECT 0', 'EXISTS cb:{x}:y'].slice(0, 5), mayNot: [...harm, 'GET cb:{x}:y', 'REPLICAOF NO ONE', 'CONFIG GET masterauth', 'RESTORE other 0 x', 'PUBLISH cb:{x} 1'] });
    checkRights(assert, one, 'sentinel', passwords.sentinel, { may: [...needed, 'CLIENT SETNAME x', 'PUBLISH __sentinel__:hello x', 'MULTI', 'CONFIG REWRITE', 'DISCARD'].slice(0, 5), mayNot: [...harm, 'GET cb:{x}:y', 'XADD cb:{x}:s * a b', 'CLUSTER RESET'] });
    const [sentinel] = world.of('sentinel');
    const change = [`SENTINEL SET ${SET} quorum 1`, `SENTINEL REMOVE ${SET}`, 'SENTINEL RESET *', 'SENTINEL CONFIG SET resolve-hostnames no', 'SHUTDOWN', 'ACL LIST', 'PUBLISH __sentinel__:hello x'];
    checkRights(assert, sentinel, 'callboard', passwords.sentinel, { may: [`SENTINEL MASTER ${SET}`, `SENTINEL GET-MASTER-ADDR-BY-NAME ${SET}`, `SENTINEL REPLICAS ${SET}`.replace('REPLICAS', 'SLAVES'), `SENTINEL SENTINELS ${SET}`, 'PING'], mayNot: [...change, `SENTINEL FAILOVER ${SET}`, 'SUBSCRIBE __sentinel__:hello'] });
    checkRights(assert, sentinel, 'agent', passwords.sentinel, { may: [`SENTINEL MASTER ${SET}`, `SENTINEL CKQUORUM ${SET}`, 'PING'], mayNot: change });
    checkRights(assert, sentinel, 'sentinel', passwords.sentinel, { may: ['PING', `SENTINEL IS-MASTER-DOWN-BY-ADDR ${one.address} 6379 0 *`, 'PUBLISH x y'], mayNot: ['SHUTDOWN', 'ACL LIST', 'CONFIG GET *'].slice(0, 2) });
    for (const pod of [one, sentinel]) assert.match(pod.ask('default', 'x', 'PING'), /NOAUTH|WRONGPASS/);
  });

  step('the primary crashes: another one is named, and nothing that was acknowledged is lost', async (t) => {
    const old = await primary();
    publisher.takeGap();
    await old.crash();
    const next = await primary();
    assert.notEqual(next, old);
    await publisher.more(20);
    t.diagnostic(`longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    old.start(); /* at another address */
    assert.equal(await allWell(), next);
  });

  step('a planned deletion of the primary hands over first', async (t) => {
    const old = await primary();
    publisher.takeGap();
    const took = await old.delete();
    await publisher.more(20);
    t.diagnostic(`gone after ${took} ms, longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    old.start();
    assert.notEqual(await allWell(), old);
  });

  step('… with a replica that hangs, too', async (t) => {
    const old = await primary();
    const [stuck] = others(old);
    process.kill(stuck.server, 'SIGSTOP');
    publisher.takeGap();
    const took = await old.delete();
    process.kill(stuck.server, 'SIGCONT'); /* a third one has to confirm, before anything is acknowledged */
    await publisher.more(20);
    t.diagnostic(`gone after ${took} ms, longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    old.start();
    assert.notEqual(await allWell(), old);
  });

  step('from outside: a roll hands over, a copy comes from a replica', async () => {
    const old = await primary();
    const roll = world.operate('redis', 'roll', 'agent', passwords.redis, '--ordinal', String(old.ordinal), '--timeout', '40s');
    assert.equal(roll.status, 0, roll.text);
    assert.match(roll.text, new RegExp(`${old.name}\\S* may be stopped`));
    const next = await allWell();
    assert.notEqual(next, old);
    const copy = world.operate('redis', 'backup', 'backup', passwords.redis, '--to', world.folder, '--timeout', '40s');
    assert.equal(copy.status, 0, copy.text);
    assert.match(copy.text, /bytes from the replica /);
    const restore = world.operate('redis', 'restore', 'operator', passwords.redis, '--from', copy.text.split('\n')[0]);
    assert.equal(restore.status, 4, restore.text);
    assert.match(restore.text, /A copy goes into an empty Redis only/);
    assert.equal(world.operate('redis', 'backup', 'backup', 'wrong', '--to', world.folder, '--timeout', '1s').status, 5);
  });

  step('all of them come up at other addresses: they find each other by their names', async (t) => {
    const old = await primary();
    publisher.takeGap();
    const moved = [...world.of('redis'), ...world.of('sentinel')];
    await Promise.all(moved.map((pod) => pod.crash()));
    for (const pod of moved) pod.start();
    await publisher.more(20);
    t.diagnostic(`longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    t.diagnostic(`the primary was ${old.name}, it is ${(await allWell()).name}`);
  });

  /* What DandyDeveloper's chart had as its number 412: the name that all Sentinels follow is answered by a replica, and nobody is primary. */
  step('a named primary that is a replica itself gets a failover', async (t) => {
    const old = await primary();
    const [other] = others(old);
    publisher.takeGap();
    assert.equal(old.ask('agent', passwords.redis, `REPLICAOF ${other.name}.${other.domain} 6379`), 'OK');
    await until('an agent asks for a failover', () => world.of('redis').some((pod) => /"failover_asked_for".*but it is a replica/.test(pod.log())), 120000);
    await publisher.more(20);
    t.diagnostic(`longest time without an acknowledgement: ${publisher.takeGap()} ms`);
    await allWell();
  });

  step('all that was acknowledged is there, each once, in order', async (t) => {
    await publisher.stop(assert);
    t.diagnostic(`${publisher.acknowledged} acknowledged, ${publisher.refused} refused`);
  });
});
