/* WebSocket conformance of the real listener: the tables of wsconform_cases.mjs and wsconform_handshakes.mjs, each case on a connection of
 * its own. What libwebsockets does otherwise than RFC 6455 wants is written down in wsconform_deviations.mjs, case by case: one that
 * behaves better, or worse, than it is pinned there fails here. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { World, makeToken } from './support.mjs';
import { OPEN, groups } from './wsconform_cases.mjs';
import { REFUSED, UPGRADED, handshakes } from './wsconform_handshakes.mjs';
import { BINARY, PING, TEXT, frame, openWire, speak, told } from './wsconform_wire.mjs';
import { deviations } from './wsconform_deviations.mjs';

let world;
let server;
let next = 0;
before(async () => {
  world = new World();
  server = await world.appliance({
    settings: '  - name: bytes\n    allow_subscribe_for_client: true\n    allow_publish_for_client: true\n    publication_data_format: binary\n',
    args: ['--set', 'http.raw_endpoint=on', '--set', 'client.handshakes_per_source=0', '--set', 'client.connections_per_source=0', '--set', 'client.commands_per_second=1000000', '--set', 'client.commands_in_flight=10000', '--set', 'client.message_timeout=2s'],
  });
});
after(() => world.close());

const AT_ONCE = 40;

/* A connection that hears itself; on a channel of bytes everything comes back as a binary message, on the other one text as text. */
async function heard(channel) {
  const wire = await openWire(server.port, `/ws/${channel}:${next += 1}?token=${makeToken({ sub: 'conform' })}`);
  wire.socket.write(frame(TEXT, 'live?'));
  if (!await wire.until(() => wire.reader.frames.some(({ payload }) => payload.toString() === 'live?'))) throw new Error('it does not hear itself');
  wire.reader.frames.length = 0;
  return wire;
}

const isClosed = (wire) => wire.reader.frames.some(({ opcode }) => opcode === 8);
const stillThere = (wire) => wire.reader.frames.some(({ payload }) => payload.toString() === 'still there?');

/* Until it ends, or answers a ping. lws answers one ping at a time and forgets others: it is asked again. */
async function settle(wire) {
  for (const end = Date.now() + 5000; Date.now() < end && !wire.ended && !isClosed(wire) && !stillThere(wire);) {
    wire.socket.write(frame(PING, 'still there?'));
    await wire.until(() => isClosed(wire) || stillThere(wire), 200);
  }
}

/* What came back, in words; its last one says how it ended. */
async function behaviour(bytes, expected, channel) {
  const wire = await heard(channel);
  for (const piece of bytes) {
    wire.socket.write(piece);
    if (bytes.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  if (Array.isArray(expected)) await wire.until(() => wire.reader.frames.length >= expected.length || isClosed(wire));
  await settle(wire);
  const words = wire.reader.frames.filter(({ payload }) => payload.toString() !== 'still there?').map(({ opcode, payload, bad }) => (bad ? 'bad ' : '') + told(opcode, payload));
  if (!isClosed(wire)) words.push(stillThere(wire) ? OPEN : wire.ended ? 'cut' : 'silent');
  wire.socket.destroy();
  return words.join(', ');
}

/* The behaviours that the RFC allows. */
function allowed(expected, channel) {
  const heardAs = (word) => (channel === 'bytes' ? word.replace(/^text/, 'binary') : word);
  if (Array.isArray(expected)) return [[...expected.map(heardAs), OPEN].join(', ')];
  const ends = expected.fails ? [...expected.fails.map((code) => `close ${code}`), 'cut'] : expected.closes === null ? ['close', 'close 1000', 'close 1005'] : [`close ${expected.closes}`];
  return expected.perhaps ? ends.flatMap((each) => [each, `${heardAs(expected.perhaps)}, ${each}`]) : ends;
}

async function inParallel(all, work) {
  const left = [...all];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left.length > 0) await work(left.shift());
  }));
}

/* What is wrong with it: it is none of what is allowed, or no longer what is pinned. */
function judge(group, name, got, wanted) {
  const pinned = deviations.find(({ of, cases }) => of === group && cases.test(name));
  if (!pinned) return wanted.includes(got) ? [] : [`${name}: ${got}; not ${wanted.join(' | ')}`];
  pinned.met = (pinned.met ?? 0) + 1;
  return pinned.does.test(got) ? [] : [`${name}: ${got}; pinned: ${pinned.does}`];
}

const counts = {};
describe('frames', () => {
  for (const [group, cases] of Object.entries(groups)) {
    test(group, async () => {
      const all = [...cases()];
      counts[group] = all.length;
      assert.equal(new Set(all.map(([name]) => name)).size, all.length, 'each name once');
      const faults = [];
      await inParallel(all, async ([name, bytes, expected]) => {
        const channel = group === 'limits' || (bytes[0][0] & 15) === BINARY ? 'bytes' : 'plain';
        const got = await behaviour(bytes, expected, channel).catch((error) => `error: ${error.message}`);
        faults.push(...judge(group, name, got, allowed(expected, channel)));
      });
      assert.equal(faults.join('\n'), '', `${faults.length} of ${all.length}`);
    });
  }
  test('there are 517 of them at least', () => {
    const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
    assert.ok(total >= 517, `${total}: ${JSON.stringify(counts)}`);
  });
});

/* The answer to a handshake: upgraded with all it has to have, refused, or what is wrong with it. */
async function handshake(text, has) {
  const answer = (await speak(server.port, text)).text;
  if (!answer.startsWith('HTTP/1.1 101')) return answer === '' || /^HTTP\/1\.[01] [345]\d\d/.test(answer) ? REFUSED : `odd: ${answer.split('\r\n')[0]}`;
  const head = Object.fromEntries(answer.split('\r\n\r\n')[0].split('\r\n').slice(1).map((line) => /^([^:]+): *(.*)$/.exec(line)).map(([, name, value]) => [name.toLowerCase(), value]));
  if (head.upgrade?.toLowerCase() !== 'websocket' || !/(^|,) *upgrade *($|,)/i.test(head.connection ?? '')) return `101 with Upgrade: ${head.upgrade}, Connection: ${head.connection}`;
  if (has.accept && head['sec-websocket-accept'] !== has.accept) return `101 with another accept: ${head['sec-websocket-accept']}`;
  if (head['sec-websocket-extensions'] !== undefined) return `101 with extensions ${head['sec-websocket-extensions']}`;
  if (has.protocol !== undefined && (head['sec-websocket-protocol'] ?? null) !== has.protocol) return `101 with subprotocol ${head['sec-websocket-protocol']}`;
  return UPGRADED;
}

const handshakeCounts = {};
describe('handshakes', () => {
  for (const [group, cases] of Object.entries(handshakes)) {
    test(group, async () => {
      const all = [...cases()];
      handshakeCounts[group] = all.length;
      assert.equal(new Set(all.map(([name]) => name)).size, all.length, 'each name once');
      const faults = [];
      await inParallel(all, async ([name, text, wanted, has]) => faults.push(...judge(group, name, await handshake(text, has), [wanted])));
      assert.equal(faults.join('\n'), '', `${faults.length} of ${all.length}`);
    });
  }
  test('there are 150 of them at least', () => {
    const total = Object.values(handshakeCounts).reduce((sum, n) => sum + n, 0);
    assert.ok(total >= 150, `${total}: ${JSON.stringify(handshakeCounts)}`);
  });
});

test('each pinned deviation was met', () => {
  assert.deepEqual(deviations.filter(({ met }) => !met).map(({ why }) => why), []);
});
