/* The demo page: connect, subscribe, publish, see presence and history, watch a reconnect recover what was missed.
 * Built on the published centrifuge SDK; nothing here is special to this page. */
'use strict';

const $ = (id) => document.getElementById(id);
const MESSAGES_SHOWN = 500;

let client = null;
let subscription = null;

function showState(state, text) {
  $('state').dataset.state = state;
  $('state-text').textContent = text;
}

function showError(text) {
  $('error').textContent = text;
  $('error').hidden = !text;
}

function setButtons() {
  const connected = client !== null && client.state === 'connected';
  const active = client !== null && client.state !== 'disconnected';
  const subscribed = subscription !== null && subscription.state === 'subscribed';
  $('connect').disabled = active;
  $('disconnect').disabled = !active;
  $('subscribe').disabled = !connected || subscription !== null;
  $('unsubscribe').disabled = subscription === null;
  $('publish').disabled = !subscribed;
  $('history').disabled = !subscribed;
}

function addRow(item) {
  const list = $('messages');
  const empty = list.querySelector('.empty');
  if (empty) {
    empty.remove();
  }
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.children.length > MESSAGES_SHOWN) {
    list.firstChild.remove();
  }
  if (atEnd) {
    list.scrollTop = list.scrollHeight;
  }
}

function addNote(text) {
  const item = document.createElement('li');
  item.className = 'note';
  item.textContent = text;
  addRow(item);
}

function cell(className, text) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}

function addPublication(publication) {
  const { data, offset, info } = publication;
  const text = data !== null && typeof data === 'object' && typeof data.text === 'string' ? data.text : JSON.stringify(data);
  const item = document.createElement('li');
  item.append(cell('offset', offset ? `#${offset}` : ''), cell('body', text), cell('who', info ? info.user || 'anonymous' : 'backend'));
  addRow(item);
  if (offset) {
    $('position').textContent = `offset ${offset}`;
  }
}

async function refreshPresence() {
  if (subscription === null || subscription.state !== 'subscribed') {
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
    showError(`Presence: ${error.message}`);
  }
}

function connect(token) {
  showError('');
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const address = `${scheme}://${location.host}/connection/websocket`;
  $('address').textContent = address;
  client = new Centrifuge(address, token ? { token } : {});
  client.on('connecting', (context) => {
    showState('connecting', context.code === 0 ? 'connecting…' : `reconnecting… (${context.reason})`);
    setButtons();
  });
  client.on('connected', (context) => {
    showState('connected', 'connected');
    $('client').textContent = context.client;
    showError('');
    setButtons();
  });
  client.on('disconnected', (context) => {
    showState(context.code === 0 ? 'disconnected' : 'failed', context.code === 0 ? 'not connected' : `${context.reason} (${context.code})`);
    $('client').textContent = '–';
    setButtons();
  });
  client.on('error', (context) => showError(context.error.message));
  client.connect();
  setButtons();
}

function subscribe(channel) {
  showError('');
  subscription = client.getSubscription(channel) || client.newSubscription(channel);
  subscription.on('subscribed', (context) => {
    const position = context.streamPosition;
    $('position').textContent = position ? `offset ${position.offset}, epoch ${position.epoch}` : 'no history';
    if (context.wasRecovering) {
      $('recovery').textContent = context.recovered ? 'recovered, nothing missed' : 'not recovered';
      addNote(context.recovered ? 'Back again: everything missed was recovered.' : 'Back again, but the history no longer holds what was missed.');
    } else {
      $('recovery').textContent = context.recoverable ? 'on' : 'off';
    }
    refreshPresence();
    setButtons();
  });
  subscription.on('publication', addPublication);
  subscription.on('join', refreshPresence);
  subscription.on('leave', refreshPresence);
  subscription.on('error', (context) => showError(`Subscription: ${context.error.message}`));
  subscription.on('subscribing', setButtons);
  subscription.on('unsubscribed', (context) => {
    if (context.code !== 0) {
      showError(`Unsubscribed: ${context.reason} (${context.code})`);
    }
    forgetSubscription();
  });
  subscription.subscribe();
  setButtons();
}

function forgetSubscription() {
  if (subscription !== null) {
    subscription.removeAllListeners();
    client.removeSubscription(subscription);
    subscription = null;
  }
  $('position').textContent = '–';
  $('recovery').textContent = '–';
  $('presence-count').textContent = '0';
  $('presence').replaceChildren();
  setButtons();
}

async function showHistory() {
  showError('');
  try {
    const { publications, offset } = await subscription.history({ limit: 100 });
    $('messages').replaceChildren();
    addNote(`History: ${publications.length} publications up to offset ${offset}.`);
    publications.forEach(addPublication);
  } catch (error) {
    showError(`History: ${error.message}`);
  }
}

$('connect-form').addEventListener('submit', (event) => {
  event.preventDefault();
  connect($('token').value.trim());
});
$('disconnect').addEventListener('click', () => {
  if (subscription !== null) {
    subscription.unsubscribe();
  }
  client.disconnect();
});
$('subscribe-form').addEventListener('submit', (event) => {
  event.preventDefault();
  subscribe($('channel').value.trim());
});
$('unsubscribe').addEventListener('click', () => subscription.unsubscribe());
$('publish-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = $('text').value;
  if (text === '') {
    return;
  }
  showError('');
  try {
    await subscription.publish({ text });
    $('text').value = '';
  } catch (error) {
    showError(`Publish: ${error.message}`);
  }
});
$('history').addEventListener('click', showHistory);

/* The quick start's link carries the token in the fragment, which never reaches the server. */
const fragment = new URLSearchParams(location.hash.slice(1));
if (fragment.has('token')) {
  $('token').value = fragment.get('token');
  history.replaceState(null, '', location.pathname);
  connect($('token').value);
}
setButtons();
