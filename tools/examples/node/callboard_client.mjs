/* The backend API in Node, with nothing but npm's zeromq. Copy it; docs/backend-api.md says what there is to ask.
 *
 * Events of subscriptions and calls to a worker come as 'event' and 'call'; pings are answered as long as the event loop turns. */
import { EventEmitter } from 'node:events';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Dealer } from 'zeromq';

const TRY_MS = 2000;

/* The broker's error; body has code, reason, message, temporary, definite. */
export class Refused extends Error {
  constructor(body) {
    super(`${body.message} (${body.code})`);
    this.body = body;
  }
}

export class Client extends EventEmitter {
  #socket = new Dealer({ linger: 0, sendTimeout: 0 });
  #waiting = new Map();

  constructor(endpoint = 'tcp://127.0.0.1:7710') {
    super();
    this.#socket.connect(endpoint);
    this.#read();
  }

  async #read() {
    for await (const [, kind, id, body, payload] of this.#socket) {
      const json = JSON.parse(body);
      if (`${kind}` === 'ping') this.send('pong', '', {});
      else if (`${kind}` === 'event') this.emit('event', json, payload);
      else if (`${kind}` === 'request') this.emit('call', json, payload ?? Buffer.alloc(0), id);
      else this.#waiting.get(`${id}`)?.(`${kind}` === 'ok' ? { result: json } : { error: new Refused(json) });
    }
  }

  /* The broker takes nothing: that ends like an answer that does not come. */
  send(method, id, params, payload) {
    this.#socket.send(['CB1', method, id, JSON.stringify(params), ...(payload === undefined ? [] : [payload])]).catch(() => {});
  }

  /* The result. Rejects with Refused, or another Error: no answer, it may have been done. */
  async request(method, params, payload, ms = 5000, id = randomUUID()) {
    let timer;
    const answer = await new Promise((resolve) => {
      timer = setTimeout(resolve, ms, { error: new Error(`no answer to ${method} in ${ms} ms`) });
      this.#waiting.set(id, resolve);
      this.send(method, id, params, payload);
    });
    clearTimeout(timer);
    this.#waiting.delete(id);
    if (answer.error) throw answer.error;
    return answer.result;
  }

  /* Once, however often that takes: each try has the same key and the same id, so an answer to an earlier one is as good. */
  async publish(channel, payload, patienceMs = 60000) {
    const params = { channel, idempotency_key: randomUUID() };
    const id = randomUUID();
    const end = Date.now() + patienceMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.request('publish', params, payload, Math.min(TRY_MS, patienceMs), id);
      } catch (error) {
        const ms = Math.random() * Math.min(5000, 100 * 2 ** attempt);
        if (error.body && !error.body.temporary) throw error;
        if (Date.now() + ms > end) throw new Error('given up; it may have been published', { cause: error });
        await pause(ms);
      }
    }
  }

  close() {
    this.#socket.close();
  }
}
