/* The admin page: asks its own program for /metrics and /info every two seconds and shows what changed; what is done by hand is
 * operations.js. The token goes in a header and lives in this tab only (sessionStorage). Nothing is kept but the last half hour of what
 * the charts show.
 *
 *      signin --(token is taken)--> board --(401)--> signin, with why
 *                                     |--(no answer, 503)--> banner, tries on, what was last seen stays
 */
import { Chart } from './charts.js';
import { Reading, format, parseMetrics } from './figures.js';
import { Operations } from './operations.js';
import { FACTS, PANELS, TILES } from './panels.js';

const EVERY_MS = 2000;
const TIMEOUT_MS = 8000;
const CALL_TIMEOUT_MS = 310000; /* internal.call_timeout is 5 min at most: the program says what came of it */
const POINTS_MAX = 900;
const KEY = 'callboard-admin-token';
const $ = (id) => document.getElementById(id);

let token = sessionStorage.getItem(KEY) ?? '';
let timer = null;
let before = null;
let charts = []; /* {chart, series, table} */
let tiles = [];
let times = [];
let isAway = false;
const operations = new Operations(post);
let round = 0; /* a later sign-in makes answers of an earlier one void */

class Refused extends Error {}

/* ---- asking ---- */

async function ask(path, { timeout = TIMEOUT_MS, headers = {}, ...options } = {}) {
  const answer = await fetch(`..${path}`, { headers: { Authorization: `Bearer ${token}`, ...headers }, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(timeout), ...options });
  if (answer.status === 401) throw new Refused('This token is not the one of this program (internal.token).');
  if (answer.status === 429) throw new Refused('Too many wrong tokens came from this address. Wait a minute, then try again.');
  return answer;
}

const askJson = async (path) => (await ask(path)).json();

async function post(method, params) {
  try {
    return await ask(`/admin/api/${method}`, { method: 'POST', timeout: CALL_TIMEOUT_MS, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(params) });
  } catch (error) {
    if (error instanceof Refused) signOut(error.message);
    throw error;
  }
}

/* null: internal.operations is off. */
async function askOperations() {
  const answer = await ask('/admin/api/');
  return answer.ok ? (await answer.json()).methods : null;
}

async function read() {
  const [metrics, info, health] = await Promise.all([ask('/metrics'), askJson('/info'), askJson('/health')]);
  if (!metrics.ok) throw new Error(`/metrics answered ${metrics.status}`);
  const now = new Reading(parseMetrics(await metrics.text()), performance.now());
  const isGateway = info.gateway !== undefined;
  const [stats, brokerInfo] = await Promise.all([ /* what the brokers told it; the appliance's own broker */
    isGateway ? askJson('/ws/stats') : null, isGateway && now.has('callboard_broker_channels') ? askJson('/broker/info') : null]);
  return { now, info, health, brokerInfo, stats };
}

/* ---- showing ---- */

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setState(word) {
  $('state').dataset.state = word;
  setText($('state').querySelector('.text'), word === 'away' ? 'no answer' : word);
}

/* Once: what this program has decides which tiles and charts there are. */
function build(now) {
  tiles = TILES.filter(({ needs }) => now.has(needs)).map((tile) => {
    const root = element('div', 'tile', '');
    const [name, value, more] = [element('div', 'name', tile.name), element('div', 'value', '—'), element('div', 'more', '')];
    root.append(name, value, more);
    $('tiles').append(root);
    return { tile, root, value, more };
  });
  charts = PANELS.filter(({ needs }) => now.has(needs)).map((panel) => {
    const series = panel.series.filter(({ needs }) => needs === undefined || now.has(needs));
    return { chart: new Chart(panel, series, $('charts')), series, values: series.map(() => []) };
  });
}

function showTiles(now) {
  for (const { tile, root, value, more } of tiles) {
    setText(value, format(tile.value(now, before), tile.unit));
    setText(more, tile.more(now));
    root.dataset.level = tile.level?.(now) ?? '';
  }
}

const shownSeconds = () => Number(document.querySelector('[name=span]:checked').value);

function drawCharts() {
  for (const { chart, values } of charts) chart.show([times, ...values], shownSeconds());
}

function addPoint(now) {
  times.push(Math.round(Date.now() / 1000));
  for (const { series, values } of charts) series.forEach(({ value }, i) => values[i].push(value(now, before)));
  if (times.length > POINTS_MAX) {
    times.shift();
    for (const { values } of charts) for (const each of values) each.shift();
  }
}

function showFindings(all) {
  const worth = all.filter(({ severity }) => severity === 'error' || severity === 'warning');
  const text = JSON.stringify(worth);
  if ($('findings').dataset.shown === text) return;
  $('findings').dataset.shown = text;
  $('findings').hidden = worth.length === 0;
  $('findings').replaceChildren(...worth.map(({ id, severity, where, what, mend }) => {
    const root = element('div', 'finding', '');
    root.dataset.severity = severity;
    const head = element('p', '', '');
    head.append(element('span', 'id', id), ` · ${where}`);
    root.append(head, element('p', '', what), element('p', 'soft', mend ?? ''));
    return root;
  }));
}

function showFacts(parts) {
  const lines = new Map();
  for (const part of parts) {
    for (const [key, label] of FACTS) {
      const value = part?.[key];
      if (value !== undefined && value !== null && !lines.has(label)) lines.set(label, value === true ? 'yes' : value === false ? 'no' : String(value));
    }
  }
  const text = JSON.stringify([...lines]);
  if ($('facts').dataset.shown === text) return;
  $('facts').dataset.shown = text;
  $('facts').replaceChildren(...[...lines].flatMap(([label, value]) => [element('dt', '', label), element('dd', '', value)]));
}

function show({ now, info, health, brokerInfo, stats }) {
  if (before === null) {
    for (const id of ['tiles', 'charts']) $(id).replaceChildren();
    build(now);
  } else {
    addPoint(now);
    drawCharts();
  }
  showTiles(now);
  showFindings([...(info?.findings ?? []), ...(brokerInfo?.findings ?? [])]);
  showFacts([info, stats, brokerInfo]);
  setText($('program'), info?.gateway ?? info?.broker ?? '');
  document.title = `${$('program').textContent} · Callboard`;
  setState(health?.status ?? 'ok');
  before = now;
}

/* ---- states ---- */

function setAway(reason) {
  isAway = reason !== null;
  document.body.dataset.away = isAway ? 'yes' : 'no';
  $('banner').hidden = !isAway;
  if (isAway) {
    setText($('banner'), `No answer from this program: ${reason}. Trying on; what you see is from ${new Date(Date.now() - (performance.now() - (before?.at ?? performance.now()))).toLocaleTimeString()}.`);
    setState('away');
  }
}

function signOut(problem = '') {
  round++;
  clearTimeout(timer);
  token = '';
  sessionStorage.removeItem(KEY);
  before = null;
  times = [];
  operations.stop();
  showView('live');
  document.body.dataset.view = 'signin';
  $('state').dataset.state = 'none';
  setText($('state').querySelector('.text'), 'not signed in');
  setText($('program'), '');
  setText($('problem'), problem);
  $('problem').hidden = problem === '';
  $('signin').querySelector('button').disabled = false;
  $('token').value = '';
  $('token').focus();
}

async function turn(mine) {
  try {
    const seen = await read();
    const methods = before === null ? await askOperations() : undefined;
    if (mine !== round) return;
    if (methods !== undefined) operations.start(methods);
    if (isAway) setAway(null);
    document.body.dataset.view = 'board';
    show(seen);
    sessionStorage.setItem(KEY, token);
  } catch (error) {
    if (mine !== round) return;
    if (error instanceof Refused) return signOut(error.message);
    if (before === null) return signOut(`No answer from this program: ${reasonOf(error)}.`);
    setAway(reasonOf(error));
  }
  timer = setTimeout(turn, EVERY_MS, mine);
}

/* ---- views ---- */

const VIEWS = ['live', 'channels'];

function showView(view, takesFocus = false) {
  for (const each of VIEWS) {
    $(each).hidden = each !== view;
    $(`tab-${each}`).setAttribute('aria-selected', String(each === view));
    $(`tab-${each}`).tabIndex = each === view ? 0 : -1;
  }
  if (takesFocus) $(`tab-${view}`).focus();
  if (view === 'channels') operations.shown();
  else drawCharts(); /* they had no width */
}

for (const view of VIEWS) {
  $(`tab-${view}`).addEventListener('click', () => showView(view));
  $(`tab-${view}`).addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowRight' || key === 'ArrowLeft') showView(VIEWS[1 - VIEWS.indexOf(view)], true);
  });
}

const reasonOf = (error) => (error.name === 'TimeoutError' ? 'it does not answer in time' : error instanceof TypeError ? 'it cannot be reached' : error.message);

$('signin').querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  $('problem').hidden = true;
  $('signin').querySelector('button').disabled = true;
  turn(++round);
});
$('signout').addEventListener('click', () => signOut());
$('span').addEventListener('change', drawCharts);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const { chart } of charts) chart.restyle();
  drawCharts();
});
if (token !== '') turn(++round);
else signOut();
