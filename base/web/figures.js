/* Prometheus text (what /metrics says) as figures: sums, rates between two readings, quantiles of histograms. Pure. */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.]+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/* name → [{labels, value}]. What is no series is passed over. */
export function parseMetrics(text) {
  const families = new Map();
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line);
    if (match === null) continue;
    const labels = {};
    for (const [, label, value] of (match[2] ?? '').matchAll(LABEL)) labels[label] = value;
    if (!families.has(match[1])) families.set(match[1], []);
    families.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  return families;
}

const fits = (labels, wanted) => Object.entries(wanted).every(([name, value]) => (Array.isArray(value) ? value.includes(labels[name]) : labels[name] === value));

/* One reading of a program: its figures and when it was made (ms, of a clock that does not jump). */
export class Reading {
  constructor(families, at) {
    this.families = families;
    this.at = at;
  }

  has(name) {
    return this.families.has(name);
  }

  /* null: the program does not count it. */
  sum(name, wanted = {}) {
    const series = this.families.get(name);
    if (series === undefined) return null;
    return series.reduce((sum, { labels, value }) => (fits(labels, wanted) ? sum + value : sum), 0);
  }

  /* A second, since the reading before. null without one, or when the program was restarted in between. */
  rate(before, name, wanted = {}) {
    const now = this.sum(name, wanted);
    const then = before?.sum(name, wanted) ?? null;
    if (now === null || then === null || now < then || this.at <= before.at) return null;
    return (now - then) * 1000 / (this.at - before.at);
  }

  /* Of a histogram's observations since the reading before, in seconds; within a bucket taken as evenly spread. null: none were made. */
  quantile(before, q, name, wanted = {}) {
    const buckets = bucketsOf(this, name, wanted);
    const old = before === null ? null : bucketsOf(before, name, wanted);
    if (buckets.length === 0 || old === null || old.length !== buckets.length) return null;
    const grown = buckets.map(([bound, n], i) => [bound, n - old[i][1]]);
    const total = grown.at(-1)[1];
    if (total <= 0) return null;
    const rank = q * total;
    const i = grown.findIndex(([, n]) => n >= rank);
    const [low, below] = i === 0 ? [0, 0] : grown[i - 1];
    const [high, n] = grown[i];
    return high === Infinity ? low : low + (high - low) * (rank - below) / (n - below);
  }
}

/* [[bound, observations up to it]], rising; series with different labels are summed. */
function bucketsOf(reading, name, wanted) {
  const sums = new Map();
  for (const { labels, value } of reading.families.get(`${name}_bucket`) ?? []) {
    const bound = labels.le === '+Inf' ? Infinity : Number(labels.le);
    if (fits(labels, wanted)) sums.set(bound, (sums.get(bound) ?? 0) + value);
  }
  return [...sums].sort(([a], [b]) => a - b);
}

const rounded = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)).replace(/\.0+$/, '');
const scaled = (value, step, units) => {
  let at = 0;
  while (Math.abs(value) >= step && at < units.length - 1) {
    value /= step;
    at++;
  }
  return `${at === 0 && Number.isInteger(value) ? value : rounded(value)}${units[at]}`;
};

/* For people: '—' where there is nothing to say. */
export function format(value, unit) {
  if (value === null || value === undefined) return '—';
  if (unit === 'seconds') return value === 0 ? '0 ms' : value < 0.001 ? `${rounded(value * 1e6)} µs` : value < 1 ? `${rounded(value * 1000)} ms` : `${rounded(value)} s`;
  if (unit === 'bytes') return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
  const number = scaled(value, 1000, ['', ' k', ' M', ' G']);
  return unit === 'rate' ? `${number}/s` : number;
}
