/* As much of Redis' protocol as the tests speak: one command over a connection of its own, and a parser for who listens in. */
import net from 'node:net';

/* The value that begins at `at`, or null while it is not whole: {value, next}. Errors are Error objects. */
export function parse(bytes, at = 0) {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return null;
  const line = bytes.toString('latin1', at + 1, end);
  const next = end + 2;
  switch (bytes[at]) {
    case 0x2b: return { value: line, next }; // +
    case 0x2d: return { value: new Error(line), next }; // -
    case 0x3a: return { value: Number(line), next }; // :
    case 0x24: return parseBulk(bytes, Number(line), next); // $
    case 0x2a: return parseArray(bytes, Number(line), next); // *
    default: throw new Error(`not RESP: ${JSON.stringify(bytes.toString('latin1', at, at + 20))}`);
  }
}

function parseBulk(bytes, length, at) {
  if (length < 0) return { value: null, next: at };
  if (bytes.length < at + length + 2) return null;
  return { value: bytes.toString('latin1', at, at + length), next: at + length + 2 };
}

function parseArray(bytes, length, at) {
  if (length < 0) return { value: null, next: at };
  const list = [];
  for (let next = at; ; ) {
    if (list.length === length) return { value: list, next };
    const item = parse(bytes, next);
    if (!item) return null;
    list.push(item.value);
    next = item.next;
  }
}

export function encode(words) {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('')}`;
}

/* Resolves with the reply, rejects with its error or when none comes in time. */
export function command(port, words, ms = 3000) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(encode(words)));
    const timer = setTimeout(() => socket.destroy(new Error(`no reply to ${words[0]} at ${port} in ${ms} ms`)), ms);
    let bytes = Buffer.alloc(0);
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      const reply = parse(bytes);
      if (!reply) return;
      if (reply.value instanceof Error) reject(reply.value);
      else resolve(reply.value);
      socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new Error(`the connection to ${port} ended before a reply to ${words[0]}`));
    });
  });
}

/* INFO's lines as an object. */
export async function info(port, section, ms) {
  const text = await command(port, ['INFO', section], ms);
  return Object.fromEntries(text.split('\r\n').filter((line) => line.includes(':')).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
