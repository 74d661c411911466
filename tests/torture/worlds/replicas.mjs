/* A primary and two replicas behind one address, as with an address that moves: a failover promotes a replica and lets the brokers'
 * proxies lead there. The only world whose failovers take no time of their own, so much is told in little time. */
import { freePort } from '../../e2e/support.mjs';
import { FaultProxy } from '../fault_proxy.mjs';
import { TortureWorld } from './world.mjs';

export class Replicas extends TortureWorld {
  uplinks = [];

  get title() {
    return 'a primary and two replicas behind one address; in the middle of an upgrade';
  }

  get isMixed() {
    return true;
  }

  async startRedis() {
    this.servers = [];
    for (let i = 0; i < 3; i += 1) this.servers.push(await this.startServer(this.servers[0]));
    for (const server of this.servers) await server.answers();
    this.primary = this.servers[0];
    await this.settle();
    for (let i = 0; i < 2; i += 1) {
      this.uplinks.push(await new FaultProxy(this.primary.port, (wait) => this.say('wait', wait)).listen(await freePort()));
    }
  }

  startServer(primary) {
    return this.node({
      lines: (port, proxyPort, folder) => ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes',
        '--replica-announce-ip', '127.0.0.1', '--replica-announce-port', proxyPort, '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1',
        '--repl-timeout', '10', '--enable-debug-command', 'yes', ...(primary ? ['--replicaof', `127.0.0.1 ${primary.proxyPort}`] : [])],
    });
  }

  urlFor(broker) {
    return `redis://127.0.0.1:${this.uplinks[broker].port}`;
  }

  brokerArguments() {
    return ['--set', 'redis.confirm=replicas'];
  }

  primaries() {
    return [this.primary];
  }

  replicas() {
    return this.servers.filter((server) => server !== this.primary);
  }

  proxies() {
    return [...super.proxies(), ...this.uplinks];
  }

  async isSettled() {
    const { role, connected_slaves: n, ...more } = await this.primary.info('replication');
    return role === 'master' && n === '2' && [0, 1].every((i) => more[`slave${i}`]?.includes('state=online'));
  }

  settle() {
    return this.await('one primary, two replicas in step', () => this.isSettled());
  }

  /* The replica with the most becomes primary, as a Sentinel chooses; whoever is up follows it. */
  async failedOver(old) {
    for (const uplink of this.uplinks) uplink.set({ refuse: true });
    const others = this.servers.filter((server) => server !== old && !server.exited);
    const offsets = await Promise.all(others.map(async (server) => Number((await server.info('replication')).slave_repl_offset ?? 0)));
    const next = others[offsets.indexOf(Math.max(...offsets))];
    await next.cli('REPLICAOF', 'NO', 'ONE');
    this.primary = next;
    for (const server of others) if (server !== next) await server.cli('REPLICAOF', '127.0.0.1', next.proxyPort);
    for (const uplink of this.uplinks) {
      uplink.target = next.port;
      uplink.heal();
    }
  }

  /* One who comes back does not know yet who is primary now. */
  async revived(server) {
    if (server !== this.primary) await server.cli('REPLICAOF', '127.0.0.1', this.primary.proxyPort);
  }

  async askForFailover() {
    const old = this.primary;
    await this.failedOver(old);
    await this.revived(old);
  }

  async close() {
    await super.close();
    await Promise.all(this.uplinks.map((proxy) => proxy.close()));
  }
}
