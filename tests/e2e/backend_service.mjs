/* A backend service for the specs: a DEALER (backend_bridge.py) with requests as promises. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class Service {
  #child;
  #waiting = new Map();
  #last = 0;
  endpoint;
  events = [];     // { id, body, payload }
  unexpected = []; // frames of answers that nobody asked for

  constructor(endpoint, keys = []) {
    this.endpoint = endpoint;
    this.#child = spawn('/usr/bin/python3', ['backend_bridge.py', endpoint, ...keys], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => {}); /* it may be killed */
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(JSON.parse(line)));
  }

  #take(frames) {
    const [, kind, id, body, ...payload] = frames[0] === '' ? frames.slice(1) : frames;
    if (kind === 'event') {
      this.events.push({ id, body: JSON.parse(body), payload: payload[0] });
    } else if (this.#waiting.has(id)) {
      this.#waiting.get(id)({ kind, body: JSON.parse(body), payload });
      this.#waiting.delete(id);
    } else {
      this.unexpected.push(frames);
    }
  }

  sendFrames(frames) {
    this.#child.stdin.write(`${JSON.stringify(frames)}\n`);
  }

  /* Frames as they are; the answer to `id`. */
  ask(frames, id) {
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${JSON.stringify(frames).slice(0, 300)}`)), 10000);
      this.#waiting.set(id, (got) => {
        clearTimeout(timer);
        resolve(got);
      });
    });
    this.sendFrames(frames);
    return answer;
  }

  send(method, params, payload, id = `r${++this.#last}`) {
    this.sendFrames(['CB1', method, id, JSON.stringify(params), ...(payload === undefined ? [] : [payload].flat())]);
  }

  call(method, params, payload, id = `r${++this.#last}`) {
    return this.ask(['CB1', method, id, JSON.stringify(params), ...(payload === undefined ? [] : [payload].flat())], id);
  }

  async ok(...args) {
    const { kind, body } = await this.call(...args);
    assert.equal(kind, 'ok', JSON.stringify(body));
    return body;
  }

  async error(...args) {
    const { kind, body } = await this.call(...args);
    assert.equal(kind, 'error', JSON.stringify(body));
    return body;
  }

  /* Reads no more: its pipe, then its socket, fill up. */
  pause() {
    this.#child.stdout.pause();
  }

  close(signal = 'SIGTERM') {
    this.#child.kill(signal);
  }
}
