/* A TCP proxy that can cut its connections, or keep them open and pass nothing on in one or both directions. */
import net from 'node:net';
import { freePort } from './support.mjs';

export async function startProxy(target) {
  const pairs = new Set();
  const held = { up: false, down: false };
  const server = net.createServer((client) => {
    const upstream = net.connect(target, '127.0.0.1');
    const pair = { client, upstream };
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
      socket.setNoDelay(true);
    }
    client.on('data', (bytes) => { if (!held.up) upstream.write(bytes); });
    upstream.on('data', (bytes) => { if (!held.down) client.write(bytes); });
  });
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    /* What comes while it is held is lost: the connection can only end then. */
    hold(what) { Object.assign(held, what); },
    /* Ends what there is; later connections are passed on again. */
    cut() {
      for (const { client, upstream } of [...pairs]) {
        client.destroy();
        upstream.destroy();
      }
      Object.assign(held, { up: false, down: false });
    },
    async close() {
      this.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
