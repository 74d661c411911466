/* A client that a fault brings with it and takes away again: a subscriber like any other, so all that it is told is judged, too. */
import { makeToken } from '../e2e/support.mjs';
import { Reader } from './reader.mjs';

export const nowNs = () => Number(process.hrtime.bigint());
const DAY_S = 86400;

export const nowS = () => Date.now() / 1000;
/* When a second of the wall clock is, on the clock of the events. */
export const atSecond = (s) => nowNs() + (s * 1000 - Date.now()) * 1e6;

/* Beside what a Reader has:
 *
 *   user            whose token it shows (default: its own name)
 *   claims          () → more claims of its token
 *   answersPings    false: it is sent pings and says nothing
 *   staysAway       codes after which it does not come back by itself */
export class Guest extends Reader {
  newToken() {
    return makeToken({ sub: this.user ?? this.sid, exp: Math.floor(nowS()) + DAY_S / 2, ...this.claims?.() });
  }

  onPing() {
    if (this.answersPings !== false) super.onPing();
  }

  onConnected(result) {
    this.client = result.client;
    this.port = this.socket?._socket?.localPort;
    this.say('open', { sid: this.sid, user: this.user ?? this.sid, client: result.client });
    super.onConnected(result);
  }

  onClosed(code) {
    this.closed = code;
    if (this.staysAway?.includes(code)) this.stopped = true;
  }

  /* It comes back when it was told to. */
  onRefused({ statusCode, headers }) {
    this.say('refused', { sid: this.sid, status: statusCode, retry: headers['retry-after'] });
    this.wait = Number(headers['retry-after'] ?? 0) * 1000;
  }

  pause() {
    const wait = this.wait ?? 0;
    this.wait = 0;
    return wait + super.pause();
  }

  /* Subscribed to all of its channels, over the connection of now. */
  get isThere() {
    return this.socket?.readyState === 1 && this.socket.there?.size === this.channels.length;
  }

  onSubscribed(asked, reply) {
    super.onSubscribed(asked, reply);
    (this.socket.there ??= new Set()).add(asked.ch);
  }

  /* Reads nothing from now on; the other side sees a window that is shut. */
  stopReading() {
    this.say('stops', { sid: this.sid });
    this.socket.pause();
  }

  /* What has come until now, and no more. */
  sip() {
    this.socket?.resume();
    setImmediate(() => this.socket?.pause());
  }

  readOn() {
    this.socket?.resume();
  }

  /* Without a word: its connection is gone. */
  drop() {
    if (this.socket) this.leave(this.socket, 'churn');
  }

  async goAway() {
    this.readOn();
    await this.stop();
    this.say('left', { sid: this.sid });
  }
}
