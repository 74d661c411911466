/* Adds up the figures of the schedules, and prints them in the end. */

const NAMES = ['failovers', 'acked', 'lostAndTold', 'lost', 'wrongRecovered', 'recovered', 'toldLost', 'unknown', 'refused', 'received', 'lagging', 'starved'];

const FINDINGS_SHOWN = 10;

const spread = (list) => {
  const known = list.filter((ms) => ms !== null).sort((a, b) => a - b);
  if (known.length === 0) return 'none';
  return `${Math.round(known[known.length >> 1])} / ${Math.round(known.at(-1))}`;
};

export class Summary {
  constructor(seed) {
    this.seed = seed;
    this.schedules = 0;
    this.pairs = new Set();
    this.findings = [];
    this.failures = [];
    this.sums = Object.fromEntries(NAMES.map((name) => [name, 0]));
    this.silent = { ns: 0 };
    this.behind = { ns: 0 };
    this.rss = 0;
    this.kinds = new Map();
  }

  add(world, number, { findings, figures, events }) {
    this.schedules += 1;
    this.findings.push(...findings.map((finding) => ({ world, number, ...finding })));
    for (const name of NAMES) this.sums[name] += figures[name];
    if (figures.silent.ns > this.silent.ns) this.silent = { ...figures.silent, world, number };
    if (figures.behind.ns > this.behind.ns) this.behind = { ...figures.behind, world, number };
    this.rss = Math.max(this.rss, figures.rss);
    for (const fault of figures.faults) {
      if (!this.kinds.has(fault.kind)) this.kinds.set(fault.kind, []);
      this.kinds.get(fault.kind).push(fault);
    }
    this.addPairs(events);
  }

  addPairs(events) {
    const open = new Map();
    for (const { type, edge, kind, id } of events) {
      if (type !== 'nemesis') continue;
      if (edge === 'begin') {
        for (const other of open.values()) this.pairs.add([kind, other].sort().join('+'));
        open.set(id, kind);
      } else {
        open.delete(id);
      }
    }
  }

  fail(what) {
    this.failures.push(what);
  }

  passed() {
    return this.findings.length === 0 && this.failures.length === 0 && this.schedules > 0;
  }

  print() {
    const at = ({ ns, ch, world, number }) => `${Math.round(ns / 1e6)} ms${ch ? ` (${ch} of ${world} ${number})` : ''}`;
    console.log(`seed ${this.seed}: ${this.schedules} schedules, ${[...this.kinds.values()].reduce((sum, list) => sum + list.length, 0)} faults of ${this.kinds.size} kinds, ${this.pairs.size} pairs`);
    console.log(NAMES.map((name) => `${name} ${this.sums[name]}`).join(', '));
    console.log(`longest silent window ${at(this.silent)}; latest behind the first ${at(this.behind)}; largest program ${Math.round(this.rss / 1048576)} MiB`);
    this.printTimes();
    this.printVerdict();
  }

  /* The findings once more: who reads only the end of a long output has what it takes to see them again. */
  printVerdict() {
    if (this.passed()) {
      console.log('PASS');
      return;
    }
    for (const failure of this.failures) console.log(`FAIL: ${failure}`);
    for (const { world, number, rule, ch, what } of this.findings.slice(0, FINDINGS_SHOWN)) console.log(`FAIL: ${world} ${number} ${rule} ${ch}: ${what}`);
    console.log(`FAIL: ${this.findings.length} findings in ${new Set(this.findings.map((each) => `${each.world} ${each.number}`)).size} schedules`);
  }

  /* Of faults in the middle of others only the number: their times are those of all of them. */
  printTimes() {
    console.log('after a fault struck that was alone, median / longest in ms: a program said so in its log; somebody was told; served again on every channel; a channel was silent');
    for (const [kind, list] of [...this.kinds].sort(([a], [b]) => a.localeCompare(b))) {
      const alone = list.filter((each) => each.alone);
      const column = (name) => `${name} ${spread(alone.map((each) => each[name]))}`.padEnd(22);
      console.log(`  ${kind.padEnd(18)} ${String(list.length).padStart(4)}, alone ${String(alone.length).padStart(3)}  ${['noticed', 'told', 'served', 'silent'].map(column).join(' ').trimEnd()}`);
    }
  }
}
