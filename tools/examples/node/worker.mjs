/* Answer clients' calls, and decide what they may subscribe to:  node worker.mjs rpc:echo,subscribe [tcp://127.0.0.1:7710]
 *
 * The gateways need client.rpc: true for rpc, and the namespace subscribe_proxy_enabled: true for subscribe. An rpc is answered with the data that
 * it came with; a channel that ends with -USER is for that user alone. Ctrl-C or SIGTERM: takes no more, answers what it has, ends. */
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './callboard_client.mjs';

const AGAIN_MS = 2000;
const [methods, endpoint] = process.argv.slice(2);
const client = new Client(endpoint);
const stopped = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stopped.abort());

client.on('call', (call, payload, id) => {
  console.error(`asked: ${JSON.stringify(call)}`);
  const { method, channel, user } = call;
  if (method !== 'subscribe') client.send('done', id, { result: {} }, payload);
  else if (user && channel.endsWith(`-${user}`)) client.send('done', id, { result: { info: { owner: true } } });
  else client.send('done', id, { error: { code: 403, message: "the channel is somebody else's" } });
});

/* Again and again, since a broker that was away forgets it. An empty list: take no more. */
async function work(list) {
  await client.request('work', { methods: list }).catch((error) => console.error(`not registered: ${error.message}`));
}
while (!stopped.signal.aborted) {
  await work(methods.split(','));
  await pause(AGAIN_MS, undefined, { signal: stopped.signal }).catch(() => {});
}
await work([]);
client.close();
