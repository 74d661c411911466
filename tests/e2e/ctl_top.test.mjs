/* callboardctl top on a broker with Redis and a gateway: what it adds up, and that it gives the terminal back whatever ends it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BUILD, World, freePort, subscribed, until } from './support.mjs';

const CTL = path.join(BUILD, 'tools/callboardctl');
const TOKEN = 'the token of the internal listeners';
const FAST = ['--interval', '300ms'];
let world;
let redis;
let broker;
let gateway;
let publisher;
let tokenFile;

before(async () => {
  world = new World();
  tokenFile = world.write('token', `${TOKEN}\n`);
  redis = await world.redis();
  broker = await world.broker({ id: 'b0', redis });
  gateway = await world.gateway({ brokers: [broker], args: ['--set', `internal.token_file=${tokenFile}`] });
  const clients = await Promise.all(['ann', 'ben', 'cid'].map((user) => world.connected(gateway, { user })));
  for (const client of clients) await subscribed(client, 'demo:busy');
  await subscribed(clients[0], 'demo:calm');
  publisher = setInterval(() => clients[1].publish('demo:busy', {}).catch(() => {}), 20);
});
after(async () => {
  clearInterval(publisher);
  await world.close();
});

const programs = () => ['--gateway', `http://127.0.0.1:${gateway.internal}`, '--broker', `http://127.0.0.1:${broker.internal}`, '--token-file', tokenFile];
const top = (...args) => ['--endpoint', `tcp://127.0.0.1:${broker.router}`, 'top', ...args];
/* Beside the publisher, so not spawnSync. */
function runWith(args, program = CTL, env = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.on('data', (bytes) => { said.out += bytes; });
  child.stderr.on('data', (bytes) => { said.err += bytes; });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...said })));
}
const run = (...args) => runWith(top(...args));

test('one view as JSON adds up what the programs count and has the channels with their rates', async () => {
  let view;
  await until('all are counted', async () => {
    const { code, out, err } = await run(...programs(), ...FAST, '--count', '2', '-o', 'json');
    assert.equal(code, 0, err);
    const lines = out.trim().split('\n');
    assert.equal(lines.length, 2);
    view = JSON.parse(lines[1]);
    return view.connections.subscriptions === 4 && view.connections.users === 3 && view.messages.deliveries > 0 && view.channels.length === 2 && view.redis.batch_p99 !== null && view.messages.publish_p99 !== null && view.channels.every((each) => each.publications_per_second !== null && each.answer_seconds !== null);
  });
  assert.deepEqual(view.programs.map(({ kind, name, status }) => [kind, name, status]), [['broker', 'b0', 'ok'], ['gateway', view.programs[1].name, 'ok']]);
  assert.deepEqual([view.connections.clients, view.connections.users, view.connections.subscriptions], [3, 3, 4]);
  for (const figure of [view.messages.publications, view.messages.deliveries, view.clients.commands, view.services.requests, view.redis.batches, view.redis.publications]) assert.ok(figure > 0, JSON.stringify(view));
  assert.ok(view.redis.connected > 0 && view.redis.batch_p50 <= view.redis.batch_p99 && view.messages.publish_p50 <= view.messages.publish_p99);
  assert.ok(view.messages.deliveries > view.messages.publications, JSON.stringify(view.messages));
  const [busy, calm] = ['demo:busy', 'demo:calm'].map((name) => view.channels.find(({ channel }) => channel === name));
  assert.deepEqual([busy.subscribers, calm.subscribers, calm.publications_per_second], [3, 1, 0]);
  assert.ok(busy.publications_per_second > 5, busy.publications_per_second);
  assert.ok(view.channels[0].answer_seconds >= view.channels[1].answer_seconds);
});

test('one view as text has the same, without anything for a terminal', async () => {
  const { code, out, err } = await run(...programs(), ...FAST, '--once');
  assert.equal(code, 0, err);
  assert.doesNotMatch(out, /\x1b/);
  assert.equal(out.match(/callboardctl top/g).length, 1);
  assert.match(out, /^ {2}ok +broker +b0 /m);
  assert.match(out, /^connections +clients 3 +users 3 +subscriptions 4 /m);
  assert.match(out, /^redis +shards connected [1-9]/m);
  assert.match(out, /^ {2}demo:busy +3 +[\d.]+\/s +[\d.]+ (us|ms|s)$/m);
});

test('who does not answer, or asks for a token, is a line, and the others are shown', async () => {
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const { code, out } = await run('--broker', `http://127.0.0.1:${broker.internal}`, '--gateway', `http://127.0.0.1:${gateway.internal}`, '--gateway', nobody, ...FAST, '--once');
  assert.equal(code, 0);
  assert.match(out, /no answer {2}http:\S+: 401: it asks for its internal\.token/);
  assert.ok(out.includes(`no answer  ${nobody}: Connection refused`), out);
  assert.match(out, /^connections +-$/m);
  const { programs: said, connections, messages } = JSON.parse((await run('--gateway', nobody, '--broker', `http://127.0.0.1:${broker.internal}`, ...FAST, '--once', '-o', 'json')).out);
  assert.deepEqual([said.map(({ error }) => error ?? 'there').sort(), connections.clients, typeof messages.publications], [['Connection refused', 'there'], null, 'number']);
});

test('without the backend API it says so where the channels would be', async () => {
  const { code, out } = await runWith(['--endpoint', `tcp://127.0.0.1:${await freePort()}`, '--timeout', '200', 'top', ...programs(), ...FAST, '--once']);
  assert.equal(code, 0);
  assert.match(out, /^channels +no answer from the backend API at tcp:/m);
  assert.match(out, /^connections +clients 3 /m);
});

/* A terminal of 70 columns and 30 lines that Python holds; `act` is done when the view stands there. Prints as JSON what came, how it ended, and
 * whether the terminal's settings are as before. */
const TERMINAL = `
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
act, argv = sys.argv[1], sys.argv[2:]
parent, child = pty.openpty()
fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 70, 0, 0))
before = termios.tcgetattr(child)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(child, fd)
    os.execv(argv[0], argv)
shown, done, ended, end = b"", False, None, time.monotonic() + 20
while time.monotonic() < end and ended is None:
    if select.select([parent], [], [], 0.05)[0]:
        shown += os.read(parent, 65536)
    if not done and shown.count(b"\\x1b[H") >= 3:
        done = True
        during = termios.tcgetattr(child)
        if len(act) == 1:
            os.write(parent, act.encode())
        else:
            os.kill(pid, getattr(signal, act))
    found, status = os.waitpid(pid, os.WNOHANG)
    ended = os.waitstatus_to_exitcode(status) if found else None
while select.select([parent], [], [], 0)[0]:
    shown += os.read(parent, 65536)
if ended is None:
    os.kill(pid, signal.SIGKILL)
print(json.dumps({"shown": shown.decode(), "ended": ended, "changed": during != before, "restored": termios.tcgetattr(child) == before}))
`;

test('on a terminal it takes the other screen, and gives everything back on q, Ctrl-C and signals', async () => {
  await Promise.all(['q', '\x03', 'SIGTERM', 'SIGHUP'].map(async (act) => {
    const { out, err } = await runWith(['-c', TERMINAL, act, CTL, ...top(...programs(), ...FAST)], '/usr/bin/python3', { TERM: 'xterm' });
    const { shown, ended, changed, restored } = JSON.parse(out || err);
    assert.deepEqual([ended, changed, restored], [0, true, true], act);
    assert.ok(shown.startsWith('\x1b[?1049h\x1b[?7l\x1b[?25l'), act);
    assert.ok(shown.endsWith('\x1b[?25h\x1b[?7h\x1b[?1049l'), act);
    const views = shown.split('\x1b[H').slice(1);
    assert.match(views[0], /demo:busy/);
    assert.ok(views.every((view) => view.split('\n').length <= 30));
    assert.match(views.at(-1), /\x1b\[32mok/);
  }));
});
