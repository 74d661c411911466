/* What no service should send: every case of backend_bad_input.json has its one answer, to the letter, or none where no
 * id can be read; the connection lives on. And services that behave badly as a whole cost nobody else anything. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { Service } from './backend_service.mjs';
import { World, metric, until } from './support.mjs';

let world;
let server;
let good;
before(async () => {
  world = new World();
  server = await world.appliance();
  good = new Service(`tcp://127.0.0.1:${server.router}`);
});
after(async () => {
  good.close();
  await world.close();
});

/* {"repeat": [text, n]}, {"repeat_in": [before, text, n, behind]}, {"hex": …} or text. */
const expand = (frame) => {
  if (typeof frame === 'string') return frame;
  if (frame.repeat) return frame.repeat[0].repeat(frame.repeat[1]);
  if (frame.repeat_in) return frame.repeat_in[0] + frame.repeat_in[1].repeat(frame.repeat_in[2]) + frame.repeat_in[3];
  return frame;
};

test('each malformed request has its exact answer', async () => {
  const cases = JSON.parse(fs.readFileSync('backend_bad_input.json', 'utf8'));
  assert.ok(cases.length >= 200);
  const bad = await metric(server, 'callboard_backend_bad_requests_total');
  const wrong = [];
  for (const { name, frames, answer } of cases) {
    const sent = frames.map(expand);
    if (answer === null) {
      good.sendFrames(sent);
      await good.ok('info', {}); /* behind it on the same connection: what was to come has come */
      if (good.unexpected.length > 0) wrong.push({ name, got: good.unexpected.splice(0) });
      continue;
    }
    const got = await good.ask(sent, 'ID');
    if (got.kind !== 'error' || JSON.stringify(got.body) !== JSON.stringify(answer)) wrong.push({ name, got, answer });
  }
  assert.deepEqual(wrong, []);
  assert.equal(await metric(server, 'callboard_backend_bad_requests_total'), bad + cases.filter(({ counted }) => counted !== false).length);
});

test('who floods without reading, dies in the middle, or speaks no ZeroMQ keeps nobody else waiting', async () => {
  const flood = new Service(good.endpoint);
  const mute = [];
  flood.pause();
  for (let n = 0; n < 20000; n++) flood.send('history', { channel: 'demo:flood' });
  for (let n = 0; n < 50; n++) {
    const socket = net.connect(server.router, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(n % 2 ? Buffer.alloc(4096, n) : Buffer.from('ff00000000000000017f03', 'hex'));
    mute.push(socket);
  }
  const dying = new Service(good.endpoint);
  await dying.ok('subscribe', { channel: 'demo:flood' });
  for (let n = 0; n < 100; n++) dying.send('publish', { channel: 'demo:flood' }, '1');
  dying.close('SIGKILL');
  for (let n = 0; n < 50; n++) await good.ok('publish', { channel: `demo:calm-${n}` }, '1');
  flood.close('SIGKILL');
  mute.forEach((socket) => socket.destroy());
  await until('nothing is kept of them', async () => {
    await good.ok('publish', { channel: 'demo:flood' }, '1'); /* an event notices that the subscriber is gone */
    return (await metric(server, 'callboard_backend_subscriptions')) + (await metric(server, 'callboard_backend_requests_pending')) === 0;
  });
  assert.ok((await good.ok('info', {})).connected);
});
