/* A subscriber over a bare WebSocket: subscribes to all channels from its positions, comes back whenever it is cut off, and writes down
 * every position it is told. Without the SDK, so that nothing is smoothed over. */
import { createRequire } from 'node:module';
import { sleep } from '../e2e/support.mjs';
import { hashOf, token } from './publishers.mjs';

const WebSocket = createRequire(new URL('../e2e/', import.meta.url))('ws');
const SILENCE_MS = 40000;
const ANSWER_MS = 8000;

export class Reader {
  /* urls: one gateway, or several: then a random one each time. churn: mean time between its own disconnects in ms, or 0. more: what
   * others than this one (guest.mjs) have to know before they begin. */
  constructor({ sid, urls, channels, churn = 0, random, say, ...more }) {
    Object.assign(this, { sid, urls, channels, churn, random, say, ...more });
    this.positions = new Map();
    this.trouble = [];
    this.stopped = false;
    this.done = this.live();
  }

  async live() {
    while (!this.stopped) {
      await this.session();
      if (!this.stopped) await sleep(this.pause());
    }
  }

  /* Until it comes back, in ms. */
  pause() {
    return 50 + this.random() * 300;
  }

  newToken() {
    return token(this.sid);
  }

  session() {
    return new Promise((resolve) => {
      const url = this.urls[Math.floor(this.random() * this.urls.length)];
      const socket = new WebSocket(url, { handshakeTimeout: 5000 });
      this.socket = socket;
      this.waiting = new Map();
      this.nextId = 1;
      let heard = Date.now();
      const watch = setInterval(() => {
        const late = [...this.waiting.values()].some((each) => Date.now() - each.at > ANSWER_MS);
        if (late || Date.now() - heard > SILENCE_MS) {
          this.trouble.push(`${late ? 'no answer' : 'silence'} at ${url}`);
          this.leave(socket, late ? 'no answer' : 'silence');
        }
      }, 500);
      const leave = this.churn ? setTimeout(() => this.leave(socket, 'churn'), this.churn * (0.3 + 1.4 * this.random())) : undefined;
      socket.on('open', () => {
        socket.opened = true;
        this.command({ connect: { token: this.newToken() } });
      });
      socket.on('message', (data) => {
        heard = Date.now();
        for (const line of data.toString().split('\n')) if (line) this.take(JSON.parse(line));
      });
      socket.on('error', () => {});
      socket.on('unexpected-response', (request, response) => {
        this.onRefused(response);
        socket.terminate();
      });
      socket.on('close', (code) => {
        clearInterval(watch);
        clearTimeout(leave);
        if (this.socket === socket) this.socket = null;
        if (socket.opened) this.say('disc', { sid: this.sid, code, why: socket.why });
        this.onClosed(code);
        resolve();
      });
    });
  }

  leave(socket, why) {
    socket.why = why;
    socket.terminate();
  }

  command(body, ch) {
    const id = this.nextId++;
    this.waiting.set(id, { ...body, ch, at: Date.now() });
    this.socket.send(JSON.stringify({ id, ...body }));
  }

  subscribe(ch) {
    const since = this.positions.get(ch);
    this.command({ subscribe: { channel: ch, ...(since ? { recover: true, epoch: since.epoch, offset: since.off } : {}) } }, ch);
  }

  take(message) {
    if (message.push) return this.onPush(message.push);
    if (message.id === undefined) return this.onPing();
    const asked = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (asked?.connect && message.connect) return this.onConnected(message.connect);
    if (asked && this.onAnswer(asked, message)) return undefined;
    if (!asked?.subscribe || !message.subscribe) return this.onError(asked, message);
    return this.onSubscribed(asked, message.subscribe);
  }

  onPing() {
    this.socket.send('{}');
  }

  onConnected() {
    this.channels.forEach((ch) => this.subscribe(ch));
  }

  /* What only others ask for: true if it was that. */
  onAnswer() {
    return false;
  }

  onClosed() {}

  /* Its handshake was answered as any other request. */
  onRefused() {}

  onError(asked, message) {
    this.trouble.push(JSON.stringify(message.error ?? message));
    if (!asked?.subscribe) return this.leave(this.socket, `refused: ${message.error?.code}`);
    const socket = this.socket;
    setTimeout(() => { if (this.socket === socket && socket?.readyState === 1) this.subscribe(asked.ch); }, 100 + this.random() * 400);
  }

  onSubscribed(asked, reply) {
    const { sid } = this;
    const since = asked.subscribe.recover ? { epoch: asked.subscribe.epoch, off: asked.subscribe.offset } : undefined;
    const publications = reply.publications ?? [];
    // With publications the reply's own offset is the one asked from; they lead to the position.
    const off = publications.at(-1)?.offset ?? reply.offset ?? 0;
    this.say('sub_ok', { sid, ch: asked.ch, epoch: reply.epoch, off, since, recovered: reply.recovered === true, n: publications.length });
    for (const pub of publications) this.say('recv', { sid, ch: asked.ch, epoch: reply.epoch, off: pub.offset, key: pub.data.k, hash: hashOf(pub.data) });
    this.positions.set(asked.ch, { epoch: reply.epoch, off });
  }

  onPush(push) {
    const position = this.positions.get(push.channel);
    if (push.pub) {
      this.say('recv', { sid: this.sid, ch: push.channel, epoch: position.epoch, off: push.pub.offset, key: push.pub.data.k, hash: hashOf(push.pub.data) });
      position.off = push.pub.offset;
    } else if (push.unsubscribe) {
      this.say('lost', { sid: this.sid, ch: push.channel, code: push.unsubscribe.code });
      this.subscribe(push.channel);
    }
  }

  stop() {
    this.stopped = true;
    if (this.socket) this.leave(this.socket, 'over');
    return this.done;
  }
}
