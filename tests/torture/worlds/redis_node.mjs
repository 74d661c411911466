/* One redis-server (or sentinel) of a world, behind a fault proxy: it announces the proxy's port, so that whoever is told of it comes
 * through there. Ended by its pid. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { sleep } from '../../e2e/support.mjs';
import { FaultProxy } from '../fault_proxy.mjs';
import { command, info } from './resp.mjs';

export class RedisNode {
  /* lines: more arguments of redis-server; role: node | sentinel; clock: of its own, which may be shifted. */
  constructor({ port, proxyPort, folder, lines = [], role = 'node', clock, onWait }) {
    Object.assign(this, { port, proxyPort, folder, lines, role, clock });
    this.name = `redis-${role}`;
    this.lineCount = 0;
    this.proxy = proxyPort ? new FaultProxy(port, onWait) : null;
    this.exited = { code: null, signal: null };
  }

  async start() {
    fs.mkdirSync(this.folder, { recursive: true });
    if (this.proxy && !this.proxy.server.listening) await this.proxy.listen(this.proxyPort);
    this.exited = null;
    const log = fs.openSync(path.join(this.folder, 'redis.log'), 'a');
    const child = spawn('redis-server', this.lines, { stdio: ['ignore', log, log], cwd: this.folder, env: { ...process.env, ...this.clock?.env } });
    fs.closeSync(log);
    this.child = child;
    this.done = new Promise((resolve) => child.on('exit', (code, signal) => {
      this.exited = { code, signal };
      resolve();
    }));
    return this;
  }

  get pid() {
    return this.child.pid;
  }

  async answers(ms = 10000) {
    for (const end = Date.now() + ms; ; ) {
      const reply = await command(this.port, ['PING'], 1000).catch((error) => error);
      if (reply === 'PONG') return;
      if (this.exited) throw new Error(`${this.name} at ${this.port} ended with ${JSON.stringify(this.exited)}: ${this.log().slice(-600)}`);
      if (Date.now() > end) throw new Error(`${this.name} at ${this.port} does not answer: ${reply}`);
      await sleep(20);
    }
  }

  kill(signal = 'SIGKILL') {
    if (this.exited === null) this.child.kill(signal);
  }

  async stop() {
    this.kill('SIGCONT');
    this.kill('SIGKILL');
    await this.done;
    await this.proxy?.close();
  }

  /* Dead, with its proxy alive: whoever dials is cut off. */
  async die(signal = 'SIGKILL') {
    this.kill(signal);
    await this.done;
  }

  cli(...words) {
    return command(this.port, words);
  }

  info(section) {
    return info(this.port, section);
  }

  log() {
    return fs.readFileSync(path.join(this.folder, 'redis.log'), 'utf8');
  }
}
