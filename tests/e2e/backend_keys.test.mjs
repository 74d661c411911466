/* What a service's CURVE key is for, and how it is revoked: real processes over TCP. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Service } from './backend_service.mjs';
import { BUILD, World, metric, until } from './support.mjs';

let world;
let server;
let folder;
const keys = {};

const place = (file) => path.join(folder, file);
const key = (name, line) => fs.readFileSync(path.join(world.folder, name), 'utf8').match(new RegExp(`^${line} = (.*)$`, 'm'))[1];
const service = (name) => new Service(`tcp://127.0.0.1:${server.router}`, [key(name, 'public'), key(name, 'secret'), key('broker', 'public')]);
/* By a new name: who reads while it is written must not see half of it. */
const entitle = (name, text) => {
  fs.writeFileSync(place(`${name}.new`), text);
  fs.renameSync(place(`${name}.new`), place(`${name}.rights`));
};
const allow = (name) => fs.copyFileSync(`${keys[name]}.pub`, place(`${name}.pub`));

before(async () => {
  world = new World();
  folder = path.join(world.folder, 'services');
  fs.mkdirSync(folder);
  for (const name of ['broker', 'shop', 'any', 'lost', 'odd', 'stranger']) {
    keys[name] = path.join(world.folder, name);
    assert.equal(spawnSync(path.join(BUILD, 'tools/callboardctl'), ['keygen', keys[name]]).status, 0);
    if (name !== 'broker' && name !== 'stranger') allow(name);
  }
  entitle('shop', '# the shop\nmethods = publish*, broadcast, history, subscribe, channels, batch\nchannels = demo:order-*, demo:news\n');
  entitle('odd', 'methods = publish\n');
  server = await world.appliance({ args: Object.entries({ 'backend.curve_key_file': keys.broker, 'backend.curve_allowed_dir': folder }).flatMap(([name, value]) => ['--set', `${name}=${value}`]) });
});
after(() => world.close());

test('a key is held to its methods and channels, in broadcasts and batches too', async () => {
  const shop = service('shop');
  try {
    assert.equal((await shop.ok('publish', { channel: 'demo:order-1' }, '1')).offset, 1);
    const refused = await shop.error('publish', { channel: 'demo:other' }, '1');
    assert.deepEqual([refused.code, refused.definite], [103, true]);
    assert.match(refused.message, /the key "shop" is not for "demo:other"; shop.rights/);
    assert.match((await shop.error('info', {})).message, /the key "shop" is not for info/);
    assert.equal((await shop.error('disconnect', { user: 'x' })).code, 103);
    assert.equal((await shop.error('subscribe', { channel: 'demo:other' })).code, 103);
    assert.match((await shop.error('publish_all', {}, '1')).message, /the key "shop" is not for "\*"/, 'its pattern has the method, but not all channels');
    const { results } = await shop.ok('broadcast', { channels: ['demo:news', 'demo:other'] }, '1');
    assert.deepEqual(results.map(({ offset, error }) => error?.code ?? offset), [1, 103]);
    const { replies } = await shop.ok('batch', { requests: [{ method: 'info' }, { method: 'history', params: { channel: 'demo:news' } }, { method: 'history', params: { channel: 'demo:other' } }] });
    assert.deepEqual(replies.map(({ result, error }) => error?.code ?? result.offset), [103, 1, 103]);
  } finally {
    shop.close();
  }
});

test('a call by hand needs the token of the internal listener, and none of the keys', async () => {
  const token = 'an-internal-token-of-tests';
  const broker = await world.broker({
    id: 'by-hand',
    args: ['--set', `backend.curve_key_file=${keys.broker}`, '--set', `backend.curve_allowed_dir=${folder}`, '--set', 'backend.rights_required=true'],
    env: { CALLBOARD_INTERNAL_TOKEN: token, CALLBOARD_INTERNAL_ADMIN: 'true', CALLBOARD_INTERNAL_OPERATIONS: 'publish' },
  });
  const call = async (method, params) => (await fetch(`http://127.0.0.1:${broker.internal}/admin/api/${method}`, { method: 'POST', body: JSON.stringify(params), headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' } })).json();
  assert.equal((await call('publish', { channel: 'demo:a', data: { n: 1 } })).result.offset, 1);
  assert.deepEqual((await call('history', { channel: 'demo:a', limit: 1 })).result.publications[0].data, { n: 1 });
  assert.deepEqual((await call('channels', {})).result.channels, {});
  const any = new Service(`tcp://127.0.0.1:${broker.router}`, [key('any', 'public'), key('any', 'secret'), key('broker', 'public')]);
  assert.equal((await any.error('publish', { channel: 'demo:a' }, '1')).code, 103, 'rights are asked of keys as before');
  any.close();
  await broker.stop();
});

test('a key without rights beside it is for everything, one whose rights are malformed for nothing', async () => {
  const [any, odd] = [service('any'), service('odd')];
  try {
    await any.ok('info', {});
    assert.equal((await odd.error('publish', { channel: 'demo:a' }, '1')).code, 103);
    assert.match(server.log(), /"event":"backend_rights_bad".*it needs both, methods and channels/);
    entitle('odd', 'methods = publish\nchannels = *\n');
    await until('they are read again', async () => (await odd.call('publish', { channel: 'demo:a' }, '1')).kind === 'ok');
  } finally {
    any.close();
    odd.close();
  }
});

test("a subscription ends when its channel is taken out of the key's rights", async () => {
  const shop = service('shop');
  const any = service('any');
  try {
    await shop.ok('subscribe', { channel: 'demo:news' });
    await any.ok('publish', { channel: 'demo:news' }, '"seen"');
    await until('it', () => shop.events.length === 1);
    await until('it is counted', async () => (await metric(server, 'callboard_backend_subscriptions')) === 1);
    entitle('shop', 'methods = *\nchannels = demo:order-*\n');
    await until('it has ended', async () => (await metric(server, 'callboard_backend_subscriptions')) === 0);
    await any.ok('publish', { channel: 'demo:news' }, '"unseen"');
    await shop.ok('publish', { channel: 'demo:order-2' }, '1');
    assert.equal(shop.events.length, 1);
  } finally {
    shop.close();
    any.close();
  }
});

test('the links of a revoked key are cut within two seconds, and it gets no new one', async () => {
  const lost = service('lost');
  const any = service('any');
  try {
    await lost.ok('info', {});
    await any.ok('info', {});
    const cut = await metric(server, 'callboard_backend_links_cut_total');
    const refused = await metric(server, 'callboard_curve_zap_refused_total{endpoint="backends"}');
    const began = Date.now();
    fs.rmSync(place('lost.pub'));
    await until('its link is cut', async () => (await metric(server, 'callboard_backend_links_cut_total')) === cut + 1, 5000);
    assert.ok(Date.now() - began <= 2000, `cut after ${Date.now() - began} ms`);
    await until('it came again and was refused', async () => (await metric(server, 'callboard_curve_zap_refused_total{endpoint="backends"}')) > refused);
    assert.match(server.log(), /"event":"curve_key_revoked".*"name":"lost"/);
    await any.ok('info', {});
    allow('lost');
    const again = service('lost'); /* libzmq does not try again by itself after a refusal */
    await again.ok('info', {}).finally(() => again.close());
  } finally {
    lost.close();
    any.close();
  }
});
