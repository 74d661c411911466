/* callboard-operator rehearse on real worlds: it fails Redis over while its workload runs, puts things back, and its verdict is PASS
 * where nothing was lost and FAIL where something was. Both worlds at once: most of it is waiting. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Cluster } from '../torture/worlds/cluster.mjs';
import { Sentinel } from '../torture/worlds/sentinel.mjs';
import { halt, sleep, until } from './support.mjs';

const WAIT_MS = 60000;
const list = (nodes) => nodes.map(({ proxyPort }) => `127.0.0.1:${proxyPort}`).join(',');

/* After how long who does not answer is held for down: above what a busy machine takes, unless a spec waits for it. */
async function patience(world, ms) {
  for (const sentinel of world.sentinels ?? []) await sentinel.cli('SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', ms);
  for (const server of world.sentinels ? [] : world.servers) await server.cli('CONFIG', 'SET', 'cluster-node-timeout', ms);
}

/* Brokers, gateways, and what rehearse has to be told of all of them. */
async function begin(Topology) {
  const world = new Topology({ say: () => {} });
  await world.startRedis();
  await patience(world, 15000);
  for (let i = 0; i < 2; i += 1) world.brokers.push(await world.kit.broker({ id: `broker-${i}`, redis: { url: world.urlFor(i) }, settings: world.settings() }));
  for (let i = 0; i < 2; i += 1) world.gateways.push(await world.kit.gateway({ brokers: world.brokers, settings: world.settings() }));
  const secret = world.kit.write('token-secret', 'e2e-secret-of-at-least-thirty-two-bytes\n');
  world.peers = [...world.servers];
  world.options = ['--peers', list(world.peers), '--gateway', world.urls().join(','), '--backend', world.brokers.map(({ router }) => `tcp://127.0.0.1:${router}`).join(','),
    '--token-secret-file', secret, '--token-audience', 'e2e', '--token-issuer', 'tests', '--for', '1s', '--timeout', '240s', '--max-gap', '240s', '--patience', '240s', '--command-timeout-ms', '10000', '--channel', 'safe:rehearsal',
    ...(world.sentinels ? ['--mode', 'replicated', '--sentinels', list(world.sentinels), '--master-set', 'mymaster'] : ['--shards', '3'])];
  return world;
}

const start = (world, act, ...more) => world.kit.start('operator/callboard-operator', ['rehearse', ...act.split(' '), ...world.options, '-o', 'json', ...more]);

/* The report begins with a brace, among lines of progress. */
async function ended(program) {
  const { code } = await program.done;
  const log = program.log();
  const at = log.indexOf('{\n');
  return { code, log, report: at < 0 ? undefined : JSON.parse(log.slice(at, log.indexOf('\n}', at) + 2)) };
}

const rehearse = (...args) => ended(start(...args));

function passed({ code, log, report }) {
  assert.equal(code, 0, log);
  assert.equal(report.verdict, 'PASS');
  assert.ok(report.sent > 20, log);
  assert.equal(report.acked, report.sent);
  for (const none of ['lost', 'gone', 'duplicates', 'outOfOrder', 'phantoms', 'nacked', 'unknown', 'historiesUnread', 'unrecovered']) assert.equal(report[none], 0, `${none}: ${log}`);
  assert.equal(report.delivered, 2 * report.acked);
  assert.ok(report.isWhole);
}

const roles = (world) => Promise.all(world.peers.map(async (server) => (await server.cli('ROLE'))[0]));

/* Programs that stop and start a server as an init system would; the test hears of each call, and does it. */
function hooks(world, { stop, start: goOn }) {
  const folder = fs.mkdtempSync(path.join(world.kit.folder, 'hooks-'));
  const write = (name) => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, `#!/bin/sh\necho "$@" > ${file}.new\nmv ${file}.new ${file}.asked\nwhile [ ! -e ${file}.done ]; do sleep 0.02; done\nrm ${file}.done\n`, { mode: 0o700 });
    return file;
  };
  const files = { stop: write('stop'), start: write('start') };
  const nodes = [...world.servers, ...(world.sentinels ?? [])];
  const calls = [];
  const timer = setInterval(async () => {
    for (const [name, file] of Object.entries(files)) {
      if (!fs.existsSync(`${file}.asked`)) continue;
      const [what, , port] = fs.readFileSync(`${file}.asked`, 'utf8').trim().split(' ');
      fs.rmSync(`${file}.asked`);
      calls.push(`${name} ${what}`);
      await (name === 'stop' ? stop : goOn)(nodes.find(({ proxyPort }) => String(proxyPort) === port));
      fs.writeFileSync(`${file}.done`, '');
    }
  }, 20);
  return { calls, options: ['--stop-with', files.stop, '--start-with', files.start], end: () => clearInterval(timer) };
}

describe('rehearsals', { concurrency: 2 }, () => {
  test('under Sentinel', async (t) => {
    const world = await begin(Sentinel);
    try {
      await t.test('an order: another one is primary, and everybody got everything', async () => {
        const before = await roles(world);
        const result = await rehearse(world, 'failover');
        passed(result);
        assert.match(result.log, /SENTINEL FAILOVER mymaster/);
        assert.notDeepEqual(await roles(world), before, result.log);
      });

      await t.test('an order that was obeyed is not given again while a Sentinel is away', async () => {
        const before = await roles(world);
        const configEpoch = async () => { const state = await world.sentinels[0].cli('SENTINEL', 'MASTER', 'mymaster'); return Number(state[state.indexOf('config-epoch') + 1]); };
        const epoch = await configEpoch();
        const program = start(world, 'failover');
        await until('it is given', () => program.log().includes('SENTINEL FAILOVER'), WAIT_MS);
        world.sentinels[2].proxy.set({ refuse: true }, ['client', 'sentinel']);
        try {
          /* A server cuts its clients as it becomes a replica. */
          await until('it was obeyed', async () => !isDeepStrictEqual(await roles(world).catch(() => before), before), WAIT_MS);
          await sleep(8000); /* an order is given again after 5 s */
        } finally {
          world.sentinels[2].proxy.heal();
        }
        const result = await ended(program);
        passed(result);
        assert.equal(await configEpoch(), epoch + 1, result.log);
      });

      await t.test('no quorum, and the primary away: nothing is acked meanwhile, and nothing is lost', async () => {
        const { calls, options, end } = hooks(world, { stop: (server) => halt(server.child), start: (server) => server.kill('SIGCONT') });
        const result = await rehearse(world, 'quorum', '--away', '1s', ...options);
        end();
        passed(result);
        assert.ok(result.report.turnedAway > 0);
        assert.deepEqual(calls, ['stop sentinel', 'stop sentinel', 'stop redis', 'start redis', 'start sentinel', 'start sentinel']);
      });

      /* A fast channel, whose primary acks what no replica gets, and dies. */
      await t.test('what was acked and is gone makes it fail', async () => {
        await patience(world, 1500);
        const { calls, options, end } = hooks(world, {
          stop: async (server) => {
            server.proxy.set({ refuse: true }, ['replication']);
            await until('no replica is left', async () => (await server.info('replication')).connected_slaves === '0', WAIT_MS);
            const { master_repl_offset: offset } = await server.info('replication');
            await until('it takes more', async () => Number((await server.info('replication')).master_repl_offset) > Number(offset) + 3000, WAIT_MS);
            await server.die();
          },
          start: async (server) => {
            server.proxy.heal();
            await server.start();
          },
        });
        const { code, log, report } = await rehearse(world, 'failover --crash', '--channel', 'fast:rehearsal', '--rate', '300', '--max-unrecovered', '1000', ...options);
        end();
        assert.equal(code, 1, log);
        assert.equal(report.verdict, 'FAIL');
        assert.ok(report.gone > 0, log);
        assert.ok(report.reasons.includes(`${report.gone} acked, and gone from the history`), log);
        assert.ok(report.unrecovered > 0, 'subscribers were told');
        assert.deepEqual(calls, ['stop redis', 'start redis']);
        assert.ok(report.isWhole);
      });
    } finally {
      await world.close();
    }
  });

  test('in a Cluster', async (t) => {
    const world = await begin(Cluster);
    try {
      await t.test('says what it would do, and does nothing', async () => {
        const { code, log } = await rehearse(world, 'failover', '--dry-run');
        assert.equal(code, 0, log);
        assert.equal(log.match(/redis-cli -h 127.0.0.1 -p \d+ CLUSTER FAILOVER/g).length, 6, log);
        assert.deepEqual(await roles(world), ['master', 'master', 'master', 'slave', 'slave', 'slave']);
      });

      await t.test('orders at every shard, and back', async () => {
        const result = await rehearse(world, 'failover');
        passed(result);
        assert.deepEqual(await roles(world), ['master', 'master', 'master', 'slave', 'slave', 'slave']);
      });

      await t.test('a primary that stands still for less than it takes to hold it for down', async () => {
        const { code, log, report } = await rehearse(world, 'failover --crash', '--away', '1s');
        assert.equal(code, 5, log);
        assert.match(report.error, /nobody has taken over: raise --away/);
        assert.equal(report.lost + report.gone, 0);
        assert.ok(report.isWhole);
      });

      await t.test('the primary of a minority holds its clients: its channels have no acks, and nothing is lost', async () => {
        const result = await rehearse(world, 'quorum', '--away', '5s');
        passed(result);
        assert.ok(result.report.turnedAway > 0);
        assert.match(result.log, /is paused \(CLIENT PAUSE\)/);
      });

      await t.test('interrupted: what was stopped is started', async () => {
        const { calls, options, end } = hooks(world, { stop: (server) => halt(server.child), start: (server) => server.kill('SIGCONT') });
        const program = start(world, 'quorum', '--away', '300s', ...options);
        await until('a shard is away', () => calls.length === 2 && program.log().match(/is stopped/g)?.length === 2, WAIT_MS);
        program.kill('SIGINT');
        const { code, log, report } = await ended(program);
        end();
        assert.equal(code, 6, log);
        assert.deepEqual(calls, ['stop redis', 'stop redis', 'start redis', 'start redis']);
        assert.equal(report.verdict, 'FAIL');
        assert.match(report.error, /interrupted/);
        await world.settle();
      });

      await t.test('refuses what is not well, what nobody answers, and what proves nothing', async () => {
        const [bad, nobody, plain] = await Promise.all([rehearse(world, 'failover', '--channel', 'nowhere:rehearsal'),
          rehearse(world, 'failover', '--gateway', 'ws://127.0.0.1:1/connection/websocket', '--timeout', '2s'), rehearse(world, 'failover', '--channel', 'crowd:rehearsal')]);
        assert.equal(bad.code, 5, bad.log);
        assert.match(bad.log, /refused: .*(unknown channel|namespace)/);
        assert.equal(nobody.code, 5, nobody.log);
        assert.match(nobody.log, /no subscriber comes in: ws:\/\/127.0.0.1:1/);
        assert.equal(plain.code, 5, plain.log);
        assert.match(plain.log, /cannot be recovered; its namespace needs history_size/);
        world.peers[5].kill('SIGSTOP');
        const { code, log } = await rehearse(world, 'failover', '--command-timeout-ms', '1000');
        world.peers[5].kill('SIGCONT');
        assert.equal(code, 4, log);
        assert.match(log, /refused\[CB3201\]/);
        assert.deepEqual(await roles(world), ['master', 'master', 'master', 'slave', 'slave', 'slave']);
      });
    } finally {
      await world.close();
    }
  });
});
