/* The client library as it is installed, and the examples in C, Python and Node, as a reader of theirs has them: C against the installed
 * library, through pkg-config. Each does the same against one running appliance. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BUILD, World, freePort, metric, until } from './support.mjs';
import { startProxy } from './support_proxy.mjs';

const EXAMPLES = path.resolve('../../tools/examples');
const LANGUAGES = ['c', 'python', 'node'];
const children = [];
const proxies = [];
let world;
let server;
let client;
let asking; // an appliance with a namespace that is asked about
let prefix; // where the library is installed
let built;

function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: 60000, ...options });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${error ?? ''}${stderr}`);
  return stdout.trim();
}

const pkgConfig = (...args) => run('pkg-config', args, { env: { ...process.env, PKG_CONFIG_PATH: path.join(prefix, 'lib/pkgconfig') } }).split(/\s+/);

/* As the examples' comments say; a library with a sanitizer in it wants the program to have it too. */
function compile(source, to, flags) {
  const kind = fs.readFileSync(path.join(BUILD, 'CMakeCache.txt'), 'utf8').match(/^CALLBOARD_SANITIZE:STRING=(.+)$/m)?.[1];
  const sanitizer = { address: ['-fsanitize=address,undefined'], thread: ['-fsanitize=thread'] }[kind] ?? [];
  run('cc', ['-std=c11', '-Wall', '-Wextra', '-Werror', ...sanitizer, source, ...flags, '-o', to]);
}

/* Installs the client library alone, and builds the C examples. */
function buildInC() {
  prefix = path.join(world.folder, 'installed');
  built = path.join(world.folder, 'examples');
  fs.mkdirSync(built);
  run('cmake', ['--install', BUILD, '--component', 'client', '--prefix', prefix]);
  const flags = [...pkgConfig('--cflags', '--libs', 'callboard-client', 'libcjson'), `-Wl,-rpath,${prefix}/lib`];
  for (const name of ['publish', 'subscribe', 'worker', 'lease']) compile(`${EXAMPLES}/c/${name}.c`, path.join(built, name), flags);
}

function example(language, name, ...args) {
  const [program, ...first] = { c: [path.join(built, name)], python: ['/usr/bin/python3', `${EXAMPLES}/python/${name}.py`], node: [process.execPath, `${EXAMPLES}/node/${name}.mjs`] }[language];
  const child = spawn(program, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
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
/* Between an example and the broker. */
async function proxied() {
  const proxy = await startProxy(server.router);
  proxies.push(proxy);
  return Object.assign(proxy, { endpoint: `tcp://127.0.0.1:${proxy.port}` });
}
const ofEach = (act) => Promise.all(LANGUAGES.map(act));
const token = ({ lines }) => Number(lines.at(-1).match(/^holds (\d+)$/)[1]);
const publish = (channel, data) => client.publish(channel, data);

before(async () => {
  world = new World();
  buildInC();
  server = await world.appliance({ args: ['--set', 'client.rpc=true'] });
  client = await world.connected(server);
  asking = await world.appliance({ settings: '  - name: inbox\n    subscribe_proxy_enabled: true\n    presence: true\n    allow_presence_for_subscriber: true\n' });
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const proxy of proxies) await proxy.close();
  await world.close();
});

test('the library is installed whole: header, shared with its soname, static, pkg-config', () => {
  const [, version, soname] = run('readelf', ['-d', `${prefix}/lib/libcallboard_client.so`]).match(/SONAME.*\[(libcallboard_client\.so\.(\d+))\]/);
  const full = pkgConfig('--modversion', 'callboard-client')[0];
  assert.equal(full.split('.')[0], soname);
  const files = fs.readdirSync(prefix, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory()).map(({ name }) => name).sort();
  assert.deepEqual(files, ['callboard-client.pc', 'callboard_client.h', 'libcallboard_client.a', 'libcallboard_client.so', version, `libcallboard_client.so.${full}`].sort());
  assert.match(run('readelf', ['-d', path.join(built, 'publish')]), /NEEDED.*libcallboard_client\.so\.\d/);
  const exported = run('nm', ['-D', '--defined-only', `${prefix}/lib/libcallboard_client.so`]).split('\n').map((line) => line.split(' ').at(-1));
  const declared = fs.readFileSync(`${prefix}/include/callboard_client.h`, 'utf8').match(/^\w[^;{}()]*?\b\*?callboard_\w+(?=\()/gm).map((line) => line.match(/callboard_\w+$/)[0]);
  assert.deepEqual(exported.filter((name) => name.startsWith('callboard_')).map((name) => name.split('@')[0]).sort(), declared.sort());
});

test('a program links the static library with libzmq, and needs the shared one no more', () => {
  const to = path.join(built, 'publish-static');
  compile(`${EXAMPLES}/c/publish.c`, to, [`-I${prefix}/include`, `${prefix}/lib/libcallboard_client.a`, '-lzmq']);
  assert.doesNotMatch(run('readelf', ['-d', to]), /libcallboard_client/);
  assert.equal(JSON.parse(run(to, ['demo:static', '{}', `tcp://127.0.0.1:${server.router}`])).offset, 1);
});

test("the program in the library's documentation works as it stands", () => {
  const text = fs.readFileSync(path.resolve('../../docs/client-library.md'), 'utf8').match(/```c\n([\s\S]*?)```/)[1];
  const source = path.join(built, 'documented.c');
  fs.writeFileSync(source, text.replace('tcp://127.0.0.1:7710', `tcp://127.0.0.1:${server.router}`));
  compile(source, path.join(built, 'documented'), [...pkgConfig('--cflags', '--libs', 'callboard-client'), `-Wl,-rpath,${prefix}/lib`]);
  assert.match(run(path.join(built, 'documented'), []), /^1 \{"offset":1,/);
});

/* Beside each other, since they mostly wait. */
describe('the examples', { concurrency: true }, () => {
  test('publish tries again under its key when the answer does not come, and is published once', async () => {
    await ofEach(async (language) => {
      const relay = `tcp://127.0.0.1:${await freePort()}`;
      children.push(spawn('/usr/bin/python3', ['relay_of_answers.py', relay, `tcp://127.0.0.1:${server.router}`], { stdio: 'inherit' }));
      const channel = `demo:published-from-${language}`;
      const child = example(language, 'publish', channel, '{"text":"hi"}', relay);
      assert.equal(await child.ended, 0, child.errors);
      const { offset, duplicate } = JSON.parse(child.lines.at(-1));
      assert.deepEqual([offset, duplicate], [1, true]);
      const subscription = client.newSubscription(channel);
      subscription.subscribe();
      await subscription.ready();
      const { publications } = await subscription.history({ limit: 10 });
      assert.deepEqual(publications.map((each) => each.data), [{ text: 'hi' }]);
    });
  });

  test('publish says what is refused for good at once', async () => {
    await ofEach(async (language) => {
      const child = example(language, 'publish', 'nowhere:it', '{}', `tcp://127.0.0.1:${server.router}`);
      assert.equal(await child.ended, 1);
      assert.match(child.errors, /102/);
    });
  });

  test('subscribe goes on where it was after its connection was cut, and says where something is missing', async () => {
    const proxy = await proxied();
    const readers = await ofEach(async (language) => {
      const [long, short] = ['demo', 'short'].map((namespace) => `${namespace}:read-${language}`);
      const [reader, other] = [example(language, 'subscribe', long, proxy.endpoint), example(language, 'subscribe', short, proxy.endpoint)];
      await until('both are there', () => reader.errors.includes('subscribed') && other.errors.includes('subscribed'));
      for (const channel of [long, short]) await publish(channel, { n: 1 });
      await until('the first', () => reader.lines.length === 1 && other.lines.length === 1);
      return { long, short, reader, other };
    });
    proxy.hold({ up: true, down: true });
    for (const { long, short } of readers) {
      for (let n = 2; n <= 6; n++) {
        for (const channel of [long, short]) await publish(channel, { n });
      }
    }
    proxy.cut();
    for (const { reader, other } of readers) {
      await until('what was missed', () => reader.lines.length === 6 && other.lines.length === 2, 20000);
      assert.deepEqual(reader.lines, [1, 2, 3, 4, 5, 6].map((n) => `${n} {"n":${n}}`));
      assert.deepEqual(other.lines, ['1 {"n":1}', 'gap']);
    }
    for (const { long, short, reader, other } of readers) {
      for (const channel of [long, short]) await publish(channel, { n: 7 });
      await until('the next', () => reader.lines.at(-1) === '7 {"n":7}' && other.lines.at(-1) === '7 {"n":7}');
      assert.deepEqual([reader.lines.length, other.lines.length], [7, 3]);
      for (const child of [reader, other]) child.kill();
    }
  });

  test('worker answers calls, also after its connection was cut, and takes no more when it ends', async () => {
    const proxy = await proxied();
    const workers = await ofEach(async (language) => {
      const child = example(language, 'worker', `rpc:echo-${language}`, proxy.endpoint);
      await until('an answer', () => client.rpc(`echo-${language}`, { hello: language }).then(({ data }) => data.hello === language, () => false));
      return child;
    });
    proxy.cut();
    for (const language of LANGUAGES) {
      await until('they are back', () => client.rpc(`echo-${language}`, { back: language }).then(({ data }) => data.back === language, () => false), 20000);
    }
    for (const [i, child] of workers.entries()) {
      child.kill('SIGTERM');
      assert.equal(await child.ended, 0, child.errors);
      await assert.rejects(client.rpc(`echo-${LANGUAGES[i]}`, {}), { code: 100 });
    }
  });

  test('worker decides who may subscribe, and tells the others about him', async () => {
    for (const language of LANGUAGES) { // one after another: any of them may be asked
      const user = `owner-${language}`;
      const child = example(language, 'worker', `subscribe`, `tcp://127.0.0.1:${asking.router}`);
      const owner = await world.connected(asking, { user });
      const inbox = owner.newSubscription(`inbox:of-${user}`);
      inbox.subscribe();
      await inbox.ready();
      let infos = [];
      await until('he is there', async () => { // an entry may come a moment behind the reply
        infos = Object.values((await inbox.presence()).clients).map(({ chanInfo }) => chanInfo);
        return infos.length > 0;
      });
      assert.deepEqual(infos, [{ owner: true }]);
      const other = await world.connected(asking, { user: 'somebody' });
      const refused = other.newSubscription(`inbox:of-${user}`);
      const code = new Promise((resolve) => refused.on('unsubscribed', ({ code }) => resolve(code)));
      refused.subscribe();
      assert.equal(await code, 403);
      child.kill();
      assert.equal(await child.ended, 0, child.errors);
    }
  });

  test('lease: one holds it; it goes on when it is released, and is given up in time when the broker cannot be reached', async () => {
    const proxy = await proxied();
    const holders = await ofEach(async (language) => {
      const name = `jobs:${language}`;
      const first = example(language, 'lease', name, `tcp://127.0.0.1:${server.router}`);
      await until('the first holds it', () => first.lines.length === 1);
      const second = example(language, 'lease', name, proxy.endpoint);
      await until('the second waits', async () => await metric(server, 'callboard_broker_lease_waiters') > 0);
      assert.deepEqual(second.lines, []);
      first.kill();
      assert.equal(await first.ended, 0, first.errors);
      assert.match(first.lines.join(), /^holds \d+,released$/);
      await until('the second holds it', () => second.lines.length === 1);
      assert.ok(token(second) > token({ lines: first.lines.slice(0, 1) }));
      Object.assign(second, { language, token: token(second) });
      return second;
    });
    proxy.hold({ up: true, down: true });
    for (const holder of holders) await until('it gives up', () => holder.lines.at(-1) === 'lost', 20000);
    for (const { language, lines } of holders) assert.equal(lines.length, 2, language);
    proxy.cut();
    for (const holder of holders) {
      await until('it has it again', () => holder.lines.length === 3, 20000);
      assert.ok(token(holder) > holder.token);
      holder.kill();
      assert.equal(await holder.ended, 0, holder.errors);
    }
  });
});
