/* cbtorture: schedules of faults on running worlds. See README.md here, or --help. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { FAULTS, kindsFor, schedule } from './schedule.mjs';
import { Run } from './run_schedule.mjs';
import { Sampler } from './sampler.mjs';
import { Summary } from './summary.mjs';
import { WORLDS } from './worlds/worlds.mjs';

const HELP = `cbtorture [OPTION…]
  --seed N          the same seed gives the same faults in the same order (default: a random one, which is printed)
  --world NAME,…    ${Object.keys(WORLDS).join(', ')} (default: all)
  --schedules N     schedules in each world (default 4)
  --seconds S       how long the faults of one schedule may take (default 7)
  --rounds N        begin again with fresh worlds, so many times in all (default 1)
  --minutes M       end after so many minutes, whatever is left
  --first N         begin with schedule N: to see one again
  --faults KIND,…   only these
  --without KIND,…  not these
  --list            what there is to break in each world
  --keep FOLDER     keep the history and logs of every schedule there, not only of those with findings`;

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string' }, world: { type: 'string' }, schedules: { type: 'string', default: '4' }, seconds: { type: 'string', default: '7' },
    rounds: { type: 'string', default: '1' }, minutes: { type: 'string', default: '600' }, first: { type: 'string', default: '1' }, faults: { type: 'string' }, without: { type: 'string' }, list: { type: 'boolean' },
    keep: { type: 'string' }, help: { type: 'boolean' },
  },
});
const seed = Number(options.seed ?? Math.floor(Math.random() * 1e6));
const seconds = Number(options.seconds);
const unwanted = options.without?.split(',') ?? [];
const wanted = (options.faults?.split(',') ?? Object.keys(FAULTS)).filter((kind) => !unwanted.includes(kind));
const worldNames = options.world?.split(',') ?? Object.keys(WORLDS);
const deadline = performance.now() + Number(options.minutes) * 60000;
const note = (text) => console.log(`${process.uptime().toFixed(1).padStart(7)} ${text}`);
const summary = new Summary(seed);

function keep(world, name, number, result) {
  if (!options.keep && result.findings.length === 0) return;
  const folder = path.join(options.keep ?? path.join(os.tmpdir(), `callboard-torture-${seed}`), `${name}-${number}`);
  fs.mkdirSync(folder, { recursive: true });
  const write = (file, text) => fs.writeFileSync(path.join(folder, file), text);
  write('history.jsonl', result.events.map((event) => JSON.stringify(event)).join('\n'));
  write('final.json', JSON.stringify([...result.final]));
  write('findings.json', JSON.stringify(result.findings, null, 1));
  write('trouble.txt', result.trouble.join('\n'));
  world.kit.programs.forEach((program, i) => {
    const text = program.lines instanceof Array && program.log ? program.log() : '';
    write(`${String(i).padStart(2, '0')}-${path.basename(program.name)}-${program.id ?? program.port}.log`, text);
  });
  note(`  kept in ${folder}`);
}

/* Ends that nobody asked for: by a signal other than ours. */
function crashes(world, known) {
  const fresh = world.kit.programs.filter((program) => program.lines && program.exited?.signal && program.exited.signal !== 'SIGKILL' && !program.mayEnd && !known.has(program));
  for (const program of fresh) known.add(program);
  return fresh.map((program) => ({ rule: 'crash', ch: '*', what: `${program.name} ended with ${JSON.stringify(program.exited)}: ${program.lines.slice(-5).join(' | ')}` }));
}

async function torture(name, first) {
  const World = WORLDS[name];
  const world = new World({ say: () => {} });
  const known = new Set();
  let sampler;
  try {
    await world.start();
    sampler = new Sampler(world);
    note(`world ${world.title}; channels ${world.durabilities.join(' and ')}`);
    for (let number = first, n = 0; n < Number(options.schedules) && performance.now() < deadline; number += 1, n += 1) {
      note(`schedule ${number}: --seed ${seed} --world ${name} --first ${number} --schedules 1 --seconds ${seconds}`);
      const plan = schedule({ seed, world: name, number, seconds, wanted });
      const result = await new Run({ world, number, plan, seconds, seed: seed + number, sampler, note: (text) => note(`  ${text}`) }).go();
      result.findings.push(...crashes(world, known));
      for (const finding of result.findings.slice(0, 20)) note(`  ${finding.rule} ${finding.ch}: ${finding.what}`);
      summary.add(name, number, result);
      keep(world, name, number, result);
    }
  } catch (error) {
    const what = `${name}: ${error.stack ?? JSON.stringify(error)}`; // the SDK's have none
    summary.fail(what);
    note(`FAIL: ${what}`);
    for (const program of world.kit.programs) if (program.exited && program.log) note(`${program.name} ended ${JSON.stringify(program.exited)}: ${program.log().slice(-800)}`);
  } finally {
    sampler?.stop();
    await world.close();
  }
}

if (options.help) {
  console.log(HELP);
} else if (options.list) {
  for (const name of worldNames) console.log(`${name}: ${kindsFor(name).join(' ')}`);
} else {
  note(`seed ${seed}`);
  const rounds = Number(options.rounds);
  const first = Number(options.first);
  for (let round = 0; round < rounds && performance.now() < deadline; round += 1) {
    for (const name of worldNames) if (performance.now() < deadline) await torture(name, first + round * Number(options.schedules));
  }
  summary.print();
  process.exit(summary.passed() ? 0 : 1);
}
