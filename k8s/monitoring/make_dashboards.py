#!/usr/bin/env python3
"""Writes dashboards/*.json for Grafana from the few lines below: a panel is a title, a unit, what it tells, and its queries.
make_dashboards.py writes them, make_dashboards.py --check says whether the files are what it would write."""
import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HERE = '{instance=~"$instance"}'


def rate(name, by="", labels=""):
    inner = f'rate({name}{{instance=~"$instance"{"," + labels if labels else ""}}}[$__rate_interval])'
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def total(name, by="", labels=""):
    inner = f'{name}{{instance=~"$instance"{"," + labels if labels else ""}}}'
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantiles(name, labels=""):
    buckets = rate(name + "_bucket", "le", labels)
    return [(f"histogram_quantile({q}, {buckets})", f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)]


# Each: (title, unit, what it tells, [(query, legend), …]); "stat" makes a number of it.
OVERVIEW = [
    ("Programs up", "stat:short", "Programs whose internal listener answers.", [('sum(up{job=~"callboard.*",instance=~"$instance"})', "up")]),
    ("Connections", "stat:short", "Clients whose connect command was accepted.", [(total("callboard_client_connections"), "connections")]),
    ("Channels", "stat:short", "Channels that brokers hold.", [(total("callboard_broker_channels"), "channels")]),
    ("Deliveries", "stat:ops", "Pushes to clients a second.", [(rate("callboard_gateway_deliveries_total"), "deliveries")]),
    ("Redis", "stat:short", "Shards with Redis. Below the number of all shards: CallboardRedisAway.", [(total("callboard_redis_connected"), "shards")]),
    ("Publishes that fail", "stat:percentunit", "Ended as temporary, unknown or overload.",
     [(rate("callboard_broker_publishes_total", "", 'result=~"temporary|unknown|overload"') + " / " + rate("callboard_broker_publishes_total"), "failed")]),
    ("Connections", "short", "By gateway.", [(total("callboard_client_connections", "instance"), "{{instance}}")]),
    ("Messages", "ops", "Publications in, pushes out.", [(rate("callboard_broker_publications_total"), "published"), (rate("callboard_gateway_deliveries_total"), "delivered")]),
    ("Publish until its result", "s", "At the broker, the engine's time included.", quantiles("callboard_broker_publish_seconds")),
    ("Commands of clients until their answer", "s", "All commands together.", quantiles("callboard_client_command_seconds")),
    ("Publishes by result", "ops", "ok is as it should be; duplicate was answered from its idempotency key.", [(rate("callboard_broker_publishes_total", "result"), "{{result}}")]),
    ("Closed by the gateway", "ops", "3001 is a drain, 3008 a slow client, 3012 a client that is gone, 3500 a bad token.", [(rate("callboard_client_disconnects_total", "reason"), "{{reason}}")]),
    ("Memory of gateways", "bytes", "Bound: gateway.memory_max.", [(total("callboard_gateway_memory_bytes", "instance"), "{{instance}}")]),
    ("Memory of brokers", "bytes", "Bound: broker.memory_max.", [(total("callboard_broker_memory_bytes", "instance"), "{{instance}}")]),
    ("Links between gateways and brokers", "short", "Live links of gateway workers, and how many gateway workers brokers see.", [(total("callboard_gateway_links_live"), "gateways'"), (total("callboard_broker_links"), "brokers'")]),
    ("Log lines kept back or lost", "ops", "log.rate keeps back what repeats.", [(rate("callboard_log_suppressed_total", "instance"), "kept back {{instance}}"), (rate("callboard_log_lost_total", "instance"), "lost {{instance}}")]),
]
CHANNELS = [
    ("Channels", "short", "Held by brokers, with or without subscribers; with a subscriber at a gateway.", [(total("callboard_broker_channels"), "brokers"), (total("callboard_gateway_channels"), "gateways")]),
    ("Subscriptions", "short", "Of clients, and those that wait for a broker.", [(total("callboard_gateway_subscriptions"), "subscriptions"), (total("callboard_gateway_subscriptions_waiting"), "waiting")]),
    ("Publications", "ops", "Delivered to channels by brokers.", [(rate("callboard_broker_publications_total", "instance"), "{{instance}}")]),
    ("Deliveries for each publication", "short", "How wide publications fan out.", [(rate("callboard_gateway_deliveries_total") + " / " + rate("callboard_broker_publications_total"), "deliveries")]),
    ("Recoveries", "ops", "At gateways: did who came back get all it missed?", [(rate("callboard_gateway_recoveries_total", "recovered"), "recovered: {{recovered}}")]),
    ("Recoveries at brokers", "ops", "yes: from the tail or history; page: in pages; no: too much or too old.", [(rate("callboard_broker_recoveries_total", "result"), "{{result}}")]),
    ("Continuity lost", "ops", "Subscribers were told that they may have missed something.", [(rate("callboard_broker_lost_total"), "at brokers"), (rate("callboard_gateway_channels_lost_total"), "at gateways"), (rate("callboard_broker_publications_missed_total"), "without a position")]),
    ("Loads and heals", "ops", "Reads of a channel from the engine.", [(rate("callboard_broker_loads_total"), "loads"), (rate("callboard_broker_heals_total"), "heals"), (rate("callboard_broker_loads_failed_total"), "failed")]),
    ("Tails", "bytes", "Recent publications in the brokers' memory. Bound: broker.tails_bytes.", [(total("callboard_broker_tail_bytes", "instance"), "{{instance}}")]),
    ("Tails given up", "ops", "At broker.tails_bytes, the one not used for longest first.", [(rate("callboard_broker_tails_given_up_total"), "given up"), (rate("callboard_broker_tails_refused_total"), "refused")]),
    ("Lagging gateway workers", "ops", "Subscriptions that ran out of credit and go on by position.", [(rate("callboard_broker_lagging_total"), "lagging")]),
    ("Inboxes of shards", "short", "Bound: broker.inbox_messages a shard.", [(total("callboard_broker_inbox_messages", "instance"), "{{instance}}")]),
    ("Presence", "ops", "Members swept after their gateway died; answers refused because they are too large.", [(rate("callboard_broker_members_swept_total"), "swept"), (rate("callboard_broker_presence_too_large_total"), "too large")]),
    ("Memory engine", "bytes", "Without Redis: what channels take. Bound: memory.bytes.", [(total("callboard_memory_bytes", "instance"), "{{instance}}")]),
    ("Memory engine at its bound", "ops", "Idle channels that went; publications that were refused.", [(rate("callboard_memory_evicted_total"), "evicted"), (rate("callboard_memory_refused_total"), "refused")]),
    ("Backend API", "ops", "Requests, pushes and events of services.", [(rate("callboard_backend_requests_total"), "requests"), (rate("callboard_backend_pushes_total"), "pushes"), (rate("callboard_backend_events_total"), "events"), (rate("callboard_backend_bad_requests_total"), "bad requests")]),
    ("Workers", "short", "Services that answer clients' calls, and calls that they have not answered yet.", [(total("callboard_backend_workers", "instance"), "workers {{instance}}"), (total("callboard_backend_calls_open", "instance"), "open calls {{instance}}")]),
    ("Calls to workers", "ops", "What came of them: answered is as it should be.", [(rate("callboard_backend_calls_total", "result"), "{{result}}"), (rate("callboard_backend_workers_lost_total"), "workers lost")]),
]
REDIS = [
    ("Shards with Redis", "short", "Command links and pub/sub links of use.", [(total("callboard_redis_connected", "instance"), "commands {{instance}}"), (total("callboard_redis_pubsub_connected", "instance"), "pub/sub {{instance}}")]),
    ("Findings", "short", "What the examination of the Redis servers found: callboardctl doctor.", [(total("callboard_redis_findings", "severity"), "{{severity}}")]),
    ("Batches", "s", "From sending a batch to its results.", quantiles("callboard_redis_batch_seconds")),
    ("Confirmations of replicas", "s", "Of safe channels.", quantiles("callboard_redis_confirm_seconds")),
    ("Publications", "ops", "Own publications that Redis took, and batches.", [(rate("callboard_redis_publications_total"), "publications"), (rate("callboard_redis_batches_total"), "batches")]),
    ("Publications a batch", "short", "Grows under load: that is how Redis keeps up. Bound: redis.batch_publications.", [(rate("callboard_redis_publications_total") + " / " + rate("callboard_redis_batches_total"), "publications")]),
    ("Waiting for Redis", "short", "Publications queued; commands without an answer.", [(total("callboard_redis_queued", "instance"), "queued {{instance}}"), (total("callboard_redis_pipeline_commands", "instance"), "pipeline {{instance}}")]),
    ("Pipeline", "bytes", "Bound: redis.pipeline_bytes.", [(total("callboard_redis_pipeline_bytes", "instance"), "{{instance}}")]),
    ("Appends that failed", "ops", "refused: nothing was done; unknown: no answer.", [(rate("callboard_redis_refused_total"), "refused"), (rate("callboard_redis_unknown_total"), "unknown"), (rate("callboard_redis_resent_total"), "sent again"), (rate("callboard_redis_live_only_total"), "live only")]),
    ("Links cut", "ops", "Or not made.", [(rate("callboard_redis_disconnects_total", "instance"), "{{instance}}")]),
    ("Failovers", "ops", "Partitions that went to another server, or were met anew.", [(rate("callboard_redis_partition_moves_total"), "moved"), (rate("callboard_redis_openings_total"), "opened anew")]),
    ("Held until its turn", "short", "Batches of other brokers that came early, and what waits for replicas.", [(total("callboard_redis_held_batches"), "held"), (total("callboard_redis_unconfirmed"), "unconfirmed")]),
    ("Holes", "ops", "Batches that never came and were read instead; dropped at a bound.", [(rate("callboard_redis_holes_total"), "holes"), (rate("callboard_redis_held_dropped_total"), "dropped"), (rate("callboard_redis_unconfirmed_dropped_total"), "unconfirmed dropped")]),
    ("Reads", "ops", "Channels read, positions compared, epochs kept alive.", [(rate("callboard_redis_loads_total"), "loads"), (rate("callboard_redis_compared_total"), "compared"), (rate("callboard_redis_renewals_total"), "renewed")]),
]
GATEWAY = [
    ("Connections", "short", "By transport.", [(total("callboard_websocket_connections"), "websocket"), (total("callboard_http_streams", "transport"), "{{transport}}")]),
    ("Handshakes", "ops", "Accepted upgrades and streams.", [(rate("callboard_websocket_handshakes_total", "instance"), "{{instance}}"), (rate("callboard_http_streams_opened_total", "transport"), "{{transport}}")]),
    ("Refused newcomers", "ops", "limit and memory are bounds; origin, path and handshake are the client's.", [(rate("callboard_websocket_refused_total", "reason"), "{{reason}}"), (rate("callboard_gateway_accept_refused_total", "reason"), "accept: {{reason}}")]),
    ("Commands", "ops", "Of clients.", [(rate("callboard_client_commands_total", "command"), "{{command}}")]),
    ("Errors to clients", "ops", "client-protocol.md says what each means.", [(rate("callboard_client_errors_total", "reason"), "{{reason}}")]),
    ("99 % of commands answered within", "s", "By command.", [("histogram_quantile(0.99, " + rate("callboard_client_command_seconds_bucket", "le, command") + ")", "{{command}}")]),
    ("Bytes", "Bps", "Of WebSockets.", [(rate("callboard_websocket_sent_bytes_total"), "sent"), (rate("callboard_websocket_received_bytes_total"), "received")]),
    ("Frames a write", "short", "One write carries all frames of a turn.", [(rate("callboard_gateway_deliveries_total") + " / " + rate("callboard_websocket_writes_total"), "pushes a write")]),
    ("Slow clients", "bytes", "Bytes that wait in outboxes. Bound: a quarter of gateway.memory_max.", [(total("callboard_client_outbox_bytes", "instance"), "{{instance}}")]),
    ("Slow clients closed", "ops", "With 3008; shed because memory was short.", [(rate("callboard_client_disconnects_total", "", 'code="3008"'), "3008"), (rate("callboard_gateway_memory_shed_total"), "shed")]),
    ("Requests to brokers", "ops", "By kind.", [(rate("callboard_gateway_requests_total", "kind"), "{{kind}}")]),
    ("Requests that failed", "ops", "By reason.", [(rate("callboard_gateway_requests_failed_total", "reason"), "{{reason}}")]),
    ("Requests until their answer", "s", "The way to the broker and back.", quantiles("callboard_gateway_request_seconds")),
    ("Heartbeats of links", "s", "Until the shard's actor answered: rises before all else when a broker is short of CPU.", quantiles("callboard_gateway_link_beat_seconds")),
    ("Brokers", "short", "Alive and known, by gateway.", [(total("callboard_gateway_brokers_alive", "instance"), "alive {{instance}}"), (total("callboard_gateway_brokers_known", "instance"), "known {{instance}}")]),
    ("Links lost", "ops", "By reason.", [(rate("callboard_gateway_links_lost_total", "reason"), "{{reason}}")]),
    ("HTTP API", "ops", "By method.", [(rate("callboard_http_api_command_seconds_count", "method"), "{{method}}")]),
    ("HTTP API until the result", "s", "All methods together.", quantiles("callboard_http_api_command_seconds")),
    ("Saved by deltas", "Bps", "Bytes by which patches are shorter, over all deliveries.", [(rate("callboard_gateway_patch_saved_bytes_total"), "saved")]),
    ("Memory level", "short", "0: fine; 1: slow connections are closed; 2: newcomers refused; 3: publications refused.", [(total("callboard_gateway_memory_level", "instance"), "{{instance}}")]),
]
BOARDS = {"overview": ("Callboard: overview", OVERVIEW), "channels": ("Callboard: channels", CHANNELS),
          "redis": ("Callboard: Redis", REDIS), "gateway": ("Callboard: gateways", GATEWAY)}


def panel(number, place, title, unit, tells, queries):
    is_stat = unit.startswith("stat:")
    x, y, width, height = place
    custom = {} if is_stat else {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "graphMode": "area"} if is_stat else \
        {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return {
        "id": number, "type": "stat" if is_stat else "timeseries", "title": title, "description": tells, "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit.removeprefix("stat:"), "custom": custom, **({} if is_stat else {"min": 0})}, "overrides": []},
        "options": options,
        "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend_, "range": True} for i, (expr, legend_) in enumerate(queries)],
    }


def panels(rows):
    stats = [row for row in rows if row[1].startswith("stat:")]
    charts = [row for row in rows if not row[1].startswith("stat:")]
    top = 4 if stats else 0
    placed = [panel(i + 1, (i * (24 // len(stats)), 0, 24 // len(stats), 4), *row) for i, row in enumerate(stats)]
    return placed + [panel(len(stats) + i + 1, (i % 2 * 12, top + i // 2 * 8, 12, 8), *row) for i, row in enumerate(charts)]


def dashboard(uid, title, rows):
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {"name": "instance", "type": "query", "datasource": SOURCE, "query": "label_values(callboard_build_info, instance)", "label": "Program",
         "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}},
    ]
    return {"uid": f"callboard-{uid}", "title": title, "tags": ["callboard"], "schemaVersion": 37, "editable": True, "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1, "templating": {"list": variables},
            "links": [{"type": "dashboards", "tags": ["callboard"], "asDropdown": False, "title": "", "includeVars": True, "keepTime": True}],
            "panels": panels(rows)}


def main():
    wrong = []
    for uid, (title, rows) in BOARDS.items():
        path = FOLDER / f"{uid}.json"
        text = json.dumps(dashboard(uid, title, rows), indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            wrong.append(f"k8s/monitoring/dashboards/{uid}.json is not what make_dashboards.py writes; run it")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
