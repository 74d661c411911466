/* WebSocket on the wire, without a library: frames as a table asks for them, right or wrong, and what came back in words. */
import crypto from 'node:crypto';
import net from 'node:net';

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;
const NAMES = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' };

/* form: 7, 16 or 64 bits of length, whatever the payload has; length: what the head says; mask: its key, null for none. */
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = [0x37, 0xfa, 0x21, 0x3d], form = null, length = null } = {}) {
  const bytes = Buffer.from(payload);
  const size = length ?? BigInt(bytes.length);
  const bits = form ?? (size < 126n ? 7 : size < 65536n ? 16 : 64);
  const flag = mask ? 0x80 : 0;
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  if (bits === 7) head.push(flag | Number(size));
  else {
    head.push(flag | (bits === 16 ? 126 : 127));
    for (let shift = bits - 8; shift >= 0; shift -= 8) head.push(Number((size >> BigInt(shift)) & 255n));
  }
  const masked = mask ? bytes.map((byte, i) => byte ^ mask[i % 4]) : bytes;
  return Buffer.concat([Buffer.from(head), Buffer.from(mask ?? []), masked]);
}

/* A message in so many frames of nearly the same size. */
export function fragmented(opcode, payload, parts, options = {}) {
  const bytes = Buffer.from(payload);
  return Array.from({ length: parts }, (_, i) => frame(i === 0 ? opcode : CONTINUATION, bytes.subarray(Math.floor((bytes.length * i) / parts), Math.floor((bytes.length * (i + 1)) / parts)),
    { ...options, fin: i === parts - 1 }));
}

/* Short payloads as they are, others by size and hash. */
export function told(opcode, payload) {
  const bytes = Buffer.from(payload);
  const name = NAMES[opcode] ?? `opcode ${opcode}`;
  if (opcode === CLOSE) return bytes.length >= 2 ? `close ${bytes.readUInt16BE(0)}` : 'close';
  return bytes.length <= 40 ? `${name} ${bytes.toString('latin1')}` : `${name} ${bytes.length} ${crypto.createHash('sha1').update(bytes).digest('hex').slice(0, 12)}`;
}

/* Frames of a server: unmasked, minimal, without reserved bits; anything else is told as `bad …`. */
export class FrameReader {
  constructor() {
    this.rest = Buffer.alloc(0);
    this.frames = [];
  }

  push(bytes) {
    this.rest = Buffer.concat([this.rest, bytes]);
    for (;;) {
      if (this.rest.length < 2) return;
      let size = this.rest[1] & 127;
      const head = size === 126 ? 4 : size === 127 ? 10 : 2;
      if (this.rest.length < head) return;
      if (head === 4) size = this.rest.readUInt16BE(2);
      if (head === 10) size = Number(this.rest.readBigUInt64BE(2));
      if (this.rest.length < head + size) return;
      const bad = (this.rest[0] & 0x70) !== 0 || (this.rest[1] & 0x80) !== 0 || (this.rest[0] & 0x80) === 0;
      const minimal = (head === 2) || (head === 4 && size >= 126) || (head === 10 && size >= 65536);
      this.frames.push({ opcode: this.rest[0] & 15, payload: Buffer.from(this.rest.subarray(head, head + size)), bad: bad || !minimal });
      this.rest = this.rest.subarray(head + size);
    }
  }
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const acceptOf = (key) => crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/* Connects and says these bytes; resolves with everything that came until `isDone(text)`, the end, or `ms`. */
export function speak(port, bytes, { ms = 5000, isDone = (text) => text.includes('\r\n\r\n') } = {}) {
  return new Promise((resolve) => {
    let data = Buffer.alloc(0);
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(bytes));
    const finish = (ended) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: data.toString('latin1'), ended });
    };
    const timer = setTimeout(() => finish(false), ms);
    socket.on('data', (more) => {
      data = Buffer.concat([data, more]);
      if (isDone(data.toString('latin1'))) finish(false);
    });
    socket.on('error', () => finish(true));
    socket.on('close', () => finish(true));
  });
}

/* An open WebSocket on the raw endpoint, that hears itself: what is said as a message comes back. */
export async function openWire(port, path) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const wire = { socket, reader: new FrameReader(), ended: false, waiting: null };
  let head = Buffer.alloc(0);
  const wake = () => { wire.waiting?.(); };
  await new Promise((resolve, reject) => {
    socket.on('error', () => {});
    socket.on('close', () => { wire.ended = true; wake(); reject(new Error(`closed: ${head?.toString('latin1').split('\r\n')[0]}`)); });
    socket.on('data', (bytes) => {
      if (head === null) {
        wire.reader.push(bytes);
        wake();
        return;
      }
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!head.toString('latin1').startsWith('HTTP/1.1 101')) return reject(new Error(head.toString('latin1').split('\r\n')[0]));
      const rest = head.subarray(end + 4);
      head = null;
      wire.reader.push(rest);
      resolve();
    });
    socket.on('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`));
  });
  /* True when `probe` holds, false when the connection ended first, or after `ms`. */
  wire.until = async (probe, ms = 5000) => {
    const end = Date.now() + ms;
    while (!probe()) {
      if (wire.ended || Date.now() > end) return probe();
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, end - Date.now() + 1);
        wire.waiting = () => { clearTimeout(timer); resolve(); };
      });
    }
    return true;
  };
  return wire;
}
