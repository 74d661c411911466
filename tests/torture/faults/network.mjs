/* Faults of packets, by nftables in a network of the run's own: what is dropped is dropped without a word, and one way only if asked. */
import { execFileSync } from 'node:child_process';
import { sleep } from '../../e2e/support.mjs';

const TABLE = `table inet torture {
  set to { type inet_service; }
  set from { type inet_service; }
  set lossy { type inet_service; }
  chain drops {
    type filter hook input priority 0;
    tcp dport @to drop
    tcp sport @from drop
    tcp dport @lossy numgen random mod 100 < 30 drop
    tcp sport @lossy numgen random mod 100 < 30 drop
  }
}`;

const nft = (...words) => execFileSync('nft', words, { stdio: ['ignore', 'ignore', 'pipe'] });

let reason;
/* Undefined where packets can be dropped, else why not. */
export function whyNoNetwork() {
  if (reason === undefined) {
    reason = null;
    if (!process.env.CBTORTURE_NAMESPACE) reason = 'no network of its own: unshare --net is not permitted';
    else {
      try {
        execFileSync('nft', ['-f', '-'], { input: TABLE, stdio: ['pipe', 'ignore', 'pipe'] });
      } catch (error) {
        reason = `nftables: ${String(error.stderr ?? error.message).trim().split('\n')[0]}`;
      }
    }
  }
  return reason ?? undefined;
}

async function during(sets, port, ms) {
  for (const set of sets) nft('add', 'element', 'inet', 'torture', set, `{ ${port} }`);
  await sleep(ms);
  for (const set of sets) nft('delete', 'element', 'inet', 'torture', set, `{ ${port} }`);
}

/* Whatever comes from these ports or goes to them is dropped, until it is undone. */
export function packetsOf(ports) {
  const each = (word) => { for (const set of ['to', 'from']) nft(word, 'element', 'inet', 'torture', set, `{ ${ports.join(', ')} }`); };
  each('add');
  return () => each('delete');
}

const WAYS = [['to'], ['from'], ['to', 'from'], ['lossy']];

/* One way, the other, both, or a third of all. */
const onPort = (portOf) => async ({ world }, { at, ms, dice }) => during(dice.pick(WAYS), portOf(world, at, dice), ms);

export const NETWORK_FAULTS = {
  'net-link': { weight: 3, needs: whyNoNetwork, target: (at) => `link ${at}`, run: onPort((world, at, dice) => world.links[at][dice.below(2)].port) },
  'net-broker': { weight: 2, needs: whyNoNetwork, target: (at) => `broker ${at}`, run: onPort((world, at) => world.brokers[at].port) },
  'net-redis': { weight: 3, needs: whyNoNetwork, worlds: ['standalone', 'replicas'], target: (at) => `redis link ${at}`, run: onPort((world, at) => world.uplinks[at].port) },
};
