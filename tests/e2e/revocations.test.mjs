/* Tokens that services revoke over the HTTP API of one gateway: they are locked out at every gateway, on every
 * endpoint, also behind restarts of whoever held the list. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { World, freePort, get, makeToken, metric, rawConnected, rawSocket, until } from './support.mjs';

const KEYS = { all: crypto.randomBytes(32).toString('base64url'), narrow: crypto.randomBytes(32).toString('base64url') };
const hash = (key) => crypto.createHash('sha256').update(key).digest('hex');
const now = () => Math.floor(Date.now() / 1000);
const WITHIN_MS = 2000;

const settings = (port) => `http_api:
  port: ${port}
  keys:
    - {name: all, hashes: [${hash(KEYS.all)}], methods: ["*"], channels: ["*"]}
    - {name: narrow, hashes: [${hash(KEYS.narrow)}], methods: [publish], channels: ["*"]}
`;

function post(port, method, body, key = KEYS.all) {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path: `/api/${method}`, method: 'POST', agent: false, timeout: 8000, headers: { 'X-API-Key': key, 'Content-Length': Buffer.byteLength(text) } }, (response) => {
      let answer = '';
      response.on('data', (bytes) => { answer += bytes; });
      response.on('end', () => resolve(JSON.parse(answer)));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 8 s')));
    request.on('error', reject);
    request.end(text);
  });
}

/* "ok", an error code, or a close code. */
async function outcome(gateway, claims) {
  const socket = await rawSocket(gateway.url);
  socket.send(JSON.stringify({ id: 1, connect: { token: makeToken(claims) } }));
  await until('an answer', () => socket.messages.length > 0 || socket.closed);
  if (socket.closed) return socket.closed.code;
  const reply = JSON.parse(socket.messages[0]);
  socket.close();
  return reply.connect ? 'ok' : reply.error.code;
}

/* A stream over HTTP whose text is kept. */
function stream(gateway, claims) {
  const kept = { text: '', ended: false };
  const connect = encodeURIComponent(JSON.stringify({ id: 1, connect: { token: makeToken(claims) } }));
  http.get({ host: '127.0.0.1', port: gateway.port, path: `/connection/sse?cf_connect=${connect}`, agent: false }, (response) => {
    response.on('data', (bytes) => { kept.text += bytes; });
    response.on('close', () => { kept.ended = true; });
  });
  return kept;
}

const held = (gateway) => metric(gateway, 'callboard_token_revocations');

describe('two gateways, the memory engine', () => {
  const args = ['--set', 'http.raw_endpoint=on', '--set', 'http.sse=true', '--set', 'token.revocations_max=4'];
  const issued = now();
  let world;
  let broker;
  let gateways;
  let port;

  before(async () => {
    world = new World();
    port = await freePort();
    broker = await world.broker({ id: 'revoking' });
    gateways = [await world.gateway({ brokers: [broker], args, settings: settings(port) }), await world.gateway({ brokers: [broker], args })];
  });
  after(() => world.close());

  test('what cannot be revoked is refused with the reason', async () => {
    const rows = [
      ['revoke_token', {}, 107, /uid is missing/],
      ['revoke_token', { uid: '' }, 107, /uid is missing/],
      ['revoke_token', { uid: 7 }, 107, /uid must be/],
      ['revoke_token', { uid: 'x'.repeat(1025) }, 107, /at most 1024/],
      ['revoke_token', { uid: 'a', expire_at: issued - 5 }, 107, /expire_at has passed/],
      ['revoke_token', { uid: 'a', expire_at: 'tomorrow' }, 107, /expire_at/],
      ['invalidate_user_tokens', {}, 107, /user is missing/],
      ['invalidate_user_tokens', { user: '' }, 107, /user is missing/],
      ['invalidate_user_tokens', { user: 'a', issued_before: -1 }, 107, /issued_before/],
      ['invalidate_user_tokens', { user: 'a', issued_before: issued - 200000 }, 107, /have expired/],
      ['invalidate_user_tokens', { user: 'a', channel: '$demo:x' }, 108, /channel/],
    ];
    for (const [method, body, code, pattern] of rows) {
      const { error } = await post(port, method, body);
      assert.equal(error?.code, code, `${method} ${JSON.stringify(body)}`);
      assert.match(error.message, pattern);
      assert.equal(error.definite, true);
    }
    for (const method of ['revoke_token', 'invalidate_user_tokens']) {
      assert.equal((await post(port, method, { uid: 'a', user: 'a' }, KEYS.narrow)).error.code, 103);
    }
    assert.equal(await held(gateways[0]), 0);
  });

  test('nobody else speaks in the channel that carries them', async () => {
    assert.equal((await post(port, 'publish', { channel: '[revocations]', data: { user: 'x', not_before: 9e9 } })).error.code, 107);
    assert.equal((await post(port, 'history', { channel: '[revocations]', limit: 10 })).error.code, 107);
    const socket = await rawConnected(gateways[0].url);
    for (const [id, command] of [[2, { subscribe: { channel: '[revocations]', token: makeToken({ sub: 'raw', channel: '[revocations]' }) } }], [3, { publish: { channel: '[revocations]', data: {} } }], [4, { history: { channel: '[revocations]', limit: 1 } }]]) {
      if (socket.closed) break;
      socket.send(JSON.stringify({ id, ...command }));
      const [reply] = await Promise.race([socket.next(), socket.ended().then(({ code }) => [JSON.stringify({ error: { code } })])]);
      assert.ok(JSON.parse(reply).error, reply);
    }
    socket.close();
  });

  test('a revoked token ends what it holds at every gateway within 2 s, and opens nothing there', async () => {
    const sockets = [];
    const streams = [];
    for (const gateway of gateways) {
      for (const claims of [{ sub: 'left', iat: issued }, { sub: 'stays', iat: issued }, { sub: 'stays', iat: issued, jti: 'stolen' }]) {
        sockets.push({ claims, socket: await rawConnected(gateway.url, claims) });
      }
      sockets.push({ claims: { sub: 'left' }, socket: await rawSocket(`ws://127.0.0.1:${gateway.port}/ws/plain:x?token=${makeToken({ sub: 'left', iat: issued })}`) });
      streams.push(stream(gateway, { sub: 'left', iat: issued }));
    }
    await until('the streams are open', () => streams.every(({ text }) => text.includes('"connect"')));
    const holder = await rawConnected(gateways[1].url, { sub: 'stays', iat: issued });
    holder.send(JSON.stringify({ id: 2, subscribe: { channel: '$demo:closed', token: makeToken({ sub: 'stays', iat: issued, channel: '$demo:closed', jti: 'sub-1' }) } }));
    await until('subscribed', () => holder.messages.some((message) => message.includes('"subscribe"')));
    const told = await post(port, 'batch', { commands: [
      { invalidate_user_tokens: { user: 'left', issued_before: issued + 1 } },
      { revoke_token: { uid: 'stolen', expire_at: issued + 9999 } },
      { revoke_token: { uid: 'sub-1' } },
    ] });
    const began = Date.now();
    assert.deepEqual(told.replies, [{ invalidate_user_tokens: {} }, { revoke_token: {} }, { revoke_token: {} }]);
    const revoked = sockets.filter(({ claims }) => claims.sub === 'left' || claims.jti);
    await until('those are closed', () => revoked.every(({ socket }) => socket.closed) && streams.every(({ ended }) => ended), WITHIN_MS);
    await until('the subscription ends', () => holder.messages.some((message) => message.includes('"code":2501')), WITHIN_MS - (Date.now() - began));
    assert.deepEqual(revoked.map(({ socket }) => socket.closed.code), revoked.map(() => 3500));
    for (const { text } of streams) assert.match(text, /"disconnect":\{"code":3500/);
    for (const { socket, claims } of sockets) if (!revoked.some((each) => each.socket === socket)) assert.equal(socket.closed, null, JSON.stringify(claims));
    for (const gateway of gateways) {
      assert.equal(await outcome(gateway, { sub: 'left', iat: issued }), 3500);
      assert.equal(await outcome(gateway, { sub: 'left' }), 3500, 'without iat');
      assert.equal(await outcome(gateway, { sub: 'left', iat: issued + 1 }), 'ok', 'a newer one');
      assert.equal(await outcome(gateway, { sub: 'new', jti: 'stolen' }), 3500);
      const raw = await rawSocket(`ws://127.0.0.1:${gateway.port}/ws/plain:x?token=${makeToken({ sub: 'left', iat: issued })}`);
      assert.equal((await raw.ended()).code, 3500);
      assert.equal(await held(gateway), 3);
      assert.equal(await metric(gateway, 'callboard_token_revocations_told'), 3);
    }
    /* Whoever is still there cannot go on with such a token either. */
    holder.messages.length = 0;
    holder.send(JSON.stringify({ id: 3, subscribe: { channel: '$demo:closed', token: makeToken({ sub: 'stays', iat: issued, channel: '$demo:closed', jti: 'sub-1' }) } }));
    await until('an answer', () => holder.messages.length > 0);
    assert.equal(JSON.parse(holder.messages[0]).error.code, 103);
    holder.send(JSON.stringify({ id: 4, refresh: { token: makeToken({ sub: 'stays', jti: 'stolen' }) } }));
    assert.equal((await holder.ended()).code, 3500);
    for (const { socket } of sockets) socket.close();
  });

  test('at token.revocations_max one more is refused, and what has ended makes room', async () => {
    assert.deepEqual(await post(port, 'revoke_token', { uid: 'fourth', expire_at: now() + 3 }), { result: {} });
    await until('it is held', async () => await held(gateways[0]) === 4);
    const { error } = await post(port, 'revoke_token', { uid: 'fifth' });
    assert.equal(error.code, 106);
    assert.match(error.message, /token\.revocations_max/);
    assert.equal(await metric(gateways[0], 'callboard_token_revocations_refused_total'), 1);
    await until('the fourth has ended', async () => await held(gateways[0]) === 3 && await held(gateways[1]) === 3);
    assert.equal(await outcome(gateways[1], { sub: 'new', jti: 'fourth' }), 'ok');
  });

  test('brokers that lost them are told again by whoever holds them: a gateway that comes later knows', async () => {
    await broker.stop('SIGKILL');
    broker = await world.broker({ id: 'revoking', port: broker.port });
    await until('they are told again', async () => (await metric(gateways[0], 'callboard_token_revocations_told_again_total')) + (await metric(gateways[1], 'callboard_token_revocations_told_again_total')) >= 3);
    const late = await world.gateway({ brokers: [broker], args });
    await until('the late one holds them', async () => await held(late) === 3);
    assert.equal(await outcome(late, { sub: 'left', iat: issued }), 3500);
    assert.equal(await outcome(late, { sub: 'new', jti: 'stolen' }), 3500);
    assert.equal(await outcome(late, { sub: 'new' }), 'ok');
    for (const gateway of gateways) assert.equal(await held(gateway), 3);
  });

  test('without brokers nothing is revoked, and that is said; what is held stays, and token.revocations_strict takes no token', async () => {
    const strict = await world.gateway({ brokers: [broker], args: [...args, '--set', 'token.revocations_strict=true'] });
    await until('it has the list', async () => await outcome(strict, { sub: 'new' }) === 'ok' && await outcome(strict, { sub: 'left', iat: issued }) === 3500);
    const there = await rawConnected(strict.url, { sub: 'there' });
    await broker.stop('SIGKILL');
    await until('it takes no token', async () => await outcome(strict, { sub: 'new' }) === 100);
    assert.equal(await outcome(strict, { sub: 'left', iat: issued }), 3500);
    assert.equal(await outcome(strict, { sub: 'x', exp: 5 }), 109);
    assert.ok(await metric(strict, 'callboard_client_tokens_unsure_total') >= 1);
    assert.equal(await outcome(gateways[0], { sub: 'new' }), 'ok', 'the others go on by what they hold');
    const blind = await world.gateway({ brokers: [broker], waits: false, args: [...args, '--set', 'token.revocations_strict=true'] });
    await until('it listens', () => rawSocket(blind.url).then((socket) => { socket.terminate(); return true; }, () => false));
    assert.equal(await outcome(blind, { sub: 'left', iat: issued }), 100, 'nor does one that never had the list');
    broker = await world.broker({ id: 'revoking', port: broker.port });
    for (const gateway of [strict, blind]) await until('the list is read again', async () => await outcome(gateway, { sub: 'new' }) === 'ok');
    await until('they are told again', async () => await outcome(blind, { sub: 'left', iat: issued }) === 3500);
    assert.equal(there.closed, null);
    there.terminate();
    await broker.stop('SIGKILL');
    await until('the feed fails', async () => await metric(gateways[0], 'callboard_token_revocation_feed_failures_total') > 0);
    const { error } = await post(port, 'revoke_token', { uid: 'nowhere' });
    assert.equal(error.code, 100);
    assert.equal(error.definite, true);
    assert.equal(await outcome(gateways[0], { sub: 'left', iat: issued }), 3500);
    assert.ok(gateways[0].log().includes('revocations_unread'));
  });
});

test('on Redis they outlive every program', async () => {
  const world = new World();
  const redis = await world.redis();
  try {
    const port = await freePort();
    const start = async () => {
      const broker = await world.broker({ id: 'kept', redis });
      return [broker, await world.gateway({ brokers: [broker], settings: settings(port) })];
    };
    let programs = await start();
    assert.deepEqual(await post(port, 'invalidate_user_tokens', { user: 'left' }), { result: {} });
    await Promise.all(programs.map((program) => program.stop('SIGKILL')));
    programs = await start();
    await until('it is read', async () => await held(programs[1]) === 1);
    assert.equal(await outcome(programs[1], { sub: 'left', iat: now() - 10 }), 3500);
    assert.equal(await outcome(programs[1], { sub: 'left', iat: now() + 5 }), 'ok');
    assert.equal(JSON.parse((await get(programs[1].internal, '/health')).body).findings, undefined);
  } finally {
    await world.close();
    await redis.stop();
  }
});
