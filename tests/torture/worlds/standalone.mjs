/* One redis-server with an append-only file. Written through (appendfsync always) it confirms what is safe. Each broker has a proxy of its
 * own to it. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { freePort } from '../../e2e/support.mjs';
import { FaultProxy } from '../fault_proxy.mjs';
import { TortureWorld } from './world.mjs';

const DISK = '96m';

export class Standalone extends TortureWorld {
  static kind = 'standalone';

  uplinks = [];

  fsync = 'everysec';

  whyNoDisk = 'no mounts of its own: unshare --mount is not permitted';

  get title() {
    return `standalone, appendfsync ${this.fsync}`;
  }

  async startRedis() {
    this.redis = await this.node({
      proxied: false,
      lines: (port, proxyPort, folder) => this.smallDisk(folder) || ['--port', port, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', this.fsync,
        '--enable-debug-command', 'yes'],
    });
    await this.redis.answers();
    for (let i = 0; i < 2; i += 1) this.uplinks.push(await new FaultProxy(this.redis.port).listen(await freePort()));
  }

  /* Its files lie on a disk that can be filled, where mounts are permitted. */
  smallDisk(folder) {
    if (!process.env.CBTORTURE_NAMESPACE) return;
    fs.mkdirSync(folder, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'torture', folder], { stdio: ['ignore', 'ignore', 'pipe'] });
      this.disk = folder;
      this.whyNoDisk = undefined;
    } catch (error) {
      this.whyNoDisk = `mount: ${String(error.stderr).trim()}`;
    }
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
    if (this.disk) execFileSync('umount', ['--lazy', this.disk]);
    await super.close();
    await Promise.all(this.uplinks.map((proxy) => proxy.close()));
  }
}

export class Always extends Standalone {
  fsync = 'always';

  get isClockFalse() {
    return true;
  }
}
