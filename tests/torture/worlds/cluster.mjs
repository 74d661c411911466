/* Three primaries with a replica each. Every node announces its proxies' ports: one to clients and replicas, one to the other nodes. */
import { freePort } from '../../e2e/support.mjs';
import { FaultProxy } from '../fault_proxy.mjs';
import { TortureWorld } from './world.mjs';

const SLOTS = 16384;

export class Cluster extends TortureWorld {
  countsWaits = true;

  get title() {
    return 'Cluster: three primaries, a replica each';
  }

  async startRedis() {
    this.servers = [];
    for (let i = 0; i < 6; i += 1) this.servers.push(await this.startServer(await freePort(), await freePort()));
    for (const server of this.servers) {
      await server.answers();
      server.id = await server.cli('CLUSTER', 'MYID');
    }
    for (let i = 0; i < 3; i += 1) await this.servers[i].cli('CLUSTER', 'ADDSLOTSRANGE', Math.floor((SLOTS * i) / 3), Math.floor((SLOTS * (i + 1)) / 3) - 1);
    for (let i = 0; i < 6; i += 1) await this.servers[i].cli('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    for (let i = 1; i < 6; i += 1) await this.servers[0].cli('CLUSTER', 'MEET', '127.0.0.1', this.servers[i].proxyPort, this.servers[i].bus.port);
    await this.await('the nodes know each other', async () => {
      for (const server of this.servers) if ((await server.cli('CLUSTER', 'NODES')).trim().split('\n').length !== 6) return false;
      return true;
    });
    for (let i = 3; i < 6; i += 1) await this.await('it replicates', () => this.servers[i].cli('CLUSTER', 'REPLICATE', this.servers[i - 3].id));
    this.owners = this.servers.slice(0, 3);
    await this.settle();
  }

  async startServer(busPort, busProxyPort) {
    const server = await this.node({
      lines: (port, proxyPort, folder) => ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes',
        '--cluster-enabled', 'yes', '--cluster-port', busPort, '--cluster-node-timeout', '1500', '--cluster-replica-validity-factor', '0',
        '--cluster-announce-ip', '127.0.0.1', '--cluster-announce-port', proxyPort, '--cluster-announce-bus-port', busProxyPort,
        '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', '--repl-timeout', '10', '--enable-debug-command', 'yes'],
    });
    server.bus = await new FaultProxy(busPort).listen(busProxyPort);
    return server;
  }

  proxies() {
    return [...super.proxies(), ...this.servers.map((server) => server.bus)];
  }

  urlFor() {
    return `redis+cluster://${this.servers.slice(0, 3).map((server) => `127.0.0.1:${server.proxyPort}`).join(',')}`;
  }

  primaries() {
    return this.owners;
  }

  replicas() {
    return this.servers.filter((server) => !this.owners.includes(server));
  }

  /* What a node says of all: [{id, flags, of, slots}]. */
  async nodesBy(server) {
    const text = await server.cli('CLUSTER', 'NODES');
    return text.trim().split('\n').map((line) => {
      const [id, , flags, of, , , , state, ...slots] = line.split(' ');
      return { id, flags: flags.split(','), of, state, slots: slots.filter((slot) => !slot.startsWith('[')) };
    });
  }

  byId(id) {
    return this.servers.find((server) => server.id === id);
  }

  /* All nodes are up and agree on three owners, each with a replica in step. */
  async isSettled() {
    let owners;
    for (const server of this.servers) {
      if (!(await server.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')) return false;
      const nodes = await this.nodesBy(server);
      if (nodes.length !== 6 || nodes.some(({ flags, state }) => flags.some((flag) => /fail|handshake|noaddr/.test(flag)) || state !== 'connected')) return false;
      const mine = nodes.filter(({ flags, slots }) => flags.includes('master') && slots.length > 0).map(({ id }) => id).sort();
      owners ??= mine;
      if (mine.length !== 3 || mine.join() !== owners.join()) return false;
    }
    this.owners = owners.map((id) => this.byId(id));
    for (const owner of this.owners) {
      const { connected_slaves: n, slave0 } = await owner.info('replication');
      if (Number(n) < 1 || !slave0?.includes('state=online')) return false;
    }
    return true;
  }

  settle() {
    return this.await('three owners with a replica in step each', () => this.isSettled());
  }

  /* On a busy machine a node is held for down now and then, and comes back. */
  async replicaOf(owner) {
    let replica;
    await this.await('a replica in good standing', async () => {
      const nodes = await this.nodesBy(owner);
      replica = this.byId(nodes.find(({ of, flags }) => of === owner.id && !flags.some((flag) => flag.startsWith('fail')))?.id);
      return replica;
    });
    return replica;
  }

  async promoted(replica) {
    await this.await('the replica is primary', async () => (await replica.cli('ROLE'))[0] === 'master');
  }

  async close() {
    await super.close();
    await Promise.all(this.servers.map((server) => server.bus.close()));
  }
}
