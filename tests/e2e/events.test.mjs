/* Events: what services are told of clients and channels, from a position on, through brokers that are away or change, and
   gateways that end. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { Service } from './backend_service.mjs';
import { World, metric, subscribed, until } from './support.mjs';

const SETTINGS = `  - name: told
    subscription_events: true
    occupancy_events: true
    allow_subscribe_for_client: true
  - name: events
    history_size: 10000
    history_ttl: 10m
events:
  channel: events:clients
  connections: true
  queue: 4KiB
`;
const BROKER = SETTINGS.replace('  connections: true', '  vacated_after: 0').replace('4KiB', '1MiB');

let world;
let broker;
let gateway;
let service;
before(async () => {
  world = new World();
  broker = await world.broker({ id: 'one', settings: BROKER });
  gateway = await world.gateway({ brokers: [broker], settings: SETTINGS, args: ['--set', 'brokers.request_timeout=500ms', '--set', 'gateway.workers=1'] });
  service = new Service(`tcp://127.0.0.1:${broker.router}`);
  await service.ok('subscribe', { channel: 'events:clients' });
});
after(async () => {
  await service.close();
  await world.close();
});

const told = () => service.events.filter((event) => event.body.type === 'publication').flatMap((event) => JSON.parse(event.payload).events);
const of = (client) => told().filter((event) => event.client === client);
const idOf = (client) => client.events.find((event) => event.name === 'connected').client;

test('a client that comes, subscribes, unsubscribes and goes', async () => {
  const client = await world.connected(gateway, { user: 'ann' });
  const id = idOf(client);
  const subscription = await subscribed(client, 'told:a');
  await subscribed(client, 'plain:b'); /* its namespace tells nothing */
  subscription.unsubscribe();
  await until('three events', () => of(id).length === 3);
  await subscribed(client, 'told:c');
  client.disconnect();
  await until('all of them', () => of(id).length === 6);
  assert.deepEqual(of(id).map((event) => [event.type, event.user, event.channel]), [
    ['connected', 'ann', undefined], ['subscribed', 'ann', 'told:a'], ['unsubscribed', 'ann', 'told:a'],
    ['subscribed', 'ann', 'told:c'], ['unsubscribed', 'ann', 'told:c'], ['disconnected', 'ann', undefined]]);
  for (const event of of(id)) assert.ok(event.gateway.startsWith('gateway-') && Math.abs(event.time - Date.now()) < 60000);
});

test('what a service orders has its code, and a position leads to what was missed', async () => {
  const { body } = await service.call('history', { channel: 'events:clients', limit: 0 });
  const client = await world.connected(gateway, { user: 'bob' });
  const id = idOf(client);
  await service.ok('disconnect', { user: 'bob', code: 4242 });
  await until('both', () => of(id).length === 2);
  assert.equal(of(id)[1].code, 4242);
  const late = new Service(`tcp://127.0.0.1:${broker.router}`);
  await late.ok('subscribe', { channel: 'events:clients', since: { offset: body.offset, epoch: body.epoch } });
  await until('it has them too', () => late.events.flatMap((event) => JSON.parse(event.payload).events).filter((event) => event.client === id).length === 2);
  await late.close();
});

test('a broker tells that it has begun, and which channels got their first subscriber and lost their last', async () => {
  const at = (channel) => told().filter((event) => event.broker !== undefined && event.channel === channel).map((event) => [event.type, event.broker]);
  const { publications } = await service.ok('history', { channel: 'events:clients', limit: 1 });
  assert.equal(publications.length, 1);
  const all = new Service(`tcp://127.0.0.1:${broker.router}`);
  await all.ok('subscribe', { channel: 'events:clients', since: { offset: 0, epoch: '' } });
  await until('the first of all', () => all.events.length > 0);
  const [begun] = JSON.parse(all.events[0].payload).events;
  assert.deepEqual([begun.type, begun.broker], ['started', 'one']);
  const [first, second] = [await world.connected(gateway, { user: 'one' }), await world.connected(gateway, { user: 'two' })];
  await subscribed(first, 'told:seats');
  await subscribed(second, 'told:seats');
  await subscribed(second, 'plain:seats'); /* its namespace tells nothing */
  await until('it is occupied', () => at('told:seats').length > 0);
  first.disconnect();
  await until('the first has gone', () => of(idOf(first)).some((event) => event.type === 'disconnected'));
  await all.ok('subscribe', { channel: 'told:seats' }); /* a service is a subscriber, too */
  second.disconnect();
  await until('the second has gone', () => of(idOf(second)).some((event) => event.type === 'disconnected'));
  assert.deepEqual(at('told:seats'), [['occupied', 'one']]);
  await all.ok('unsubscribe', { channel: 'told:seats' });
  await until('it is vacated', () => at('told:seats').length > 1);
  assert.deepEqual(at('told:seats'), [['occupied', 'one'], ['vacated', 'one']]);
  assert.deepEqual(at('plain:seats'), []);
  assert.ok(await metric(broker, 'callboard_broker_events_total') >= 3);
  await all.close();
});

test('a broker that is away for a while: told once it is back, each once; what is too much is told as lost', async () => {
  const clients = [];
  while (clients.length < 45) { /* no more at once than the queue holds */
    clients.push(...await Promise.all(Array.from({ length: 15 }, (_, n) => world.connected(gateway, { user: `user${n}` }))));
    await until('they are known', () => clients.every((client) => of(idOf(client)).length === 1));
  }
  const ids = clients.map(idOf);
  broker.kill('SIGSTOP');
  for (const client of clients) client.disconnect();
  await until('it was tried in vain', async () => (await metric(gateway, 'callboard_gateway_events_retries_total')) >= 2, 20000);
  const lost = () => metric(gateway, 'callboard_gateway_events_lost_total');
  await until('some are lost', lost);
  assert.match(gateway.log(), /events_not_told/);
  broker.kill('SIGCONT');
  const gone = () => ids.filter((id) => of(id).some((event) => event.type === 'disconnected')).length;
  await until('the rest is told', async () => gone() > 0 && gone() === 45 - (await lost()), 30000);
  for (const id of ids) assert.ok(of(id).filter((event) => event.type === 'disconnected').length <= 1);
  await until('the hole is told, too', async () => told().filter((event) => event.type === 'lost').reduce((n, event) => n + event.n, 0) === (await lost()));
  const another = await world.connected(gateway, { user: 'later' });
  await until('and what comes behind it', () => of(idOf(another)).length === 1);
});

test('a gateway that ends tells of those it closed first', async () => {
  const client = await world.connected(gateway, { user: 'last' });
  const id = idOf(client);
  await until('it is known', () => of(id).length === 1);
  await gateway.stop();
  await until('its end', () => of(id).some((event) => event.type === 'disconnected' && event.code === 3001));
});

/* What a listener makes of it: a channel is occupied while any broker says so. */
class Listener {
  brokers = new Map(); // channel → the brokers that say so
  vacated = [];        // channels that nobody says it of any more, each time

  take({ type, channel, broker: by }) {
    if (type === 'occupied') this.brokers.set(channel, (this.brokers.get(channel) ?? new Set()).add(by));
    if (type === 'vacated') this.#withdraw(channel, by);
    if (type === 'started' || type === 'stopped') for (const each of this.brokers.keys()) this.#withdraw(each, by);
  }

  #withdraw(channel, by) {
    if (this.brokers.get(channel)?.delete(by) && this.brokers.get(channel).size === 0) this.vacated.push(channel);
  }
}

test('channels that move between brokers, which drain, start and are killed, are occupied all the time; when nobody is left, no more', async () => {
  const own = new World();
  const services = [];
  try {
    const redis = await own.redis();
    const settings = BROKER.replace('vacated_after: 0', 'vacated_after: 5m'); /* longer than any machine takes to move them */
    const brokers = await Promise.all(['a', 'b'].map((id) => own.broker({ id, redis, settings })));
    const server = await own.gateway({ brokers, settings: SETTINGS.slice(0, SETTINGS.indexOf('events:\n  channel')).replace('    subscription_events: true\n', '') });
    const CHANNELS = Array.from({ length: 24 }, (_, i) => `told:moving-${i}`);
    const started = (id, port) => own.broker({ id, redis, settings, port });
    const events = async ({ router }) => {
      const reader = new Service(`tcp://127.0.0.1:${router}`);
      services.push(reader);
      const { publications, offset } = await reader.ok('history', { channel: 'events:clients', limit: 10000 });
      assert.equal(publications.length, offset);
      reader.close();
      return publications.flatMap(({ data }) => data.events);
    };
    const heard = async (by) => {
      const listener = new Listener();
      for (const event of await events(by)) listener.take(event);
      return listener;
    };
    const said = (listener, by) => CHANNELS.filter((channel) => listener.brokers.get(channel)?.has(by)).length;

    const client = await own.connected(server, { user: 'ann' });
    for (const channel of CHANNELS) await subscribed(client, channel);
    await until('all are occupied, at the one or the other', async () => (await heard(brokers[0])).brokers.size === CHANNELS.length);
    const at = { a: said(await heard(brokers[0]), 'a'), b: said(await heard(brokers[0]), 'b') };
    assert.ok(at.a > 0 && at.b > 0 && at.a + at.b === CHANNELS.length, JSON.stringify(at));

    assert.equal((await brokers[0].stop()).code, 0);
    const drained = await heard(brokers[1]);
    assert.equal((await events(brokers[1])).at(-1).type, 'stopped');
    assert.deepEqual([said(drained, 'a'), said(drained, 'b'), drained.vacated], [0, CHANNELS.length, []]);

    brokers[0] = await started('a', brokers[0].port);
    await until('its own are back', async () => said(await heard(brokers[0]), 'a') === at.a, 30000);
    await brokers[1].stop('SIGKILL');
    await until('it has them all', async () => said(await heard(brokers[0]), 'a') === CHANNELS.length, 30000);
    brokers[1] = await started('b', brokers[1].port);
    await until('some are back', async () => (await events(brokers[1])).filter(({ type, broker: by }) => type === 'started' && by === 'b').length === 2
      && said(await heard(brokers[1]), 'b') === at.b, 30000);
    assert.deepEqual((await heard(brokers[0])).vacated, []);
    assert.equal((await events(brokers[0])).filter(({ type }) => type === 'vacated').length, 0);

    for (const each of brokers) {
      fs.writeFileSync(each.file, fs.readFileSync(each.file, 'utf8').replace('vacated_after: 5m', 'vacated_after: 0'));
      each.kill('SIGHUP');
    }
    client.disconnect();
    await until('all are vacated', async () => (await heard(brokers[0])).vacated.length === CHANNELS.length, 30000);
    assert.deepEqual((await heard(brokers[0])).vacated.sort(), [...CHANNELS].sort());
    const held = await Promise.all(brokers.map((each) => metric(each, 'callboard_broker_events_held_bytes')));
    assert.deepEqual(held, [0, 0]);
  } finally {
    services.forEach((each) => each.close());
    await own.close();
  }
});

test('while Redis is away events of channels wait, up to events.queue; what is too much is told as lost', async () => {
  const own = new World();
  let listener;
  try {
    const redis = await own.redis();
    const one = await own.broker({ id: 'one', redis, settings: BROKER.replace('1MiB', '4KiB'), args: ['--set', 'broker.publish_timeout=300ms'] });
    listener = new Service(`tcp://127.0.0.1:${one.router}`);
    const heard = () => listener.events.filter((event) => event.body.type === 'publication').flatMap((event) => JSON.parse(event.payload).events);
    await listener.ok('subscribe', { channel: 'events:clients', since: { offset: 0, epoch: '' } });
    await until('it is heard', () => heard().length === 1);
    redis.kill('SIGSTOP');
    const subscribers = new Service(`tcp://127.0.0.1:${one.router}`);
    for (let i = 0; i < 200; i++) subscribers.send('subscribe', { channel: `told:wait-${i}` });
    const lost = () => metric(one, 'callboard_broker_events_lost_total');
    await until('some are lost', async () => (await lost()) > 0, 30000);
    await until('it was tried again', async () => (await metric(one, 'callboard_broker_events_retries_total')) > 0, 30000);
    redis.kill('SIGCONT');
    const occupied = () => heard().filter(({ type }) => type === 'occupied').map(({ channel }) => channel);
    await until('the rest is told, and that some were lost', async () => occupied().length > 0
      && occupied().length + heard().filter(({ type }) => type === 'lost').reduce((n, event) => n + event.n, 0) >= 200, 30000);
    assert.equal(new Set(occupied()).size, occupied().length);
    subscribers.close();
  } finally {
    listener?.close();
    await own.close();
  }
});
