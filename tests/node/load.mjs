/* Publishers and subscribers on a deployment while its pods come and go:

     node load.mjs URL SECRET AUDIENCE NAMESPACE [CHANNELS]

   Each channel has one publisher, which sends the next number when the one before was acknowledged (or refused), and one subscriber. When the standard
   input ends, publishing does, and within a minute each subscriber has to have every acknowledged number, in order and once. The result is one line of
   JSON; on the way a line for each gap of more than a second between two acknowledgements. */
import crypto from 'node:crypto';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { Centrifuge } = require('centrifuge');
const WebSocket = require('ws');

const [url, secret, audience, namespace, channelCount = '4'] = process.argv.slice(2);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const started = Date.now();
const say = (what) => console.error(`${((Date.now() - started) / 1000).toFixed(1)} s: ${what}`);

function token(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, aud: audience, iss: audience, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${body}.${crypto.createHmac('sha256', secret).update(body).digest('base64url')}`;
}

const result = { published: 0, acknowledged: 0, refused: {}, received: 0, lost: 0, disordered: 0, doubled: 0, notRecovered: 0, reconnects: 0, disconnects: {}, longestGapMs: 0 };
let stopping = false;

function connect(user) {
  const client = new Centrifuge(url, { websocket: WebSocket, token: token(user), minReconnectDelay: 100, maxReconnectDelay: 1000, timeout: 5000 });
  client.on('connecting', (context) => {
    if (context.code === 0) return;
    result.reconnects += 1;
    const why = `${context.code} ${context.reason}`;
    result.disconnects[why] = (result.disconnects[why] ?? 0) + 1;
  });
  client.on('disconnected', (context) => context.code !== 0 && say(`${user} was disconnected for good: ${context.code} ${context.reason}`));
  client.connect();
  return client;
}

async function follow(channel, acknowledged) {
  const client = connect(`reader-${channel}`);
  const subscription = client.newSubscription(channel);
  const seen = new Set();
  let highest = -1;
  subscription.on('publication', ({ data }) => {
    result.received += 1;
    if (seen.has(data.n)) result.doubled += 1;
    else if (data.n < highest) result.disordered += 1;
    seen.add(data.n);
    highest = Math.max(highest, data.n);
  });
  subscription.on('subscribed', (context) => {
    if (context.wasRecovering && !context.recovered) {
      result.notRecovered += 1;
      say(`${channel}: not recovered at offset ${context.streamPosition?.offset}, epoch ${context.streamPosition?.epoch}`);
    }
  });
  subscription.on('error', (context) => say(`${channel}: ${context.error.code} ${context.error.message}`));
  subscription.on('unsubscribed', (context) => say(`${channel}: unsubscribed for good: ${context.code} ${context.reason}`));
  subscription.subscribe();
  await subscription.ready();
  return { client, missing: () => acknowledged.filter((n) => !seen.has(n)) };
}

async function publish(channel, acknowledged) {
  const client = connect(`writer-${channel}`);
  await client.ready();
  let last = Date.now();
  for (let n = 0; !stopping; n += 1) {
    result.published += 1;
    try {
      await client.publish(channel, { n });
      acknowledged.push(n);
      result.acknowledged += 1;
      const gap = Date.now() - last;
      if (gap > 1000) say(`${channel}: ${gap} ms without an acknowledgement, until number ${n}`);
      result.longestGapMs = Math.max(result.longestGapMs, gap);
      last = Date.now();
    } catch (error) {
      const why = `${error.code} ${error.message}`;
      result.refused[why] = (result.refused[why] ?? 0) + 1;
    }
    await sleep(40);
  }
  client.disconnect();
}

const readers = [];
const writers = [];
for (let i = 0; i < Number(channelCount); i += 1) {
  const channel = `${namespace}:load-${crypto.randomBytes(4).toString('hex')}`;
  const acknowledged = [];
  readers.push(await follow(channel, acknowledged));
  writers.push(publish(channel, acknowledged));
}
console.log('ready');
process.stdin.resume();
await new Promise((resolve) => process.stdin.on('end', resolve));
stopping = true;
await Promise.all(writers);
const end = Date.now() + 60000;
while (readers.some((reader) => reader.missing().length > 0) && Date.now() < end) await sleep(100);
for (const reader of readers) {
  result.lost += reader.missing().length;
  reader.client.disconnect();
}
console.log(JSON.stringify(result));
process.exit(0);
