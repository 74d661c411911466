/* Publish once, however often that takes:  node publish.mjs demo:hello '{"text":"hi"}' [tcp://127.0.0.1:7710] */
import { Client } from './callboard_client.mjs';

const [channel, payload, endpoint] = process.argv.slice(2);
const client = new Client(endpoint);
console.log(JSON.stringify(await client.publish(channel, payload)));
client.close();
