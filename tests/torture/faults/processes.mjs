/* Faults of our own programs: killed, ended, stopped, one thread stuck, told to read their settings again, short of descriptors or memory,
 * ended and begun again as the next release. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '../../e2e/support.mjs';
import { whyNoNext } from '../worlds/world.mjs';
import { limitByData, limitByGroup, whyNoGroup } from './memory_limit.mjs';

const MORE_MEMORY = 256 << 10;
const HERE = path.dirname(fileURLToPath(import.meta.url));
const run = promisify(execFile);

const list = (world, role) => (role === 'broker' ? world.brokers : world.gateways);

/* Ends the program, waits, starts it again, as the other release if asked. On SIGTERM it has to end by itself, with 0. */
export async function restart({ world, say }, role, at, signal, ms, options) {
  const programs = list(world, role);
  const exit = await programs[at].stop(signal, 30000);
  if (signal === 'SIGTERM' && exit.code !== 0) say('crash', { what: `${role} ${at} ended with ${JSON.stringify(exit)} on SIGTERM` });
  await sleep(ms / 2);
  await world.startAgain(programs, at, options);
}

/* From one release to the other, and (one in two) back, in any order with whatever else happens: gateways before brokers and after. */
async function changeRelease(ctx, role, { at, ms, dice }) {
  await restart(ctx, role, at, 'SIGTERM', ms / 4, { otherRelease: true });
  if (!dice.chance(0.5)) return;
  await sleep(ms / 2);
  await restart(ctx, role, at, 'SIGTERM', ms / 4, { otherRelease: true });
}

/* One thread stands still while the others go on: the process is alive and answers whatever those others answer. */
async function stickThread(program, thread, ms) {
  await run('/usr/bin/python3', [path.join(HERE, 'hold_thread.py'), String(program.pid), thread, String(Math.round(ms))]);
}

const BROKER_THREADS = ['shard 0', 'shard 1', 'shard 0', 'shard 1', 'switchboard', 'backend_api'];
const whyNoHold = () => (process.getuid() === 0 ? undefined : 'only root may hold threads of others');

/* Memory ends under load: the kernel kills the program, or what it asks for is refused, and it ends itself. If it does with less, so be it. */
async function shortOfMemory({ world, burst }, { at, ms }, limitBy) {
  const program = world.brokers[at];
  program.mayEnd = true;
  const limit = limitBy(program, MORE_MEMORY);
  const sent = burst({ rate: 120, ms: 1500, filler: 30000 });
  await Promise.race([program.done, sleep(4000)]);
  await sleep(10); // it may be ending just now
  limit.lift(program.exited === null);
  program.mayEnd = program.exited !== null;
  await sleep(ms / 4);
  if (program.exited) await world.startAgain(world.brokers, at);
  await sent;
}

async function pause(program, ms) {
  program.kill('SIGSTOP');
  await sleep(ms);
  program.kill('SIGCONT');
}

/* Good settings, broken ones, good ones again; a broken file changes nothing. */
async function reloads({ world }, { ms, dice }) {
  const programs = [...world.brokers, ...world.gateways];
  const texts = programs.map((program) => fs.readFileSync(program.file, 'utf8'));
  for (const end = Date.now() + ms; Date.now() < end; ) {
    programs.forEach((program, i) => {
      const text = dice.pick([texts[i], `${texts[i]}nonsense: [`, texts[i].replace('history_size: 20000', 'history_size: 19999'), `${texts[i]}unknown_key: 1\n`]);
      fs.writeFileSync(program.file, text);
      program.kill('SIGHUP');
    });
    await sleep(50 + dice.below(300));
  }
  programs.forEach((program, i) => {
    fs.writeFileSync(program.file, texts[i]);
    program.kill('SIGHUP');
  });
}

/* So few descriptors that two more are left; then as many as before. */
export async function fewDescriptors(program, ms) {
  const { pid } = program;
  const [, soft] = fs.readFileSync(`/proc/${pid}/limits`, 'utf8').match(/Max open files\s+(\d+)/);
  await run('prlimit', ['--pid', pid, `--nofile=${fs.readdirSync(`/proc/${pid}/fd`).length + 2}:`]);
  await sleep(ms);
  if (program.exited === null) await run('prlimit', ['--pid', pid, `--nofile=${soft}:`]);
}

export const PROCESS_FAULTS = {
  'broker-kill': { weight: 4, target: (at) => `broker ${at}`, run: (ctx, { at, ms }) => restart(ctx, 'broker', at, 'SIGKILL', ms) },
  'broker-term': { weight: 3, target: (at) => `broker ${at}`, run: (ctx, { at, ms }) => restart(ctx, 'broker', at, 'SIGTERM', ms) },
  'broker-stop': { weight: 4, target: (at) => `broker ${at}`, run: ({ world }, { at, ms }) => pause(world.brokers[at], 1000 + ms) },
  'actor-stuck': {
    weight: 3,
    needs: whyNoHold,
    target: (at) => `broker ${at}`,
    run: ({ world }, { at, ms, dice }) => stickThread(world.brokers[at], dice.pick(BROKER_THREADS), 1000 + ms),
  },
  'worker-stuck': {
    weight: 1,
    needs: whyNoHold,
    target: (at) => `gateway ${at}`,
    run: ({ world }, { at, ms, dice }) => stickThread(world.gateways[at], `worker-${dice.below(2)}`, 500 + ms),
  },
  'broker-oom': { weight: 1, needs: whyNoGroup, target: (at) => `broker ${at}`, run: (ctx, fault) => shortOfMemory(ctx, fault, limitByGroup) },
  'broker-no-memory': { weight: 1, target: (at) => `broker ${at}`, run: (ctx, fault) => shortOfMemory(ctx, fault, limitByData) },
  'broker-release': { weight: 2, needs: whyNoNext, target: (at) => `broker ${at}`, run: (ctx, fault) => changeRelease(ctx, 'broker', fault) },
  'gateway-release': { weight: 1, needs: whyNoNext, target: (at) => `gateway ${at}`, run: (ctx, fault) => changeRelease(ctx, 'gateway', fault) },
  'gateway-kill': { weight: 2, target: (at) => `gateway ${at}`, run: (ctx, { at, ms }) => restart(ctx, 'gateway', at, 'SIGKILL', ms) },
  'gateway-term': { weight: 1, target: (at) => `gateway ${at}`, run: (ctx, { at, ms }) => restart(ctx, 'gateway', at, 'SIGTERM', ms) },
  'gateway-stop': { weight: 1, target: (at) => `gateway ${at}`, run: ({ world }, { at, ms }) => pause(world.gateways[at], 500 + ms) },
  'reload-storm': { weight: 1, target: () => 'settings', run: reloads },
  'fd-limit': { weight: 1, target: (at) => `gateway ${at}`, run: ({ world }, { at, ms }) => fewDescriptors(world.gateways[at], ms) },
};
