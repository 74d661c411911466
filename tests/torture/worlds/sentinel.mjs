/* A primary, two replicas, three Sentinels, with timers so short that a failover takes about two seconds. Every server announces its
 * proxy's port: brokers, replicas and Sentinels all come through there, told apart by what they say first. */
import fs from 'node:fs';
import path from 'node:path';
import { TortureWorld } from './world.mjs';

const MASTER = 'mymaster';
const TIMERS = ['INFO-PERIOD', '300', 'PING-PERIOD', '250', 'ASK-PERIOD', '100', 'PUBLISH-PERIOD', '500', 'MIN-LINK-RECONNECT-PERIOD', '200', 'ELECTION-TIMEOUT', '500',
  'TILT-PERIOD', '3000'];

export class Sentinel extends TortureWorld {
  countsWaits = true;

  confirmedBy = 'all that are up';

  get title() {
    return `Sentinel: one primary, two replicas, three Sentinels; ${this.confirmedBy} confirm`;
  }

  async startRedis() {
    this.servers = [];
    for (let i = 0; i < 3; i += 1) this.servers.push(await this.startServer(this.servers[0]));
    for (const server of this.servers) await server.answers();
    this.primary = this.servers[0];
    await this.await('replicas', () => this.isReplicated());
    this.sentinels = [];
    for (let i = 0; i < 3; i += 1) this.sentinels.push(await this.startSentinel());
    for (const sentinel of this.sentinels) await this.shorten(sentinel);
    await this.await('the Sentinels know each other', () => this.isSettled());
  }

  startServer(primary) {
    return this.node({
      lines: (port, proxyPort, folder) => ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes',
        '--replica-announce-ip', '127.0.0.1', '--replica-announce-port', proxyPort, '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1',
        '--repl-timeout', '10', '--enable-debug-command', 'yes', ...(primary ? ['--replicaof', `127.0.0.1 ${primary.proxyPort}`] : [])],
    });
  }

  startSentinel() {
    return this.node({ role: 'sentinel', lines: (port, proxyPort, folder) => [this.configFor(port, proxyPort, folder), '--sentinel'] });
  }

  /* A Sentinel wants a file that it may write. */
  configFor(port, proxyPort, folder) {
    const file = path.join(folder, 'sentinel.conf');
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(file, `port ${port}\nbind 127.0.0.1\nsentinel announce-ip 127.0.0.1\nsentinel announce-port ${proxyPort}\nsentinel monitor ${MASTER} 127.0.0.1 ${this.servers[0].proxyPort} 2\n`
      + `sentinel down-after-milliseconds ${MASTER} 1000\nsentinel failover-timeout ${MASTER} 2000\n`);
    return file;
  }

  async shorten(sentinel) {
    await sentinel.answers();
    await sentinel.cli('SENTINEL', 'DEBUG', ...TIMERS);
  }

  urlFor() {
    return `redis+sentinel://${this.sentinels.map((sentinel) => `127.0.0.1:${sentinel.proxyPort}`).join(',')}/${MASTER}`;
  }

  primaries() {
    return [this.primary];
  }

  replicas() {
    return this.servers.filter((server) => server !== this.primary);
  }

  /* The primary has two replicas in step. */
  async isReplicated() {
    const { role, connected_slaves: n, ...more } = await this.primary.info('replication');
    return role === 'master' && n === '2' && [0, 1].every((i) => more[`slave${i}`]?.includes('state=online'));
  }

  async namedBy(sentinel) {
    const answer = await sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER);
    return this.servers.find((server) => String(server.proxyPort) === answer?.[1]);
  }

  /* All Sentinels name one server, it is primary, all others replicate from it, and no failover is under way. */
  async isSettled() {
    const named = await Promise.all(this.sentinels.map((sentinel) => this.namedBy(sentinel)));
    if (!named[0] || named.some((server) => server !== named[0])) return false;
    const [role] = await named[0].cli('ROLE');
    if (role !== 'master') return false;
    this.primary = named[0];
    for (const sentinel of this.sentinels) {
      const state = await sentinel.cli('SENTINEL', 'MASTER', MASTER);
      const field = (name) => state[state.indexOf(name) + 1];
      if (field('flags') !== 'master' || field('num-slaves') !== '2' || field('num-other-sentinels') !== '2') return false;
    }
    return this.isReplicated();
  }

  settle() {
    return this.await('one primary, two replicas in step, three Sentinels of one mind', () => this.isSettled());
  }

  /* Somebody else is primary, by the word of two Sentinels and its own. */
  async failedOver(old) {
    await this.await('another primary', async () => {
      const named = await Promise.all(this.sentinels.map((sentinel) => this.namedBy(sentinel).catch(() => undefined)));
      const other = named.find((server) => server && server !== old && named.filter((each) => each === server).length >= 2);
      if (!other || (await other.cli('ROLE'))[0] !== 'master') return false;
      this.primary = other;
      return true;
    });
  }

  /* Asks for a failover; none is under way or just over when it takes. */
  async askForFailover() {
    const old = this.primary;
    await this.await('a Sentinel that takes the order', () => this.sentinels[0].cli('SENTINEL', 'FAILOVER', MASTER).then((answer) => answer === 'OK'));
    await this.failedOver(old);
  }
}

/* SENTINEL FAILOVER promotes one replica while the other still follows the old primary, and would confirm what is about to be lost. Here
 * nobody gives that order: deaths take nothing back. */
export class SentinelOne extends Sentinel {
  confirmedBy = 'one replica may';

  brokerArguments() {
    return ['--set', 'redis.confirm_replicas=1'];
  }
}
