/* What was written and is not known to be published: kept in localStorage, one item a message, until the server said yes.
 *
 *   add ──▶ waiting ──▶ sent, answered with success ─────────────────────▶ gone
 *             ▲  │
 *             │  ├─ connection lost, timed out, outcome unknown ──▶ waits, keeps the time of its first try
 *             └──┴─ temporary refusal: nothing happened ─────────▶ waits
 *                └─ refused for good ────────────────────────────▶ shown with the reason, for the writer to judge
 *
 * A message is sent with its id as idempotency key: however often and from however many tabs, it is published once while
 * the server remembers the key (5 minutes by default). One whose first try is older than that is not sent again by itself:
 * the writer is asked. Whatever comes back from the channel with the id of an unsent message was published.
 *
 * The items are those of one user and channel, of all tabs: a tab sends another's after a while, or when it comes back. */

const PREFIX = 'callboard.unsent.';
const KEPT_MAX = 200;
const SAFE_TO_REPEAT_MS = 4 * 60 * 1000;
const FOREIGN_MS = 2000; // another tab's turn to send what was written there
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 5000;

/* localStorage or sessionStorage; where the browser withholds it, what is kept is kept until the page is closed. */
export function storageOf(name) {
  try {
    return window[name];
  } catch {
    const items = new Map();
    return {
      get length() { return items.size; },
      key: (i) => [...items.keys()][i] ?? null,
      getItem: (key) => items.get(key) ?? null,
      setItem: (key, value) => { items.set(key, value); },
      removeItem: (key) => { items.delete(key); },
    };
  }
}

const storage = storageOf('localStorage');

/* The SDK's publish has no argument for a key: this is that publish with one more field. */
export async function publishOnce(client, channel, data, key) {
  await client._methodCall();
  await client._callPromise({ publish: { channel, data, idempotency_key: key } }, () => ({}));
}

/* crypto.randomUUID is there in secure contexts only. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/* Codes below 100 are the SDK's own (timed out, connection closed); 120 is "outcome unknown". */
const happenedNothing = (error) => error.code >= 100 && error.code !== 120;
const isForGood = (error) => happenedNothing(error) && !error.temporary;

export class Unsent {
  /* publish(data, key) rejects with the SDK's error; isReady: may be tried now; onChange: items() is another. */
  constructor({ owner, channel, publish, isReady, onChange }) {
    Object.assign(this, { owner, channel, publish, isReady, onChange });
    this.tab = newId();
    this.sending = '';
    this.timer = 0;
    this.failures = 0;
    this.onStorage = (event) => {
      if (event.key === null || event.key.startsWith(PREFIX)) {
        this.onChange();
        this.pump();
      }
    };
    window.addEventListener('storage', this.onStorage);
  }

  close() {
    clearTimeout(this.timer);
    window.removeEventListener('storage', this.onStorage);
    this.isReady = () => false;
  }

  /* Oldest first. */
  items() {
    const items = [];
    for (let i = 0; i < storage.length; i += 1) {
      const key = storage.key(i);
      if (key.startsWith(PREFIX)) {
        const item = this.read(key);
        if (item !== null && item.owner === this.owner && item.channel === this.channel) {
          items.push(item);
        }
      }
    }
    return items.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  }

  read(key) {
    try {
      return JSON.parse(storage.getItem(key));
    } catch {
      return null; // not of our making
    }
  }

  /* Throws when it cannot be kept: better not taken than lost. */
  write(item) {
    storage.setItem(PREFIX + item.id, JSON.stringify(item));
    this.onChange();
  }

  add(text) {
    const items = this.items();
    if (items.length >= KEPT_MAX) {
      throw new Error(`${KEPT_MAX} messages wait to be sent already; discard some or wait for the connection`);
    }
    const last = items.length === 0 ? 0 : items[items.length - 1].at;
    this.write({ id: newId(), owner: this.owner, channel: this.channel, text, at: Math.max(Date.now(), last + 1), tab: this.tab, tried: 0, problem: '' });
    this.pump();
  }

  remove(id) {
    storage.removeItem(PREFIX + id);
    this.onChange();
  }

  /* It came back from the channel. */
  settle(id) {
    if (storage.getItem(PREFIX + id) !== null) {
      this.remove(id);
    }
  }

  /* The writer says so, of one that was refused or may have been published. */
  sendAgain(item) {
    this.write({ ...item, tried: 0, problem: '' });
    this.pump();
  }

  isUncertain(item) {
    return item.tried !== 0 && Date.now() - item.tried > SAFE_TO_REPEAT_MS;
  }

  isOthersTurn(item) {
    return item.tab !== this.tab && Date.now() - item.at < FOREIGN_MS;
  }

  /* One at a time, in order: what was written first is published first. */
  async pump() {
    if (this.sending !== '') {
      return;
    }
    clearTimeout(this.timer);
    while (this.isReady()) {
      const item = this.items().find((each) => each.problem === '' && !this.isUncertain(each));
      if (item === undefined) {
        return;
      }
      if (this.isOthersTurn(item)) {
        this.timer = setTimeout(() => this.pump(), FOREIGN_MS);
        return;
      }
      if (!await this.send(item)) {
        const most = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.failures);
        this.failures += 1;
        this.timer = setTimeout(() => this.pump(), RETRY_MIN_MS / 2 + Math.random() * most);
        return;
      }
      this.failures = 0;
    }
  }

  /* False: not now. */
  async send(item) {
    this.sending = item.id;
    try {
      this.write({ ...item, tried: item.tried || Date.now() });
      await this.publish({ text: item.text, id: item.id }, item.id);
      this.remove(item.id);
      return true;
    } catch (error) {
      if (storage.getItem(PREFIX + item.id) === null) {
        return true; // settled meanwhile
      }
      if (isForGood(error)) {
        this.write({ ...item, problem: `${error.message} (${error.code})` });
      } else if (happenedNothing(error)) {
        this.write(item);
      }
      return isForGood(error);
    } finally {
      this.sending = '';
      this.onChange();
    }
  }
}
