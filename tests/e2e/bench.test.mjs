/* callboardctl bench: what it counts on a real appliance, and that it sees what a lying server and a cutting proxy do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocketServer } from 'ws';
import { FaultProxy } from '../torture/fault_proxy.mjs';
import { BUILD, World, freePort, until } from './support.mjs';

let world;
let appliance;
before(async () => {
  world = new World();
  appliance = await world.appliance();
});
after(() => world.close());

/* Runs bench to its end; `during` is called with the child while it runs. */
async function run(args, { env = {}, during = null, json = true } = {}) {
  const child = spawn(path.join(BUILD, 'tools/callboardctl'), [...(json ? ['-o', 'json'] : []), 'bench', ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (bytes) => { out += bytes; });
  child.stderr.on('data', (bytes) => { err += bytes; });
  const ended = new Promise((resolve) => child.on('close', resolve));
  await during?.(child, () => err);
  const code = await ended;
  return { code, out, err, report: json && out.startsWith('{') ? JSON.parse(out) : null };
}

const at = (url, ...args) => ['--url', url, '--channel-prefix', 'plain:bench', ...args];
const onAppliance = (...args) => at(appliance.url, '--config', appliance.file, ...args);

describe('on an appliance', () => {
  it('connects 200 users, counts each delivery once, and keeps what it asserts', async () => {
    const plot = path.join(world.folder, 'plot.svg');
    const file = path.join(world.folder, 'report.json');
    const { code, report, err } = await run(onAppliance('--users', '200', '--channels', '4', '--publishers', '2', '--rate', '10', '--duration', '2s',
      '--pid', `server=${appliance.pid}`, '--plot', plot, '--report', file, '--assert', 'success>=100,lost=0,doubled=0,out_of_order=0'));
    assert.equal(code, 0, err);
    const { figures } = report;
    assert.equal(figures.connects, 200);
    assert.equal(figures.sent, 4 * 2 * 10 * 2);
    assert.equal(figures.due, figures.sent * 50);
    assert.equal(figures.deliveries, figures.due);
    assert.equal(report.acked, figures.sent);
    assert.ok(figures.p50 > 0 && figures.p50 <= figures.p95 && figures.p95 <= figures.p99 && figures.p99 <= figures.max);
    assert.ok(report.seconds.length >= 2);
    assert.deepEqual(report.assertions.map(({ text, holds }) => [text, holds]), [['success>=100', true], ['lost=0', true], ['doubled=0', true], ['out_of_order=0', true]]);
    assert.equal(report.processes[0].name, 'server');
    assert.ok(report.processes[0].cpu_s > 0);
    assert.deepEqual(JSON.parse(fs.readFileSync(file, 'utf8')), report);
    const svg = fs.readFileSync(plot, 'utf8');
    assert.match(svg, /^<svg [\s\S]*<\/svg>\n$/);
    assert.equal((svg.match(/<path /g) ?? []).length, 5);
    assert.doesNotMatch(svg, /nan|inf/);
  });

  it('spreads users over processes and channels over users', async () => {
    const { code, report, err } = await run(onAppliance('--users', '60', '--processes', '3', '--channels', '10', '--subscriptions', '3', '--publishers', '2', '--rate', '5', '--duration', '2s',
      '--assert', 'success>=100,lost=0,doubled=0,out_of_order=0'));
    assert.equal(code, 0, err);
    assert.equal(report.figures.sent, 10 * 2 * 5 * 2);
    assert.equal(report.figures.due, report.figures.sent * 18);
    assert.equal(report.foreign, 0);
  });

  it('publishes as fast as all follow, and no further ahead', async () => {
    const { code, report, err } = await run(onAppliance('--users', '20', '--rate', 'max', '--in-flight', '8', '--duration', '500ms', '--assert', 'success>=100,lost=0,doubled=0'));
    assert.equal(code, 0, err);
    assert.ok(report.figures.sent > 8);
    assert.equal(report.figures.due, report.figures.sent * 20);
  });

  it('counts handshakes', async () => {
    for (const how of ['close', 'reset']) {
      const { code, report, err } = await run(onAppliance('--users', '10', '--channels', '0', '--publishers', '0', '--churn', how, '--duration', '500ms', '--assert', 'success>=100,disconnects=0'));
      assert.equal(code, 0, err);
      assert.ok(report.figures.connects > 20, `${how}: ${report.figures.connects}`);
      assert.equal(report.figures.connect_failures, 0);
    }
  });

  it('ends with 1 when an assertion does not hold, and says which', async () => {
    const { code, err } = await run(onAppliance('--users', '2', '--duration', '200ms', '--assert', 'success>=100,p95<0.000001ms'));
    assert.equal(code, 1);
    assert.match(err, /p95<0\.000001ms does not hold: \d/);
    assert.doesNotMatch(err, /success/);
  });

  it('takes the secret from the environment, and says what the server refused', async () => {
    const secret = 'e2e-secret-of-at-least-thirty-two-bytes';
    const args = at(appliance.url, '--audience', 'e2e', '--issuer', 'tests', '--users', '2', '--duration', '100ms');
    assert.equal((await run(args, { env: { CALLBOARD_TOKEN_SECRET: secret } })).code, 0);
    const { code, err } = await run([...args, '--connect-timeout', '200ms'], { env: { CALLBOARD_TOKEN_SECRET: `another ${secret}` } });
    assert.equal(code, 3);
    assert.match(err, /nobody could connect: user \d: closed by the server: 3500 invalid token/);
  });

  it('prints progress and a report for a person', async () => {
    const { code, out, err } = await run(onAppliance('--users', '5', '--duration', '1500ms', '--progress'), { json: false });
    assert.equal(code, 0, err);
    assert.match(err, /5 of 5 connected/);
    assert.match(out, /^5 users \(centrifuge\), 1 channels x 1 publishers/);
    assert.match(out, /\n {2}lost +0 /);
    assert.doesNotMatch(out, /nan/);
  });

  it('ends a run that is interrupted, with what it has', async () => {
    const { code, report } = await run(onAppliance('--users', '5', '--duration', '60s', '--progress'), {
      during: async (child, said) => {
        await until('it runs', () => /delivered/.test(said()));
        child.kill('SIGINT');
      },
    });
    assert.equal(code, 1);
    assert.equal(report.interrupted, true);
    assert.ok(report.figures.sent > 0);
  });

  it('asks Redis for its rate', async () => {
    const redis = await world.redis();
    const { code, report, err } = await run(onAppliance('--users', '2', '--duration', '300ms', '--redis', redis.url));
    assert.equal(code, 0, err);
    assert.ok(report.figures.redis_rate > 0);
  });
});

it('says what is wrong with its command line', async () => {
  for (const [args, expected] of [
    [['--users', '0'], /--users takes a number from 1 to 50000, not '0'/],
    [['--users', '50001'], /--users/],
    [['--url', 'wss://127.0.0.1:1'], /--url takes ws:/],
    [['--url', 'ws://127.0.0.1'], /no HOST:PORT/],
    [['--rate', 'fast'], /--rate takes publications a second, or max/],
    [['--duration', '10'], /--duration takes a time such as/],
    [['--assert', 'p95<50ms,lots=0'], /--assert 'p95<50ms,lots=0': column 10: expected a figure.*not 'lots'/],
    [['--channels', '4', '--subscriptions', '5'], /there are 4 channels/],
    [['--raw', '--channels', '4', '--subscriptions', '2'], /a raw connection has one channel/],
    [['--users', '3', '--publishers', '4'], /the publishers are among the subscribers, and there are 3/],
    [['--redis', 'redis+cluster://127.0.0.1'], /one server without TLS/],
    [['--pid', 'x'], /--pid takes PID or NAME=PID/],
    [['--churn', 'slam'], /close or reset/],
    [['more'], /takes options only, not 'more'/],
  ]) {
    const { code, err } = await run(args);
    assert.equal(code, 2, `${args}: ${err}`);
    assert.match(err, expected);
  }
  const { code, out } = await run(['--help'], { json: false });
  assert.equal(code, 0);
  for (const word of ['--assert', '--churn', 'p99.9', 'pss_per_user']) assert.ok(out.includes(word), word);
});

/* A server that does to each publication what `mangle` says: it is given the publications so far, by number, and returns those to
 * push now. */
async function lyingServer({ raw, mangle }) {
  const port = await freePort();
  const server = new WebSocketServer({ port, host: '127.0.0.1' });
  const subscribers = new Set();
  let count = 0;
  const push = (text) => subscribers.forEach((socket) => socket.send(raw ? text : `{"push":{"channel":"plain:bench0","pub":{"data":${text}}}}`));
  server.on('connection', (socket) => {
    if (raw) subscribers.add(socket);
    socket.on('message', (bytes) => {
      const lines = raw ? [bytes.toString()] : bytes.toString().split('\n').filter((line) => line !== '{}');
      for (const line of lines) {
        const command = raw ? { publish: { data: line } } : JSON.parse(line);
        if (command.subscribe) subscribers.add(socket);
        if (!raw) socket.send(JSON.stringify({ id: command.id, [Object.keys(command)[1]]: {} }));
        if (command.publish) mangle(++count, raw ? line : JSON.stringify(command.publish.data)).forEach(push);
      }
    });
  });
  await until('it listens', () => server.address());
  return { url: `ws://127.0.0.1:${port}`, close: () => { server.clients.forEach((socket) => socket.terminate()); server.close(); } };
}

for (const raw of [false, true]) {
  describe(`a lying server, ${raw ? 'raw' : 'Centrifuge'}`, () => {
    const load = async (mangle) => {
      const server = await lyingServer({ raw, mangle });
      const { report, err } = await run(at(`${server.url}${raw ? '/ws/' : '/connection/websocket'}`, ...(raw ? ['--raw'] : []), '--users', '7', '--rate', '100', '--duration', '1s', '--drain', '2s'));
      server.close();
      assert.ok(report, err);
      assert.equal(report.figures.sent, 100);
      assert.equal(report.figures.due, 700);
      const { deliveries, lost, doubled, out_of_order: late } = report.figures;
      return { deliveries, lost, doubled, late };
    };

    it('that does not lie', async () => {
      assert.deepEqual(await load((n, text) => [text]), { deliveries: 700, lost: 0, doubled: 0, late: 0 });
    });
    it('each tenth is lost', async () => {
      assert.deepEqual(await load((n, text) => (n % 10 === 0 ? [] : [text])), { deliveries: 630, lost: 70, doubled: 0, late: 0 });
    });
    it('each tenth comes twice', async () => {
      assert.deepEqual(await load((n, text) => (n % 10 === 0 ? [text, text] : [text])), { deliveries: 700, lost: 0, doubled: 70, late: 0 });
    });
    it('each tenth comes after the one behind it', async () => {
      let held = null;
      assert.deepEqual(await load((n, text) => {
        if (n % 10 === 5) {
          held = text;
          return [];
        }
        const now = held ? [text, held] : [text];
        held = null;
        return now;
      }), { deliveries: 700, lost: 0, doubled: 0, late: 70 });
    });
  });
}

describe('through a proxy that cuts all connections but the publisher\'s', () => {
  const load = async (namespace) => {
    const proxy = await new FaultProxy(appliance.port).listen(await freePort());
    const result = await run(['--url', `ws://127.0.0.1:${proxy.port}/connection/websocket`, '--channel-prefix', `${namespace}:cut`, '--config', appliance.file, '--sources', '0',
      '--users', '10', '--connecting', '1', '--publishers', '1', '--rate', '100', '--duration', '4s', '--progress'], {
      during: async (child, said) => {
        await until('it runs, and all are there', () => /delivered/.test(said()) && proxy.pairs.size >= 10);
        for (const pair of [...proxy.pairs].slice(1)) pair.reset(); /* the first one that came is the publisher */
      },
    });
    await proxy.close();
    assert.equal(result.code, 0, result.err);
    assert.equal(result.report.figures.disconnects, 9);
    assert.equal(result.report.figures.reconnects, result.report.figures.disconnects);
    return result.report.figures;
  };

  it('where there is a history, everything comes once after all', async () => {
    const figures = await load('demo');
    assert.equal(figures.doubled, 0);
    assert.equal(figures.out_of_order, 0);
    assert.equal(figures.lost, 0);
  });

  it('where there is none, what was missed is lost', async () => {
    const figures = await load('plain');
    assert.ok(figures.lost >= 9, `${figures.lost} lost`); /* each came back after 25 ms at least, two publications */
    assert.equal(figures.doubled, 0);
  });
});
