/* Faults of our own programs: killed, ended, stopped, told to read their settings again, short of descriptors. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { sleep } from '../../e2e/support.mjs';
import { BROKER, GATEWAY } from '../worlds/world.mjs';

const run = promisify(execFile);

const list = (world, role) => (role === 'broker' ? world.brokers : world.gateways);

/* Ends the program, waits, starts it again. On SIGTERM it has to end by itself, with 0. */
async function restart({ world, say }, role, at, signal, ms) {
  const programs = list(world, role);
  const exit = await programs[at].stop(signal, 30000);
  if (signal === 'SIGTERM' && exit.code !== 0) say('crash', { what: `${role} ${at} ended with ${JSON.stringify(exit)} on SIGTERM` });
  await sleep(ms / 2);
  await world.startAgain(programs, at, role === 'broker' ? BROKER : GATEWAY);
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
async function fewDescriptors(program, ms) {
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
  'gateway-kill': { weight: 2, target: (at) => `gateway ${at}`, run: (ctx, { at, ms }) => restart(ctx, 'gateway', at, 'SIGKILL', ms) },
  'gateway-term': { weight: 1, target: (at) => `gateway ${at}`, run: (ctx, { at, ms }) => restart(ctx, 'gateway', at, 'SIGTERM', ms) },
  'gateway-stop': { weight: 1, target: (at) => `gateway ${at}`, run: ({ world }, { at, ms }) => pause(world.gateways[at], 500 + ms) },
  'reload-storm': { weight: 1, target: () => 'settings', run: reloads },
  'fd-limit': { weight: 1, target: (at) => `gateway ${at}`, run: ({ world }, { at, ms }) => fewDescriptors(world.gateways[at], ms) },
};
