#!/usr/bin/env python3
"""The documentation says what the code says: tables that come from the code stand in the docs as the code has them, metrics and
log events that it names exist, links lead somewhere, every setting that bounds something is in the table of bounds with its default, a
metric and a test that reaches it, every threat of security.md has its settings, metrics and test, and the ports of README are the settings' defaults. --write puts the tables in; without it a
difference is an error.
"""
import pathlib
import re
import sys

import metric_tables

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["docs/backend-api.md", "docs/client-protocol.md"]
TABLE = re.compile(r"(<!-- error codes: printed from base/error_code\.h.*?-->\n).*?(<!-- end of error codes -->)", re.S)
ROW = re.compile(r'X\((\w+), (\d+), "(\w+)", "([^"]+)", (true|false), (true|false)\)')
CHECKS = re.compile(r"(<!-- checks: printed from .*?-->\n).*?(<!-- end of checks -->)", re.S)
METRICS = re.compile(r"(<!-- metrics: printed from .*?-->\n).*?(<!-- end of metrics -->)", re.S)
ALARMS = re.compile(r"(<!-- alarms: printed from .*?-->\n).*?(<!-- end of alarms -->)", re.S)
CHECK_SOURCES = ["tools/ctl_doctor_checks.h", "broker/redis/survey/redis_settings.h"]
CHECK_ROW = re.compile(r'X\((\w+),\s*"([^"]+)",\s*"([^"]+)",\s*\\?\s*"([^"]+)"\)')
PORTS = {"8000": ("gateway/gateway_config.c", "http.port"), "9000": ("gateway/gateway_config.c", "internal.port"),
         "9001": ("broker/broker_config.c", "internal.port"), "7700": ("broker/broker_config.c", "broker.endpoint"),
         "7710": ("broker/broker_config.c", "backend.endpoint"), "7711": ("broker/broker_config.c", "backend.pull_endpoint")}

CONFIGS = ["broker/broker_config.c", "gateway/gateway_config.c"]
# Numbers that bound nothing that piles up.
NO_BOUNDS = {"broker.shards", "broker.partitions", "internal.port", "http.port", "http_api.port", "gateway.workers", "redis.confirm_replicas",
             "client.history_limit_max", "client.compression_min_size"}
# Which test reaches a bound, and what it says there.
REACHED = {
    "broker.inbox_messages": ("tests/integration/test_engine_redis_bounds.c", "inbox_messages = 20"),
    "broker.memory_max": ("tests/e2e/retention.test.mjs", "broker.memory_max="),
    "broker.inbox_bytes": ("tests/integration/test_broker_wire_changes.c", "over_the_bound_of_the_inbox_publishes_are_refused"),
    "broker.tail_messages": ("tests/unit/broker/channel_harness.h", ".tail_messages_max = 8"),
    "broker.tail_bytes": ("tests/unit/broker/test_channel_tail.c", "tails.bytes_max = 3 *"),
    "broker.tails_bytes": ("tests/unit/broker/test_channel.c", "callboard_broker_tails_given_up_total 2"),
    "broker.presence_memory": ("tests/e2e/presence.test.mjs", "error.code === 124"),
    "memory.bytes": ("tests/e2e/retention.test.mjs", "at memory.bytes publishers are told error 111"),
    "broker.recovery_publications": ("tests/unit/broker/test_channel.c", "config.recovery_publications_max = 3;"),
    "broker.recovery_bytes": ("tests/unit/broker/test_channel.c", "config.recovery_bytes_max = "),
    "broker.publication_bytes": ("tests/integration/test_broker_wire.c", "ERROR_TOO_LARGE"),
    "redis.pipeline_commands": ("tests/integration/test_engine_redis_bounds.c", "redis_pipeline_commands = 1"),
    "redis.pipeline_bytes": ("tests/integration/test_engine_redis_bounds.c", "redis_pipeline_bytes = 1"),
    "redis.reply_bytes": ("tests/unit/base/test_redis_reply.c", "larger than redis.reply_bytes"),
    "redis.batch_publications": ("tests/integration/test_engine_redis_bounds.c", "redis_batch_publications = IN_ONE"),
    "redis.held_batches": ("tests/integration/test_engine_redis_bounds.c", "callboard_redis_held_dropped_total"),
    "redis.held_bytes": ("tests/unit/broker/redis/test_batch_order.c", "order.held_bytes"),
    "redis.loads": ("tests/unit/broker/test_channel.c", "at_most_so_many_loads_are_out"),
    "redis.compared_channels": ("tests/integration/test_engine_redis.c", "redis_compared_channels = 1"),
    "redis.topic_idle": ("tests/integration/test_engine_redis_bounds.c", "redis_topic_idle_ms = 1000"),
    "backend.requests": ("tests/unit/broker/test_backend_pending.c", "at_the_bound_nothing_is_taken"),
    "backend.push_wait": ("tests/unit/broker/test_backend_push_wait.c", "after_the_wait_it_is_dropped_and_the_shard_given_up"),
    "backend.subscriptions": ("tests/e2e/backend.test.mjs", "one subscription above backend.subscriptions"),
    "backend.workers": ("tests/unit/broker/test_worker_pool.c", "workers_and_calls_are_bounded"),
    "backend.calls": ("tests/unit/broker/test_worker_pool.c", "workers_and_calls_are_bounded"),
    "backend.worker_calls": ("tests/e2e/workers.test.mjs", "backend.worker_calls=2"),
    "backend.name_bytes": ("tests/e2e/leases.test.mjs", "backend.name_bytes=20"),
    "backend.lease_ttl_max": ("tests/e2e/leases.test.mjs", "backend.lease_ttl_max=10s"),
    "backend.lease_wait_max": ("tests/e2e/leases.test.mjs", "backend.lease_wait_max=10s"),
    "backend.lease_waiters": ("tests/e2e/leases.test.mjs", "backend.lease_waiters=1"),
    "backend.value_bytes": ("tests/e2e/leases.test.mjs", "backend.value_bytes=1KiB"),
    "backend.value_ttl_max": ("tests/e2e/leases.test.mjs", "backend.value_ttl_max=1m"),
    "memory.services_bytes": ("tests/unit/broker/test_memory_services.c", "at_its_bytes_it_takes_no_more"),
    "events.queue": ("tests/unit/gateway/test_event_feed.c", "what_does_not_fit_is_told_as_lost"),
    "client.calls": ("tests/unit/gateway/session/test_session.c", "t.config.calls_max = 1"),
    "client.message_size_max": ("tests/e2e/probes.test.mjs", "64 KiB and a byte"),
    "client.message_fragments_max": ("tests/e2e/probes.test.mjs", "129 fragments"),
    "client.message_timeout": ("tests/integration/gateway/test_websocket.c", "message_timeout: 200ms"),
    "client.channels_max": ("tests/unit/gateway/session/test_session_subscribe.c", "channels_max = 2"),
    "client.commands_in_flight": ("tests/unit/gateway/session/test_session.c", "commands_in_flight = 2"),
    "client.commands_per_second": ("tests/unit/gateway/session/test_session_limits.c", "assert_closed(3013"),
    "client.outbox_bytes": ("tests/unit/gateway/session/test_session_limits.c", "test_an_outbox_over_its_bytes_ends_the_session"),
    "client.outbox_frames": ("tests/unit/gateway/session/test_session_limits.c", "test_an_outbox_over_its_frames_ends_the_session"),
    "client.connections_max": ("tests/integration/gateway/test_websocket_handshake.c", "over_connections_max_is_503"),
    "client.connection_age_max": ("tests/e2e/guards.test.mjs", "connection_age_max: ${age}"),
    "client.connections_per_source": ("tests/e2e/proxied.test.mjs", "client.connections_per_source=2"),
    "internal.body_max": ("tests/e2e/admin_page.test.mjs", "'x'.repeat(200000)"),
    "internal.calls_max": ("tests/unit/base/test_http_service_calls.c", ".calls_max = CALLS_MAX"),
    "internal.call_timeout": ("tests/unit/base/test_http_service_calls.c", "start(300)"),
    "http_api.body_max": ("tests/e2e/http_api.test.mjs", "Content-Length: 65537"),
    "http_api.answer_max": ("tests/e2e/http_api.test.mjs", "over http_api.answer_max"),
    "http_api.connections_max": ("tests/e2e/http_api.test.mjs", "over http_api.connections_max"),
    "http_api.parts_max": ("tests/e2e/http_api.test.mjs", "parts_max: 20"),
    "brokers.departures_memory": ("tests/unit/gateway/test_hub_presence.c", "departures_bytes_max = ONE_CHANNEL"),
    "http_api.channels_max": ("tests/e2e/commands.test.mjs", "channels_max: 50"),
    "broker.commands_max": ("tests/integration/test_broker_commands.c", "commands_max: 2"),
    "client.connections_per_user": ("tests/e2e/guards.test.mjs", "client.connections_per_user=3"),
    "client.handshakes_per_second": ("tests/e2e/guards.test.mjs", "client.handshakes_per_second=20"),
    "gateway.memory_max": ("tests/e2e/guards.test.mjs", "memory_max"),
    "client.handshakes_per_source": ("tests/integration/gateway/test_websocket_handshake.c", "handshakes_per_source: 1"),
    "client.streams_max": ("tests/e2e/http_streams.test.mjs", "CALLBOARD_CLIENT_STREAMS_MAX: '1'"),
    "client.emulations_max": ("tests/e2e/emulation.test.mjs", "CALLBOARD_CLIENT_EMULATIONS_MAX: '2'"),
    "token.revocations_max": ("tests/e2e/revocations.test.mjs", "token.revocations_max=4"),
    "token.revocation_bytes": ("tests/e2e/tokens.test.mjs", "token.revocation_bytes=1KiB"),
    "log.rate": ("tests/e2e/security.test.mjs", "log.rate=1"),
}


def error_table():
    rows = ROW.findall((ROOT / "base/error_code.h").read_text())
    lines = ["| code | reason | message | temporary | definite |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {code} | `{reason}` | {message} | {'yes' if temporary == 'true' else 'no'} | {'yes' if definite == 'true' else 'no'} |"
              for _, code, reason, message, temporary, definite in rows]
    return "\n".join(lines) + "\n"


def check_tables(write):
    for page in PAGES:
        path = ROOT / page
        text = path.read_text()
        wanted = TABLE.sub(lambda match: match.group(1) + error_table() + match.group(2), text)
        if not TABLE.search(text):
            yield f"{page}: has no place for the error codes"
        elif wanted != text:
            if write:
                path.write_text(wanted)
            else:
                yield f"{page}: the error codes are not those of base/error_code.h; run tests/architecture/check_docs.py --write"


def checks_table():
    lines = ["| id | what is checked | what it means when it is not fine |", "| --- | --- | --- |"]
    for source in CHECK_SOURCES:
        rows = CHECK_ROW.findall((ROOT / source).read_text())
        if not rows:
            raise SystemExit(f"{source}: no checks found")
        lines += [f"| `{id_}` | {checks} | {means} |" for _, id_, checks, means in rows]
    return "\n".join(lines) + "\n"


def check_checks(write):
    path = ROOT / "docs/operations.md"
    text = path.read_text()
    wanted = CHECKS.sub(lambda match: match.group(1) + checks_table() + match.group(2), text)
    if not CHECKS.search(text):
        yield "docs/operations.md: has no place for the checks of doctor"
    elif wanted != text:
        if write:
            path.write_text(wanted)
        else:
            yield "docs/operations.md: the checks are not those of the code; run tests/architecture/check_docs.py --write"


def check_metrics(write):
    path = ROOT / "docs/metrics.md"
    text = path.read_text()
    wanted = METRICS.sub(lambda match: match.group(1) + metric_tables.table() + match.group(2), text)
    if not METRICS.search(text):
        yield "docs/metrics.md: has no place for the metrics"
    elif wanted != text:
        if write:
            path.write_text(wanted)
        else:
            yield "docs/metrics.md: the metrics are not those of the code; run tests/architecture/check_docs.py --write"


def alarms_text():
    lines = []
    for rule in re.split(r"\n      - alert: ", (ROOT / "k8s/monitoring/alerts.yml").read_text())[1:]:
        name = rule.split("\n", 1)[0]
        severity = re.search(r"severity: (\w+)", rule).group(1)
        said = {key: re.search(rf'\n          {key}: "((?:[^"\\]|\\.)*)"$', rule, re.M) for key in ("means", "do", "runbook")}
        if not all(said.values()) or said["runbook"].group(1) != f"docs/operations.md#{name.lower()}":
            raise SystemExit(f"k8s/monitoring/alerts.yml: {name} needs `means`, `do` and a `runbook` that leads to its heading")
        means, do = (said[key].group(1).replace('\\"', '"') for key in ("means", "do"))
        lines.append(f"### {name}\n\n*{severity}.* {means}\n**Do:** {do}\n")
    return "\n".join(lines)


def check_alarms(write):
    """docs/operations.md says of each alarm what the alarm says of itself, under the heading that its runbook names."""
    path = ROOT / "docs/operations.md"
    text = path.read_text()
    wanted = ALARMS.sub(lambda match: match.group(1) + alarms_text() + match.group(2), text)
    if not ALARMS.search(text):
        yield "docs/operations.md: has no place for the alarms"
    elif wanted != text:
        if write:
            path.write_text(wanted)
        else:
            yield "docs/operations.md: the alarms are not those of k8s/monitoring/alerts.yml; run tests/architecture/check_docs.py --write"


def check_names():
    """Metrics and log events that operations.md and metrics.md speak of are counted and logged somewhere."""
    page = (ROOT / "docs/operations.md").read_text()
    sources = "".join(path.read_text() for folder in ("base", "broker", "gateway") for path in (ROOT / folder).rglob("*.[ch]"))
    events = re.search(r"\| log event \|.*?\n\n", page + "\n\n", re.S).group(0)
    figures = page + (ROOT / "docs/metrics.md").read_text()
    names = [*re.findall(r"`(callboard_[a-z_]+[a-z])\b", figures), *re.findall(r"^\| `([a-z_]+)` \|", events, re.M)]
    for name in sorted(set(names)):
        if f'"{name}"' not in sources:
            yield f"docs/operations.md or docs/metrics.md: speaks of {name}, which is neither counted nor logged"


def check_aliases():
    """docs/metrics.md lists the Centrifugo names that the gateway's table has, each with its type and where it comes from."""
    page = (ROOT / "docs/metrics.md").read_text()
    listed = {name: (type_, set(re.findall(r"`(callboard_[a-z_]+)`", is_)))
              for name, type_, is_ in re.findall(r"^\| `(centrifugo_[a-z_]+)` \| (\w+) \| [^|]*\| ([^|]*)\|", page, re.M)}
    source = (ROOT / "gateway/centrifugo_metrics.c").read_text()
    heads = dict(re.findall(r'#define (\w+) +"(centrifugo_\w+"[^\n]*)', source))
    names = dict(re.findall(r'#define (\w+) +"(callboard_\w+)"\n', source))
    coded = {}
    for row in re.findall(r"\{(?:[A-Z_]+|\"centrifugo_)[^\n]*\}", source.replace("METRIC_GAUGE_MAX", "METRIC_GAUGE")):
        head = re.match(r"\{([A-Z_]+),", row)
        row = '{"' + heads[head.group(1)] + row[head.end() - 1:] if head else row
        name, type_ = re.match(r'\{"(\w+)", "[^"]*", METRIC_([A-Z]+)', row).groups()
        sources = re.findall(r"callboard_\w+", row) or [names[word] for word in re.findall(r"\b[A-Z]+\b", row) if word in names]
        coded.setdefault(name, (type_.lower(), set()))[1].update(sources)
    for name in sorted(listed.keys() | coded.keys()):
        if listed.get(name) != coded.get(name):
            yield f"docs/metrics.md: {name} is {listed.get(name)} there and {coded.get(name)} in gateway/centrifugo_metrics.c"


def settings():
    """Each key of the configuration tables: (type, default)."""
    found = {}
    for source in CONFIGS:
        for row in (ROOT / source).read_text().split('KEY("')[1:]:
            path, type_ = re.match(r'([^"]+)",\s*CONFIG_([A-Z_]+)', row).groups()
            default = re.search(r'\.default_text = "([^"]*)"', row)
            found[path] = (type_, default.group(1) if default else "")
    return found


def check_bounds():
    page = (ROOT / "docs/operations.md").read_text()
    section = re.search(r"^## Bounds\n.*?(?=^## |\Z)", page, re.M | re.S)
    if not section:
        yield "docs/operations.md: has no section Bounds"
        return
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.group(0).splitlines() if line.startswith("| ")][2:]
    known = settings()
    listed = set()
    for key, default, metric, end in rows:
        key = key.strip("`")
        if "`callboard_" not in metric or not end:
            yield f"docs/operations.md: the bound {key} has no metric, or no end"
        if key == "—":
            continue
        listed.add(key)
        if key not in known:
            yield f"docs/operations.md: the bound {key} is no key of {' or '.join(CONFIGS)}"
        elif known[key][1] != default:
            yield f"docs/operations.md: the bound {key} is {known[key][1]} by default, not {default}"
        test, needle = REACHED.get(key, ("", ""))
        if not test:
            yield f"docs/operations.md: no test is named that reaches the bound {key}; add it to tests/architecture/check_docs.py"
        elif not (ROOT / test).exists() or needle not in (ROOT / test).read_text():
            yield f"{test}: reaches the bound {key} no longer ({needle})"
    for key, (type_, _) in known.items():
        if (key in REACHED or type_ in ("INT", "BYTES")) and key not in listed | NO_BOUNDS:
            yield f"docs/operations.md: the table of bounds misses {key}"


# The threats that docs/security.md has to answer.
THREATS = [f"S{n}" for n in [*range(1, 26), *range(30, 34), *range(36, 43)]]


def check_security():
    """Each threat has a row, whose keys are settings, whose metrics are counted with such labels, whose test is still there."""
    page = (ROOT / "docs/security.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in page.splitlines() if line.startswith("| S")]
    known = settings()
    sources = "".join(path.read_text() for folder in ("base", "broker", "gateway") for path in (ROOT / folder).rglob("*.[ch]"))
    if [row[0] for row in rows] != THREATS:
        yield f"docs/security.md: has rows {[row[0] for row in rows]}, not {THREATS}"
    for number, _, holds, keys, metrics, test in rows:
        if not holds:
            yield f"docs/security.md: {number} says not what holds"
        for key in re.findall(r"`([^`]+)`", keys):
            if key not in known:
                yield f"docs/security.md: {number} names {key}, which is no setting"
        for name in re.findall(r"`(callboard_[a-z_]+)", metrics):
            if f'"{name}"' not in sources:
                yield f"docs/security.md: {number} names {name}, which is not counted"
        file, needle = re.fullmatch(r"`([^`]+)`: (.+)", test).groups()
        if not (ROOT / file).exists() or needle not in (ROOT / file).read_text():
            yield f"docs/security.md: {number}: {file} has no test that says: {needle}"


def check_links():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "tests").glob("*/README.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: the link {target} leads nowhere"


def check_ports():
    readme = (ROOT / "README.md").read_text()
    for port, (source, key) in PORTS.items():
        if f"| {port} |" not in readme:
            yield f"README.md: port {port} is missing from the table"
        if not re.search(rf'"{re.escape(key)}"[^;]*?default_text = "[^"]*{port}"', (ROOT / source).read_text(), re.S):
            yield f"README.md: port {port} is not the default of {key} in {source}"


if __name__ == "__main__":
    write = "--write" in sys.argv
    found = [*check_tables(write), *check_checks(write), *check_metrics(write), *check_alarms(write), *check_names(), *check_aliases(), *check_bounds(), *check_security(), *check_links(), *check_ports()]
    print("\n".join(found) if found else "docs: they say what the code says")
    sys.exit(1 if found else 0)
