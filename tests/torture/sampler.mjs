/* Samples what our programs hold, twice a second: resident memory, descriptors, and the queues of /metrics. */
import fs from 'node:fs';
import { get } from '../e2e/support.mjs';

const MIB = 1 << 20;
/* At most what the settings say; the figures of a program are for all of its threads. */
const GAUGES = {
  callboard_broker_inbox_messages: 2 * 65536,
  callboard_broker_inbox_bytes: 2 * 64 * MIB,
  callboard_broker_tail_bytes: 2 * 256 * MIB,
  callboard_redis_queued: 2 * 3 * 1024,
  callboard_backend_requests_pending: 65536,
};

export class Sampler {
  constructor(world) {
    this.world = world;
    this.say = () => {};
    this.bounds = { rss: 512 * MIB, fds: 600, gauges: GAUGES };
    this.timer = setInterval(() => this.sample(), 500);
  }

  async sample() {
    const named = [...this.world.brokers.map((program, i) => [`broker ${i}`, program]), ...this.world.gateways.map((program, i) => [`gateway ${i}`, program])];
    await Promise.all(named.map(async ([who, program]) => {
      if (program.exited) return;
      try {
        const pages = Number(fs.readFileSync(`/proc/${program.pid}/statm`, 'utf8').split(' ')[1]);
        const fds = fs.readdirSync(`/proc/${program.pid}/fd`).length;
        const gauges = await get(program.internal, '/metrics').then(({ body }) => this.gauges(body), () => ({}));
        this.say('sample', { who, pid: program.pid, rss: pages * 4096, fds, gauges });
      } catch {
        // It ended meanwhile.
      }
    }));
  }

  gauges(text) {
    const found = {};
    for (const line of text.split('\n')) {
      const at = line.indexOf(' ');
      const name = line.slice(0, at).replace(/\{.*/, '');
      if (name in GAUGES) found[name] = (found[name] ?? 0) + Number(line.slice(at + 1));
    }
    return found;
  }

  stop() {
    clearInterval(this.timer);
  }
}
