/* Our protobuf decoder against protobufjs on the same bytes: 300 commands made at random, and each of them damaged. Where
 * ours takes a message, protobufjs reads the same; what protobufjs cannot read, ours does not take either. (Ours refuses
 * more: text that is not UTF-8, wrong wire types, and what is over its bounds.) */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { BUILD } from './support.mjs';

const CASES = 300;
const root = protobuf.loadSync(path.resolve('../../gateway/protocol/client_protocol.proto'));
const Command = root.lookupType('client.Command');

/* The same cases in every run. */
let seed = 20260923;
const below = (n) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const pick = (list) => list[below(list.length)];
const maybe = (make) => (below(2) ? make() : undefined);

const text = () => pick(['', 'a', 'news', 'ns:чат', 'é😀', 'x'.repeat(130), '"\\\n', ' ']);
const bytes = () => Buffer.from(pick(['', '{}', '{"a":[1,2]}', '\u0000\u0001', 'x'.repeat(300)]));
const u64 = () => protobuf.util.Long.fromString(pick(['0', '1', '127', '128', '9007199254740993', '18446744073709551615']), true);
const i64 = () => protobuf.util.Long.fromString(pick(['0', '1', '3', '-1', '-9223372036854775808']));
const i32 = () => pick([0, 1, 2, -1, 2147483647, -2147483648]);
const list = (most, make) => Array.from({ length: below(most + 1) }, make);
const filter = (depth) => ({
  op: maybe(() => pick(['and', 'or', 'not'])), key: maybe(text), cmp: maybe(() => pick(['eq', 'in'])), val: maybe(text),
  vals: list(3, text), nodes: depth > 0 ? list(2, () => filter(depth - 1)) : [],
});
const subscribe = () => ({
  channel: maybe(text), token: maybe(text), recover: maybe(() => true), epoch: maybe(() => pick(['abcd', '', '_', 'with blank', 'x'.repeat(40)])),
  offset: maybe(u64), data: maybe(bytes), positioned: maybe(() => true), recoverable: maybe(() => true),
  joinLeave: maybe(() => true), delta: maybe(() => 'fossil'), tf: maybe(() => filter(3)), flag: maybe(i64), type: maybe(i32),
});
const channelOnly = () => ({ channel: maybe(text) });
const REQUESTS = {
  connect: () => ({
    token: maybe(text), data: maybe(bytes), name: maybe(text), version: maybe(text),
    subs: list(3, () => ({ key: maybe(text), value: maybe(subscribe) })), headers: list(2, () => ({ key: text(), value: text() })),
  }),
  ping: () => ({}),
  subscribe,
  unsubscribe: channelOnly,
  publish: () => ({ channel: maybe(text), data: maybe(bytes), type: maybe(i32) }),
  presence: channelOnly,
  presenceStats: channelOnly,
  history: () => ({ channel: maybe(text), limit: maybe(i32), since: maybe(() => ({ offset: maybe(u64), epoch: maybe(() => 'abcd') })), reverse: maybe(() => true) }),
  rpc: () => ({ method: maybe(text), data: maybe(bytes) }),
  send: () => ({ data: maybe(bytes) }),
  refresh: () => ({ token: maybe(text) }),
  subRefresh: () => ({ channel: maybe(text), token: maybe(text), type: maybe(i32) }),
};

const strip = (value) => (value && typeof value === 'object' && value.constructor === Object
  ? Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined).map(([key, each]) => [key, Array.isArray(each) ? each.map(strip) : strip(each)]))
  : value);

function makeMessage() {
  const parts = [];
  for (let n = 1 + below(3); n > 0; n -= 1) {
    const command = { id: pick([0, 1, 7, 4294967295]) };
    for (let m = below(6) ? 1 : 1 + below(3); m > 0; m -= 1) {
      const name = pick(Object.keys(REQUESTS));
      command[name] = REQUESTS[name]();
    }
    parts.push(Buffer.from(Command.encodeDelimited(Command.create(strip(command))).finish()));
  }
  return Buffer.concat(parts);
}

function damage(message) {
  const copy = Buffer.from(message);
  for (let n = 1 + below(2); n > 0 && copy.length > 0; n -= 1) {
    copy[below(copy.length)] = below(256);
  }
  return below(5) ? copy : copy.subarray(0, below(copy.length + 1));
}

/* ---- what protobufjs reads, told as tests/support/client_commands_text.c tells it ---- */

const piece = (name, value) => (value ? Buffer.from(` ${name}=${value}`) : Buffer.alloc(0));
const payload = (name, value) => (value.length > 0 ? Buffer.concat([Buffer.from(` ${name}=`), value]) : Buffer.alloc(0));
const flag = (name, value) => (value ? Buffer.from(` ${name}`) : Buffer.alloc(0));
const number = (name, value) => (value.toString() === '0' ? Buffer.alloc(0) : Buffer.from(` ${name}=${value}`));
const epoch = (value) => (value === '' ? '' : /^[\x21-\x7e]{1,23}$/.test(value) ? value : '_');
const json = (value) => JSON.stringify(value);

function filterJson(node) {
  const parts = [];
  for (const name of ['op', 'key', 'cmp', 'val']) if (node[name] !== '') parts.push(`"${name}":${json(node[name])}`);
  if (node.vals.length > 0) parts.push(`"vals":[${node.vals.map(json).join(',')}]`);
  if (node.nodes.length > 0) parts.push(`"nodes":[${node.nodes.map(filterJson).join(',')}]`);
  return `{${parts.join(',')}}`;
}

function subsJson(subs) {
  if (subs.length === 0) return '';
  return `{${subs.map(({ key, value }) => {
    const parts = [];
    if (value?.recover) parts.push('"recover":true');
    if (value && value.epoch !== '') parts.push(`"epoch":${json(value.epoch)}`);
    if (value && value.offset.toString() !== '0') parts.push(`"offset":${value.offset}`);
    return `${json(key)}:{${parts.join(',')}}`;
  }).join(',')}}`;
}

const TELL = {
  connect: (r) => [piece('token', r.token), payload('data', r.data), piece('subs', subsJson(r.subs)), piece('name', r.name), piece('version', r.version)],
  ping: () => [],
  subscribe: (r) => [
    piece('channel', r.channel), piece('token', r.token), payload('data', r.data), flag('recover', r.recover), flag('positioned', r.positioned),
    flag('recoverable', r.recoverable), flag('join_leave', r.joinLeave), piece('tf', r.tf ? filterJson(r.tf) : ''), piece('epoch', epoch(r.epoch)),
    number('offset', r.offset), piece('delta', r.delta), number('flag', r.flag), number('type', r.type)],
  unsubscribe: (r) => [piece('channel', r.channel)],
  publish: (r) => [piece('channel', r.channel), payload('data', r.data), number('type', r.type)],
  presence: (r) => [piece('channel', r.channel)],
  presence_stats: (r) => [piece('channel', r.channel)],
  history: (r) => [piece('channel', r.channel), number('limit', r.limit), flag('since', r.since), ...(r.since ? [piece('epoch', epoch(r.since.epoch)), number('offset', r.since.offset)] : []), flag('reverse', r.reverse)],
  rpc: (r) => [piece('method', r.method), payload('data', r.data)],
  send: (r) => [payload('data', r.data)],
  refresh: (r) => [piece('token', r.token)],
  sub_refresh: (r) => [piece('channel', r.channel), piece('token', r.token), number('type', r.type)],
};
const ORDER = Object.keys(TELL);
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function tellCommand(command) {
  const names = command.id === 0 ? ['send'] : ORDER;
  const name = names.find((each) => command[camel(each)] != null);
  if (name === undefined) return command.id === 0 ? Buffer.from('0 pong') : null;
  return Buffer.concat([Buffer.from(`${command.id} ${name}`), ...TELL[name](command[camel(name)])]);
}

/* null: protobufjs cannot read it. */
function told(message) {
  const reader = protobuf.Reader.create(message);
  const parts = [];
  while (reader.pos < reader.len) {
    let part;
    try {
      part = tellCommand(Command.decodeDelimited(reader));
    } catch {
      part = null;
    }
    if (part === null) return { text: Buffer.concat([...parts, Buffer.from('BAD')]), isWhole: false };
    parts.push(part, Buffer.from(' | '));
  }
  return { text: Buffer.concat(parts.slice(0, -1)), isWhole: true };
}

function decodeOurs(messages) {
  const run = spawnSync(path.join(BUILD, 'tests/differential/decode_commands'), {
    input: `protobuf\n${messages.map((each) => `${each.toString('hex')}\n`).join('')}`, maxBuffer: 64 * 1024 * 1024, encoding: 'latin1',
  });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.split('\n').slice(0, -1).map((line) => Buffer.from(line, 'hex'));
}

test(`our decoder and protobufjs read ${CASES} commands as the same`, () => {
  const messages = Array.from({ length: CASES }, makeMessage);
  decodeOurs(messages).forEach((ours, i) => {
    /* A C string ends at U+0000: compared up to there. */
    const theirs = told(messages[i]).text;
    const end = theirs.indexOf(0);
    assert.equal(ours.toString(), (end < 0 ? theirs : theirs.subarray(0, end)).toString(), messages[i].toString('hex'));
  });
});

test('of damaged messages ours takes none that protobufjs reads as something else', () => {
  const messages = Array.from({ length: CASES }, () => damage(makeMessage())).filter((each) => each.length > 0);
  let taken = 0;
  decodeOurs(messages).forEach((ours, i) => {
    if (ours.toString().endsWith('BAD')) return;
    const theirs = told(messages[i]);
    const end = theirs.text.indexOf(0);
    taken += 1;
    assert.equal(ours.toString(), (end < 0 ? theirs.text : theirs.text.subarray(0, end)).toString(), messages[i].toString('hex'));
  });
  assert.ok(taken > CASES / 10 && taken < messages.length, `${taken} of ${messages.length} were taken`);
});
