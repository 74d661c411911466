/* The demo page in real browsers while its connection goes and comes back: the overlay, what is unsent, two tabs.
 *
 *   Chromium ──▶ proxy ──▶ gateway "page" ──▶ broker ──▶ Redis        killed, or kept open and stalled, one at a time
 *   SDK in Node ─────────▶ gateway "other" ──▶                        writes meanwhile and counts what was published */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { ARTEFACTS, World, makeToken, metric, until } from './support.mjs';
import { startProxy } from './support_proxy.mjs';

const PING = 'client:\n  ping_interval: 1s\n  pong_timeout: 500ms\n';

let world;
let redis;
let broker;
let gateway;
let other;
let proxy;
let browser;
let channel;
let n = 0;

const startBroker = (port) => world.broker({ id: 'one', redis, port });
const startGateway = (port) => world.gateway({ brokers: [broker], settings: PING, port, env: { CALLBOARD_HTTP_DEMO: 'true' } });

before(async () => {
  world = new World();
  redis = await world.redis();
  broker = await startBroker();
  gateway = await startGateway();
  other = await world.gateway({ brokers: [broker] });
  proxy = await startProxy(gateway.port);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
});
after(async () => {
  await browser?.close();
  await proxy?.close();
  await world.close();
});
beforeEach(() => {
  n += 1;
  channel = `demo:page${n}`;
});

const killGateway = () => gateway.stop('SIGKILL');
async function restartGateway() {
  gateway = await startGateway(gateway.port);
}

/* A browser of its own: its tabs share localStorage, and nobody else does. */
const newBrowser = (options = {}) => browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });

async function openTab(context, user = 'alice', { port = proxy.port } = {}) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  await page.goto(`http://127.0.0.1:${port}/#token=${makeToken({ sub: user })}`);
  await page.locator('#state[data-state=connected]').waitFor();
  await page.locator('#channel').fill(channel);
  await page.getByRole('button', { name: 'Subscribe', exact: true }).click();
  await page.locator('#presence li').filter({ hasText: user }).first().waitFor();
  return page;
}

async function say(page, text) {
  await page.getByPlaceholder('Say something').fill(text);
  await page.getByRole('button', { name: 'Publish' }).click();
}

const lost = (page) => page.locator('#overlay').waitFor();
const back = (page) => page.locator('#overlay').waitFor({ state: 'hidden' });
const unsent = (page) => page.locator('#unsent .body').allTextContents();
const shown = (page) => page.locator('#messages .body').allTextContents();
const nothingUnsent = (page) => until('nothing is unsent', async () => (await unsent(page)).length === 0);
const stored = (page) => page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('callboard.unsent.')).length);

/* What the channel holds, by its texts; whoever repeated a publication would stand here twice. */
async function published() {
  const client = await world.connected(other, { user: 'reader' });
  const { publications } = await client.history(channel, { limit: 300 });
  client.disconnect();
  return publications.map(({ data }) => data.text);
}

async function writeElsewhere(...texts) {
  const client = await world.connected(other, { user: 'writer' });
  for (const text of texts) await client.publish(channel, { text });
  client.disconnect();
}

async function shows(page, texts) {
  await until(`the page shows ${texts}`, async () => JSON.stringify(await shown(page)) === JSON.stringify(texts)).catch(async (error) => {
    throw new Error(`${error.message}; it shows ${JSON.stringify(await shown(page))}`);
  });
}

const picture = (page, name) => page.screenshot({ path: path.join(ARTEFACTS, `demo-${name}.png`) });

test('the gateway is killed: an overlay, what is written meanwhile is sent once, what others wrote is recovered', async () => {
  const context = await newBrowser();
  const page = await openTab(context);
  await say(page, 'before');
  await shows(page, ['before']);
  assert.equal(await page.locator('#overlay').isVisible(), false);
  await killGateway();
  await lost(page);
  await say(page, 'first');
  await say(page, 'second');
  assert.deepEqual(await unsent(page), ['first', 'second']);
  assert.equal(await stored(page), 2);
  await writeElsewhere('from elsewhere');
  await picture(page, 'lost-light');
  await restartGateway();
  await back(page);
  await nothingUnsent(page);
  await shows(page, ['before', 'from elsewhere', 'first', 'second']);
  assert.equal(await stored(page), 0);
  assert.deepEqual(await published(), ['before', 'from elsewhere', 'first', 'second']);
  await page.getByText('Back again: everything missed was recovered.').waitFor();
  assert.deepEqual(page.problems, []);
  await context.close();
});

test('the answer to a publication is lost with the connection: it is sent again under its key, and stands in the channel once', async () => {
  const context = await newBrowser();
  const page = await openTab(context);
  await say(page, 'before');
  await shows(page, ['before']);
  proxy.hold({ down: true });
  await say(page, 'answered in vain');
  await until('it is published', async () => (await published()).length === 2);
  assert.deepEqual(await unsent(page), ['answered in vain']);
  /* Nothing tells the page that it is: what is recovered comes behind the second try. */
  const duplicates = () => metric(broker, 'callboard_broker_publishes_total{result="duplicate"}');
  const earlier = await duplicates();
  proxy.cut();
  await nothingUnsent(page);
  await shows(page, ['before', 'answered in vain']);
  assert.deepEqual(await published(), ['before', 'answered in vain']);
  assert.equal(await duplicates(), earlier + 1, 'it was sent again');
  await context.close();
});

test('a connection that stalls is noticed, and nothing is lost of it', async () => {
  const context = await newBrowser();
  const page = await openTab(context);
  proxy.hold({ up: true, down: true });
  await say(page, 'into the void');
  await until('the overlay, once the pings are missed', () => page.locator('#overlay').isVisible(), 30000);
  proxy.cut();
  await back(page);
  await nothingUnsent(page);
  await shows(page, ['into the void']);
  assert.deepEqual(await published(), ['into the void']);
  await context.close();
});

test('the broker is killed, the page is loaded anew meanwhile: what was unsent is sent once when it is back', async () => {
  const context = await newBrowser({ colorScheme: 'dark' });
  const page = await openTab(context);
  await say(page, 'before');
  await shows(page, ['before']);
  await broker.stop('SIGKILL');
  await say(page, 'kept');
  await until('it waits', async () => (await unsent(page)).length === 1);
  await page.reload();
  await lost(page);
  assert.deepEqual(await unsent(page), ['kept']);
  await say(page, 'written after the reload');
  await picture(page, 'lost-dark');
  broker = await startBroker(broker.port);
  await back(page);
  await nothingUnsent(page);
  await shows(page, ['before', 'kept', 'written after the reload']);
  assert.deepEqual(await published(), ['before', 'kept', 'written after the reload']);
  await context.close();
});

test('the tab is closed with something unsent: the next one sends it', async () => {
  const context = await newBrowser();
  const page = await openTab(context);
  await killGateway();
  await lost(page);
  await say(page, 'left behind');
  await page.close();
  await restartGateway();
  const stranger = await openTab(context, 'bob');
  assert.deepEqual(await unsent(stranger), [], 'it is none of another user');
  assert.deepEqual(await published(), []);
  await stranger.close();
  const next = await openTab(context);
  await shows(next, ['left behind']);
  await nothingUnsent(next);
  assert.deepEqual(await published(), ['left behind']);
  await context.close();
});

test('two tabs are in step: they show the same, unsent or not, and send everything once', async () => {
  const context = await newBrowser();
  const tabs = [await openTab(context), await openTab(context)];
  await say(tabs[0], 'hello');
  for (const tab of tabs) await shows(tab, ['hello']);
  await killGateway();
  for (const tab of tabs) await lost(tab);
  const texts = [];
  for (let i = 0; i < 6; i += 1) {
    texts.push(`tab ${i % 2}: ${i}`);
    await say(tabs[i % 2], texts[i]);
  }
  for (const tab of tabs) await until('both show all that is unsent', async () => JSON.stringify(await unsent(tab)) === JSON.stringify(texts));
  await restartGateway();
  for (const tab of tabs) {
    await back(tab);
    await nothingUnsent(tab);
    await shows(tab, ['hello', ...texts]);
  }
  assert.deepEqual(await published(), ['hello', ...texts]);
  await context.close();
});

test('one tab is cut off, the other is not: it sends what was written in the first', async () => {
  const context = await newBrowser();
  const off = await openTab(context);
  const on = await openTab(context, 'alice', { port: proxy.port });
  await off.evaluate(() => { window.WebSocket = class { constructor() { throw new Error('cut off'); } }; });
  proxy.cut();
  await lost(off);
  await back(on);
  await say(off, 'by way of the other');
  await shows(on, ['by way of the other']);
  await nothingUnsent(off);
  assert.deepEqual(await published(), ['by way of the other']);
  await context.close();
});

test('where the browser withholds storage, what is unsent is kept while the page is open', async () => {
  const context = await newBrowser();
  await context.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, { get() { throw new DOMException('withheld', 'SecurityError'); } });
    }
  });
  const page = await openTab(context);
  await killGateway();
  await lost(page);
  await say(page, 'in memory');
  assert.deepEqual(await unsent(page), ['in memory']);
  await restartGateway();
  await shows(page, ['in memory']);
  await nothingUnsent(page);
  assert.deepEqual(await published(), ['in memory']);
  assert.deepEqual(page.problems, []);
  await context.close();
});

test('what the server refuses for good is kept for the writer to judge, and what follows is sent', async () => {
  const context = await newBrowser();
  const page = await openTab(context);
  const keep = (item) => page.evaluate((kept) => localStorage.setItem(`callboard.unsent.${kept.id}`, JSON.stringify(kept)),
    { owner: 'alice', channel, tab: '', problem: '', ...item });
  await keep({ id: 'k'.repeat(256), text: 'no', at: 1, tried: 0 });
  await keep({ id: 'y', text: 'perhaps', at: 2, tried: 1000 });
  await say(page, 'yes');
  await shows(page, ['yes']);
  await page.getByText('refused: bad request (107)').waitFor();
  await page.getByText('may have been published or not').waitFor();
  assert.deepEqual(await published(), ['yes']);
  await page.locator('#unsent li').filter({ hasText: 'perhaps' }).getByRole('button', { name: 'Send again' }).click();
  await shows(page, ['yes', 'perhaps']);
  assert.deepEqual(await published(), ['yes', 'perhaps']);
  await context.close();
});
