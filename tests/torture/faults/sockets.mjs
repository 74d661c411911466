/* What the kernel says of connections of this machine, from both ends' ports: the gateway's end lives on when its client is cut off, so
 * nobody else can tell whether it has given the client up. */
import fs from 'node:fs';

const ESTABLISHED = '01';
const port = (address) => parseInt(address.split(':')[1], 16);

/* Whether the end at `local` of a connection from `remote` is open: the server has not closed it. */
export function isOpen(local, remote) {
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const rows = fs.existsSync(table) ? fs.readFileSync(table, 'latin1').split('\n').slice(1) : [];
    for (const row of rows) {
      const [, from, to, state] = row.trim().split(/\s+/);
      if (from && state === ESTABLISHED && port(from) === local && port(to) === remote) return true;
    }
  }
  return false;
}

const WMEM = '/proc/sys/net/ipv4/tcp_wmem';

/* Undefined where the kernel can be told to hold less for a connection, else why not. */
export function whyNotLess() {
  if (!process.env.CBTORTURE_NAMESPACE) return 'no network of its own: unshare --net is not permitted';
  try {
    fs.accessSync(WMEM, fs.constants.W_OK);
    return undefined;
  } catch {
    return `${WMEM} may not be written to`;
  }
}

/* The kernel holds at most so many bytes for a connection that begins from now on, until it is undone. */
export function holdLess(bytes) {
  const before = fs.readFileSync(WMEM, 'latin1');
  fs.writeFileSync(WMEM, `4096 16384 ${bytes}`);
  return () => fs.writeFileSync(WMEM, before);
}
