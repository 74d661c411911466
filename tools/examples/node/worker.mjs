/* Answer clients' calls:  node worker.mjs rpc:echo [tcp://127.0.0.1:7710]      (the gateways need client.rpc: true)
 *
 * Each call is answered with the data that it came with. Ctrl-C or SIGTERM: takes no more, answers what it has, ends. */
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './callboard_client.mjs';

const AGAIN_MS = 2000;
const [method, endpoint] = process.argv.slice(2);
const client = new Client(endpoint);
const stopped = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stopped.abort());

client.on('call', (call, payload, id) => {
  console.error(`asked: ${JSON.stringify(call)}`);
  client.send('done', id, { result: {} }, payload);
});

/* Again and again, since a broker that was away forgets it. An empty list: take no more. */
async function work(methods) {
  await client.request('work', { methods }).catch((error) => console.error(`not registered: ${error.message}`));
}
while (!stopped.signal.aborted) {
  await work([method]);
  await pause(AGAIN_MS, undefined, { signal: stopped.signal }).catch(() => {});
}
await work([]);
client.close();
