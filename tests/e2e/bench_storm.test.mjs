/* callboardctl bench --storm: who is cut off, where it comes back to and from which position, and that it sees what a server forgets. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocketServer } from 'ws';
import { BUILD, World, freePort, metric, until } from './support.mjs';

let world;
let appliance;
before(async () => {
  world = new World();
  appliance = await world.appliance({ settings: 'client:\n  commands_per_second: 1000000\n' });
});
after(() => world.close());

async function run(...args) {
  const child = spawn(path.join(BUILD, 'tools/callboardctl'), ['-o', 'json', 'bench', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (bytes) => { out += bytes; });
  child.stderr.on('data', (bytes) => { err += bytes; });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, err, report: out.startsWith('{') ? JSON.parse(out) : null };
}

const kept = (prefix, ...args) => ['--url', appliance.url.replace('/connection/websocket', ''), '--config', appliance.file, '--channel-prefix', `demo:${prefix}`, ...args];
const ASSERT = ['--assert', 'success>=100,caught_up>=100,lost=0,doubled=0,out_of_order=0,disconnects=0,publish_errors=0'];

describe('on an appliance', () => {
  for (const [name, args] of [['centrifuge', []], ['raw', ['--raw']], ['many', ['--processes', '3', '--subscriptions', '2', '--publishers', '2']]]) {
    it(`${name}: everybody is back with what was missed, once`, async () => {
      const { code, report, err } = await run(...kept(name, '--users', '65', '--channels', '5', '--storm', '7', '--pid', `server=${appliance.pid}`, ...args, ...ASSERT));
      assert.equal(code, 0, `${err} ${report?.first_trouble}`);
      const { figures } = report;
      const publishers = name === 'many' ? 10 : 5;
      assert.equal(report.plan.missed, 7);
      assert.equal(figures.sent, publishers * 8);
      assert.ok(figures.storm_users >= 55 && figures.storm_users <= 60, `${figures.storm_users} were cut`);
      assert.equal(figures.reconnects, figures.storm_users);
      assert.ok(figures.caught_up_p50 > 0 && figures.caught_up_p50 <= figures.caught_up_p95 && figures.caught_up_p99 <= figures.caught_up_max);
      assert.ok(figures.caught_up_max <= report.run_s * 1000 + 25);
      assert.ok(figures.cpu > 0);
    });
  }

  it('without a history nobody gets what was missed, and the figures say so', async () => {
    const { code, report, err } = await run('--url', appliance.url, '--config', appliance.file, '--channel-prefix', 'plain:storm', '--users', '11', '--storm', '3',
      '--connect-timeout', '2s', '--assert', 'caught_up>=100');
    assert.equal(code, 1, err);
    assert.deepEqual([report.figures.storm_users, report.figures.caught_up, report.figures.success], [10, 0, 0]);
    assert.equal(report.figures.lost, 30);
    assert.equal(report.figures.caught_up_max, null);
  });

  it('outside of a storm its figures are not measured', async () => {
    const { report } = await run(...kept('calm', '--users', '2', '--duration', '100ms'));
    assert.equal(report.figures.storm_users, null);
    assert.equal(report.figures.caught_up, null);
  });
});

it('--storm-to: they come back at another gateway, who publishes stays', async () => {
  const broker = await world.broker({ id: 'one' });
  const first = await world.gateway({ brokers: [broker] });
  const second = await world.gateway({ brokers: [broker] });
  const base = (gateway) => gateway.url.replace('/connection/websocket', '');
  const earlier = await metric(second, 'callboard_websocket_handshakes_total');
  const { code, report, err } = await run('--url', base(first), '--storm-to', base(second), '--config', first.file, '--channel-prefix', 'demo:moved', '--users', '31', '--storm', '4', ...ASSERT);
  assert.equal(code, 0, `${err} ${report?.first_trouble}`);
  assert.equal(report.figures.storm_users, 30);
  assert.equal(await metric(second, 'callboard_websocket_handshakes_total') - earlier, 30);
});

/* nchan's way to speak, as far as bench uses it: ids in front of messages, last_event_id to come back with. `forgets`: the offset that it
 * does not replay. */
async function nchanLike({ forgets = 0 } = {}) {
  const port = await freePort();
  const server = new WebSocketServer({ port, host: '127.0.0.1', handleProtocols: (offered) => (offered.has('ws+meta.nchan') ? 'ws+meta.nchan' : false) });
  const messages = [];
  const asked = [];
  const frame = (n) => `id: 1700000000:${n}\ncontent-type: text/plain\n\n${messages[n]}`;
  server.on('connection', (socket, request) => {
    const last = new URL(request.url, 'ws://localhost').searchParams.get('last_event_id');
    if (last !== null) {
      asked.push(last);
      for (let n = Number(last.split(':')[1]) + 1; n < messages.length; n += 1) {
        if (n !== forgets) socket.send(frame(n));
      }
    }
    socket.on('message', (bytes) => {
      messages.push(bytes.toString());
      server.clients.forEach((each) => each.send(frame(messages.length - 1)));
    });
  });
  await until('it listens', () => server.address());
  return { url: `ws://127.0.0.1:${port}`, asked, close: () => { server.clients.forEach((socket) => socket.terminate()); server.close(); } };
}

describe('a server that speaks as nchan does', () => {
  it('everybody comes back with the id it had last', async () => {
    const server = await nchanLike();
    const { code, report, err } = await run('--url', server.url, '--nchan', '--token', 'none', '--users', '9', '--storm', '5', ...ASSERT);
    server.close();
    assert.equal(code, 0, `${err} ${report?.first_trouble}`);
    assert.deepEqual(server.asked, Array(8).fill('1700000000:0'));
    assert.equal(report.figures.caught_up, 100);
  });

  it('one that forgets a message is found out', async () => {
    const server = await nchanLike({ forgets: 3 });
    const { report } = await run('--url', server.url, '--nchan', '--token', 'none', '--users', '9', '--storm', '5', '--connect-timeout', '2s');
    server.close();
    assert.equal(report.figures.lost, 8);
    assert.equal(report.figures.caught_up, 0);
  });
});

it('says what is wrong with its command line', async () => {
  for (const [args, expected] of [
    [['--storm', '0'], /--storm takes a number from 1 to 1000, not '0'/],
    [['--storm', '3', '--users', '1'], /more users than publishers/],
    [['--storm', '3', '--publishers', '0'], /somebody publishes and stays/],
    [['--storm', '3', '--churn', 'reset'], /--storm and --churn are two things/],
    [['--storm', '3', '--url', 'mqtt://127.0.0.1:1'], /mqtt has no positions to come back with/],
    [['--storm-to', 'ws://127.0.0.1:1'], /--storm-to needs --storm/],
    [['--storm', '3', '--storm-to', 'http://127.0.0.1:1'], /takes ws:/],
  ]) {
    const { code, err } = await run(...args);
    assert.equal(code, 2, `${args}: ${err}`);
    assert.match(err, expected);
  }
});
