/* The admin page in a real browser: off by default, sign-in and its refusals, live charts of gateway, broker and appliance, channels,
 * presence, history and publishing by hand, what it says when the program goes away; nothing of the token in a URL, nothing against the
 * page's policy. Screenshots of light, dark and narrow. */
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { ARTEFACTS, World, get, subscribed, until as untilSoon } from './support.mjs';

const TOKEN = 'an-internal-token-of-tests';

/* The page reads every two seconds. */
const until = (what, probe) => untilSoon(what, probe, 30000);

let world;
let redis;
let broker;
let gateway;
let browser;
let traffic;
const withAdmin = { CALLBOARD_INTERNAL_TOKEN: TOKEN, CALLBOARD_INTERNAL_ADMIN: 'true' };
const withOperations = { ...withAdmin, CALLBOARD_INTERNAL_OPERATIONS: 'publish' };
before(async () => {
  world = new World();
  redis = await world.redis();
  broker = await world.broker({ id: 'broker-1', redis, env: withOperations });
  gateway = await world.gateway({ brokers: [broker], env: withOperations });
  const client = await world.connected(gateway, { user: 'alice' });
  const subscription = await subscribed(client, 'demo:news');
  traffic = setInterval(() => subscription.publish({ text: 'hello' }).catch(() => {}), 50);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
});
after(async () => {
  clearInterval(traffic);
  await browser?.close();
  await world.close();
});

async function open(program, { colorScheme = 'light', width = 1280, height = 900 } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  page.problems = [];
  page.urls = [];
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('request', (request) => page.urls.push(request.url()));
  await page.goto(`http://127.0.0.1:${program.internal}/admin`);
  return page;
}

async function signIn(page, token = TOKEN) {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const onBoard = (page) => page.locator('body[data-view=board]').waitFor();

async function live(page) {
  await onBoard(page);
  await until('charts are drawn', async () => await page.locator('.chart canvas').count() > 0 && await page.locator('.chart .waiting:visible').count() === 0);
}

const tile = (page, name) => page.locator('.tile', { has: page.getByText(name, { exact: true }) }).locator('.value');
const noOverflow = (page) => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

/* A request with this token, from that address of the loopback. */
const asked = (program, token, from = '127.0.0.1') => new Promise((resolve, reject) => {
  http.get({ host: '127.0.0.1', port: program.internal, path: '/info', agent: false, localAddress: from, headers: token ? { Authorization: `Bearer ${token}` } : {} }, (response) => {
    response.resume();
    resolve(response.statusCode);
  }).on('error', reject);
});

test('without internal.admin there is no page; with it, it needs a token', async () => {
  const plain = await world.appliance();
  assert.equal((await get(plain.internal, '/admin/')).status, 404);
  await plain.stop();
  const refused = world.start('gateway/callboard-gateway', ['--config', gateway.file, '--check'], { CALLBOARD_INTERNAL_ADMIN: 'true' });
  assert.notEqual((await refused.done).code, 0);
  assert.match(refused.log(), /internal\.token: is needed with internal\.admin/);
});

test('its files come with a strict policy, without a token; figures do not', async () => {
  for (const file of ['', 'admin.css', 'admin.js', 'figures.js', 'panels.js', 'charts.js', 'operations.js', 'uplot.js', 'uplot.css', 'icon.svg']) {
    const { status, headers, body } = await get(gateway.internal, `/admin/${file}`);
    assert.equal(status, 200, file);
    assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; .*frame-ancestors 'none'$/);
    assert.equal(headers['referrer-policy'], 'no-referrer');
    if (file === '') assert.doesNotMatch(body, /<script>| style=| on\w+=/);
  }
  assert.equal((await get(gateway.internal, '/admin')).headers.location, '/admin/');
  for (const where of ['/metrics', '/info', '/ws/stats', '/admin/nothing']) assert.equal((await get(gateway.internal, where)).status, 401, where);
});

test('a gateway shows itself, and what its brokers say, in light', async () => {
  const page = await open(gateway);
  await page.screenshot({ path: path.join(ARTEFACTS, 'admin-signin.png') });
  await signIn(page);
  await live(page);
  await until('the connection and its deliveries are seen', async () => await tile(page, 'Connections').textContent() === '1' && /^[\d.]+\/s$/.test(await tile(page, 'Delivered').textContent()));
  await page.getByText('Commands until their answer').waitFor();
  assert.equal(await tile(page, 'Brokers').textContent(), '1');
  assert.match(await page.locator('#facts').textContent(), /Channels are kept inredis/);
  await page.locator('#state[data-state=ok]').waitFor();
  await page.screenshot({ path: path.join(ARTEFACTS, 'admin-gateway-light.png'), fullPage: true });
  assert.deepEqual(page.problems, []);
  assert.ok(page.urls.length > 15 && page.urls.every((url) => !url.includes(TOKEN)), 'the token is in no URL');
  await page.reload();
  await live(page); /* the tab remembers */
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.close();
});

test('a broker shows its shards, Redis and findings, in dark; in a narrow window nothing is cut off', async () => {
  const page = await open(broker, { colorScheme: 'dark' });
  await signIn(page);
  await live(page);
  await page.getByText('redis.persistence').waitFor(); /* this Redis writes nothing to disk */
  await until('publications are seen', async () => /^[\d.]+\/s$/.test(await tile(page, 'Published').textContent()));
  assert.equal(await tile(page, 'Redis').textContent(), '2');
  await page.screenshot({ path: path.join(ARTEFACTS, 'admin-broker-dark.png'), fullPage: true });
  await page.setViewportSize({ width: 360, height: 740 });
  await until('charts have shrunk', async () => page.evaluate(() => [...document.querySelectorAll('.chart .plot')].every((plot) => plot.querySelector('.uplot').offsetWidth <= plot.clientWidth)));
  assert.ok(await noOverflow(page));
  await page.screenshot({ path: path.join(ARTEFACTS, 'admin-broker-narrow.png'), fullPage: true });
  await page.emulateMedia({ colorScheme: 'light' });
  await live(page);
  assert.deepEqual(page.problems, []);
  await page.close();
});

/* A call by hand, as any program could make it. */
async function called(program, method, params, { token = TOKEN, type = 'application/json' } = {}) {
  const answer = await fetch(`http://127.0.0.1:${program.internal}/admin/api/${method}`, { method: 'POST', body: JSON.stringify(params), headers: { 'Content-Type': type, ...(token && { Authorization: `Bearer ${token}` }) } });
  return { status: answer.status, ...(await answer.json().catch(() => ({}))) };
}

async function openChannel(page, name) {
  await page.getByRole('tab', { name: 'Channels' }).click();
  await page.locator('#names button', { hasText: name }).click();
  await page.locator('#channel-name', { hasText: name }).waitFor();
}

for (const [what, colorScheme] of [['gateway', 'light'], ['broker', 'dark']]) {
  test(`on a ${what}'s page a person lists channels, sees who is there and what was said, and publishes; subscribers hear it`, async () => {
    const program = what === 'gateway' ? gateway : broker;
    const channel = `demo:by-hand-${what}`;
    const [writer, reader] = [await world.connected(gateway, { user: 'bob' }), await world.connected(gateway, { user: 'carol' })];
    const subscription = await subscribed(writer, channel);
    for (let i = 1; i <= 30; i++) await subscription.publish({ text: `message ${i}` });
    const heard = [];
    (await subscribed(reader, channel)).on('publication', ({ data }) => heard.push(data));
    const page = await open(program, { colorScheme });
    await signIn(page);
    await onBoard(page);
    await openChannel(page, channel);
    await page.locator('#members-about', { hasText: '2 clients, 2 users' }).waitFor();
    await until('both are named', async () => /bob.*carol|carol.*bob/s.test(await page.locator('#members').textContent()));
    assert.equal(await page.locator('#history li').count(), 25);
    assert.match(await page.locator('#history li').first().textContent(), /^30\{"text":"message 30"\}/);
    await page.getByRole('button', { name: 'Older' }).click();
    await until('the older ones', async () => await page.locator('#history li').count() === 30);
    assert.match(await page.locator('#history li').last().textContent(), /^1\{"text":"message 1"\}/);
    const data = page.getByLabel('Publish into this channel');
    await data.fill('{"text": "<b>by hand</b>"');
    await page.getByRole('button', { name: 'Publish' }).click();
    assert.match(await data.evaluate((field) => field.validationMessage), /This is not JSON/);
    await data.fill('{"text": "<b>by hand</b>"}');
    await data.press('Control+Enter');
    await page.locator('#published', { hasText: 'Published at 31' }).waitFor();
    await until('the reader hears it', () => heard.some(({ text }) => text === '<b>by hand</b>'));
    await until('it stands in the history', async () => /^31/.test(await page.locator('#history li').first().textContent()));
    assert.equal(await page.locator('#history b').count(), 0, 'it is text, no markup');
    await until('the publication has its line in the log', () => program.lines.some((line) => line.includes('"published_by_hand"') && line.includes(channel) && line.includes('"source":"127.0.0.1"') && line.includes('"error":0')));
    await page.screenshot({ path: path.join(ARTEFACTS, `admin-channels-${what}-${colorScheme}.png`), fullPage: true });
    await page.setViewportSize({ width: 360, height: 740 });
    assert.ok(await noOverflow(page));
    await page.screenshot({ path: path.join(ARTEFACTS, `admin-channels-${what}-narrow.png`), fullPage: true });
    assert.deepEqual(page.problems, []);
    assert.ok(page.urls.every((url) => !url.includes(TOKEN) && !url.includes('by-hand')), 'neither token nor channel is in a URL');
    await page.getByRole('button', { name: 'Sign out' }).click();
    assert.ok(!(await page.content()).includes(channel), 'nothing of it stays');
    await page.close();
    writer.disconnect();
    reader.disconnect();
  });
}

test('channels can be reached by the keyboard alone; what a channel has not is said in its place', async () => {
  const page = await open(gateway);
  await signIn(page);
  await onBoard(page);
  await page.getByRole('tab', { name: 'Figures' }).focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'tab-channels');
  await page.locator('#names button', { hasText: 'demo:news' }).waitFor();
  await page.locator('#filter').fill('no such');
  await page.keyboard.press('Enter');
  await page.getByText('No channel with subscribers matches.').waitFor();
  await page.locator('#filter').fill('news');
  await page.keyboard.press('Enter');
  await page.locator('#names button').focus();
  await page.keyboard.press('Enter');
  await page.locator('#channel-name', { hasText: 'demo:news' }).waitFor();
  await page.getByLabel('Channel', { exact: true }).fill('nowhere:at-all');
  await page.keyboard.press('Enter');
  await page.locator('#members-about', { hasText: 'no namespace "nowhere" is configured' }).waitFor();
  await page.locator('#history-about', { hasText: 'no namespace "nowhere" is configured' }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.close();
});

test('what may be done by hand is what the setting says, for who has the token', async () => {
  const reading = await world.appliance({ env: { ...withAdmin, CALLBOARD_INTERNAL_OPERATIONS: 'read' } });
  assert.equal((await called(reading, 'channels', {})).status, 200);
  assert.equal((await called(reading, 'publish', { channel: 'demo:news', data: 1 })).status, 403);
  const page = await open(reading);
  await signIn(page);
  await onBoard(page);
  await page.getByRole('tab', { name: 'Channels' }).click();
  await page.getByLabel('Channel', { exact: true }).fill('demo:news');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('Publishing is switched off').waitFor();
  assert.ok(!await page.locator('#publish-form').isVisible());
  await page.close();
  await reading.stop();
  const refused = world.start('gateway/callboard-gateway', ['--config', gateway.file, '--check'], { CALLBOARD_INTERNAL_OPERATIONS: 'read' });
  assert.notEqual((await refused.done).code, 0);
  assert.match(refused.log(), /CALLBOARD_INTERNAL_OPERATIONS: needs internal\.admin/);
  for (const program of [gateway, broker]) {
    for (const method of ['disconnect', 'history_remove', 'batch', 'info', 'subscribe', 'refresh']) assert.equal((await called(program, method, {})).status, 403, method);
    assert.equal((await called(program, 'publish', { channel: 'demo:news', data: 1 }, { token: '' })).status, 401);
    assert.equal((await called(program, 'publish', { channel: 'demo:news', data: 1 }, { type: 'text/plain' })).status, 415, 'no form of another site can send this');
    assert.equal((await called(program, 'publish', { channel: 'demo:news', data: 'x'.repeat(200000) })).status, 413);
    assert.equal((await called(program, 'publish', { channel: 'demo:news' })).error.code, 107);
    assert.equal((await called(program, 'publish', { channel: 'demo:news', b64data: 'eyJ0ZXh0IjoiaGkifQ==' })).status, 200);
    assert.equal((await called(program, 'publish', { channel: 'demo:news', b64data: 'no base64' })).error.code, 107);
    assert.equal((await called(program, 'history', { channel: 'demo:news', limit: 1, since: { offset: 1, epoch: 'of another' } })).error.code, 112);
  }
});

test('an appliance shows both; when it goes away the page says so and keeps what it saw, and comes back', async () => {
  const appliance = await world.appliance({ env: withAdmin });
  const page = await open(appliance);
  await signIn(page);
  await live(page);
  assert.equal(await tile(page, 'Channels').count(), 1);
  assert.equal(await tile(page, 'Connections').count(), 1);
  assert.equal(await page.getByText('Waiting for Redis').count(), 0, 'it has none');
  assert.equal((await called(appliance, 'channels', {})).status, 405, 'internal.operations is off');
  await page.getByRole('tab', { name: 'Channels' }).click();
  await page.getByText('Channels, presence and history are switched off in this program').waitFor();
  await page.getByRole('tab', { name: 'Figures' }).click();
  appliance.kill('SIGSTOP');
  appliance.kill('SIGKILL');
  await appliance.done;
  await page.locator('#banner', { hasText: 'No answer from this program: it cannot be reached' }).waitFor();
  assert.equal(await page.locator('#state').getAttribute('data-state'), 'away');
  await page.screenshot({ path: path.join(ARTEFACTS, 'admin-away.png') });
  world.start('tools/callboard', ['--config', appliance.file], withAdmin);
  await page.locator('#state[data-state=ok]').waitFor();
  assert.ok(!await page.locator('#banner').isVisible());
  await page.close();
});

test('wrong tokens are told; after ten of them in a minute a source has to wait, others have not', async () => {
  const page = await open(gateway);
  await signIn(page, 'not the token of this one');
  await page.getByText('This token is not the one of this program').waitFor();
  await page.screenshot({ path: path.join(ARTEFACTS, 'admin-refused.png') });
  for (let i = 0; i < 12; i++) await asked(gateway, 'a guess that is wrong', '127.0.0.1');
  assert.equal(await asked(gateway, TOKEN), 429, 'not even a good token is looked at');
  assert.equal(await asked(gateway, TOKEN, '127.0.0.9'), 200);
  assert.equal((await get(gateway.internal, '/health')).status, 200, 'probes are answered');
  await signIn(page);
  await page.getByText('Too many wrong tokens came from this address').waitFor();
  assert.ok(gateway.lines.some((line) => line.includes('"internal_token_refused"') && line.includes('127.0.0.1') && !line.includes('guess')));
  assert.deepEqual(page.problems.filter((text) => !/401|429/.test(text)), []);
  await page.close();
});
