/* Faults of a gateway with clients on it: killed while they stand in presence, drained, told of fewer namespaces, out of descriptors, cut off
 * from all brokers, or losing single messages on the way. */
import fs from 'node:fs';
import { sleep, until } from '../../e2e/support.mjs';
import { Guest, nowNs } from '../guest.mjs';
import { fewDescriptors, restart } from './processes.mjs';

const BACK_MS = 30000;
const SLACK_MS = 2000;
const DRAIN_MS = 1000; // drain.window of the gateways here
const UNKNOWN_CHANNEL = 102;
const ENDED = 2000; // of an unsubscribe push: for good

const allThere = (list) => list.every((guest) => guest.isThere);
const comeIn = ({ inTime }, list) => inTime(`${list.length} clients are let in`, BACK_MS, () => allThere(list));

/* ---- F1: presence ---- */

/* A member of a channel without history: what counts is who is there. */
class Member extends Guest {
  onSubscribed({ ch }) {
    (this.socket.there ??= new Set()).add(ch);
    this.member = { sid: this.sid, client: this.client, ch };
    this.say('member', { edge: 'in', ...this.member });
  }

  leaves() {
    if (this.member) this.say('member', { edge: 'out', ...this.member });
    this.member = undefined;
  }

  onClosed(code) {
    super.onClosed(code);
    this.leaves();
  }

  onPush({ unsubscribe, channel }) {
    if (!unsubscribe) return;
    this.leaves();
    this.socket.there.delete(channel);
    this.subscribe(channel);
  }
}

const ASK_MS = 300;

/* Asks who is there, again and again. */
class Watcher extends Member {
  onSubscribed(asked) {
    super.onSubscribed(asked);
    const { socket } = this;
    const ask = () => {
      if (this.socket !== socket || socket.readyState !== 1) return;
      this.command({ presence: { channel: asked.ch } }, asked.ch);
      this.waiting.get(this.nextId - 1).asked = nowNs();
      setTimeout(ask, ASK_MS);
    };
    ask();
  }

  onAnswer(asked, { presence }) {
    if (!asked.presence) return false;
    if (presence) this.say('presence', { sid: this.sid, ch: asked.ch, asked: asked.asked, clients: Object.keys(presence.presence ?? {}) });
    return true;
  }
}

/* Members at both gateways, somebody at the other one who asks, and then this one dies. */
async function killUnderMembers(ctx, { at, ms }) {
  const { world, guests, number } = ctx;
  const channels = [`crowd:${number}`];
  const other = world.gateways[1 - at];
  const watcher = guests(1, { of: Watcher, urls: [other.url], channels });
  const members = guests(24, (k) => ({ of: Member, urls: [world.gateways[k % 2].url], channels }));
  if (!await comeIn(ctx, [...watcher, ...members])) return;
  await sleep(500);
  for (const member of members) member.urls = [other.url];
  await restart(ctx, 'gateway', at, 'SIGKILL', ms);
  await comeIn(ctx, members);
  await sleep(7000); // longer than ghosts may be seen
}

/* ---- F2 ---- */

/* A deploy: everyone is told 3001, some at any time of the window, and is back elsewhere from where it was. */
async function drain(ctx, { at, ms }) {
  const { world, guests, channels, say, inTime } = ctx;
  const list = guests(40, (k) => ({ urls: [world.gateways[at].url], channels: [channels[k % channels.length]] }));
  if (!await comeIn(ctx, list)) return;
  for (const guest of list) Object.assign(guest, { urls: world.urls(), closed: undefined });
  say('drain', { guests: list[0].sid.replace(/\d+$/, ''), ms: DRAIN_MS });
  const closed = inTime('a gateway that drains closes everyone', DRAIN_MS + SLACK_MS, () => list.every((guest) => guest.closed !== undefined));
  await restart(ctx, 'gateway', at, 'SIGTERM', ms);
  await closed;
  await comeIn(ctx, list);
}

/* ---- F19 ---- */

/* Subscribed to what the next settings know no more. */
class Leaving extends Guest {
  onSubscribed({ ch }) {
    (this.socket.there ??= new Set()).add(ch);
  }

  onPush({ unsubscribe, channel }) {
    if (!unsubscribe) return;
    this.ended = unsubscribe.code;
    this.socket.there.delete(channel);
  }

  /* Its gateway has begun anew meanwhile, and knows no such channel. */
  onAnswer(asked, { error }) {
    if (!asked.subscribe || error?.code !== UNKNOWN_CHANNEL) return false;
    this.ended ??= ENDED;
    return true;
  }
}

const LEAVING = /^ {2}- name: leaving\n(?: {4}.*\n)*/m;

/* As whoever looks at the log does: a file that could not be read (no descriptor was left) is read again. One that has ended reads it at its start. */
async function reload(world, at) {
  for (const end = performance.now() + BACK_MS; performance.now() < end; await sleep(300)) {
    const gateway = world.gateways[at];
    const from = gateway.lines.length;
    gateway.kill('SIGHUP');
    await until('a gateway says what became of its settings', () => gateway.exited !== null || gateway.lines.slice(from).some((line) => line.includes('"config_reload')), BACK_MS);
    if (gateway.exited !== null || gateway.lines.slice(from).some((line) => line.includes('"config_reloaded"'))) return;
  }
}

async function loseNamespace(ctx, { ms }) {
  const { world, guests, number, say, inTime } = ctx;
  const channels = [`leaving:${number}`];
  const list = guests(4, (k) => ({ of: Leaving, urls: [world.gateways[k % 2].url], channels }));
  if (!await comeIn(ctx, list)) return;
  const files = world.gateways.map(({ file }) => file);
  const texts = files.map((file) => fs.readFileSync(file, 'utf8'));
  const settle = (change) => Promise.all(files.map((file, i) => {
    fs.writeFileSync(file, change(texts[i]));
    return reload(world, i);
  }));
  try {
    await settle((text) => text.replace(LEAVING, ''));
    const isTold = await inTime('subscriptions of a namespace that is gone are ended', SLACK_MS, () => list.every((guest) => guest.ended !== undefined));
    const codes = [...new Set(list.map((guest) => guest.ended))];
    if (isTold && codes.some((code) => code !== ENDED)) say('broken', { what: `subscriptions of a namespace that is gone ended with ${codes.join(', ')}` });
    await sleep(ms / 3);
  } finally {
    await settle((text) => text);
  }
  for (const guest of list) if (guest.socket?.readyState === 1) guest.subscribe(channels[0]);
  await comeIn(ctx, list);
}

/* ---- F28 ---- */

const runNs = ({ pid }) => new Map(fs.readdirSync(`/proc/${pid}/task`).map((id) => [id, Number(fs.readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'latin1').split(' ')[0])]));

/* How much of the time its busiest thread ran. */
async function busiest(program, during) {
  const [before, begun] = [runNs(program), nowNs()];
  await during;
  const [after, took] = [runNs(program), nowNs() - begun];
  return Math.max(...[...after].map(([id, ns]) => (ns - (before.get(id) ?? 0)) / took));
}

/* No descriptor is left, and more clients come: who is there stays, nobody turns in circles, and afterwards they are let in. */
async function crowdWithoutDescriptors(ctx, { at, ms }) {
  const { world, guests, say, inTime } = ctx;
  const gateway = world.gateways[at];
  const idle = await busiest(gateway, sleep(700));
  const limited = fewDescriptors(gateway, 1500 + ms);
  await sleep(100);
  const list = guests(12, { urls: [gateway.url] });
  await sleep(300);
  const busy = await busiest(gateway, sleep(1000));
  if (gateway.exited === null) say('busy', { who: `gateway ${at}`, share: busy, before: idle });
  await limited;
  await inTime('clients are let in once there are descriptors again', 10000, () => allThere(list));
}

/* ---- F12 ---- */

/* This gateway reaches no broker: for less than it waits for one, or for longer, and then it tells its subscribers. */
async function apart({ world }, { at, ms, dice }) {
  for (const link of world.links[at]) link.set({ stall: 'both' });
  await sleep(dice.chance(0.7) ? 500 + ms * 1.5 : 10500 + ms / 2);
  for (const link of world.links[at]) link.heal(['client']);
}

/* Single messages of a link are gone, one way: one in ten, or whatever carries data, while heartbeats go through. */
async function lose({ world }, { at, ms, dice }) {
  const link = world.links[at][dice.below(2)];
  const drops = dice.pick([() => dice.chance(0.1), (bytes) => bytes > 200, (bytes) => bytes > 200 && dice.chance(0.3)]);
  link.set({ drops: { way: dice.pick(['up', 'down']), drops } });
  await sleep(500 + ms);
  link.heal(['client']);
}

const brings = true;
const gateway = (at) => `gateway ${at}`;
const link = (at) => `link ${at}`;

export const GATEWAY_FAULTS = {
  'presence-kill': { weight: 1, brings, target: gateway, run: killUnderMembers },
  'gateway-drain': { weight: 1, brings, target: gateway, run: drain },
  'namespace-gone': { weight: 1, brings, target: () => 'settings', run: loseNamespace },
  'fd-crowd': { weight: 1, brings, target: gateway, run: crowdWithoutDescriptors },
  'gateway-apart': { weight: 1, target: link, run: apart },
  'link-holes': { weight: 1.5, target: link, run: lose },
};
