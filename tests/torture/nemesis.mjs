/* Two gateways, two brokers, one Redis, publishers and subscribers, and someone who breaks all of it at random. README.md here. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { World, get, sleep, until } from '../e2e/support.mjs';
import { judge } from './checker/checker.mjs';
import { seeded } from './dice.mjs';
import { Reader } from './reader.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const SEED = Number(process.argv[2] ?? Math.floor(Math.random() * 1e6));
const SECONDS = Number(process.argv[3] ?? 60);
const KINDS = process.argv[4]?.split(',');
const CHANNELS = Array.from({ length: 20 }, (_, i) => `torture:${i}`);
const NAMESPACE = `  - name: torture
    allow_subscribe_for_client: true
    allow_publish_for_client: true
    allow_history_for_client: true
    history_size: 20000
    history_ttl: 30m
    force_recovery: true
    force_positioning: true
`;

const events = [];
const clock = () => Number(process.hrtime.bigint());
const say = (type, fields) => events.push({ at: clock(), type, ...fields });
const note = (text) => console.log(`${(process.uptime()).toFixed(1).padStart(6)} ${text}`);

/* ---- the world ---- */

const world = new World();
const random = seeded(SEED);
const appendfsync = random() < 0.5 ? 'always' : 'everysec';
const redisLines = ['--appendonly', 'yes', '--appendfsync', appendfsync];
let redis;
let brokers;
let gateways;

async function isReady(program) {
  await until(`${program.name} is ready`, () => program.exited || get(program.internal, '/ready').then((a) => a.status === 200, () => false), 20000);
  return program.exited === null;
}

/* Ends the program and starts it again with the same settings; libzmq may hold its address for a moment. */
async function restart(list, at, name, signal) {
  const old = list[at];
  const exit = await old.stop(signal);
  if (signal === 'SIGTERM' && exit.code !== 0) say('crash', { what: `${name} ${at} ended with ${JSON.stringify(exit)} on SIGTERM` });
  await sleep(random() * 2500);
  await until(`${name} ${at} is back`, async () => {
    const program = world.start(name, ['--config', old.file]);
    const { file, port, internal, router, pull, id, url } = old;
    list[at] = Object.assign(program, { file, port, internal, router, pull, id, url });
    return isReady(program);
  }, 30000);
}

async function pause(program, ms) {
  program.kill('SIGSTOP');
  await sleep(ms);
  program.kill('SIGCONT');
}

const FAULTS = {
  'broker-kill': { weight: 4, target: 'broker', run: (at) => restart(brokers, at, 'broker/callboard-broker', 'SIGKILL') },
  'broker-term': { weight: 3, target: 'broker', run: (at) => restart(brokers, at, 'broker/callboard-broker', 'SIGTERM') },
  'broker-stop': { weight: 4, target: 'broker', run: (at, ms) => pause(brokers[at], 1000 + ms) },
  'gateway-kill': { weight: 2, target: 'gateway', run: (at) => restart(gateways, at, 'gateway/callboard-gateway', 'SIGKILL') },
  'gateway-stop': { weight: 1, target: 'gateway', run: (at, ms) => pause(gateways[at], 500 + ms) },
  'redis-stop': { weight: 3, target: 'redis', run: (at, ms) => pause(redis, 1000 + ms * 0.75) },
  'redis-cut': { weight: 2, target: 'redis', run: () => redis.cli('client', 'kill', 'type', 'normal') },
  'redis-cut-pubsub': { weight: 2, target: 'redis', run: () => redis.cli('client', 'kill', 'type', 'pubsub') },
  'script-flush': { weight: 1, target: 'redis', run: () => redis.cli('script', 'flush') },
  'flushall': { weight: 0.7, target: 'redis', run: () => redis.cli('flushall') },
  'redis-kill': { weight: 1.5, target: 'redis', run: async (at, ms) => {
    await redis.stop();
    await sleep(ms / 2);
    redis = await world.redis(redisLines, redis.port);
  } },
};

/* One chain of faults; two run side by side, each target has at most one at a time. */
function schedule(seed, seconds) {
  const dice = seeded(seed);
  const names = Object.keys(FAULTS).filter((name) => !KINDS || KINDS.includes(name));
  const total = names.reduce((sum, name) => sum + FAULTS[name].weight, 0);
  return Array.from({ length: seconds }, () => {
    let pick = dice() * total;
    const kind = names.find((name) => (pick -= FAULTS[name].weight) <= 0) ?? names[0];
    return { kind, at: dice() < 0.5 ? 0 : 1, ms: dice() * 4000, rest: 300 + dice() * 4000 };
  });
}

const busy = new Set();
async function nemesis(plan, end) {
  for (const { kind, at, ms, rest } of plan) {
    await sleep(rest);
    if (Date.now() > end) return;
    const target = FAULTS[kind].target === 'redis' ? 'redis' : `${FAULTS[kind].target} ${at}`;
    if (busy.has(target)) continue;
    busy.add(target);
    say('nemesis', { edge: 'begin', kind, target });
    note(`${kind} ${target}`);
    await FAULTS[kind].run(at, ms);
    say('nemesis', { edge: 'end', kind, target });
    busy.delete(target);
  }
}

/* ---- publishers ---- */

/* The SDK over a gateway, without keys: what is unknown is not tried again. */
function sdkPublisher(name, gateway, interval) {
  const client = world.client({ url: gateway.url }, { user: name, timeout: 4000 });
  client.connect();
  const state = { stop: false };
  const flights = new Set();
  const publish = async (key, ch) => {
    say('pub_invoke', { key, ch, try: 1 });
    try {
      await client.publish(ch, { k: key });
      say('pub_ok', { key, ch, try: 1 });
    } catch (error) {
      say(error.code === 120 || error.code < 100 ? 'pub_unknown' : 'pub_no', { key, ch, try: 1, code: error.code });
    }
  };
  state.done = (async () => {
    for (let i = 1; !state.stop; i += 1) {
      const flight = publish(`${name}-${i}`, CHANNELS[Math.floor(random() * CHANNELS.length)]);
      flights.add(flight);
      flight.then(() => flights.delete(flight));
      await sleep(interval);
    }
    await Promise.all(flights);
    client.disconnect();
  })();
  return state;
}

function backendPublisher(rate) {
  const endpoints = brokers.map((broker) => `tcp://127.0.0.1:${broker.router}`);
  const child = spawn('/usr/bin/python3', [path.join(HERE, 'publisher.py'), String(SEED), String(rate), CHANNELS.join(','), ...endpoints], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (bytes) => { out += bytes; });
  return {
    done: new Promise((resolve, reject) => child.on('exit', (code) => {
      if (code !== 0) return reject(new Error(`publisher.py ended with ${code}`));
      events.push(...out.split('\n').filter(Boolean).map((line) => JSON.parse(line)));
      return resolve();
    })),
    stop: () => child.stdin.end(),
  };
}

/* ---- the end of a run ---- */

async function canaries() {
  const late = [];
  await Promise.all(gateways.map(async (gateway, g) => {
    const client = await world.connected({ url: gateway.url }, { user: `canary-${g}`, timeout: 4000 });
    await Promise.all(CHANNELS.map(async (ch) => {
      for (let i = 1, end = Date.now() + 15000; ; i += 1) {
        const key = `canary-${g}-${ch}-${i}`;
        say('pub_invoke', { key, ch, try: 1 });
        try {
          await client.publish(ch, { k: key });
          say('pub_ok', { key, ch, try: 1 });
          return;
        } catch (error) {
          say(error.code === 120 || error.code < 100 ? 'pub_unknown' : 'pub_no', { key, ch, try: 1, code: error.code });
          if (Date.now() > end) return late.push(`${ch}: no canary passes gateway ${g}: ${error.code} ${error.message}`);
          await sleep(300);
        }
      }
    }));
    client.disconnect();
  }));
  return late;
}

async function readHistories() {
  const client = await world.connected({ url: gateways[0].url }, { user: 'historian', timeout: 8000 });
  const final = new Map();
  for (const ch of CHANNELS) {
    const entries = [];
    let since;
    for (;;) {
      const page = await client.history(ch, { limit: 300, since });
      entries.push(...page.publications.map((pub) => ({ off: pub.offset, key: pub.data.k })));
      if (page.publications.length < 300) {
        final.set(ch, { epoch: page.epoch, off: page.offset, entries });
        break;
      }
      since = { epoch: page.epoch, offset: entries.at(-1).off };
    }
  }
  client.disconnect();
  return final;
}

async function caughtUp(readers, final) {
  const behind = () => readers.filter((reader) => CHANNELS.some((ch) => {
    const position = reader.positions.get(ch);
    return !position || position.epoch !== final.get(ch).epoch || position.off !== final.get(ch).off;
  }));
  await until('all caught up', () => behind().length === 0, 15000).catch(() => {});
}

function report(findings, started) {
  const count = (type) => events.filter((event) => event.type === type).length;
  const faults = events.filter((event) => event.type === 'nemesis' && event.edge === 'begin').length;
  note(`seed ${SEED}, appendfsync ${appendfsync}, ${Math.round((Date.now() - started) / 1000)} s: ${faults} faults, ${count('pub_invoke')} tries, ${count('pub_ok')} ok, `
    + `${count('pub_no')} no, ${count('pub_unknown')} unknown, ${count('recv')} received, ${events.filter((e) => e.type === 'sub_ok' && e.recovered).length} recovered, ${count('lost')} told lost`);
  for (const finding of findings.slice(0, 40)) console.log(`  ${finding.rule} ${finding.ch}: ${finding.what}`);
  console.log(findings.length === 0 ? 'PASS' : `FAIL: ${findings.length} findings`);
}

async function main() {
  const started = Date.now();
  console.log(`seed ${SEED}: node nemesis.mjs ${process.argv.slice(2).length > 0 ? process.argv.slice(2).join(' ') : SEED}`);
  redis = await world.redis(redisLines);
  brokers = [await world.broker({ id: 'broker-0', redis, settings: NAMESPACE }), await world.broker({ id: 'broker-1', redis, settings: NAMESPACE })];
  const settings = `${NAMESPACE}client:\n  commands_per_second: 1000000\n`;
  gateways = [await world.gateway({ brokers, settings }), await world.gateway({ brokers, settings })];
  const urls = gateways.map((gateway) => gateway.url);
  const reader = (sid, more) => new Reader({ sid, urls, channels: CHANNELS, churn: 0, random, say, ...more });
  const readers = [reader('steady-0', { urls: [urls[0]] }), reader('steady-1', { urls: [urls[1]] }), reader('roaming-0', { churn: 1500 }), reader('roaming-1', { churn: 6000 })];
  await until('all are subscribed', () => readers.every((each) => each.positions.size === CHANNELS.length), 15000);
  const publishers = [sdkPublisher('sdk-0', gateways[0], 20), sdkPublisher('sdk-1', gateways[1], 20)];
  const backend = backendPublisher(80);
  await sleep(1000);
  const end = Date.now() + SECONDS * 1000;
  await Promise.all([nemesis(schedule(SEED * 2, SECONDS), end), nemesis(schedule(SEED * 2 + 1, SECONDS), end)]);
  note('healed');
  await sleep(3000);
  for (const publisher of publishers) publisher.stop = true;
  backend.stop();
  await Promise.all([...publishers, backend].map((publisher) => publisher.done));
  for (const each of readers) each.churn = 0;
  const late = await canaries();
  await sleep(1000);
  const final = await readHistories();
  await caughtUp(readers, final);
  await Promise.all(readers.map((each) => each.stop()));
  events.sort((a, b) => a.at - b.at);
  const findings = [
    ...judge({ events, final, bounds: { quiet: 10000 } }).findings,
    ...late.map((what) => ({ rule: 'C9', ch: '*', what })),
    ...events.filter((event) => event.type === 'crash').map(({ what }) => ({ rule: 'crash', ch: '*', what })),
    ...crashes(),
  ];
  report(findings, started);
  keep(findings, final, readers);
  return findings.length === 0;
}

/* Ends that nobody asked for. */
function crashes() {
  return world.programs.filter((program) => program.exited && !['SIGKILL', null].includes(program.exited.signal))
    .map((program) => ({ rule: 'crash', ch: '*', what: `${program.name} ended with ${JSON.stringify(program.exited)}: ${program.lines.slice(-5).join(' | ')}` }));
}

function keep(findings, final, readers) {
  const folder = process.env.TORTURE_KEEP ?? path.join(os.tmpdir(), `callboard-torture-${SEED}`);
  if (findings.length === 0 && !process.env.TORTURE_KEEP) return;
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'history.jsonl'), events.map((event) => JSON.stringify(event)).join('\n'));
  fs.writeFileSync(path.join(folder, 'final.json'), JSON.stringify([...final]));
  fs.writeFileSync(path.join(folder, 'findings.json'), JSON.stringify(findings, null, 1));
  fs.writeFileSync(path.join(folder, 'trouble.txt'), readers.map((each) => `${each.sid}\n  ${each.trouble.join('\n  ')}`).join('\n'));
  world.programs.filter((program) => program.lines).forEach((program, i) => {
    fs.writeFileSync(path.join(folder, `${String(i).padStart(2, '0')}-${path.basename(program.name)}-${program.id ?? program.port}.log`), program.log());
  });
  console.log(`kept in ${folder}`);
}

let passed = false;
try {
  passed = await main();
} catch (error) {
  console.log(`FAIL: ${error.stack}`);
} finally {
  await world.close();
}
process.exit(passed ? 0 : 1);
