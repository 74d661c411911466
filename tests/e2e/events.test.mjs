/* Events: what services are told of clients, from a position on, through brokers that are away and gateways that end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Service } from './backend_service.mjs';
import { World, metric, subscribed, until } from './support.mjs';

const SETTINGS = `  - name: told
    subscription_events: true
    allow_subscribe_for_client: true
  - name: events
    history_size: 10000
    history_ttl: 10m
events:
  channel: events:clients
  connections: true
  queue: 4KiB
`;
const BROKER = SETTINGS.slice(0, SETTINGS.indexOf('events:\n  channel'));

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
