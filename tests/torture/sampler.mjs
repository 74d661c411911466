/* Samples what our programs hold, twice a second: resident memory, descriptors, and the queues of /metrics. And notes when one of them says
 * in its log that something is wrong. */
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

const SIGN = /"level":"(warning|error)"|"event":"engine_state".*"connected":false|"event":"broker_drains"/;
/* How Redis is set up, and what was told before. */
const NO_SIGN = /"event":"(redis_finding|log_suppressed)"/;

export class Sampler {
  constructor(world) {
    this.world = world;
    this.say = () => {};
    this.bounds = { rss: 512 * MIB, fds: 600, gauges: GAUGES };
    this.timer = setInterval(() => this.sample(), 500);
    this.read = new Map(); // program → lines of its log that were read
    this.watch = setInterval(() => this.readLogs(), 20);
  }

  readLogs() {
    for (const program of [...this.world.brokers, ...this.world.gateways]) {
      const from = this.read.get(program) ?? 0;
      this.read.set(program, program.lines.length);
      const said = program.lines.slice(from).find((line) => SIGN.test(line) && !NO_SIGN.test(line));
      if (said) this.say('sign', { who: program.id ?? program.port, what: said.match(/"event":"([^"]*)"/)?.[1] });
    }
  }

  async sample() {
    const named = [...this.world.brokers.map((program, i) => [`broker ${i}`, program]), ...this.world.gateways.map((program, i) => [`gateway ${i}`, program])];
    await Promise.all(named.map(async ([who, program]) => {
      if (program.exited) return;
      try {
        const pages = Number(fs.readFileSync(`/proc/${program.pid}/statm`, 'utf8').split(' ')[1]);
        const fds = fs.readdirSync(`/proc/${program.pid}/fd`).length;
        const { gauges, lagging } = await get(program.internal, '/metrics').then(({ body }) => this.figures(body), () => ({}));
        this.say('sample', { who, pid: program.pid, rss: pages * 4096, fds, gauges, lagging });
      } catch {
        // It ended meanwhile.
      }
    }));
  }

  /* {gauges: name → value, lagging: subscriptions that ran out of credit until now} */
  figures(text) {
    const gauges = {};
    let lagging;
    for (const line of text.split('\n')) {
      const at = line.indexOf(' ');
      const name = line.slice(0, at).replace(/\{.*/, '');
      if (name in GAUGES) gauges[name] = (gauges[name] ?? 0) + Number(line.slice(at + 1));
      if (name === 'callboard_broker_lagging_total') lagging = (lagging ?? 0) + Number(line.slice(at + 1));
    }
    return { gauges, lagging };
  }

  stop() {
    clearInterval(this.timer);
    clearInterval(this.watch);
  }
}
