/* The demo page's list of messages: history by scrolling up, 50 and then 25 at a time, while what is being read stays in its place. */
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
  server = await world.appliance({ settings: 'client:\n  commands_per_second: 1000000\n' });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
});
after(async () => {
  await browser?.close();
  await world.close();
});

/* What the page asks for, as [limit, since]. */
function watchHistory(page) {
  const asked = [];
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
    for (const line of String(payload).split('\n')) {
      const { history } = JSON.parse(line);
      if (history) asked.push([history.limit, history.since?.offset]);
    }
  }));
  return asked;
}

async function publish(channel, from, to) {
  const client = await world.connected(server, { user: 'writer' });
  for (let i = from; i <= to; i += 1) await client.publish(channel, { text: `line ${i}${i % 7 === 0 ? '\nand another one' : ''}` });
  client.disconnect();
}

async function open(channel, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 760 }, ...options });
  const asked = watchHistory(page);
  await page.goto(`http://127.0.0.1:${server.port}/#token=${makeToken({ sub: 'alice' })}`);
  await page.locator('#state[data-state=connected]').waitFor();
  await page.locator('#channel').fill(channel);
  await page.getByRole('button', { name: 'Subscribe', exact: true }).click();
  await page.locator('#messages li[data-offset]').first().waitFor();
  return { page, asked };
}

const offsets = (page) => page.locator('#messages li[data-offset]').evaluateAll((rows) => rows.map((row) => Number(row.dataset.offset)));
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const rowTop = (page, offset) => page.locator(`#messages li[data-offset="${offset}"]`).evaluate((row) => row.getBoundingClientRect().top);
const wheelUp = (page) => page.locator('#messages').evaluate((list) => { list.scrollTop = 0; });
const atEnd = (page) => page.locator('#messages').evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 2);

test('history comes by scrolling up, 50 and then 25 at a time, and what is read stays where it is', async () => {
  await publish('demo:long', 1, 120);
  const { page, asked } = await open('demo:long');
  assert.deepEqual(await offsets(page), range(71, 120));
  assert.equal(await atEnd(page), true, 'the newest are in sight');
  assert.deepEqual(asked, [[50, undefined]]);

  for (const [first, next] of [[71, 46], [46, 21], [21, 1]]) {
    await wheelUp(page);
    const top = await rowTop(page, first);
    await page.locator(`#messages li[data-offset="${next}"]`).waitFor({ state: 'attached' });
    assert.ok(Math.abs(await rowTop(page, first) - top) < 2, `line ${first} stays in its place`);
    assert.deepEqual(await offsets(page), range(next, 120));
  }
  assert.deepEqual(asked.slice(1), [[25, 71], [25, 46], [25, 21]]);
  await page.getByText('The history begins here.').waitFor({ state: 'attached' });
  await wheelUp(page);
  await page.locator('#messages').evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  assert.equal(asked.length, 4, 'there is no more to ask for');
  await page.close();
});

test('a message that comes while older ones are read moves nothing, and is counted', async () => {
  await publish('demo:live', 1, 60);
  const { page } = await open('demo:live');
  await wheelUp(page);
  await page.getByText('The history begins here.').waitFor({ state: 'attached' });
  const top = await rowTop(page, 30);
  await publish('demo:live', 61, 63);
  await page.getByRole('button', { name: '3 new ↓' }).waitFor();
  assert.ok(Math.abs(await rowTop(page, 30) - top) < 2, 'nothing moved');
  await page.getByRole('button', { name: '3 new ↓' }).click();
  assert.equal(await atEnd(page), true);
  assert.equal(await page.locator('#more').isVisible(), false);
  await wheelUp(page);
  await publish('demo:live', 64, 64);
  await page.getByRole('button', { name: '1 new ↓' }).waitFor();
  assert.deepEqual(await offsets(page), range(1, 64));
  await page.close();
});

test('the list is bounded while the newest are in sight; what was taken away comes again by scrolling', async () => {
  await publish('demo:many', 1, 40);
  const { page, asked } = await open('demo:many');
  await publish('demo:many', 41, 560);
  await until('the newest is shown', async () => (await offsets(page)).at(-1) === 560);
  const shown = await offsets(page);
  assert.ok(shown.length <= 500 && shown[0] > 60, `${shown.length} rows`);
  assert.equal(await atEnd(page), true);
  await wheelUp(page);
  await page.locator(`#messages li[data-offset="${shown[0] - 25}"]`).waitFor({ state: 'attached' });
  assert.deepEqual(asked.at(-1), [25, shown[0]]);
  assert.deepEqual(await offsets(page), range(shown[0] - 25, 560));
  await page.close();
});

test('on a narrow screen nothing sticks out', async () => {
  const { page } = await open('demo:long', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
  await page.getByPlaceholder('Say something').fill('a'.repeat(300));
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.locator('#messages .body', { hasText: 'aaaa' }).waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'no scrolling sideways');
  assert.ok(await page.locator('#publish').isVisible());
  await page.screenshot({ path: path.join(ARTEFACTS, 'demo-narrow-dark.png') });
  await page.close();
});
