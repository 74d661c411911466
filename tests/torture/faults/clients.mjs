/* Faults of clients, at a gateway that is well: those that do not read, do not answer, come back all at once, whose tokens end or are
 * revoked. What they do to their own connections is theirs; nobody else may notice. Each of them brings its own clients (guest.mjs). */
import fs from 'node:fs';
import { makeToken, sleep } from '../../e2e/support.mjs';
import { Guest, atSecond, nowS } from '../guest.mjs';
import { CLIENT_MS } from '../worlds/world.mjs';
import { packetsOf, whyNoNetwork } from './network.mjs';
import { holdLess, isOpen, whyNotLess } from './sockets.mjs';

const SLACK_MS = 2000; // beyond what the settings say
const GOODBYE_MS = 5000; // so long a gateway waits for the answer to its close, which does not come from these
const BACK_MS = 30000; // a storm
const REVOKED_MS = 2000;

const allThere = (list) => list.every((guest) => guest.isThere);
const comeIn = ({ inTime }, list) => inTime(`${list.length} clients are let in`, BACK_MS, () => allThere(list));

/* ---- F14 ---- */

const FED = { rate: 40, ms: 3500, filler: 30000 };
const ENOUGH = 60; // of them: more than our bound and the kernel's

/* Clients that stop reading, or take a sip now and then, while more comes than anybody may hold for them. */
async function slowReaders(ctx, { at, dice }) {
  const { world, guests, burst, inTime, events } = ctx;
  const gateway = world.gateways[at];
  const undo = holdLess(256 << 10);
  try {
    const list = guests(3, { urls: [gateway.url] });
    if (!await comeIn(ctx, list)) return;
    const begun = events.length;
    const ports = list.map((guest) => guest.port); // of connections that nobody reads: one of later is another one
    for (const guest of list) guest.stopReading();
    const sips = dice.chance(0.5) ? setInterval(() => list[0].sip(), 1000) : undefined;
    await burst(FED);
    const arrived = () => events.slice(begun).filter((event) => event.type === 'recv' && event.sid.startsWith(`steady-${at}-`) && event.key.startsWith('burst-')).length;
    await sleep(300);
    const isFed = arrived() > ENOUGH; // else another fault has kept it from them
    const isShut = (port) => !isOpen(gateway.port, port);
    if (isFed) await inTime('clients that read nothing are closed', CLIENT_MS.stall + GOODBYE_MS + SLACK_MS, () => ports.slice(1).every(isShut));
    clearInterval(sips);
    for (const guest of list) guest.readOn();
    await comeIn(ctx, list);
  } finally {
    undo();
  }
}

/* ---- F16 ---- */

const CROWD = 150; // more than a gateway lets in at once

/* All of them lose their connections at once, and are back at once, each from its positions. */
async function storm(ctx, { at, dice }) {
  const { world, guests, channels, say, inTime } = ctx;
  const urls = dice.chance(0.5) ? world.urls() : [world.gateways[at].url];
  const list = guests(CROWD, () => ({ urls, channels: [dice.pick(channels)] }));
  if (!await comeIn(ctx, list)) return;
  for (let wave = 0; wave < 2; wave += 1) {
    await sleep(500 + dice.below(1000));
    for (const guest of list) guest.drop();
    say('storm', { clients: CROWD });
    await inTime(`${CROWD} clients of a storm are back`, BACK_MS, () => allThere(list));
  }
}

/* ---- F27 ---- */

/* A client that is gone without a word: its packets are dropped, both ways. Or, where that cannot be done, one that is mute. */
async function halfOpen(ctx, { at, dice }) {
  const { world, guests, inTime } = ctx;
  const gateway = world.gateways[at];
  const isMute = whyNoNetwork() !== undefined || dice.chance(0.3);
  const list = guests(2, { urls: [gateway.url], answersPings: !isMute });
  if (!await comeIn(ctx, list)) return;
  const ports = list.map((guest) => guest.port);
  const lift = isMute ? () => {} : packetsOf(ports);
  try {
    await inTime('clients that answer nothing are closed', CLIENT_MS.ping + CLIENT_MS.pong + SLACK_MS, () => !ports.some((port) => isOpen(gateway.port, port)));
  } finally {
    lift();
  }
  for (const guest of list) guest.drop();
}

/* ---- F22 ---- */

/* Its token lasts some seconds; it asks for another one in time, or not at all, or shows one that has ended. */
class Lapsing extends Guest {
  newToken() {
    this.expires = Math.floor(nowS()) + this.life;
    return makeToken({ sub: this.sid, exp: this.expires });
  }

  get renews() {
    return this.habit === 'renews';
  }

  onConnected(result) {
    super.onConnected(result);
    const { socket } = this;
    this.say('expires', { sid: this.sid, renews: this.renews, at_ns: atSecond(this.expires) });
    if (!this.renews) this.promised = `${this.sid} from ${nowS()}`;
    if (!this.renews) this.say('promise', { id: this.promised, what: `${this.sid}, whose token ends, is closed`, ms: (this.expires - nowS()) * 1000 + CLIENT_MS.expiry + SLACK_MS });
    const half = (this.life * 1000) / 2;
    if (this.habit === 'late') setTimeout(() => this.refresh(socket, makeToken({ sub: this.sid, exp: this.expires })), (this.expires - nowS()) * 1000 + 1000);
    if (this.renews) setTimeout(() => this.refresh(socket, this.newToken()), half);
  }

  refresh(socket, token) {
    if (this.socket === socket && socket.readyState === 1) this.command({ refresh: { token } });
  }

  onAnswer(asked, { error }) {
    if (!asked.refresh) return false;
    if (error) return this.leave(this.socket, `not refreshed: ${error.code}`), true;
    const { socket } = this;
    this.say('expires', { sid: this.sid, renews: this.renews, at_ns: atSecond(this.expires) });
    setTimeout(() => this.refresh(socket, this.newToken()), (this.life * 1000) / 2);
    return true;
  }

  onClosed(code) {
    super.onClosed(code);
    if (this.promised) this.say('kept', { id: this.promised });
    this.promised = undefined;
  }
}

async function expiring({ guests }, { dice }) {
  const habits = ['none', 'late', 'renews', 'renews'];
  const list = guests(4, (k) => ({ of: Lapsing, habit: habits[k], life: 3 + dice.below(3), staysAway: k < 2 ? [3005] : [] }));
  for (const end = performance.now() + 15000; performance.now() < end && !list.slice(0, 2).every((guest) => guest.closed === 3005); ) await sleep(50);
  await sleep(2000);
}

/* ---- F23 ---- */

/* Two users at both gateways are locked out, one by name, one by the id of its token; a third one is not. */
async function revoke(ctx, { dice }) {
  const { world, guests, say, inTime } = ctx;
  const issued = Math.floor(nowS()) - 10;
  const name = `user-${ctx.number}-${dice.below(1e6)}`;
  const users = ['named', 'token', 'stays'];
  const list = guests(6, (k) => {
    const user = `${name}-${users[k % 3]}`;
    return { user, urls: [world.gateways[k < 3 ? 0 : 1].url], claims: () => ({ iat: issued, jti: `jti-${user}` }) };
  });
  if (!await comeIn(ctx, list)) return;
  const lines = [{ user: `${name}-named`, not_before: Math.floor(nowS()) + 1 }, { jti: `jti-${name}-token`, until: Math.floor(nowS()) + 3600 }];
  fs.appendFileSync(world.revocations, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (const user of users.slice(0, 2)) say('revoked', { user: `${name}-${user}` });
  const locked = list.filter((guest) => !guest.user.endsWith('stays'));
  await inTime('clients that are revoked are closed', REVOKED_MS, () => locked.every((guest) => guest.closed === 3500), { reads: true });
  await sleep(1500); // they try again all the while
}

/* ---- all ---- */

const atGateway = (at) => `clients of gateway ${at}`;
const brings = true;

export const CLIENT_FAULTS = {
  'slow-reader': { weight: 2, brings, needs: whyNotLess, target: () => 'slow readers', run: slowReaders },
  'reconnect-storm': { weight: 1, brings, target: () => 'storm', run: storm },
  'client-half-open': { weight: 1, brings, target: atGateway, run: halfOpen },
  'token-expiry': { weight: 2, brings, target: () => 'tokens', run: expiring },
  'token-revoked': { weight: 2, brings, target: () => 'revocations', run: revoke },
};
