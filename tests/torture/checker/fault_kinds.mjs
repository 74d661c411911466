/* What each kind of fault may do to what was told. The checker permits this and no more; the nemesis knows how each is done.
 *
 *   matrix    the row of the fault matrix
 *   reigns    primaries that may follow one another by it: each lets a fast channel change its epoch once and lose its newest
 *   wipes     Redis loses more than a tail: every channel (or the one that the event names) may change its epoch once
 *   tells     what is stored is damaged: a reader may be refused a range that the history had
 *   damages   an entry is gone for good
 *   forgets   what expires may expire too early: entries of a history, idempotency keys
 *   splits    publishers go on at a primary that is none any more: what they send to a fast channel there is lost, and told
 *   cuts      connections of clients may end by it
 *   closes    codes with which those of the clients that it brought may
 *   mild      it excuses nothing else: nobody but those clients has to wait by it
 *   floods    more comes for everybody than a gateway keeps for a client: what another fault has held back of it comes at once, and whoever it
 *             comes for may be closed as slow (3008)
 *   blinds    a gateway can open no file: what it has to read is late by as much
 *   clock     what our programs take the time of day for
 *   recovers  ms after its end until everything is served again
 *
 * A kind that is not listed here permits nothing. */

const RECOVERS_MS = 8000;

const kind = (matrix, more = {}) => ({ matrix, reigns: 0, wipes: false, tells: false, damages: false, forgets: false, splits: false, cuts: false, closes: [], mild: false, floods: false, blinds: false, recovers: RECOVERS_MS, ...more });
const ofClients = (matrix, closes, more = {}) => kind(matrix, { closes, mild: true, recovers: 0, ...more });

export const FAULT_KINDS = {
  'gateway-kill': kind('F1', { cuts: true }),
  'gateway-term': kind('F2', { cuts: true }),
  'gateway-stop': kind('F27', { cuts: true }),
  'broker-kill': kind('F3'),
  'broker-term': kind('F3'),
  'broker-stop': kind('F4'),
  'actor-stuck': kind('F5'),
  'worker-stuck': kind('F5', { cuts: true }),
  'replication-cut': kind('F6'),
  'replica-kill': kind('F6'),
  'replica-stop': kind('F6'),
  'sentinel-kill': kind('F6'),
  'sentinel-stop': kind('F6'),
  'primary-kill': kind('F6', { reigns: 2, recovers: 15000 }),
  'primary-cut-kill': kind('F6', { reigns: 2, recovers: 15000 }),
  'failover': kind('F6', { reigns: 2, recovers: 15000 }),
  'unasked-failover': kind('F6', { reigns: 2, recovers: 15000 }),
  'cluster-kill': kind('F7', { reigns: 2, recovers: 15000 }),
  'cluster-failover': kind('F7', { reigns: 2, recovers: 15000 }),
  'primary-shut-in': kind('F8', { reigns: 2, splits: true, recovers: 20000 }),
  'cluster-isolated': kind('F8', { reigns: 2, splits: true, recovers: 20000 }),
  'cluster-stop': kind('F8', { reigns: 2, recovers: 20000 }),
  'cluster-cut-kill': kind('F7', { reigns: 2, recovers: 15000 }),
  'slot-move': kind('F7', { reigns: 2, recovers: 15000 }),
  'primary-stop': kind('F8', { reigns: 2, recovers: 20000 }),
  'primary-isolated': kind('F8', { reigns: 2, splits: true, recovers: 20000 }),
  'redis-kill': kind('F9', { reigns: 1 }),
  'flushall': kind('F9', { wipes: true, reigns: 1 }),
  'meta-lost': kind('F9', { wipes: true }),
  'redis-oom': kind('F10'),
  'disk-full': kind('F11', { reigns: 1 }),
  'link-cut': kind('F12'),
  'link-half': kind('F12'),
  'link-reset': kind('F12'),
  'link-slow': kind('F12'),
  'redis-stall': kind('F13'),
  'redis-half': kind('F13'),
  'redis-reset': kind('F13'),
  'redis-half-close': kind('F13'),
  'redis-refuse': kind('F13'),
  'redis-crumbs': kind('F15'),
  'redis-slow': kind('F15'),
  'redis-stop': kind('F15'),
  'redis-sleep': kind('F15'),
  'redis-cut': kind('F15'),
  'redis-cut-pubsub': kind('F15'),
  'pubsub-limit': kind('F15'),
  'script-flush': kind('F15'),
  'net-link': kind('F12'),
  'net-broker': kind('F12'),
  'net-redis': kind('F13'),
  'clock-jump': kind('F17', { clock: true }),
  'redis-clock-near': kind('F18'),
  'redis-clock-far': kind('F18', { tells: true, damages: true, forgets: true }),
  'sentinel-clock': kind('F18'),
  'reload-storm': kind('F19'),
  'broker-release': kind('F20'),
  'gateway-release': kind('F20', { cuts: true }),
  'link-narrow': kind('F21', { cuts: true }),
  'broker-oom': kind('F25', { cuts: true }),
  'broker-no-memory': kind('F25', { cuts: true }),
  'entry-flipped': kind('F26', { tells: true, damages: true }),
  'fd-limit': kind('F28', { cuts: true, blinds: true }),
  'slow-reader': ofClients('F14', [3008, 1006], { floods: true }),
  'reconnect-storm': ofClients('F16', []),
  'client-half-open': ofClients('F27', [3012, 1006]),
  'token-expiry': ofClients('F22', [3005]),
  'token-revoked': ofClients('F23', [3500]),
  'presence-kill': kind('F1', { cuts: true, closes: [1006] }),
  'gateway-drain': kind('F2', { cuts: true, closes: [3001] }),
  'namespace-gone': ofClients('F19', []),
  'fd-crowd': ofClients('F28', [], { blinds: true }),
  'gateway-apart': kind('F12'),
  'link-holes': kind('F12'),
};

const NOTHING = kind('-', { recovers: 0 });
export const faultKind = (name) => FAULT_KINDS[name] ?? NOTHING;
