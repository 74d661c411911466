/* A copy of Redis is put back after more was published: it is of the past, and clients that saw more are told so, of safe
 * channels, too, whose epoch no failover changes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BUILD, World, subscribed, until } from './support.mjs';

const KEPT = ['safe', 'fast'].map((durability) => `
  - name: ${durability}
    durability: ${durability}
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 100
    history_ttl: 10m
    force_recovery: true
    force_positioning: true`).join('');

test('a copy is put back: whoever saw more than it has is told, and new publications are new', async () => {
  const world = new World();
  const redis = await world.redis(['--appendonly', 'yes', '--appendfsync', 'always']);
  const copies = path.join(world.folder, 'copies');
  fs.mkdirSync(copies);
  const operator = (...args) => execFileSync(path.join(BUILD, 'operator/callboard-operator'),
    ['redis', ...args, '--mode', 'standalone', '--peers', `127.0.0.1:${redis.port}`], { encoding: 'utf8' });
  const broker = { id: 'kept', redis, settings: KEPT };
  let running = await world.broker(broker);
  const gateway = await world.gateway({ brokers: [running], settings: KEPT });
  const client = await world.connected(gateway);
  const subscriptions = [];
  for (const name of ['safe:room', 'fast:room']) subscriptions.push(await subscribed(client, name));
  const publish = async (...texts) => { for (const { channel } of subscriptions) for (const text of texts) await client.publish(channel, text); };
  const have = (n) => until(`${n} publications`, () => subscriptions.every(({ got }) => got.length === n));
  await publish('one', 'two');
  await have(2);
  operator('backup', '--to', copies);
  await publish('three', 'four', 'five');
  await have(5);
  client.disconnect();
  await running.stop();
  redis.cli('FLUSHALL', 'SYNC');
  assert.match(operator('restore', '--from', path.join(copies, fs.readdirSync(copies).find((name) => name.startsWith('callboard-')))), /; 3 channels begin a new epoch/); /* both, and the one of revocations */
  running = await world.broker({ ...broker, port: running.port });
  const other = await world.connected(gateway, { user: 'bob' });
  for (const { channel } of subscriptions) for (const text of ['new 3', 'new 4', 'new 5', 'new 6']) await until(text, () => other.publish(channel, text).then(() => true, () => false));
  client.connect(); /* from offset 5, which is another publication now */
  for (const subscription of subscriptions) {
    const { channel, events } = subscription;
    const told = await until(`${channel} is told`, () => events.filter(({ name }) => name === 'subscribed')[1], 30000);
    assert.deepEqual([told.wasRecovering, told.recovered], [true, false], channel);
    const { publications } = await subscription.history({ limit: 100 });
    assert.deepEqual(publications.map(({ data, offset }) => [data, offset]), ['one', 'two', 'new 3', 'new 4', 'new 5', 'new 6'].map((data, i) => [data, i + 1]), channel);
  }
  await world.close();
});
