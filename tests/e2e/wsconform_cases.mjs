/* What a WebSocket endpoint has to do with frames, from tables: RFC 6455 sections 5 (framing, control frames, fragmentation), 7 (closing),
 * 8.1 (UTF-8). A case: [name, bytes to send (a list: written one after another), what is to come back].
 *
 * What comes back is a list of words (wsconform_wire.mjs, told) and how it goes on: OPEN: it still answers. fails(…): it ends, with one of
 * these close codes or, as 7.1.7 allows, without a word. `deviation` names a rule of the library that does otherwise; then `pinned` is what
 * it does. */
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, fragmented, frame, told } from './wsconform_wire.mjs';

export const OPEN = 'open';
export const fails = (...codes) => ({ fails: codes });
export const closes = (code) => ({ closes: code });

const range = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const letters = (n) => Buffer.from(range(n).map((i) => 97 + (i * 7) % 26));
const anyBytes = (n) => Buffer.from(range(n).map((i) => (i * 131 + 17) & 255));
const payload = (opcode, n) => (opcode === TEXT ? letters(n) : anyBytes(n));
const echo = (opcode, bytes) => [told(opcode, bytes)];
const NAME = { [TEXT]: 'text', [BINARY]: 'binary', [CLOSE]: 'close', [PING]: 'ping', [PONG]: 'pong', [CONTINUATION]: 'continuation' };
const MASKS = [['zero', [0, 0, 0, 0]], ['ones', [255, 255, 255, 255]], ['mixed', [0x37, 0xfa, 0x21, 0x3d]]];
/* Pieces of bytes, written one after another. */
const pieces = (bytes, cuts) => [0, ...cuts].map((at, i, all) => bytes.subarray(at, all[i + 1] ?? bytes.length));


function* framing() {
  for (const opcode of [TEXT, BINARY]) {
    for (const n of [1, 2, 7, 124, 125, 126, 127, 128, 255, 256, 511, 512, 513, 1000, 4095, 4096, 32768, 65534, 65535]) {
      for (const [name, mask] of MASKS) {
        const bytes = payload(opcode, n);
        yield [`${NAME[opcode]} of ${n} bytes, mask ${name}`, [frame(opcode, bytes, { mask })], echo(opcode, bytes)];
      }
    }
    const bytes = payload(opcode, 300);
    for (const cut of range(8, 1)) yield [`${NAME[opcode]} of 300 bytes, cut after ${cut}`, pieces(frame(opcode, bytes), [cut]), echo(opcode, bytes)];
    const large = payload(opcode, 65536 - 1);
    for (const cut of [1, 2, 3, 4, 5, 7, 8, 9, 100, 65535]) yield [`${NAME[opcode]} of 65535 bytes, cut after ${cut}`, pieces(frame(opcode, large), [cut]), echo(opcode, large)];
    for (const cut of range(5, 1)) yield [`${NAME[opcode]} of 3 bytes, cut after ${cut}`, pieces(frame(opcode, payload(opcode, 3)), [cut]), echo(opcode, payload(opcode, 3))];
    yield [`${NAME[opcode]} of 20 bytes, byte by byte`, pieces(frame(opcode, payload(opcode, 20)), range(25, 1)), echo(opcode, payload(opcode, 20))];
    yield [`${NAME[opcode]} of 300 bytes, byte by byte`, pieces(frame(opcode, bytes), range(307, 1)), echo(opcode, bytes)];
    for (const n of [2, 3, 10, 50]) {
      const all = range(n).map((i) => Buffer.from(`${opcode}-${n}-${i}`));
      yield [`${n} ${NAME[opcode]} messages in one write`, [Buffer.concat(all.map((each) => frame(opcode, each)))], all.flatMap((each) => echo(opcode, each))];
    }
  }
}

function* control() {
  for (const n of [0, 1, 2, 8, 64, 124, 125]) {
    for (const [name, mask] of MASKS) yield [`ping of ${n} bytes, mask ${name}`, [frame(PING, anyBytes(n), { mask })], echo(PONG, anyBytes(n))];
    yield [`pong of ${n} bytes, unasked`, [frame(PONG, anyBytes(n))], []];
    yield [`ping of ${n} bytes, byte by byte`, pieces(frame(PING, anyBytes(n)), range(n + 5, 1)), echo(PONG, anyBytes(n))];
  }
  for (const opcode of [PING, PONG, CLOSE]) {
    for (const n of [126, 127, 200, 1000, 65535]) yield [`${NAME[opcode]} of ${n} bytes: over 125`, [frame(opcode, anyBytes(n))], fails(1002)];
    for (const n of [0, 2, 125]) yield [`${NAME[opcode]} of ${n} bytes, not final`, [frame(opcode, opcode === CLOSE && n >= 2 ? Buffer.concat([Buffer.from([3, 232]), letters(n - 2)]) : letters(n), { fin: false })], fails(1002)];
  }
  yield ['a pong, then a ping', [frame(PONG, 'a'), frame(PING, 'b')], ['pong b']];
  yield ['two pings at once', [Buffer.concat([frame(PING, 'a'), frame(PING, 'b')])], ['pong a', 'pong b']];
  yield ['a ping, then a message', [frame(PING, 'p'), frame(TEXT, 'm')], ['pong p', 'text m']];
}

function* reserved() {
  for (const rsv of range(7, 1)) {
    for (const opcode of [TEXT, BINARY, PING, PONG, CLOSE]) yield [`${NAME[opcode]} with reserved bits ${rsv}`, [frame(opcode, opcode === CLOSE ? [3, 232] : 'abc', { rsv })], fails(1002)];
    yield [`continuation with reserved bits ${rsv}`, [frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b', { rsv })], fails(1002)];
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    for (const text of ['', 'abcde']) {
      for (const fin of [true, false]) yield [`opcode ${opcode} with ${text.length} bytes${fin ? '' : ', not final'}`, [frame(opcode, text, { fin })], fails(1002)];
    }
    yield [`opcode ${opcode} inside a fragmented message`, [frame(TEXT, 'a', { fin: false }), frame(opcode, 'b')], fails(1002)];
  }
}

function* fragmentation() {
  for (const opcode of [TEXT, BINARY]) {
    for (const parts of [2, 3, 4, 5, 7, 10, 50, 127]) {
      for (const n of [parts, 1000]) {
        const bytes = payload(opcode, n);
        yield [`${NAME[opcode]} of ${n} bytes in ${parts} frames, one write`, [Buffer.concat(fragmented(opcode, bytes, parts))], echo(opcode, bytes)];
        yield [`${NAME[opcode]} of ${n} bytes in ${parts} frames, a write each`, fragmented(opcode, bytes, parts), echo(opcode, bytes)];
      }
    }
    for (const parts of range(5, 2)) {
      for (const at of range(parts - 1, 1)) {
        const frames = fragmented(opcode, payload(opcode, 60), parts);
        frames.splice(at, 0, frame(PING, 'between'));
        yield [`${NAME[opcode]} in ${parts} frames, a ping before frame ${at + 1}`, frames, ['pong between', ...echo(opcode, payload(opcode, 60))]];
      }
    }
    for (const [name, sizes] of [['first', [0, 5]], ['last', [5, 0]], ['middle', [3, 0, 2]], ['all but one', [0, 0, 5, 0]]]) {
      let at = 0;
      const bytes = payload(opcode, 5);
      const frames = sizes.map((size, i) => frame(i === 0 ? opcode : CONTINUATION, bytes.subarray(at, at += size), { fin: i === sizes.length - 1 }));
      yield [`${NAME[opcode]}, its ${name} frame empty`, frames, echo(opcode, bytes)];
    }
    yield [`${NAME[opcode]}, then a new message before its end`, [frame(opcode, 'a', { fin: false }), frame(TEXT, 'b')], fails(1002)];
    yield [`${NAME[opcode]}, then a new binary one before its end`, [frame(opcode, 'a', { fin: false }), frame(BINARY, 'b')], fails(1002)];
    yield [`${NAME[opcode]}, then a new one's first frame before its end`, [frame(opcode, 'a', { fin: false }), frame(opcode, 'b', { fin: false })], fails(1002)];
    yield [`${NAME[opcode]}, then a continuation after its end`, [frame(opcode, 'abc'), frame(CONTINUATION, 'd')], { perhaps: told(opcode, 'abc'), fails: [1002] }];
  }
  for (const text of ['', 'abc']) {
    for (const fin of [true, false]) yield [`a continuation of nothing, ${text.length} bytes${fin ? '' : ', not final'}`, [frame(CONTINUATION, text, { fin })], fails(1002)];
  }
  yield ['two fragmented messages', [...fragmented(TEXT, 'first', 2), ...fragmented(TEXT, 'second', 3)], ['text first', 'text second']];
  yield ['a fragmented message with a pong inside', [frame(TEXT, 'a', { fin: false }), frame(PONG, 'x'), frame(CONTINUATION, 'b')], ['text ab']];
}

/* Valid UTF-8 at the edges of each length, and what is often thought to be none (non-characters). */
const VALID = ['Κόσμε', 'h\u00e9llo', '\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\ufffd', '\ufffe', '\uffff', '\ufeff', '\u{10000}', '\u{10ffff}', '\u{1fffe}', '\u{2ffff}', '\u{10fffe}', '水'.repeat(50), '😀'.repeat(40), 'a\u0300', '\u200b\u202e'];
/* One fault each: lone continuations, lone heads, cut characters, overlong forms, surrogates, above U+10FFFF, impossible bytes. */
const INVALID = ['80', 'bf', '8080', '80bf80', '808182838485', 'c0', 'c1', 'c020', 'c2', 'df20', 'e0', 'e020', 'e0a0', 'e0a020', 'ef', 'efbf', 'f0', 'f09f', 'f09f98', 'f09f9820', 'f4', 'f490', 'c080', 'c1bf', 'c0af', 'e08080', 'e09fbf', 'e080af', 'f0808080', 'f08080af',
  'f08fbfbf', 'f8888080', 'f888808080', 'fc8480808080', 'eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf', 'eda080edb080', 'edafbfedbfbf', 'f4908080', 'f5808080', 'f7bfbfbf', 'f8', 'fb', 'fc', 'fd', 'fe', 'ff', 'fefeffff', 'cebae1bdb9cf83cebcceb5eda080656469746564', 'cebae1bdb9cf83cebcceb5f4908080656469746564', '61c3', '61e282', '61f09f98', '61c328', '61e28228', '61f0288cbc'];

function* utf8() {
  for (const text of VALID) {
    const bytes = Buffer.from(text);
    const name = JSON.stringify(text.slice(0, 8)).replace(/[^ -~]/g, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
    yield [`valid ${name}`, [frame(TEXT, bytes)], echo(TEXT, bytes)];
    yield [`valid ${name}, a byte a frame`, [Buffer.concat(fragmented(TEXT, bytes, Math.min(bytes.length, 100)))], echo(TEXT, bytes)];
    yield [`valid ${name}, a byte a write`, pieces(frame(TEXT, bytes), range(frame(TEXT, bytes).length - 1, 1)), echo(TEXT, bytes)];
  }
  for (const hex of INVALID) {
    const bytes = Buffer.from(hex, 'hex');
    yield [`invalid ${hex}`, [frame(TEXT, bytes)], fails(1007)];
    if (bytes.length > 1) yield [`invalid ${hex}, a byte a frame`, [Buffer.concat(fragmented(TEXT, bytes, bytes.length))], fails(1007)];
    yield [`invalid ${hex} is none in a binary message`, [frame(BINARY, bytes)], echo(BINARY, bytes)];
  }
}

const closing = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

function* close() {
  yield ['close without a code', [frame(CLOSE)], { closes: null }];
  yield ['close of one byte', [frame(CLOSE, [3])], fails(1002)];
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) yield [`close ${code}`, [closing(code)], closes(code)];
  for (const code of [0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]) yield [`close ${code}, which nobody may send`, [closing(code)], fails(1002)];
  for (const n of [1, 50, 122, 123]) yield [`close with a reason of ${n} bytes`, [closing(1000, letters(n))], closes(1000)];
  yield ['close with a reason in UTF-8', [closing(1000, 'Κόσμε')], closes(1000)];
  for (const hex of ['80', 'c0af', 'eda080', 'f4908080', 'ff', '61c3']) yield [`close with a reason that is no UTF-8: ${hex}`, [closing(1000, Buffer.from(hex, 'hex'))], fails(1007, 1002)];
  for (const [name, after] of [['a message', frame(TEXT, 'late')], ['a ping', frame(PING, 'late')], ['another close', closing(1001)], ['a wrong frame', frame(3, 'x')], ['bytes of no frame', Buffer.from([255, 255, 255])]]) yield [`what comes behind a close is not heard: ${name}`, [Buffer.concat([closing(1000), after])], closes(1000)];
  yield ['close inside a fragmented message', [frame(TEXT, 'a', { fin: false }), closing(1000)], closes(1000)];
  yield ['a ping, then close', [Buffer.concat([frame(PING, 'p'), closing(1000)])], { perhaps: 'pong p', closes: 1000 }];
}

const MAX = 65536; /* client.message_size_max */

function* limits() {
  const most = letters(MAX);
  yield ['a message of the limit', [frame(TEXT, most)], echo(TEXT, most)];
  yield ['… in 16 frames', fragmented(TEXT, most, 16), echo(TEXT, most)];
  yield ['a byte over the limit', [frame(TEXT, letters(MAX + 1))], fails(1009)];
  yield ['… in two frames', fragmented(TEXT, letters(MAX + 1), 2), fails(1009)];
  yield ['… in 100 frames', fragmented(BINARY, anyBytes(MAX + 1), 100), fails(1009)];
  for (const power of [17, 20, 24, 31, 32, 40, 48, 62]) yield [`a head that promises 2^${power} bytes`, [frame(TEXT, 'x', { length: 1n << BigInt(power), form: 64 })], fails(1009)];
  for (const length of [1n << 63n, (1n << 63n) + 5n, (1n << 64n) - 1n]) yield [`a length with its highest bit: ${length}`, [frame(TEXT, 'abcde', { length, form: 64 })], fails(1002, 1009)];
  yield ['128 frames', [Buffer.concat(fragmented(TEXT, letters(500), 128))], echo(TEXT, letters(500))];
  yield ['129 frames', [Buffer.concat(fragmented(TEXT, letters(500), 129))], fails(1008)];
  yield ['endless empty frames', [frame(TEXT, 'a', { fin: false }), Buffer.concat(range(400).map(() => frame(CONTINUATION, '', { fin: false })))], fails(1008)];
}

function* lengths() {
  for (const opcode of [TEXT, BINARY]) {
    for (const n of [1, 5, 125]) yield [`${NAME[opcode]} of ${n} bytes, its length in 16 bits`, [frame(opcode, payload(opcode, n), { form: 16 })], fails(1002)];
    for (const n of [1, 5, 125, 126, 1000, 65535]) yield [`${NAME[opcode]} of ${n} bytes, its length in 64 bits`, [frame(opcode, payload(opcode, n), { form: 64 })], fails(1002)];
  }
}

function* masking() {
  for (const opcode of [TEXT, BINARY]) {
    for (const n of [1, 125, 126, 1000]) yield [`${NAME[opcode]} of ${n} bytes without a mask`, [frame(opcode, payload(opcode, n), { mask: null })], fails(1002)];
  }
  yield ['ping without a mask', [frame(PING, 'abc', { mask: null })], fails(1002)];
  yield ['close without a mask', [frame(CLOSE, [3, 232], { mask: null })], fails(1002)];
  yield ['a continuation without a mask', [frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b', { mask: null })], fails(1002)];
}

export const groups = { framing, control, reserved, fragmentation, utf8, close, limits, lengths, masking };
