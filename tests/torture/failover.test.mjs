/* The recipe that fools brokers: cut replication, publish, kill the primary, promote a replica that lacks what was published (row F6 of
 * the fault matrix). On a fast channel what was acked is gone, and everyone is told; on a safe one nothing was told that could be lost. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sleep, until } from '../e2e/support.mjs';
import { judge } from './checker/checker.mjs';
import { Dice } from './dice.mjs';
import { TOPOLOGY_FAULTS } from './faults/topology.mjs';
import { hashOf, publishOnce, token } from './publishers.mjs';
import { Reader } from './reader.mjs';
import { WORLDS } from './worlds/worlds.mjs';

const dice = new Dice(6);

for (const [name, kind] of [['replicas', 'primary-cut-kill'], ['sentinel-1', 'primary-cut-kill'], ['cluster', 'cluster-cut-kill']]) {
  let world;
  let client;
  let readers;
  let events;
  let channels; // a fast and a safe one, at the primary that is to die
  let lost; // where the fast channel stood when its primary died
  const say = (type, fields) => events.push({ at: Number(process.hrtime.bigint()), type, ...fields });
  const reader = (sid) => new Reader({ sid, urls: world.urls(), channels, churn: 0, random: () => dice.next(), say });
  const publish = async (keys, ch) => Promise.all(keys.map((key) => publishOnce(client, say, key, ch)));
  const where = (each, ch) => each.positions.get(ch);
  const told = (type, ch) => events.filter((event) => event.type === type && event.ch === ch);
  const received = (key) => events.filter((event) => event.type === 'recv' && event.key === key).length;
  const history = async (ch) => {
    const page = await client.history(ch, { limit: 300 });
    return { epoch: page.epoch, off: page.offset, entries: page.publications.map((pub) => ({ off: pub.offset, key: pub.data.k, hash: hashOf(pub.data) })) };
  };

  /* A channel that the first primary holds, found by publishing; it has one publication then. */
  const channelAtFirst = async (durability) => {
    for (let i = 0; ; i += 1) {
      const ch = `${durability}:recipe-${i}`;
      await publish([`probe ${ch}`], ch);
      const [, keys] = await world.primaries()[0].cli('SCAN', '0', 'MATCH', `*:m:${ch}`, 'COUNT', '100000');
      if (keys.length > 0) return ch;
    }
  };

  before(async () => {
    events = [];
    world = await new WORLDS[name]({ say }).start();
    client = await world.kit.connected({ url: world.gateways[0].url }, { user: 'publisher', token: token('publisher'), timeout: 6000 });
    channels = await Promise.all(['fast', 'safe'].map((durability) => channelAtFirst(durability)));
    readers = [reader('a'), reader('b')];
    await until('both are subscribed', () => readers.every((each) => each.positions.size === 2));
  });

  after(async () => {
    await Promise.all(readers.map((each) => each.stop()));
    await world.close();
  });

  test(`${name}: with replicas at hand both are acked and received`, async () => {
    for (const ch of channels) {
      assert.deepEqual(await publish([`${ch} 1`, `${ch} 2`, `${ch} 3`], ch), [undefined, undefined, undefined]);
      await until('received', () => readers.every((each) => where(each, ch).off === 4));
    }
  });

  test(`${name}: with replication cut fast is acked, safe is unknown and told nobody`, async () => {
    const old = world.primaries()[0];
    let fast;
    let safe;
    const meanwhile = async () => {
      [fast, safe] = await Promise.all([publish(['fast lost 1', 'fast lost 2'], channels[0]), publish(['safe cut 1', 'safe cut 2'], channels[1])]);
      await until('the readers have what was acked', () => readers.every((each) => where(each, channels[0]).off === 6));
      lost = { ...where(readers[0], channels[0]) };
    };
    say('nemesis', { edge: 'begin', kind, target: 'topology' });
    await TOPOLOGY_FAULTS[kind].run({ world, say, meanwhile }, { at: 0, ms: 0, dice });
    say('nemesis', { edge: 'end', kind, target: 'topology' });
    assert.deepEqual(fast, [undefined, undefined]);
    assert.deepEqual(safe.map((error) => error?.code), [120, 120]);
    assert.ok(!world.primaries().includes(old));
  });

  test(`${name}: fast: everyone is told, in a new epoch`, async () => {
    const [ch] = channels;
    await until('both stand in a new epoch', () => readers.every((each) => where(each, ch).epoch !== lost.epoch));
    assert.deepEqual([...new Set(told('lost', ch).map((event) => event.sid))].sort(), ['a', 'b']);
    assert.ok(told('sub_ok', ch).slice(2).every((event) => !event.recovered));
  });

  test(`${name}: fast: who comes back to the lost position is not recovered`, async () => {
    const late = reader('late');
    readers.push(late);
    late.positions.set(channels[0], lost);
    await until('it is subscribed', () => told('sub_ok', channels[0]).some((event) => event.sid === 'late'));
    const reply = told('sub_ok', channels[0]).find((event) => event.sid === 'late');
    assert.equal(reply.recovered, false);
    assert.notEqual(reply.epoch, lost.epoch);
    await until('all of it', () => late.positions.size === 2);
  });

  test(`${name}: safe: nobody noticed, and what was acked is there`, async () => {
    const ch = channels[1];
    assert.equal(told('lost', ch).length, 0);
    assert.deepEqual([...new Set(told('sub_ok', ch).map((event) => event.epoch))].length, 1);
    const { entries } = await history(ch);
    assert.deepEqual(entries.slice(0, 4).map((entry) => entry.key), [`probe ${ch}`, `${ch} 1`, `${ch} 2`, `${ch} 3`]);
  });

  test(`${name}: publications go on, and nothing is forked`, async () => {
    for (const ch of channels) {
      const key = `${ch} after`;
      for (let i = 0; await publishOnce(client, say, `${key} ${i}`, ch); i += 1) await sleep(200);
    }
    const final = new Map();
    for (const ch of channels) final.set(ch, await history(ch));
    await until('all stand at the top', () => readers.every((each) => channels.every((ch) => where(each, ch).off === final.get(ch).off)));
    assert.ok(received('fast lost 2') >= 2 && !final.get(channels[0]).entries.some((entry) => entry.key === 'fast lost 2'));
    const durability = new Map(channels.map((ch) => [ch, ch.split(':')[0]]));
    const { findings, figures } = judge({ events: events.filter((event) => !event.ch || final.has(event.ch)), final, channels: durability, bounds: { quiet: 10000 } });
    assert.deepEqual(findings, []);
    assert.equal(figures.lostAndTold, 2);
    assert.ok(events.some((event) => event.type === 'wait' && event.count >= event.need), 'the proxies saw how WAIT was answered');
  });
}
