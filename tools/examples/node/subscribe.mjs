/* Read a channel and miss nothing, whatever happens to the connection or the broker:  node subscribe.mjs demo:hello [tcp://127.0.0.1:7710]
 *
 * Prints each publication after its offset, and "gap" where the history no longer held what comes next: there a service reads its state anew. */
import { Client } from './callboard_client.mjs';

const SILENCE_MS = 2000;
const [channel, endpoint] = process.argv.slice(2);
const client = new Client(endpoint);
let position;
let heard = 0; // when

client.on('event', ({ type, offset, epoch }, payload) => {
  heard = Date.now();
  if (type !== 'publication' && type !== 'gap') return;
  position = { offset, epoch };
  console.log(type === 'gap' ? 'gap' : `${offset} ${payload}`);
});

/* From our position on, after each silence. Error 105: the broker has this subscription still, all is well. */
for (;;) {
  try {
    const since = position?.epoch ? { since: position } : {};
    const start = await client.request('subscribe', { channel, ...since });
    position ??= start;
    console.error('subscribed');
  } catch (error) {
    if (error.body?.code !== 105) console.error(`not subscribed, trying on: ${error.message}`);
  }
  do await new Promise((resolve) => setTimeout(resolve, SILENCE_MS)); while (Date.now() - heard < SILENCE_MS);
}
