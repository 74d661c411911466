/* Who publishes in a schedule: two SDK clients without keys, and a backend with keys (publisher.py). */
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeToken, sleep } from '../e2e/support.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const DAY = 86400;

/* As short as serves to tell payloads apart. */
export const hashOf = (data) => crypto.createHash('md5').update(JSON.stringify(data)).digest('hex').slice(0, 12);

/* Long enough for a clock that jumps. */
export const token = (user) => makeToken({ sub: user, exp: Math.floor(Date.now() / 1000) + DAY / 2 });

/* One publication by the SDK; resolves with the error, or nothing. */
export async function publishOnce(client, say, key, ch, filler = '') {
  const data = { k: key, f: filler };
  say('pub_invoke', { key, ch, try: 1, hash: hashOf(data) });
  try {
    await client.publish(ch, data);
    say('pub_ok', { key, ch, try: 1 });
    return undefined;
  } catch (error) {
    say(error.code === 120 || error.code < 100 ? 'pub_unknown' : 'pub_no', { key, ch, try: 1, code: error.code, message: error.message });
    return error;
  }
}

/* Publishes every `interval` ms; what is unknown is not tried again, for lack of a key. */
export function sdkPublisher({ world, say, dice, channels, gateway, name, interval }) {
  const client = world.kit.client({ url: gateway.url }, { user: name, token: token(name), timeout: 4000 });
  client.connect();
  const state = { stop: false };
  const flights = new Set();
  state.done = (async () => {
    for (let i = 1; !state.stop; i += 1) {
      const flight = publishOnce(client, say, `${name}-${i}`, dice.pick(channels), 'x'.repeat(dice.below(200)));
      flights.add(flight);
      flight.then(() => flights.delete(flight));
      await sleep(interval);
    }
    await Promise.all(flights);
    client.disconnect();
  })();
  return state;
}

/* Its events are among `events` when it is done. filler: bytes more in each publication. */
export function backendPublisher({ world, seed, channels, rate, prefix, events, filler = 0 }) {
  const endpoints = world.brokers.map((broker) => `tcp://127.0.0.1:${broker.router}`);
  const child = spawn('/usr/bin/python3', [path.join(HERE, 'publisher.py'), String(seed), String(rate), channels.join(','), prefix, String(filler), ...endpoints], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (bytes) => { out += bytes; });
  return {
    stop: () => child.stdin.end(),
    done: new Promise((resolve, reject) => child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`publisher.py ended with ${code}`));
      events.push(...out.split('\n').filter(Boolean).map((line) => JSON.parse(line)));
      return resolve();
    })),
  };
}
