/* C10: memory, descriptors and queues stay under their bounds. bounds: {rss, fds, gauges: name → at most}. */
export function checkBounds({ events, bounds, add, figures }) {
  const say = (who, what, value, bound) => add('C10', '*', `${who}: ${what} is ${value}, the bound ${bound}`);
  const counted = new Map(); // program → what it had counted at first and at last
  for (const { type, who, share, before } of events) {
    if (type === 'busy' && share > 0.5 && share > 5 * before) add('C10', '*', `${who}: a thread turns in circles, ${Math.round(share * 100)} % of the time instead of ${Math.round(before * 100)}`);
  }
  for (const { type, who, pid, rss, fds, gauges, lagging } of events) {
    if (type !== 'sample') continue;
    if (lagging !== undefined) counted.set(pid, { first: lagging, ...counted.get(pid), last: lagging });
    figures.rss = Math.max(figures.rss, rss ?? 0);
    figures.fds = Math.max(figures.fds, fds ?? 0);
    if (rss > bounds.rss) say(who, 'resident memory', rss, bounds.rss);
    if (fds > bounds.fds) say(who, 'descriptors', fds, bounds.fds);
    for (const [name, value] of Object.entries(gauges ?? {})) if (value > bounds.gauges[name]) say(who, name, value, bounds.gauges[name]);
  }
  figures.lagging = [...counted.values()].reduce((sum, { first, last }) => sum + last - first, 0);
}
