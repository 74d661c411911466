/* Leases over a failover in a Redis Cluster: who holds one goes on holding it, nobody else gets it, and every token that comes
 * behind is above every token that was ever told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../torture/worlds/cluster.mjs';
import { Service } from './backend_service.mjs';
import { until } from './support.mjs';

const NAMES = Array.from({ length: 12 }, (_, i) => `job-${i}`); /* on every primary */

test('Cluster: a primary dies; leases hold, and fencing tokens only rise', async () => {
  const world = new Cluster({ say: () => {} });
  const services = [];
  try {
    await world.startRedis();
    const brokers = [];
    for (let i = 0; i < 2; i += 1) brokers.push(await world.kit.broker({ id: `broker-${i}`, redis: { url: world.urlFor(i) } }));
    services.push(...brokers.map(({ router }) => new Service(`tcp://127.0.0.1:${router}`)));
    const highest = new Map();
    /* While Redis changes hands a call may end with a temporary error: it is made again, under its key. */
    const patiently = async (service, method, params, key) => {
      let got;
      await until(`${method} ${params.name} is answered`, async () => {
        got = await service.call(method, { ...params, ...(key && { idempotency_key: key }) });
        return got.kind === 'ok' || !got.body.temporary || got.body.reason === 'lease_held';
      }, 60000);
      return got;
    };
    const acquire = async (service, name, key) => {
      const { kind, body } = await patiently(service, 'lease.acquire', { name, ttl: 600000 }, key);
      assert.equal(kind, 'ok', `${name} ${JSON.stringify(body)}`);
      assert.ok(body.token > (highest.get(name) ?? 0), `${name}: ${body.token} behind ${highest.get(name)}`);
      highest.set(name, body.token);
      return body.token;
    };
    for (const name of NAMES) {
      for (let round = 0; round < 3; round += 1) await services[round % 2].ok('lease.release', { name, token: await acquire(services[round % 2], name, `before-${name}-${round}`) });
      await acquire(services[0], name, `held-${name}`);
    }
    const [victim] = world.primaries();
    const replica = await world.replicaOf(victim);
    await victim.die();
    await world.promoted(replica);
    await victim.start(); /* one replica has to confirm */
    for (const name of NAMES) {
      const token = highest.get(name);
      const other = await patiently(services[1], 'lease.acquire', { name, ttl: 600000 });
      assert.equal(other.body.reason, 'lease_held', `${name} ${JSON.stringify(other.body)}`);
      const renewed = await patiently(services[0], 'lease.renew', { name, token, ttl: 600000 });
      assert.equal(renewed.kind, 'ok', `${name} ${JSON.stringify(renewed.body)}`);
      const released = await patiently(services[0], 'lease.release', { name, token });
      assert.ok(released.kind === 'ok' || released.body.reason === 'lease_lost', JSON.stringify(released.body));
      await acquire(services[1], name, `behind-${name}`);
    }
  } finally {
    services.forEach((service) => service.close());
    await world.close();
  }
});
