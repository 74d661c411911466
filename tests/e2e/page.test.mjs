/* The demo page in a real browser: connect, subscribe, publish, presence, and a reconnect that recovers. (History: page_history.test.mjs;
 * lost connections: page_disconnect.test.mjs.) */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { ARTEFACTS, World, makeToken, until } from './support.mjs';

let world;
let server;
let browser;
before(async () => {
  world = new World();
  server = await world.appliance();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
});
after(async () => {
  await browser?.close();
  await world.close();
});

async function open(user, colorScheme = 'light') {
  const page = await browser.newPage({ viewport: { width: 1100, height: 760 }, colorScheme });
  page.problems = [];
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  page.on('pageerror', (error) => page.problems.push(String(error)));
  await page.goto(`http://127.0.0.1:${server.port}/#token=${makeToken({ sub: user })}`);
  await page.getByText('connected', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Subscribe', exact: true }).click();
  await page.getByText(`${user} (you)`).waitFor();
  return page;
}

test('two windows talk to each other and see each other', async () => {
  const alice = await open('alice');
  const bob = await open('bob', 'dark');
  await alice.getByText('bob', { exact: true }).waitFor();
  await alice.getByPlaceholder('Say something').fill('Places, please.');
  await alice.getByRole('button', { name: 'Publish' }).click();
  await bob.locator('#messages .body', { hasText: 'Places, please.' }).waitFor();
  await bob.getByPlaceholder('Say something').fill('Two minutes.');
  await bob.getByRole('button', { name: 'Publish' }).click();
  await alice.locator('#messages .body', { hasText: 'Two minutes.' }).waitFor();
  await alice.screenshot({ path: path.join(ARTEFACTS, 'demo-light.png') });
  await bob.screenshot({ path: path.join(ARTEFACTS, 'demo-dark.png') });
  await bob.close();
  await until('bob is gone', async () => await alice.locator('#presence li').count() === 1);
  assert.deepEqual(alice.problems, []);
  await alice.close();
});

test('a lost connection comes back with everything that was missed', async () => {
  const page = await open('carol');
  await page.getByPlaceholder('Say something').fill('before');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.locator('#messages .body', { hasText: 'before' }).waitFor();
  await page.context().setOffline(true);
  await page.evaluate(() => window.dispatchEvent(new Event('offline')));
  await page.locator('#state[data-state=connecting]').waitFor();
  const writer = await world.connected(server, { user: 'writer' });
  await writer.publish('demo:hello', { text: 'while away' });
  await page.context().setOffline(false);
  await page.evaluate(() => window.dispatchEvent(new Event('online')));
  await page.locator('#messages .body', { hasText: 'while away' }).waitFor();
  await page.getByText('Back again: everything missed was recovered.').waitFor();
  await page.close();
});

test('a wrong token is told in words', async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.port}/#token=${makeToken({ sub: 'x' }, 'another secret, also more than 32 bytes long')}`);
  await page.getByText('invalid token (3500)').waitFor();
  await page.close();
});
