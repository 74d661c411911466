/* What an opening handshake has to be (RFC 6455 4.1, 4.2) and what comes of extensions and subprotocols (9, 11.3; permessage-deflate is off here, wsconform_compression.mjs has it on,
 * so no offer is ever accepted). A case: [name, the request, UPGRADED or REFUSED, what else the answer has to have]. */
import { KEY, acceptOf } from './wsconform_wire.mjs';

export const UPGRADED = '101';
export const REFUSED = 'refused';

const lines = (...all) => [...all, '', ''].join('\r\n');

/* Each header is a list of its lines' values; [] leaves it out. */
function request({ method = 'GET', path = '/connection/websocket', version = 'HTTP/1.1', host = ['127.0.0.1'], upgrade = ['websocket'], connection = ['Upgrade'], key = [KEY], wsVersion = ['13'], more = [] } = {}) {
  const header = (name, values) => values.map((value) => `${name}: ${value}`);
  return lines(`${method} ${path} ${version}`, ...header('Host', host), ...header('Upgrade', upgrade), ...header('Connection', connection),
    ...header('Sec-WebSocket-Key', key), ...header('Sec-WebSocket-Version', wsVersion), ...more);
}
const good = (name, parts, has = {}) => [name, request(parts), UPGRADED, { accept: acceptOf(parts?.key?.[0] ?? KEY), ...has }];
const bad = (name, parts) => [name, request(parts), REFUSED, {}];

function* requests() {
  yield good('a good one');
  for (const method of ['POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'get', 'Get', 'GETS', 'FOO']) yield bad(`method ${method}`, { method });
  for (const version of ['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'http/1.1', 'HTTP/1', 'HTTPS/1.1', 'HTTP/11']) yield bad(`version ${version}`, { version });
  for (const path of ['/', '/connection', '/connection/websocket/', '/connection/websocketx', '/Connection/Websocket', '/connection//websocket/x', '/connection/websocket%00', '/nothing']) yield bad(`path ${path}`, { path });
  for (const path of ['/connection/websocket?', '/connection/websocket?a=b', '/connection/websocket?a=b&c=d%20e', '/connection/websocket?format=json']) yield good(`path ${path}`, { path });
  yield bad('no Host', { host: [] });
  yield bad('two Hosts', { host: ['127.0.0.1', '127.0.0.1'] });
  for (const host of ['localhost', '127.0.0.1:8000', '[::1]', 'example.com', 'EXAMPLE.com:80']) yield good(`Host ${host}`, { host: [host] });
}

function* upgrades() {
  for (const value of ['websocket', 'WebSocket', 'WEBSOCKET', 'wEbSoCkEt']) yield good(`Upgrade: ${value}`, { upgrade: [value] });
  for (const value of ['', 'web socket', 'websockets', 'xwebsocket', 'web-socket', 'foo', 'h2c', 'tls/1.0', '"websocket"', 'websocket/13x', ' ']) yield bad(`Upgrade: ${JSON.stringify(value)}`, { upgrade: [value] });
  yield bad('no Upgrade', { upgrade: [] });
  for (const value of ['Upgrade', 'upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Upgrade, keep-alive', 'keep-alive,upgrade', 'x, y , upgrade ,z']) yield good(`Connection: ${value}`, { connection: [value] });
  for (const value of ['', 'keep-alive', 'close', 'Upgrades', 'xUpgrade', 'Up grade', 'websocket']) yield bad(`Connection: ${JSON.stringify(value)}`, { connection: [value] });
  yield bad('no Connection', { connection: [] });
  yield bad('neither', { upgrade: [], connection: [] });
}

function* keys() {
  const made = (i) => Buffer.from(Array.from({ length: 16 }, (_, j) => (i * 37 + j * 101 + 7) & 255)).toString('base64');
  for (let i = 0; i < 20; i += 1) yield good(`key ${made(i)}`, { key: [made(i)] });
  yield bad('no key', { key: [] });
  yield bad('two keys', { key: [KEY, KEY] });
  yield bad('two different keys', { key: [KEY, made(3)] });
  for (const bytes of [0, 1, 8, 12, 13, 14, 19, 24, 32, 64].filter((n) => Math.ceil(n / 3) * 4 !== 24)) yield bad(`a key of ${bytes} bytes`, { key: [Buffer.alloc(bytes, 7).toString('base64')] });
  for (const value of ['dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZQ', 'dGhlIHNhbXBsZSBub25jZQ==x', '====', '!', 'dGhlIHNhbXBsZSBub25jZQ== dGhlIHNhbXBsZSBub25jZQ==']) yield bad(`key ${JSON.stringify(value)}`, { key: [value] });
  /* Of 24 characters, but not base64 of 16 bytes: 4.2.1 wants no decoding of it, so they are keys like others. */
  for (const value of ['dGhlIHNhbXBsZSBub25j****', 'dGhlIHNhbXBsZSBub25jZWVl', '************************']) yield good(`24 characters: ${value}`, { key: [value] });
}

function* versions() {
  for (const value of ['0', '1', '7', '8', '9', '12', '14', '25', '99', '255', '256', '130', '013', '13.0', '-13', '+13', '0x0d', '', 'x', '13x', '13, 8', '8, 13', '13 13', '1 3']) yield bad(`Sec-WebSocket-Version: ${JSON.stringify(value)}`, { wsVersion: [value] });
  yield bad('no version', { wsVersion: [] });
  yield bad('two versions', { wsVersion: ['13', '8'] });
  yield bad('the same version twice', { wsVersion: ['13', '13'] });
}

function* shapes() {
  const text = request();
  yield ['header names in lower case', text.replace(/^[A-Za-z-]+:/gm, (name) => name.toLowerCase()), UPGRADED, {}];
  yield ['header names in capitals', text.replace(/^[A-Za-z-]+:/gm, (name) => name.toUpperCase()), UPGRADED, {}];
  yield ['no space behind the colons', text.replace(/: /g, ':'), UPGRADED, {}];
  yield ['two spaces behind the colons', text.replace(/: /g, ':  '), UPGRADED, {}];
  yield ['a space at the end of Upgrade', text.replace('Upgrade: websocket\r', 'Upgrade: websocket \r'), UPGRADED, {}];
  yield ['a space at the end of the key', text.replace('==\r', '== \r'), UPGRADED, {}];
  yield ['a space before a colon', text.replace('Upgrade: websocket', 'Upgrade : websocket'), REFUSED, {}];
  yield ['a folded header', text.replace('Connection: Upgrade', 'Connection:\r\n Upgrade'), REFUSED, {}];
  yield ['bare line feeds, which RFC 9112 2.2 allows', text.replaceAll('\r\n', '\n'), UPGRADED, {}];
  yield ['a NUL in a header', text.replace('websocket\r', 'websocket\0\r'), REFUSED, {}];
  yield ['a line without a colon', text.replace('Connection:', 'Nonsense\r\nConnection:'), REFUSED, {}];
  yield ['50 other headers', text.replace('\r\n\r\n', `\r\n${Array.from({ length: 50 }, (_, i) => `X-Other-${i}: ${i}`).join('\r\n')}\r\n\r\n`), UPGRADED, {}];
  yield ['a cookie of 2 KiB', text.replace('\r\n\r\n', `\r\nCookie: a=${'x'.repeat(2048)}\r\n\r\n`), UPGRADED, {}];
  yield ['headers over 16 KiB', text.replace('\r\n\r\n', `\r\nCookie: a=${'x'.repeat(16384)}\r\n\r\n`), REFUSED, {}];
  yield ['a body is promised', text.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'), UPGRADED, {}];
  yield ['an empty line before', `\r\n${text}`, UPGRADED, {}];
}

function* extensions() {
  const offer = (value) => ({ more: value.map((each) => `Sec-WebSocket-Extensions: ${each}`) });
  for (const value of ['permessage-deflate', 'permessage-deflate; client_max_window_bits', 'permessage-deflate; client_max_window_bits=15', 'permessage-deflate; server_max_window_bits=10', 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    'permessage-deflate; server_max_window_bits=8', 'permessage-deflate; server_max_window_bits=16', 'permessage-deflate; server_max_window_bits=0', 'permessage-deflate; server_max_window_bits', 'permessage-deflate; server_max_window_bits="10"', 'permessage-deflate; unknown', 'permessage-deflate; unknown=1',
    'permessage-deflate; server_no_context_takeover; server_no_context_takeover', 'permessage-deflate, permessage-deflate; client_max_window_bits', 'x-webkit-deflate-frame', 'permessage-bzip2', 'foo', 'foo; bar', 'foo; bar=1, baz', 'mux; max-channels=4; flow-control', '', 'permessage-deflate;', 'foo;;bar', ', ,', 'PERMESSAGE-DEFLATE']) {
    yield good(`extensions ${JSON.stringify(value)}`, offer([value]), { extension: null });
  }
  yield good('extensions in two lines', offer(['permessage-deflate', 'foo']), { extension: null });
}

function* subprotocols() {
  const list = (...values) => ({ more: values.map((value) => `Sec-WebSocket-Protocol: ${value}`) });
  yield good('no subprotocol', {}, { protocol: null });
  for (const value of ['centrifuge-json', 'centrifuge-protobuf']) yield good(`subprotocol ${value}`, list(value), { protocol: value });
  yield good('ours behind another', list('foo, centrifuge-json'), { protocol: 'centrifuge-json' });
  yield good('ours before another', list('centrifuge-json, foo'), { protocol: 'centrifuge-json' });
  yield good('two of ours: the first', list('centrifuge-protobuf, centrifuge-json'), { protocol: 'centrifuge-protobuf' });
  for (const value of ['foo', 'mqtt', 'Centrifuge-JSON', 'centrifuge', 'centrifuge-jsonx', 'foo, bar']) yield good(`subprotocol ${value}: none of ours`, list(value), { protocol: null });
}

export const handshakes = { requests, upgrades, keys, versions, shapes, extensions, subprotocols };
