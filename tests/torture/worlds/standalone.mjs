/* One redis-server with an append-only file. Written through (appendfsync always) it confirms what is safe. Each broker has a proxy of its
 * own to it. */
import { freePort } from '../../e2e/support.mjs';
import { FaultProxy } from '../fault_proxy.mjs';
import { TortureWorld } from './world.mjs';

export class Standalone extends TortureWorld {
  static kind = 'standalone';

  uplinks = [];

  fsync = 'everysec';

  get title() {
    return `standalone, appendfsync ${this.fsync}`;
  }

  async startRedis() {
    this.redis = await this.node({
      proxied: false,
      lines: (port, proxyPort, folder) => ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', this.fsync,
        '--enable-debug-command', 'yes'],
    });
    await this.redis.answers();
    for (let i = 0; i < 2; i += 1) this.uplinks.push(await new FaultProxy(this.redis.port).listen(await freePort()));
  }

  urlFor(broker) {
    return `redis://127.0.0.1:${this.uplinks[broker].port}`;
  }

  primaries() {
    return [this.redis];
  }

  proxies() {
    return [...super.proxies(), ...this.uplinks];
  }

  async close() {
    await super.close();
    await Promise.all(this.uplinks.map((proxy) => proxy.close()));
  }
}

export class Always extends Standalone {
  fsync = 'always';
}
