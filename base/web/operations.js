/* What a person does by hand: which channels there are, who is in one, what was published there, and publishing. Every call is a POST to
 * api/METHOD, by the same token as the figures; what the program may do (internal.operations) it says itself. Nothing here is asked for
 * twice: a list is as old as the last press of its button.
 *
 *      list ──a name──▶ channel: presence, history (older ones page by page), publish
 *                          └── an answer of another channel that was open before is dropped
 */
const CHANNELS = 200;
const MEMBERS = 100;
const PAGE = 25;
const DATA_SHOWN = 4000;
const $ = (id) => document.getElementById(id);

class Failed extends Error {}

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

const plural = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;

function shownData(publication) {
  const text = publication.b64data !== undefined ? `base64: ${publication.b64data}` : JSON.stringify(publication.data);
  return text.length > DATA_SHOWN ? `${text.slice(0, DATA_SHOWN)} … ${text.length - DATA_SHOWN} more characters` : text;
}

export class Operations {
  /* post(method, params) → Response; it deals with a token that is refused. */
  constructor(post) {
    this.post = post;
    this.methods = null;
    this.channel = '';
    $('filter-form').addEventListener('submit', (event) => this.submitted(event, () => this.list()));
    $('open-form').addEventListener('submit', (event) => this.submitted(event, () => this.open($('channel').value)));
    $('more-channels').addEventListener('click', () => this.list(this.cursor));
    $('older').addEventListener('click', () => this.readHistory(this.oldest));
    $('refresh').addEventListener('click', () => this.open(this.channel));
    $('publish-form').addEventListener('submit', (event) => this.submitted(event, () => this.publish()));
    $('data').addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('publish-form').requestSubmit();
    });
    $('data').addEventListener('input', () => $('data').setCustomValidity(''));
    $('names').addEventListener('keydown', (event) => this.moveFocus(event));
  }

  submitted(event, then) {
    event.preventDefault();
    then();
  }

  /* methods: what may be called; null: nothing, and the page says why. */
  start(methods) {
    this.methods = methods;
    $('operations').hidden = methods === null;
    $('operations-off').hidden = methods !== null;
    $('publish-form').hidden = !methods?.includes('publish');
    $('publish-off').hidden = methods === null || methods.includes('publish');
  }

  /* Nothing of what was read stays. */
  stop() {
    this.methods = null;
    this.channel = '';
    this.isListed = false;
    for (const id of ['names', 'members', 'history']) $(id).replaceChildren();
    for (const id of ['filter', 'channel', 'data']) $(id).value = '';
    for (const id of ['list-problem', 'channel-problem', 'published', 'list-about', 'channel-name', 'members-about', 'history-about']) $(id).textContent = '';
    $('detail').hidden = true;
    $('more-channels').hidden = true;
  }

  shown() {
    if (this.methods !== null && !this.isListed) this.list();
  }

  async call(method, params) {
    const answer = await this.post(method, params);
    const body = await answer.json();
    if (body.error) throw new Failed(`${body.error.message} (${body.error.code})`);
    return body.result;
  }

  /* Runs it with the button off; what fails stands in `problem`. */
  async busy(button, problem, work) {
    $(problem).textContent = '';
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      $(problem).textContent = error instanceof Failed ? error.message : error.name === 'TimeoutError' ? 'No answer in time.' : error instanceof TypeError ? 'The program cannot be reached.' : error.message;
    }
    button.disabled = false;
  }

  /* ---- the list ---- */

  list(cursor) {
    this.isListed = true;
    return this.busy(cursor === undefined ? $('list') : $('more-channels'), 'list-problem', async () => {
      const text = $('filter').value.trim();
      const pattern = text === '' || text.includes('*') ? text : `*${text}*`;
      const result = await this.call('channels', { limit: CHANNELS, ...(pattern && { pattern }), ...(cursor && { cursor }) });
      const entries = Object.entries(result.channels).sort(([a], [b]) => (a < b ? -1 : 1));
      if (cursor === undefined) $('names').replaceChildren();
      $('names').append(...entries.map(([name, { num_clients: n }]) => this.nameItem(name, n)));
      this.cursor = result.cursor;
      $('more-channels').hidden = result.cursor === undefined;
      const n = $('names').children.length;
      $('list-about').textContent = n === 0 ? 'No channel with subscribers matches.' : `${plural(n, 'channel')}${result.cursor === undefined ? '' : ' so far'}`;
    });
  }

  nameItem(name, clients) {
    const item = element('li', '');
    const button = element('button', 'name');
    button.type = 'button';
    button.append(element('span', 'text', name), element('span', 'count', String(clients)));
    button.title = `${name}: ${plural(clients, 'client')}`;
    button.addEventListener('click', () => this.open(name));
    item.append(button);
    return item;
  }

  moveFocus(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const buttons = [...$('names').querySelectorAll('button')];
    buttons[buttons.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  }

  /* ---- a channel ---- */

  open(name) {
    const channel = name.trim();
    if (channel === '') return undefined;
    this.channel = channel;
    $('detail').hidden = false;
    $('channel-name').textContent = channel;
    $('channel').value = channel;
    $('published').textContent = '';
    for (const button of $('names').querySelectorAll('button')) button.setAttribute('aria-current', String(button.querySelector('.text').textContent === channel));
    return this.busy($('refresh'), 'channel-problem', () => Promise.all([this.readPresence(), this.loadHistory()]));
  }

  /* A namespace may have no presence or no history: that is said in its place, and is no failure of the other. */
  async part(about, work) {
    const channel = this.channel;
    try {
      await work(() => channel === this.channel);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      if (channel === this.channel) $(about).textContent = error.message;
    }
  }

  readPresence() {
    $('members').replaceChildren();
    $('members-about').textContent = '…';
    return this.part('members-about', async (isCurrent) => {
      const stats = await this.call('presence_stats', { channel: this.channel });
      if (!isCurrent()) return;
      $('members-about').textContent = `${plural(stats.num_clients, 'client')}, ${plural(stats.num_users, 'user')}`;
      if (stats.num_clients === 0) return;
      const { presence } = await this.call('presence', { channel: this.channel, limit: MEMBERS });
      if (!isCurrent()) return;
      const members = Object.values(presence).slice(0, MEMBERS);
      $('members').replaceChildren(...members.map(({ user, client, conn_info: info, chan_info: more }) => {
        const item = element('li', '');
        item.append(element('b', '', user === '' ? 'anonymous' : user), element('code', 'soft', client));
        for (const each of [info, more]) if (each !== undefined) item.append(element('code', '', JSON.stringify(each)));
        return item;
      }));
      if (stats.num_clients > members.length) $('members-about').textContent += `; ${members.length} of them here`;
    });
  }

  loadHistory() {
    $('history').replaceChildren();
    $('history-about').textContent = '…';
    $('older').hidden = true;
    return this.part('history-about', (isCurrent) => this.addHistory(undefined, isCurrent));
  }

  readHistory(since) {
    return this.busy($('older'), 'channel-problem', () => this.part('history-about', (isCurrent) => this.addHistory(since, isCurrent)));
  }

  async addHistory(since, isCurrent) {
    const result = await this.call('history', { channel: this.channel, limit: PAGE, reverse: true, ...(since && { since }) });
    if (!isCurrent()) return;
    $('history').append(...result.publications.map((each) => this.publicationItem(each)));
    const n = $('history').children.length;
    $('history-about').textContent = `${n === 0 ? 'nothing kept' : `${plural(n, 'publication')}, newest first`}; the channel is at ${result.offset}`;
    const last = result.publications.at(-1);
    this.oldest = last && { offset: last.offset, epoch: result.epoch };
    $('older').hidden = result.publications.length < PAGE;
  }

  publicationItem(publication) {
    const item = element('li', '');
    const { offset, time, info, tags } = publication;
    const about = [time && new Date(time).toLocaleString(), info?.user && `by ${info.user}`, tags && JSON.stringify(tags)].filter(Boolean).join(' · ');
    item.append(element('span', 'offset', String(offset)), element('code', 'data', shownData(publication)));
    if (about !== '') item.append(element('span', 'soft', about));
    return item;
  }

  /* ---- publishing ---- */

  publish() {
    let data;
    try {
      data = JSON.parse($('data').value);
    } catch (error) {
      $('data').setCustomValidity(`This is not JSON: ${error.message}`);
      $('data').reportValidity();
      return undefined;
    }
    $('published').textContent = '';
    return this.busy($('publish'), 'channel-problem', async () => {
      const { channel } = this;
      const result = await this.call('publish', { channel, data });
      if (channel !== this.channel) return;
      $('published').textContent = `Published${result.offset ? ` at ${result.offset}` : ''}, ${new Date().toLocaleTimeString()}.`;
      await this.loadHistory();
    });
  }
}
