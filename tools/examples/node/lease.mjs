/* Do a thing that only one of many may do:  node lease.mjs jobs:nightly [tcp://127.0.0.1:7710]
 *
 * Waits for the lease, says "holds TOKEN" while it has it, and waits again when it is lost. Whatever is changed under it gets the token, and
 * refuses one below the highest it has seen: only that keeps out a holder who stood still past the end. Ctrl-C or SIGTERM: releases it and ends. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './callboard_client.mjs';

const TTL_MS = 3000;
const WAIT_MS = 2000;
const [HELD, LOST] = [125, 123];
const [name, endpoint] = process.argv.slice(2);
const client = new Client(endpoint);
let stopped = false;
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { stopped = true; });

/* The token, and its end by our own clock, counted from before we asked; null when stopped. */
async function acquire() {
  let [key, attempt] = [randomUUID(), 0];
  while (!stopped) {
    const asked = performance.now();
    try {
      const { token, ttl } = await client.request('lease.acquire', { name, ttl: TTL_MS, wait: WAIT_MS, idempotency_key: key }, undefined, WAIT_MS + 2000);
      return { token, end: asked + ttl };
    } catch (error) {
      if (error.body?.code === HELD) {
        [key, attempt] = [randomUUID(), 0]; // somebody has it: another asking
        continue;
      }
      if (error.body && !error.body.temporary) throw error;
      console.error(`not acquired, trying on: ${error.message}`);
    }
    await pause(Math.random() * Math.min(5000, 100 * 2 ** attempt)); // unknown: under the same key we find the lease if we have it
    attempt++;
  }
  return null;
}

/* Renews at a third of the time, until it is lost (true) or we are stopped (false). */
async function hold({ token, end }) {
  let renewAt = performance.now() + TTL_MS / 3;
  while (!stopped) {
    await work(token);
    const now = performance.now();
    if (now >= end) return true;
    if (now < renewAt) continue;
    try {
      const { ttl } = await client.request('lease.renew', { name, token, ttl: TTL_MS }, undefined, Math.min(end - now, 1000));
      [end, renewAt] = [now + ttl, now + TTL_MS / 3];
    } catch (error) {
      if (error.body?.code === LOST) return true; // else unknown: again, as long as it is ours
    }
  }
  return false;
}

/* A small piece of it, shorter than what is left of the lease; with the token for whoever takes the result. */
const work = () => pause(100);

for (let held; (held = await acquire()) !== null;) {
  console.log(`holds ${held.token}`);
  if (await hold(held)) {
    console.log('lost');
    continue;
  }
  await client.request('lease.release', { name, token: held.token }).catch((error) => console.error(`not released, it ends by itself: ${error.message}`));
  console.log('released');
}
client.close();
