/* The demo page: connect, subscribe, publish, see presence and history, and see what a lost connection does: nothing.
 * What was missed is recovered, what was written meanwhile is sent once (unsent.js), the list goes on where it was
 * (messages.js). Built on the published centrifuge SDK. Token and channel are kept for this tab, for a reload. */
import { Messages, cell } from './messages.js';
import { Unsent, publishOnce, storageOf } from './unsent.js';

const $ = (id) => document.getElementById(id);
const SESSION = 'callboard.session';
const session = storageOf('sessionStorage');

let client = null;
let subscription = null;
let unsent = null;
let token = '';
let stood = false;   // the subscription stood once, or stood before a reload
let lostAt = 0;      // ms; 0: all is well, or was never
let ticking = 0;

const messages = new Messages({
  list: $('messages'),
  more: $('more'),
  onShown: ({ data, offset, info }) => {
    if (unsent !== null && data !== null && typeof data === 'object' && info && info.user === unsent.owner) {
      unsent.settle(data.id);
    }
    if (offset) {
      $('position').textContent = `offset ${Math.max(offset, Number($('position').dataset.offset ?? 0))}`;
      $('position').dataset.offset = String(Math.max(offset, Number($('position').dataset.offset ?? 0)));
    }
  },
  onError: (error) => showError(`History: ${error.message}`),
});

/* ---- what is shown ---- */

function showState(state, text) {
  $('state').dataset.state = state;
  $('state-text').textContent = text;
}

function showError(text) {
  $('error').textContent = text;
  $('error').hidden = !text;
}

const isConnected = () => client !== null && client.state === 'connected';
const isSubscribed = () => isConnected() && subscription !== null && subscription.state === 'subscribed';

function showButtons() {
  const active = client !== null && client.state !== 'disconnected';
  $('connect').disabled = active;
  $('disconnect').disabled = !active;
  $('subscribe').disabled = !isConnected() || subscription !== null;
  $('unsubscribe').disabled = subscription === null;
  $('text').disabled = subscription === null;
  $('publish').disabled = subscription === null;
  document.body.dataset.live = subscription === null ? 'no' : 'yes';
  showLoss();
}

/* The overlay: while a subscription that stood does not, or its connection. */
function showLoss() {
  const lost = stood && subscription !== null && !isSubscribed();
  if (lost && lostAt === 0) {
    lostAt = Date.now();
    ticking = setInterval(tellLoss, 1000);
  } else if (!lost && lostAt !== 0) {
    clearInterval(ticking);
    lostAt = 0;
  }
  if (lost) {
    tellLoss();
  }
  $('overlay').hidden = !lost;
}

function tellLoss() {
  const over = client === null || client.state === 'disconnected';
  const seconds = Math.round((Date.now() - lostAt) / 1000);
  $('overlay').dataset.over = over ? 'yes' : 'no';
  $('overlay-title').textContent = over ? 'Disconnected' : isConnected() ? 'The channel is away' : 'Connection lost';
  $('overlay-text').textContent = over ? 'The server will not have us back. Connect again when its reason is mended.'
    : `Trying again by itself${seconds < 2 ? '' : `, for ${seconds} s now`}. What you write is kept and sent when it is back.`;
}

function stateOf(item) {
  if (item.problem !== '') {
    return `refused: ${item.problem}`;
  }
  if (unsent.isUncertain(item)) {
    return 'may have been published or not';
  }
  return unsent.sending === item.id ? 'sending…' : 'waits to be sent';
}

function button(text, onClick) {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = 'quiet small';
  element.textContent = text;
  element.addEventListener('click', onClick);
  return element;
}

function showUnsent() {
  const items = unsent === null ? [] : unsent.items();
  $('unsent').hidden = items.length === 0;
  $('unsent').replaceChildren(...items.map((item) => {
    const row = document.createElement('li');
    row.append(cell('body', item.text), cell('fate', stateOf(item)));
    if (item.problem !== '' || unsent.isUncertain(item)) {
      row.append(button('Send again', () => unsent.sendAgain(item)));
    }
    if (unsent.sending !== item.id) {
      row.append(button('Discard', () => unsent.remove(item.id)));
    }
    return row;
  }));
}

async function showPresence() {
  if (!isSubscribed()) {
    return;
  }
  try {
    const { clients } = await subscription.presence();
    const entries = Object.values(clients);
    $('presence-count').textContent = String(entries.length);
    $('presence').replaceChildren(...entries.map((entry) => {
      const item = document.createElement('li');
      const self = client !== null && entry.client === $('client').textContent;
      item.textContent = `${entry.user || 'anonymous'}${self ? ' (you)' : ''}`;
      item.title = entry.client;
      return item;
    }));
  } catch (error) {
    if (error.code >= 100) { // else the connection went: that is told elsewhere
      showError(`Presence: ${error.message}`);
    }
  }
}

/* ---- connection ---- */

/* Of the token, unchecked: whose unsent messages these are. */
function userOf(jwt) {
  try {
    const text = atob(jwt.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)))).sub ?? '';
  } catch {
    return '';
  }
}

function remember() {
  const channel = subscription === null ? '' : subscription.channel;
  session.setItem(SESSION, JSON.stringify({ token, channel }));
}

function connect(newToken) {
  showError('');
  token = newToken;
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const address = `${scheme}://${location.host}/connection/websocket`;
  $('address').textContent = address;
  client = new Centrifuge(address, { minReconnectDelay: 200, maxReconnectDelay: 5000, ...(token ? { token } : {}) });
  client.on('connecting', (context) => {
    showState('connecting', context.code === 0 ? 'connecting…' : `reconnecting… (${context.reason})`);
    showButtons();
  });
  client.on('connected', (context) => {
    showState('connected', 'connected');
    $('client').textContent = context.client;
    showError('');
    showButtons();
  });
  client.on('disconnected', (context) => {
    showState(context.code === 0 ? 'disconnected' : 'failed', context.code === 0 ? 'not connected' : `${context.reason} (${context.code})`);
    $('client').textContent = '–';
    showButtons();
  });
  client.on('error', (context) => {
    if (lostAt === 0) { // else the overlay says it
      showError(context.error.message);
    }
  });
  client.connect();
  remember();
  showButtons();
}

function disconnect() {
  if (subscription !== null) {
    subscription.unsubscribe();
  }
  client.disconnect();
  session.removeItem(SESSION);
}

/* ---- subscription ---- */

function onSubscribed(context) {
  const position = context.streamPosition;
  const goesOn = context.wasRecovering && context.recovered;
  stood = true;
  showError('');
  $('recovery').textContent = context.wasRecovering ? (context.recovered ? 'recovered, nothing missed' : 'not recovered') : (context.recoverable ? 'on' : 'off');
  if (goesOn) {
    messages.note('Back again: everything missed was recovered.');
    messages.resume();
  } else {
    delete $('position').dataset.offset;
    $('position').textContent = position ? `offset ${position.offset}` : 'no history';
    messages.begin(subscription, position).then(() => {
      if (context.wasRecovering) {
        messages.note('Back again, but the history no longer holds what was missed.');
      }
    });
  }
  $('epoch').textContent = position ? position.epoch : '–';
  showPresence();
  showButtons();
  unsent.pump();
}

function subscribe(channel) {
  showError('');
  subscription = client.getSubscription(channel) || client.newSubscription(channel);
  unsent = new Unsent({
    owner: userOf(token), channel, isReady: isSubscribed, onChange: showUnsent,
    publish: (data, key) => publishOnce(client, channel, data, key),
  });
  subscription.on('subscribed', onSubscribed);
  subscription.on('publication', (publication) => messages.add(publication));
  subscription.on('join', showPresence);
  subscription.on('leave', showPresence);
  subscription.on('error', (context) => {
    if (lostAt === 0) {
      showError(`Subscription: ${context.error.message}`);
    }
  });
  subscription.on('subscribing', showButtons);
  subscription.on('unsubscribed', (context) => {
    if (context.code !== 0) {
      showError(`Unsubscribed: ${context.reason} (${context.code})`);
    }
    forgetSubscription();
  });
  subscription.subscribe();
  $('channel').value = channel;
  remember();
  showUnsent();
  showButtons();
}

function forgetSubscription() {
  if (subscription !== null) {
    subscription.removeAllListeners();
    client.removeSubscription(subscription);
    unsent.close();
    subscription = null;
    unsent = null;
  }
  stood = false;
  messages.clear();
  for (const id of ['position', 'epoch', 'recovery']) {
    $(id).textContent = '–';
  }
  $('presence-count').textContent = '0';
  $('presence').replaceChildren();
  remember();
  showUnsent();
  showButtons();
}

/* ---- what the person does ---- */

$('connect-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (client !== null) {
    forgetSubscription();
  }
  connect($('token').value.trim());
});
$('disconnect').addEventListener('click', disconnect);
$('subscribe-form').addEventListener('submit', (event) => {
  event.preventDefault();
  subscribe($('channel').value.trim());
});
$('unsubscribe').addEventListener('click', () => subscription.unsubscribe());
$('publish-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value;
  if (text === '') {
    return;
  }
  showError('');
  try {
    unsent.add(text);
    $('text').value = '';
    messages.toEnd();
  } catch (error) {
    showError(`Not kept: ${error.message}`);
  }
});

/* The quick start's link carries the token in the fragment, which never reaches the server; a reload goes on as before. */
const fragment = new URLSearchParams(location.hash.slice(1));
const before = JSON.parse(session.getItem(SESSION) ?? 'null');
if (fragment.has('token')) {
  $('token').value = fragment.get('token');
  history.replaceState(null, '', location.pathname);
  connect($('token').value);
} else if (before !== null) {
  $('token').value = before.token;
  connect(before.token);
  if (before.channel !== '') {
    stood = true;
    subscribe(before.channel);
  }
}
showButtons();
