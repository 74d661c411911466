/* What the page shows, as data. A series or tile gives its value from a reading and the one before; `needs` names a metric: without it
 * the program has no such thing, and nothing is shown. */

const sum = (name, wanted) => (now) => now.sum(name, wanted);
const rate = (name, wanted) => (now, before) => now.rate(before, name, wanted);
const quantile = (q, name, wanted) => (now, before) => now.quantile(before, q, name, wanted);
const quantiles = (name, wanted) => [0.5, 0.95, 0.99].map((q) => ({ label: `p${q * 100}`, value: quantile(q, name, wanted) }));

const counted = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;

const CONNECTIONS = 'callboard_client_connections';
const PUBLISHES = 'callboard_broker_publishes_total';
const FAILED = { result: ['temporary', 'unknown', 'overload'] };

export const TILES = [
  { name: 'Connections', needs: CONNECTIONS, unit: 'count', value: sum(CONNECTIONS), more: (now) => counted(now.sum('callboard_client_users'), 'user') },
  { name: 'Subscriptions', needs: 'callboard_gateway_subscriptions', unit: 'count', value: sum('callboard_gateway_subscriptions'), more: (now) => `in ${counted(now.sum('callboard_gateway_channels'), 'channel')}` },
  { name: 'Delivered', needs: 'callboard_gateway_deliveries_total', unit: 'rate', value: rate('callboard_gateway_deliveries_total'), more: () => 'pushes to clients' },
  { name: 'Brokers', needs: 'callboard_gateway_brokers_alive', unit: 'count', value: sum('callboard_gateway_brokers_alive'), more: (now) => `of ${now.sum('callboard_gateway_brokers_known')} known`,
    level: (now) => (now.sum('callboard_gateway_brokers_alive') === 0 ? 'bad' : now.sum('callboard_gateway_brokers_alive') < now.sum('callboard_gateway_brokers_known') ? 'wait' : '') },
  { name: 'Channels', needs: 'callboard_broker_channels', unit: 'count', value: sum('callboard_broker_channels'), more: (now) => counted(now.sum('callboard_broker_links'), 'gateway worker') },
  { name: 'Published', needs: 'callboard_broker_publications_total', unit: 'rate', value: rate('callboard_broker_publications_total'), more: () => 'publications' },
  { name: 'Publish, p99', needs: 'callboard_broker_publish_seconds_count', unit: 'seconds', value: quantile(0.99, 'callboard_broker_publish_seconds'), more: () => 'until its result' },
  { name: 'Redis', needs: 'callboard_redis_connected', unit: 'count', value: sum('callboard_redis_connected'), more: () => 'shards connected',
    level: (now) => (now.sum('callboard_redis_connected') === 0 ? 'bad' : '') },
];

export const PANELS = [
  { title: 'Connections', tells: 'Clients, and what they are subscribed to.', needs: CONNECTIONS, unit: 'count',
    series: [{ label: 'connections', value: sum(CONNECTIONS) }, { label: 'subscriptions', value: sum('callboard_gateway_subscriptions') }] },
  { title: 'Deliveries', tells: 'Pushes to clients, and the publications behind them.', needs: 'callboard_gateway_deliveries_total', unit: 'rate',
    series: [{ label: 'delivered', value: rate('callboard_gateway_deliveries_total') }, { label: 'publications', value: rate('callboard_gateway_pushes_total') }] },
  { title: 'Commands', tells: 'From clients.', needs: 'callboard_client_commands_total', unit: 'rate',
    series: ['connect', 'subscribe', 'publish', 'history', 'presence', 'rpc'].map((command) => ({ label: command, value: rate('callboard_client_commands_total', { command }) })) },
  { title: 'Commands until their answer', tells: 'All of them, brokers and Redis included.', needs: 'callboard_client_command_seconds_count', unit: 'seconds', series: quantiles('callboard_client_command_seconds') },
  { title: 'Errors and closed connections', tells: 'By the gateway.', needs: 'callboard_client_errors_total', unit: 'rate',
    series: [{ label: 'error replies', value: rate('callboard_client_errors_total') }, { label: 'closed', value: rate('callboard_client_disconnects_total') },
      { label: 'closed as slow', value: rate('callboard_client_disconnects_total', { code: '3008' }) }, { label: 'refused newcomers', value: rate('callboard_websocket_refused_total') }] },
  { title: 'Traffic', tells: 'Of WebSockets.', needs: 'callboard_websocket_sent_bytes_total', unit: 'bytes',
    series: [{ label: 'sent a second', value: rate('callboard_websocket_sent_bytes_total') }, { label: 'received', value: rate('callboard_websocket_received_bytes_total') }] },
  { title: 'Heartbeats to brokers', tells: 'Until the shard answered: rises first when a broker is short of CPU.', needs: 'callboard_gateway_link_beat_seconds_count', unit: 'seconds', series: quantiles('callboard_gateway_link_beat_seconds') },
  { title: 'Publications', tells: 'Taken by this broker, and those that failed.', needs: PUBLISHES, unit: 'rate',
    series: [{ label: 'ok', value: rate(PUBLISHES, { result: 'ok' }) }, { label: 'failed', value: rate(PUBLISHES, FAILED) }, { label: 'pushed to gateways', value: rate('callboard_broker_pushes_total') }] },
  { title: 'Publish until its result', tells: 'At the broker, the engine included.', needs: 'callboard_broker_publish_seconds_count', unit: 'seconds', series: quantiles('callboard_broker_publish_seconds') },
  { title: 'Redis', tells: 'From sending a batch to its results.', needs: 'callboard_redis_batch_seconds_count', unit: 'seconds', series: quantiles('callboard_redis_batch_seconds') },
  { title: 'Waiting for Redis', tells: 'Publications in the queue, commands without an answer.', needs: 'callboard_redis_queued', unit: 'count',
    series: [{ label: 'queued', value: sum('callboard_redis_queued') }, { label: 'in the pipeline', value: sum('callboard_redis_pipeline_commands') }] },
  { title: 'Recoveries', tells: 'Who came back: did they get all they missed?', needs: 'callboard_broker_recoveries_total', unit: 'rate',
    series: [{ label: 'yes', value: rate('callboard_broker_recoveries_total', { result: ['yes', 'page'] }) }, { label: 'no', value: rate('callboard_broker_recoveries_total', { result: 'no' }) },
      { label: 'continuity lost', value: rate('callboard_broker_lost_total') }] },
  { title: 'Memory', tells: 'Of the process.', needs: 'callboard_build_info', unit: 'bytes', /* in the appliance both say the same */
    series: [{ label: 'held', value: (now) => now.sum('callboard_gateway_memory_bytes') ?? now.sum('callboard_broker_memory_bytes') },
      { label: 'waiting for slow clients', needs: CONNECTIONS, value: sum('callboard_client_outbox_bytes') }, { label: 'tails', needs: PUBLISHES, value: sum('callboard_broker_tail_bytes') }] },
];

/* What /info and /broker/info say that is worth a line. */
export const FACTS = [
  ['gateway', 'Gateway'], ['broker', 'Broker'], ['version', 'Version'], ['mode', 'Channels are kept in'], ['engine', 'Channels are kept in'], ['endpoint', 'Gateways reach it at'],
  ['workers', 'Workers'], ['shards', 'Shards'], ['partitions', 'Partitions'], ['connections_max', 'Connections at most'], ['tls', 'TLS for clients'],
  ['brokers', 'Brokers of the cluster'], ['gateways', 'Gateways of the cluster'], ['connections', 'Connections of the cluster'], ['users', 'Users of the cluster'],
  ['total_instances', 'Gateways of the cluster'], ['total_connections', 'Connections of the cluster'], ['draining', 'Draining'], ['namespaces_hash', 'Namespaces (hash)'],
];
