/* Wrong settings: one line for each mistake that says what, where and how to mend it, and the documented exit code; the
 * same for the three programs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, freePort, makeToken, metric, rawConnected, rawSocket, until } from './support.mjs';

const GATEWAY = 'gateway/callboard-gateway';
const BROKER = 'broker/callboard-broker';
const APPLIANCE = 'tools/callboard';
const ALL = [GATEWAY, BROKER, APPLIANCE];
const DONE = 0;
const FAILED = 1;
const USAGE = 2;
const SETTINGS = 3;

let world;
before(() => { world = new World(); });
after(() => world.close());

function run(program, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(path.join(BUILD, program), args, { cwd: world.folder, env: { PATH: process.env.PATH, ...env } });
    let err = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), 20000);
    child.stderr.on('data', (bytes) => { err += bytes; });
    child.on('close', (code) => { clearTimeout(timer); resolve({ code, lines: err.split('\n').filter((line) => line !== '') }); });
  });
}

let files = 0;
function write(content) {
  files += 1;
  const name = `wrong-${files}.yaml`;
  fs.writeFileSync(path.join(world.folder, name), content);
  return name;
}

/* What is wrong with the command line. */
const USAGES = [
  [['--bogus'], /: --bogus: unknown option; see \S+ --help$/],
  [['-x'], /: -x: unknown option/],
  [['--set'], /: --set: the option needs a value/],
  [['--config'], /: --config: the option needs a value/],
  [['--set', 'http.port'], /: http\.port: --set wants KEY=VALUE/],
  [['start'], /: start: an argument that is not an option/],
  [['--check=yes'], /: --check=yes: /],
];

/* What is wrong in a file: text, and a line for each mistake. FILE stands for its name. */
const deep = `log: ${'['.repeat(40)}${']'.repeat(40)}`;
const FILES = [
  ['log:\n  levle: info\n', [/FILE:2:3: log\.levle: there is no such key; did you mean log\.level\?/]],
  ['lgo:\n  level: info\n', [/FILE:1:1: lgo: there is no such key; did you mean log\?/]],
  ['log: loud\n', [/FILE:1:1: log: must be a map/]],
  ['log:\n  level: loud\n', [/FILE:2:3: log\.level: "loud" is not known here; .*debug, info, warning, error/]],
  ['log:\n  rate: ten\n', [/FILE:2:3: log\.rate: "ten" /]],
  ['log:\n  rate: 0\n', [/FILE:2:3: log\.rate: "0" is out of bounds; .*1 to 1000000/]],
  ['log:\n  rate: 1\n  rate: 2\n', [/FILE:3:3: rate: stands twice in this map; the other one is in line 2/]],
  ['internal:\n  port: -1\n', [/FILE:2:3: internal\.port: "-1" /]],
  ['internal:\n  port: 99999\n', [/FILE:2:3: internal\.port: "99999" is out of bounds/]],
  ['internal:\n  token: short\n', [/FILE:2:3: internal\.token: has 5 bytes/]],
  ['internal:\n  token_file: nowhere.txt\n', [/FILE:2:3: internal\.token_file: .*nowhere\.txt.*No such file/]],
  ['internal:\n  token: 0123456789abcdef\n  token_file: x\n', [/FILE:3:\d+: internal\.token/]],
  ['drain:\n  window: 5\n', [/FILE:2:3: drain\.window: "5" .*(unit|ms|s)/]],
  ['drain:\n  window: 5 minutes\n', [/FILE:2:3: drain\.window: "5 minutes" /]],
  ['drain:\n  window: -5s\n', [/FILE:2:3: drain\.window: "-5s" /]],
  ['drain: [1, 2\n', [/FILE:\d+:\d+: /]],
  ['drain:\n\twindow: 5s\n', [/FILE:2:\d+: /]],
  ['log: &anchor\n  rate: 5\n', [/FILE:1:6: .*anchor/]],
  ['log: *other\n', [/FILE:1:6: .*(alias|anchor)/]],
  ['log: !!map {rate: 5}\n', [/FILE:1:6: .*tag/]],
  ['log:\n  <<: {rate: 5}\n', [/FILE:2:\d+: .*(merge|<<)/]],
  ['log:\n  rate: 5\n---\nlog:\n  rate: 6\n', [/FILE:3:1: .*document/]],
  ['%YAML 1.1\n---\nlog:\n  rate: 5\n', [/FILE:1:1: .*directive/]],
  [`${deep}\n`, [/FILE:1:\d+: .*deep/]],
  [Buffer.from('log:\n  level: "\xff\xfe"\n', 'latin1'), [/FILE:2:1: this line is not UTF-8; save the file as UTF-8/]],
  [Buffer.from('log:\n  level: "a\0b"\n'), [/FILE:2:\d+: /]],
  [`# ${'x'.repeat(300 * 1024)}\n`, [/FILE: cannot be read: larger than allowed/]],
  ['- log\n', [/FILE:1:1: /]],
  ['namespaces: demo\n', [/FILE:1:1: namespaces: must be a list/]],
  ['namespaces:\n  - name: x\n', [/FILE:2:5: namespaces\[0\]\.name: .*2 to 64/]],
  ['namespaces:\n  - name: demo\n  - name: demo\n', [/namespaces\[1\]\.name: is the same as that of namespaces\[0\]/]],
  ['namespaces:\n  - name: demo\n    histroy_size: 5\n', [/FILE:3:5: namespaces\[0\]\.histroy_size: there is no such key; did you mean namespaces\[0\]\.history_size\?|FILE:3:5: .*history_size/]],
  ['namespaces:\n  - name: demo\n    force_recovery: true\n', [/namespaces\[0\]\.force_recovery: .*history/]],
  ['namespaces:\n  - name: demo\n    durability: sure\n', [/namespaces\[0\]\.durability/]],
  ['log:\n  rate: 0\n  level: loud\ninternal:\n  port: x\nbogus: 1\n',
    [/FILE:2:3: log\.rate/, /FILE:3:3: log\.level/, /FILE:5:3: internal\.port/, /FILE:6:1: bogus/]],
];

/* The same by --set and by the environment. */
const OTHERS = [
  [['--config', 'nowhere.yaml'], {}, /nowhere\.yaml: cannot be read: No such file/],
  [['--config', '.'], {}, /\.: cannot be read: /],
  [[], { CALLBOARD_CONFIG: 'nowhere.yaml' }, /nowhere\.yaml: cannot be read/],
  [['--set', 'log.levle=info'], {}, /log\.levle: there is no such key; did you mean log\.level\?/],
  [['--set', 'log.rate=many'], {}, /log\.rate: "many" /],
  [['--set', 'internal.token=0123456789abcdef'], {}, /--set internal\.token: .*_file behind it, or set it in the environment/],
  [['--set', 'namespaces=demo'], {}, /namespaces: .*file/],
  [[], { CALLBOARD_LOG_LEVLE: 'info' }, /CALLBOARD_LOG_LEVLE: there is no such key; did you mean CALLBOARD_LOG_LEVEL\?/],
  [[], { CALLBOARD_LOG_RATE: 'many' }, /CALLBOARD_LOG_RATE: .*"many" /],
  [[], { CALLBOARD_INTERNAL_TOKEN: 'short' }, /CALLBOARD_INTERNAL_TOKEN: .*5 bytes/],
];

/* What only some have. */
const OWN = [
  [GATEWAY, 'token: {secret: short, any_audience: true}', [/FILE:1:9: token\.secret: has 5 bytes; it must have from 32/]],
  [GATEWAY, `token: {secret: ${'s'.repeat(32)}}`, [/token\.audience: is needed with token\.secret/, /token\.issuer: is needed/]],
  [GATEWAY, 'token: {algorithm: none}', [/token\.algorithm: "none" is not known here/]],
  [GATEWAY, 'http: {websocket_path: ws}', [/http\.websocket_path: must begin with \//]],
  [GATEWAY, "http: {allowed_origins: ['*']}", [/http\.allowed_origins: \* is no origin; write scheme/]],
  [GATEWAY, 'client: {ping_interval: 5s, pong_timeout: 5s}', [/client\.pong_timeout: must be below client\.ping_interval/]],
  [GATEWAY, "brokers: {endpoints: ['127.0.0.1:7700']}", [/brokers\.endpoints: 127\.0\.0\.1:7700 is no endpoint; write tcp:\/\/host:port/]],
  [GATEWAY, 'brokers: {curve_broker_key: k}', [/brokers\.curve_key_file: is needed too/]],
  [GATEWAY, 'broker: {shards: 1}', [/broker: there is no such key; did you mean brokers\?/]],
  [BROKER, 'broker: {partitions: 100}', [/broker\.partitions: must be a power of two/]],
  [BROKER, 'broker: {endpoint: 7700}', [/broker\.endpoint: 7700 is no endpoint; write tcp:\/\/address:port/]],
  [BROKER, 'broker: {peer_timeout: 100ms}', [/broker\.peer_timeout: must be above broker\.heartbeat/]],
  [BROKER, 'redis: {url: localhost}', [/redis\.url: begins with redis:\/\/, .*e\.g\. redis:\/\/127/]],
  [BROKER, "redis: {url: 'redis://:geheim@localhost'}", [/redis\.url: .*(password_file|environment)/]],
  [BROKER, 'redis: {prefix: "a b"}', [/redis\.prefix: must be letters/]],
  [BROKER, "backend: {endpoint: 'http://a:1'}", [/backend\.endpoint: http:\/\/a:1 is no endpoint/]],
  [APPLIANCE, "redis: {url: 'redis://:geheim@localhost'}", [/redis\.url: .*(password_file|environment)/]],
  [APPLIANCE, 'client: {channels_max: 0}', [/client\.channels_max: "0" is out of bounds/]],
];

/* What is wrong with a result, to be told all at once. */
function judge(what, { code, lines }, wanted, patterns) {
  const faults = [];
  if (code !== wanted) faults.push(`exit code ${code}, not ${wanted}`);
  for (const pattern of patterns) if (!lines.some((line) => pattern.test(line))) faults.push(`no line ${pattern}`);
  for (const line of lines) if (!/^callboard[a-z-]*: /.test(line)) faults.push('a stray line');
  if (lines.length > patterns.length) faults.push('more lines than mistakes');
  if (/geheim/.test(lines.join())) faults.push('tells a secret');
  return faults.length === 0 ? [] : [`${what}: ${faults.join(', ')}:\n  ${lines.join('\n  ')}`];
}

for (const program of ALL) {
  test(`${program}: a wrong command line ends with ${USAGE}`, async () => {
    const faults = [];
    for (const [args, pattern] of USAGES) faults.push(...judge(args.join(' '), await run(program, args), USAGE, [pattern]));
    assert.equal(faults.join('\n'), '');
  });

  test(`${program}: wrong settings end with ${SETTINGS}, a line for each mistake`, async () => {
    const faults = [];
    const cases = [...FILES, ...OWN.filter(([own]) => own === program).map(([, ...rest]) => rest)];
    for (const [content, patterns] of cases) {
      const name = write(content);
      const wanted = patterns.map((pattern) => new RegExp(pattern.source.replaceAll('FILE', name.replace('.', '\\.'))));
      faults.push(...judge(JSON.stringify(content.toString().slice(0, 80)), await run(program, ['--config', name]), SETTINGS, wanted));
    }
    for (const [args, env, pattern] of OTHERS) {
      faults.push(...judge(JSON.stringify([args, env]), await run(program, args, env), SETTINGS, [pattern]));
    }
    assert.equal(faults.join('\n'), '');
  });

  test(`${program}: what cannot be listened on ends with ${FAILED} and names it; --check, --help and --version with ${DONE}`, async () => {
    const taken = net.createServer();
    await new Promise((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
    const { port } = taken.address();
    const key = { [GATEWAY]: 'http.port', [BROKER]: 'internal.port', [APPLIANCE]: 'http.port' }[program];
    const others = ['http.port', 'internal.port'].filter((each) => each !== key && !(program === BROKER && each === 'http.port'));
    const endpoints = { [GATEWAY]: [], [BROKER]: [`broker.endpoint=tcp://127.0.0.1:${await freePort()}`, 'backend.endpoint=', 'backend.pull_endpoint='], [APPLIANCE]: ['backend.endpoint=', 'backend.pull_endpoint='] }[program];
    const args = [`${key}=${port}`, ...others.map((each) => `${each}=0`), ...(program === BROKER ? [] : ['http.address=127.0.0.1']), ...endpoints].flatMap((each) => ['--set', each]);
    const result = await run(program, args);
    assert.equal(result.code, FAILED, result.lines.join('\n'));
    assert.match(result.lines.join('\n'), new RegExp(`^callboard[a-z-]*: .*${port}.*in use`, 'm'));
    assert.equal((await run(program, ['--check', ...args])).code, DONE);
    assert.equal((await run(program, ['--help'])).code, DONE);
    assert.equal((await run(program, ['--version'])).code, DONE);
    taken.close();
  });
}

/* ---- SIGHUP ---- */

const edit = (program, change) => fs.writeFileSync(program.file, change(fs.readFileSync(program.file, 'utf8')));
const count = (program, pattern) => program.lines.filter((line) => pattern.test(line)).length;
const OTHER_SECRET = 'another-secret-of-thirty-two-bytes-and-more';

async function reload(programs) {
  const counts = programs.map((program) => count(program, /"event":"config_reloaded"/));
  for (const program of programs) program.kill('SIGHUP');
  await until('the reload', () => programs.every((program, i) => count(program, /"event":"config_reloaded"/) > counts[i]));
}

/* The code of an error reply, or of the close; 0 when it was let in. */
async function outcome(url, token) {
  const socket = await rawSocket(url);
  socket.send(JSON.stringify({ id: 1, connect: { token } }));
  await until('an answer', () => socket.messages.length > 0 || socket.closed);
  const reply = socket.messages.length > 0 ? JSON.parse(socket.messages[0]) : { error: { code: socket.closed.code } };
  socket.terminate();
  return reply.error ? reply.error.code : 0;
}

async function reloads(programs, server) {
  const session = await rawConnected(server.url, { sub: 'stays' });
  const say = async (command) => {
    session.send(JSON.stringify(command));
    for (;;) {
      const reply = JSON.parse((await session.next())[0]);
      if (reply.id === command.id) return reply;
    }
  };
  assert.equal((await say({ id: 2, subscribe: { channel: 'added:one' } })).error.code, 102);
  assert.ok((await say({ id: 3, subscribe: { channel: 'demo:kept' } })).subscribe);

  for (const program of programs) {
    edit(program, (text) => `${text.replace('e2e-secret-of-at-least-thirty-two-bytes', OTHER_SECRET)}  - name: added\n    allow_subscribe_for_client: true\n    allow_publish_for_client: true\n    history_size: 5\n    history_ttl: 1m\n`);
  }
  await reload(programs);
  assert.ok((await say({ id: 4, subscribe: { channel: 'added:one' } })).subscribe, 'the new namespace is there for sessions that were there before');
  assert.deepEqual((await say({ id: 5, publish: { channel: 'added:one', data: 1 } })).publish, {});
  assert.deepEqual((await say({ id: 6, publish: { channel: 'demo:kept', data: 1 } })).publish, {});
  assert.equal(session.closed, null);
  assert.notEqual(await outcome(server.url, makeToken({ sub: 'old' })), 0, 'the old secret opens nothing any more');
  assert.equal(await outcome(server.url, makeToken({ sub: 'new' }, OTHER_SECRET)), 0);

  for (const program of programs) edit(program, (text) => text.replace(/internal:\n  port: \d+/, 'internal:\n  port: 1'));
  await reload(programs);
  for (const program of programs) assert.equal(count(program, /"event":"config_needs_restart".*"key":"internal\.port"/), 1, program.name);

  for (const program of programs) {
    edit(program, (text) => text.replace(OTHER_SECRET, 'e2e-secret-of-at-least-thirty-two-bytes').replace('  - name: added', '  - nmae: added'));
    program.kill('SIGHUP');
    await until('the refusal', () => count(program, /"event":"config_reload_refused".*"error":".*\.yaml:\d+:5: namespaces\[3\]\.nmae: there is no such key/) === 1);
  }
  assert.equal(await outcome(server.url, makeToken({ sub: 'new' }, OTHER_SECRET)), 0, 'a broken file changes nothing');
  assert.deepEqual((await say({ id: 7, publish: { channel: 'added:one', data: 2 } })).publish, {});
  assert.equal(session.closed, null);
  session.terminate();
}

test('SIGHUP: gateway and broker take new namespaces and secrets without dropping a session, and refuse a broken file', async () => {
  const broker = await world.broker({ id: 'reloaded' });
  const gateway = await world.gateway({ brokers: [broker] });
  await reloads([broker, gateway], gateway);
});

test('SIGHUP: so does the appliance', async () => {
  const appliance = await world.appliance();
  await reloads([appliance], appliance);
});
