/* What comes of offers of permessage-deflate where it is on (RFC 7692 7.1), and of frames where it was agreed on (6, 7.2). */
import zlib from 'node:zlib';
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, fragmented, frame } from './wsconform_wire.mjs';

const D = 'permessage-deflate';
export const TERMS = `${D}; server_no_context_takeover; client_no_context_takeover`;
const WINDOW = `${TERMS}; server_max_window_bits=12`;

/* [the lines of Sec-WebSocket-Extensions, the answer or null] */
export const offers = [
  [[], null],
  [[''], null],
  [[D], TERMS],
  [[` ${D} `], TERMS],
  [[`${D};client_max_window_bits`], TERMS],
  [[`${D}; client_max_window_bits=15`], TERMS],
  [[`${D}; client_max_window_bits=8`], TERMS],
  [[`${D}; client_max_window_bits="9"`], TERMS],
  [[`${D}; server_no_context_takeover; client_no_context_takeover`], TERMS],
  [[`${D}; client_no_context_takeover; server_no_context_takeover; client_max_window_bits`], TERMS],
  [[`${D}; server_max_window_bits=15`], WINDOW],
  [[`${D}; server_max_window_bits=12; client_max_window_bits`], WINDOW],
  [[`foo, ${D}`], TERMS],
  [[`${D}, foo; bar=1`], TERMS],
  [['foo', D], TERMS],
  [[`${D}, ${D}`], TERMS],
  [[`${D}, ${D}; client_max_window_bits, ${D}; server_max_window_bits=15`], TERMS],
  [[`${D}; server_max_window_bits=10, ${D}; client_max_window_bits`], TERMS],
  [[`${D}; server_max_window_bits=10, ${D}; server_max_window_bits=13, ${D}`], WINDOW],
  [[`${D}; unknown`, D], TERMS],
  [['x-webkit-deflate-frame'], null],
  [['PERMESSAGE-DEFLATE'], null],
  [['permessage-bzip2'], null],
  [[`${D}; unknown`], null],
  [[`${D}; unknown=1`], null],
  [[`${D}; server_max_window_bits`], null],
  ...['0', '7', '8', '11', '16', '012', '-12', '12x', '99999999999999999999'].map((bits) => [[`${D}; server_max_window_bits=${bits}`], null]),
  ...['0', '7', '16', '015', 'x'].map((bits) => [[`${D}; client_max_window_bits=${bits}`], null]),
  [[`${D}; server_no_context_takeover=1`], null],
  [[`${D}; client_no_context_takeover=true`], null],
  [[`${D}; server_no_context_takeover; server_no_context_takeover`], null],
  [[`${D}; client_max_window_bits; client_max_window_bits`], null],
  [[`${D};`], null],
  [[`${D},`], null],
  [[`${D}; =1`], null],
  [[`${D}; client_max_window_bits=`], null],
  [[`${D}; client_max_window_bits="10`], null],
  [[`foo; a="b, ${D}"`], null],
];

export const deflate = (payload, options = {}) => zlib.deflateRawSync(Buffer.from(payload), { finishFlush: zlib.constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);
const RSV1 = { rsv: 4 };
const hello = deflate('hello, hello, hello');
const long = 'a sentence that is said again and again. '.repeat(1000);
const hex = (text) => Buffer.from(text, 'hex');

/* [name, the writes, what is heard, or the code that it closes with] */
export const frames = [
  ['a compressed text', [frame(TEXT, hello, RSV1)], ['text hello, hello, hello']],
  ['a text that is not compressed', [frame(TEXT, 'plain')], ['text plain']],
  ['one of each', [frame(TEXT, hello, RSV1), frame(TEXT, 'plain'), frame(TEXT, hello, RSV1)], ['text hello, hello, hello', 'text plain', 'text hello, hello, hello']],
  ['in stored blocks', [frame(TEXT, hex('000500faff48656c6c6f00'), RSV1)], ['text Hello']],
  ['in a fixed block', [frame(TEXT, hex('f248cdc9c90700'), RSV1)], ['text Hello']],
  ['in a last block', [frame(TEXT, hex('f348cdc9c9070000'), RSV1)], ['text Hello']],
  ['in two blocks', [frame(TEXT, hex('f248050000 00ffffcac9c90700'.replace(' ', '')), RSV1)], ['text Hello']],
  ['a long text', [frame(TEXT, deflate(long), RSV1)], [{ text: long }]],
  ['a long text, with a small window', [frame(TEXT, deflate(long, { windowBits: 9 }), RSV1)], [{ text: long }]],
  ['in two fragments', fragmented(TEXT, hello, 2, {}).map((bytes, i) => { if (i === 0) bytes[0] |= 0x40; return bytes; }), ['text hello, hello, hello']],
  ['in eleven fragments with a ping between', [...fragmented(TEXT, hello, 11).map((bytes, i) => { if (i === 0) bytes[0] |= 0x40; return bytes; })].flatMap((bytes, i) => (i === 5 ? [frame(PING, 'p'), bytes] : [bytes])), ['pong p', 'text hello, hello, hello']],
  ['byte by byte', [...frame(TEXT, hello, RSV1)].map((byte) => Buffer.from([byte])), ['text hello, hello, hello']],
  ['a second fragment with RSV1', fragmented(TEXT, hello, 2).map((bytes) => { bytes[0] |= 0x40; return bytes; }), 1002],
  ['a continuation with RSV1 of a plain text', [frame(TEXT, 'a', { fin: false }), frame(CONTINUATION, 'b', RSV1)], 1002],
  ['a pong with RSV1', [frame(PONG, 'x', RSV1)], 1002],
  ['RSV2', [frame(TEXT, 'a', { rsv: 2 })], 1002],
  ['RSV3', [frame(TEXT, 'a', { rsv: 1 })], 1002],
  ['RSV1 and RSV2', [frame(TEXT, hello, { rsv: 6 })], 1002],
  ['no deflate', [frame(TEXT, 'this is no deflate', RSV1)], 1007],
  ['RSV1 on a plain text', [frame(TEXT, '{"id":1}', RSV1)], 1007],
  ['an empty payload', [frame(TEXT, '', RSV1)], 1007],
  ['half of a message', [frame(TEXT, deflate(long).subarray(0, 40), RSV1)], 1007],
  ['what refers to the message before', [frame(TEXT, hex('f248cdc9c90700'), RSV1), frame(TEXT, hex('f200110000'), RSV1)], 1007],
  ['a text that is no UTF-8 when it is inflated', [frame(TEXT, deflate(hex('c328')), RSV1)], 1007],
  ['64 KiB when it is inflated', [frame(TEXT, deflate('x'.repeat(65536)), RSV1)], [{ text: 'x'.repeat(65536) }]],
  ['64 KiB and a byte', [frame(TEXT, deflate('x'.repeat(65537)), RSV1)], 1009],
  ['64 MiB', [frame(TEXT, deflate(Buffer.alloc(64 << 20)).subarray(0, 65000), RSV1)], 1009],
  ['64 KiB of compressed bytes and more', [frame(BINARY, Buffer.alloc(65537), RSV1)], 1009],
  ['a close', [frame(CLOSE, hex('03e8'))], 1000],
];
/* lws 4.1.6 looks at no reserved bits of what it answers itself (RFC 6455 5.2, RFC 7692 6.1: fail). */
export const pinned = [
  ['a ping with RSV1', [frame(PING, 'x', RSV1)], ['pong x']],
  ['a close with RSV1', [frame(CLOSE, hex('03e8'), RSV1)], 1000],
];
