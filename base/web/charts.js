/* One chart on uPlot: lines over the last minutes, colours of the page's style, a legend with the values under the pointer or the newest. */
import { format } from './figures.js';

const HEIGHT = 190;
const SHORTEST_S = 60; /* a chart that has just begun is not a dot at the edge */
const BYTES = Array.from({ length: 50 }, (_, i) => 2 ** i);
const clock = (second) => new Date(second * 1000).toLocaleTimeString([], { hour12: false, hour: '2-digit', minute: '2-digit', second: '2-digit' });
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export class Chart {
  constructor(panel, series, place) {
    this.panel = panel;
    this.series = series;
    this.plot = null;
    this.root = element('article', 'panel chart');
    this.frame = element('div', 'plot');
    this.waiting = element('p', 'waiting', 'Waiting for the second reading…');
    this.frame.append(this.waiting);
    const legend = element('ul', 'legend');
    this.values = series.map(({ label }, i) => {
      const item = element('li', '');
      const value = element('b', '', '—');
      item.append(element('span', `key key-${i + 1}`), element('span', '', label), value);
      legend.append(item);
      return value;
    });
    this.root.append(element('h3', '', panel.title), element('p', '', panel.tells), this.frame, legend);
    place.append(this.root);
    new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: HEIGHT })).observe(this.frame);
  }

  width() {
    return Math.max(this.frame.clientWidth, 120);
  }

  /* `table`: [times, values of the first series, …], newest last; `seconds` to show. */
  show(table, seconds) {
    this.table = table;
    const [times] = table;
    if (times.length < 2) return;
    const shown = Math.max(SHORTEST_S, Math.min(seconds, times.at(-1) - times[0]));
    const range = { min: times.at(-1) - shown, max: times.at(-1) };
    if (this.plot === null) this.draw(table);
    this.plot.batch(() => {
      this.plot.setData(table, false);
      this.plot.setScale('x', range);
    });
    this.tell(this.plot.cursor.idx ?? times.length - 1);
  }

  draw(table) {
    this.waiting.hidden = true;
    const { unit } = this.panel;
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--grid'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    this.plot = new uPlot({
      width: this.width(),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: 'callboard' } },
      scales: { x: { time: true }, y: { range: (_, __, high) => [0, high > 0 ? high * 1.15 : unit === 'seconds' ? 0.001 : 1] } },
      axes: [{ ...axis, space: 80, size: 30, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 64, space: 32, ...(unit === 'bytes' ? { incrs: BYTES } : {}), values: (_, ticks) => ticks.map((tick) => format(tick, unit)) }],
      series: [{}, ...this.series.map((_, i) => ({ stroke: colour(`--series-${i + 1}`), width: 1.6, points: { show: false }, spanGaps: true }))],
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx ?? this.table[0].length - 1)] },
    }, table, this.frame);
  }

  tell(at) {
    this.values.forEach((value, i) => { value.textContent = format(this.table[i + 1][at], this.panel.unit); });
  }

  /* Colours have changed. */
  restyle() {
    this.plot?.destroy();
    this.plot = null;
  }
}
