/* callboardctl as it is installed and used: what its manual pages, its help and its completion say is true, its examples work as they stand,
 * and what it prints where. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, subscribed, until } from './support.mjs';
import { startProxy } from './support_proxy.mjs';

const CTL = path.join(BUILD, 'tools/callboardctl');
let world;
let server;
let endpoint;
let prefix; // where it is installed
let pages; // command -> its manual page; "": callboardctl's own

function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: 60000, ...options });
  return { code: status, out: stdout, err: `${stderr}${error ?? ''}` };
}
const ctl = (args, options = {}) => run(CTL, ['--endpoint', endpoint, ...args], options);
const json = (...args) => JSON.parse(ctl(args).out);

/* The lines of its output as they come. */
function start(args, stdio = 'ignore') {
  const child = spawn(CTL, args, { stdio: [stdio, 'pipe', 'pipe'] });
  child.lines = [];
  child.errors = '';
  let rest = '';
  child.stdout.on('data', (bytes) => {
    const lines = (rest + bytes).split('\n');
    rest = lines.pop();
    child.lines.push(...lines);
  });
  child.stderr.on('data', (bytes) => { child.errors += bytes; });
  child.ended = new Promise((resolve) => child.on('close', resolve));
  return child;
}

/* In a terminal of its own, which Python makes: what it showed. */
function onTerminal(args, env = {}) {
  const code = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)';
  return run('/usr/bin/python3', ['-c', code, ...args], { env: { ...process.env, TERM: 'xterm', ...env }, input: '' }).out;
}

before(async () => {
  world = new World();
  server = await world.appliance();
  endpoint = `tcp://127.0.0.1:${server.router}`;
  prefix = path.join(world.folder, 'installed');
  const { code, err } = run('cmake', ['--install', BUILD, '--component', 'ctl', '--prefix', prefix]);
  assert.equal(code, 0, err);
  const folder = path.join(prefix, 'share/man/man1');
  pages = new Map(fs.readdirSync(folder).map((name) => [name.match(/^callboardctl-?(.*)\.1$/)[1], fs.readFileSync(path.join(folder, name), 'utf8')]));
});
after(() => world.close());

const COMMANDS = () => [...pages.keys()].filter((name) => name !== '');
const plain = (roff) => roff.replaceAll('\\-', '-').replaceAll('\\(aq', "'").replaceAll('\\(ti', '~').replaceAll('\\(ga', '`').replaceAll('\\(ha', '^').replaceAll('\\e', '\\').replaceAll('\\&', '');
/* An option's long name, and whether it takes a value. */
const optionsOf = (page) => [...plain(page).matchAll(/^(?:\\fB-\w\\fR, )?\\fB--([\w-]+)\\fR(.*)$/gm)].map(([, name, value]) => ({ name, valued: value !== '' }));
const examplesOf = (page) => (plain(page).match(/^\.SH EXAMPLES\n\.RS 4\n\.nf\n([\s\S]*?)\n\.fi/m)?.[1] ?? '').split('\n').filter((line) => line !== '');

test('it is installed with a page for each command that the help lists', () => {
  const help = ctl(['--help']).out;
  const listed = [...help.match(/^Commands\n([\s\S]*?)\n\n/m)[1].matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name);
  assert.deepEqual(COMMANDS().sort(), listed.sort());
  assert.equal(run(path.join(prefix, 'bin/callboardctl'), ['--version']).code, 0);
  assert.equal(fs.readFileSync(path.join(prefix, 'share/bash-completion/completions/callboardctl'), 'utf8'), ctl(['completion']).out);
  for (const [name, page] of pages) assert.equal(ctl(['manual', ...(name === '' ? [] : [name])]).out, page);
});

test('the pages are sound for groff, and in ASCII', () => {
  for (const [name, page] of pages) {
    const { code, out, err } = run('groff', ['-man', '-Tascii', '-ww', '-z'], { input: page });
    assert.deepEqual([code, out, err], [0, '', ''], name);
    assert.doesNotMatch(page, /[^\x20-\x7e\n]/, name);
  }
});

test('each option of a page and of the help is taken, no other is, and bash completes them all', () => {
  const global = optionsOf(pages.get('')).map(({ name }) => name);
  for (const command of COMMANDS()) {
    const options = optionsOf(pages.get(command));
    const help = ctl([command, '--help']).out.split('\nOptions of every command')[0];
    assert.deepEqual([...help.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map(([, name]) => name), options.map(({ name }) => name), command);
    for (const { name, valued } of options) {
      const { code, err } = ctl([command, valued ? `--${name}` : `--${name}=x`]);
      assert.equal(code, 2);
      assert.ok(err.includes(valued ? `--${name} needs a value behind it` : `--${name}=x takes no value`), `${command}: ${err}`);
    }
    assert.match(ctl([command, '--no-such-option']).err, /--no-such-option is not known/);
    assert.deepEqual(completed(command, '--').split(' ').sort(), [...options.map(({ name }) => name), ...global].map((name) => `--${name}`).sort(), command);
  }
});

test('the examples of the pages work as they stand', async () => {
  const folder = path.join(world.folder, 'examples');
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'callboard.yaml'), fs.readFileSync(server.file));
  fs.writeFileSync(path.join(folder, 'callboard.secret'), 'a secret of more than thirty-two bytes\n');
  const env = { ...process.env, CALLBOARDCTL_ENDPOINT: endpoint, PATH: `${path.dirname(CTL)}:${process.env.PATH}`, MANPAGER: 'cat' };
  let n = 0;
  await Promise.all(COMMANDS().map(async (command) => {
    for (const line of examplesOf(pages.get(command))) {
      if (line.includes('| man ')) continue; // groff has read the pages already
      const here = /^callboardctl (bench|selftest) /.test(line) ? `${line} --url ${server.url}` : line;
      const child = spawn('bash', ['--norc', '-c', here], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { said += bytes; });
      const ended = new Promise((resolve) => child.on('close', resolve));
      if (command === 'sub') {
        await until('it reads', () => said.includes('subscribed'));
        ctl(['pub', 'demo:hello', '{}']);
        await until('what came', () => said.trim().split('\n').length > 1); // or what another example has published
        child.kill();
        await ended;
      } else {
        assert.equal(await ended, 0, `${here}: ${said}`);
      }
      n++;
    }
  }));
  assert.ok(n >= COMMANDS().length - 1, `only ${n} examples`);
});

/* --norc: with a socket as its input bash reads what this machine's shells begin with. */
function completed(...words) {
  const script = `source <("$1" completion); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _callboardctl; echo "${'${COMPREPLY[*]}'}"`;
  const { code, out, err } = run('bash', ['--norc', '-c', script, 'bash', CTL, 'callboardctl', ...words], { cwd: world.folder });
  assert.deepEqual([code, err], [0, '']);
  return out.trim();
}

test('bash completes commands, options, what they take, and files', () => {
  fs.writeFileSync(path.join(world.folder, 'a-key'), '');
  assert.equal(completed('hist'), 'history history-remove');
  assert.match(completed('--endpoint', 'tcp://127.0.0.1:1', 'presence', '--'), /^--limit --cursor --all --stats --help /);
  assert.equal(completed('-o', 'json', 'presence', '--st'), '--stats');
  assert.equal(completed('--ti'), '--timeout');
  assert.equal(completed('-o', ''), 'json text');
  assert.equal(completed('info', '--output', 'j'), 'json');
  assert.equal(completed('bench', '--churn', ''), 'close reset');
  assert.equal(completed('--curve-key', 'a-'), 'a-key');
  assert.equal(completed('token', '--secret-file', 'a-'), 'a-key');
  assert.equal(completed('bench', '--users', ''), '');
  assert.equal(completed('nonsense', ''), '');
});

test('pub makes a publication of each line, names the one that is refused, and goes on under its key without a double', () => {
  const input = '{"n":1}\n\n{"n":2}\nnot json\n{"n":4}';
  const refused = ctl(['pub', 'demo:lines', '--lines', '--key', 'file'], { input });
  assert.equal(refused.code, 1);
  assert.match(refused.err, /error 107[\s\S]*line 4, after 2 that are published/);
  const mended = ctl(['pub', 'demo:lines', '--lines', '--key', 'file', '-o', 'json'], { input: input.replace('not json', '{"n":3}') });
  assert.equal(mended.code, 0, mended.err);
  assert.deepEqual(mended.out.trim().split('\n').map((line) => JSON.parse(line)).map(({ offset, duplicate }) => [offset, duplicate]), [[1, true], [2, true], [3, false], [4, false]]);
  const text = ctl(['pub', 'demo:lines', '--lines', '--text', '--tag', 'a=b'], { input: 'say "hi"\n\\\n' });
  assert.deepEqual([text.code, text.out], [0, '2 published\n'], text.err);
  const { publications } = json('-o', 'json', 'history', 'demo:lines');
  assert.deepEqual(publications.map(({ data }) => data), [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }, 'say "hi"', '\\']);
  assert.deepEqual(publications[4].tags, { a: 'b' });
  const long = ctl(['pub', 'demo:lines', '--lines', '--text'], { input: `short\n${'x'.repeat((1 << 20) + 1)}\n` });
  assert.deepEqual([long.code, /line 2 is longer than 1048576 bytes/.test(long.err)], [2, true]);
  assert.equal(ctl(['pub', 'demo:lines', '--text', '-'], { input: Buffer.from([0x22, 0xff]) }).code, 2);
  assert.equal(ctl(['pub', 'demo:lines', '{}', '--lines']).code, 2);
});

test('a line is published when it is there, not when the input ends', async () => {
  const child = start(['--endpoint', endpoint, 'pub', 'demo:growing', '--lines', '-o', 'json'], 'pipe');
  for (const n of [1, 2]) {
    child.stdin.write(`{"n":${n}}\n`);
    await until('its answer', () => child.lines.length === n);
  }
  child.stdin.end();
  assert.equal(await child.ended, 0);
});

test('sub goes on without a hole after its connection was cut', async () => {
  const proxy = await startProxy(server.router);
  const child = start(['--endpoint', `tcp://127.0.0.1:${proxy.port}`, '-o', 'json', 'sub', 'demo:cut', '--count', '3']);
  try {
    await until('it reads', () => child.errors.includes('subscribed to'));
    ctl(['pub', 'demo:cut', '1']);
    await until('the first', () => child.lines.length === 1);
    proxy.hold({ up: true, down: true });
    ctl(['pub', 'demo:cut', '2']);
    proxy.cut();
    await until('what was missed', () => child.lines.length === 2, 20000);
    assert.match(child.errors, /subscribed again/);
    ctl(['pub', 'demo:cut', '3']);
    assert.equal(await child.ended, 0);
    assert.deepEqual(child.lines.map((line) => JSON.parse(line)).map(({ offset, data }) => [offset, data]), [[1, 1], [2, 2], [3, 3]]);
  } finally {
    child.kill('SIGKILL');
    await proxy.close();
  }
});

test('rpc asks a worker, prints its payload, its data or its result, and says why there is none', async () => {
  const code = `
import json, sys, zmq
s = zmq.Context().socket(zmq.DEALER); s.linger = 0; s.connect(sys.argv[1])
s.send_multipart([b"CB1", b"work", b"w", json.dumps({"methods": ["rpc:*"]}).encode()])
while True:
    _, kind, call, body, *payload = s.recv_multipart()
    if kind == b"ok": print("ready", flush=True)
    if kind == b"ping": s.send_multipart([b"CB1", b"pong", b"", b"{}"])
    method = json.loads(body).get("method") if kind == b"request" else None
    if method == "rpc:echo": s.send_multipart([b"CB1", b"done", call, b'{"result":{}}'] + payload)
    if method == "rpc:data": s.send_multipart([b"CB1", b"done", call, b'{"result":{"data":[1]}}'])
    if method == "rpc:no": s.send_multipart([b"CB1", b"done", call, b'{"error":{"code":444,"message":"sold out"}}'])
`;
  const none = ctl(['rpc', 'echo', '1']);
  assert.equal(none.code, 1);
  assert.match(none.err, /error 108: /);
  const worker = spawn('/usr/bin/python3', ['-c', code, endpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve) => worker.stdout.once('data', resolve));
    assert.equal(ctl(['rpc', 'echo', '[1, 2]']).out, '[1, 2]\n');
    assert.equal(ctl(['rpc', 'echo', '-'], { input: '{"a":\n1}' }).out, '{"a":\n1}\n');
    assert.equal(ctl(['rpc', 'echo', '-', '--text', '-o', 'json'], { input: 'say "hi"' }).out, '{"data":"say \\"hi\\""}\n');
    assert.equal(ctl(['rpc', 'echo', 'not json', '-o', 'json']).out, '{"b64data":"bm90IGpzb24="}\n');
    assert.equal(ctl(['rpc', 'data']).out, '[1]\n');
    assert.equal(ctl(['rpc', 'data', '-o', 'json']).out, '{"data":[1]}\n');
    const refused = ctl(['rpc', 'no']);
    assert.deepEqual([refused.code, refused.err], [1, 'callboardctl: error 444: sold out\n']);
    const late = ctl(['rpc', 'silent', '--timeout', '200']);
    assert.equal(late.code, 1);
    assert.match(late.err, /error 120: /);
  } finally {
    worker.kill();
  }
});

test('results as JSON where a person gets words, and errors too', async () => {
  const client = await world.connected(server, { user: 'ann' });
  await subscribed(client, 'demo:json');
  const key = json('-o', 'json', 'keygen', path.join(world.folder, 'json.key'));
  assert.equal(fs.readFileSync(key.public_file, 'utf8').includes(key.public), true);
  assert.equal(key.secret_file, path.join(world.folder, 'json.key'));
  const api = json('keygen', '--api', '-o', 'json');
  assert.match(api.hash, /^[0-9a-f]{64}$/);
  const { token, expires } = json('token', '--config', server.file, '--user', 'x', '--ttl', '2d', '-o', 'json');
  assert.equal(JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp, expires);
  assert.equal(json('doctor', '--config', server.file, '-o', 'json').findings.length > 0, true);
  const refused = ctl(['-o', 'json', 'history', 'nowhere:x']);
  assert.deepEqual([refused.code, refused.out, JSON.parse(refused.err).code], [1, '', 102]);
});

test('colours and progress are for terminals, and colours not where NO_COLOR is set', () => {
  const doctor = [CTL, 'doctor', '--config', server.file, '--all'];
  assert.match(onTerminal(doctor), /\x1b\[1mVerdict: /);
  assert.match(onTerminal(doctor), /\r\x1b\[Kexamining Redis/);
  assert.doesNotMatch(onTerminal(doctor, { NO_COLOR: '1' }), /\x1b\[\d*m/);
  const shell = (line) => onTerminal(['sh', '-c', `"$0" --endpoint ${endpoint} ${line}`, CTL]);
  assert.match(shell(`pub demo:progress --lines --text < ${server.file}`), /\r\x1b\[K\d+ published\r\x1b\[K\d+ published\r\n$/);
  assert.match(shell(`channels --all > ${world.folder}/channels`), /^\r\x1b\[K\d+ lines printed\r\x1b\[K$/);
  assert.match(shell(`pub demo:progress --lines < ${server.file}`), /^callboardctl: error 107/);
  const piped = ctl(doctor.slice(1));
  assert.doesNotMatch(piped.out + piped.err, /\x1b/);
});
