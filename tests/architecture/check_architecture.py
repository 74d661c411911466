#!/usr/bin/env python3
"""Who may include whom, and what a file may be called. Prints each offending line with the rule; exit 1 if there is one.

The rules are data: FOLDERS (the layout in docs/internals.md), the order of base/CMakeLists.txt (its charter), LAYERS inside a
folder, FAMILIES (who includes a module's internal header), LIBRARY_FILES (a third-party library is met in named files only). --sizes prints function lengths per folder, a report
for review and no gate.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder -> folders whose headers it may include
FOLDERS = {
    "base": {"base"},
    "gateway": {"base", "gateway"},
    "broker": {"base", "broker"},
    "client": {"base", "client"},
    "operator": {"base", "client", "operator"},
    "tools": {"base", "gateway", "broker", "client", "operator", "tools"},
    "tests": {"base", "gateway", "broker", "client", "operator", "tools", "tests"},
}
# headers outside its folders that a folder may include all the same
EXTRA_HEADERS = {"operator": {"gateway/gateway_config.h", "broker/broker_config.h"}}
# only the appliance may see both gateway and broker; the others only their settings tables
SEES_BOTH = {"tools/callboard.c", "tools/print_config_docs.c", "tools/ctl_signer.c", "tools/ctl_bench_config.c", "tools/ctl_doctor_config.c",
             "tools/ctl_doctor_keys.c", "tools/ctl_doctor_host.c", "tools/ctl_doctor_ports.c"}
# inside a folder: (files of a lower layer, what they never include). An entry begins a path; what ends in .c or .h is that file.
BROKER_TOP = ["broker/broker.h", "broker/admin_http"]
GATEWAY_TOP = ["gateway/worker", "gateway/gateway.h", "gateway/http_api/http_api.h", "gateway/http_api/http_api_call"]
OPERATOR_TOP = ["operator/rehearse/", "operator/checks/", "operator/render/", "operator/plan/", "operator/notes/", "operator/chart/", "operator/diff/", "operator/live/", "operator/status/", "operator/apply/", "operator/cli/"]
LAYERS = {
    "gateway": [
        (["gateway/protocol/", "gateway/outbox", "gateway/channel_subscription", "gateway/key_table"],
         ["gateway/session/", "gateway/transport/", "gateway/hub", "gateway/uplink", "gateway/broker_", *GATEWAY_TOP]),
        (["gateway/token/"],
         ["gateway/session/", "gateway/transport/", "gateway/protocol/", "gateway/hub", "gateway/uplink", "gateway/broker_", *GATEWAY_TOP]),
        (["gateway/token/token_config", "gateway/token/revocations", "gateway/token/jwks"],
         ["gateway/token/token_keeper", "gateway/token/token_trust", "gateway/token/token_keyring"]),
        (["gateway/uplink"],
         ["gateway/broker_", "gateway/hub", "gateway/protocol/", "gateway/session/", "gateway/transport/", *GATEWAY_TOP]),
        (["gateway/broker_directory"], ["gateway/broker_links", "gateway/broker_requests", "gateway/hub", "gateway/uplink"]),
        (["gateway/broker_", "gateway/hub"], ["gateway/session/", "gateway/transport/", *GATEWAY_TOP]),
        (["gateway/broker_"], ["gateway/hub", "gateway/protocol/"]),
        (["gateway/session/"],  # of the transport it knows the interface
         ["gateway/transport/websocket", "gateway/transport/listener", "gateway/transport/http_", "gateway/transport/origin",
          "gateway/transport/source_", "gateway/transport/demo_", "gateway/uplink", "gateway/broker_links", *GATEWAY_TOP]),
        (["gateway/transport/"], ["gateway/hub", "gateway/uplink", "gateway/broker_links", "gateway/broker_directory", *GATEWAY_TOP]),
        (["gateway/http_api/"], ["gateway/hub", "gateway/session/", "gateway/uplink", "gateway/broker_links", "gateway/worker", "gateway/gateway.h"]),
        (["gateway/worker"], ["gateway/gateway.h"]),
    ],
    "broker": [
        (["broker/engine", "broker/memory/", "broker/redis/"],
         ["broker/shard", "broker/channel", "broker/presence", "broker/gateway_", "broker/switchboard", "broker/backend/", *BROKER_TOP]),
        (["broker/engine.", "broker/engine_memory", "broker/memory/"], ["broker/redis/"]),
        (["broker/redis/"], ["broker/engine_memory", "broker/memory/"]),
        (["broker/memory/memory_channel", "broker/memory/memory_store", "broker/memory/memory_leases"], ["broker/engine_memory"]),
        (["broker/redis/link/"], ["broker/redis/topology/", "broker/redis/survey/"]),
        (["broker/redis/topology/"], ["broker/redis/survey/"]),
        (["broker/redis/survey/"], ["broker/redis/topology/"]),
        (["broker/redis/link/", "broker/redis/topology/", "broker/redis/survey/"],
         ["broker/redis/engine_redis", "broker/redis/redis_", "broker/redis/partition_state", "broker/redis/batch_order", "broker/engine.h"]),
        (["broker/redis/partition_state", "broker/redis/batch_order"], ["broker/redis/engine_redis", "broker/engine.h"]),
        (["broker/channel", "broker/presence", "broker/gateway_"],
         ["broker/shard.h", "broker/shard_parts", "broker/shard_request", "broker/switchboard", "broker/engine_memory", "broker/memory/",
          "broker/redis/", "broker/backend/", *BROKER_TOP]),
        (["broker/channel_state", "broker/channel_tail", "broker/gateway_peer", "broker/presence"],
         ["broker/channel.h", "broker/channel_parts"]),
        (["broker/shard"],
         ["broker/switchboard", "broker/engine_memory", "broker/memory/", "broker/redis/", "broker/backend/", *BROKER_TOP]),
        (["broker/switchboard"],
         ["broker/channel", "broker/presence", "broker/engine_memory", "broker/memory/", "broker/redis/", "broker/backend/", *BROKER_TOP]),
        (["broker/backend/"],
         ["broker/channel", "broker/presence", "broker/switchboard", "broker/engine_memory", "broker/memory/", "broker/redis/",
          "broker/shard_parts", *BROKER_TOP]),
        (["broker/admin_http"], ["broker/shard", "broker/channel", "broker/switchboard", "broker/redis/", "broker/backend/"]),
    ],
    "operator": [
        (["operator/arena", "operator/yaml_plain"], ["operator/diagnostics/", "operator/spec/", "operator/manifest/", *OPERATOR_TOP]),
        (["operator/diagnostics/"], ["operator/spec/", "operator/manifest/", *OPERATOR_TOP]),
        (["operator/manifest/"], ["operator/diagnostics/", "operator/spec/", *OPERATOR_TOP]),
        (["operator/spec/"], ["operator/manifest/", *OPERATOR_TOP]),
        (["operator/checks/"], ["operator/manifest/", "operator/render/", "operator/cli/"]),
        (["operator/render/", "operator/plan/", "operator/notes/"], ["operator/checks/", "operator/cli/"]),
        (["operator/diff/"], ["operator/checks/", "operator/render/", "operator/live/", "operator/status/", "operator/cli/"]),
        (["operator/live/"], ["operator/checks/", "operator/render/", "operator/status/", "operator/cli/"]),
        (["operator/status/"], ["operator/checks/", "operator/render/", "operator/cli/"]),
        (["operator/chart/"], ["operator/checks/", "operator/render/", "operator/cli/"]),
        (["operator/kube/"], ["operator/diagnostics/", "operator/spec/", "operator/redis/", "operator/agent/", *OPERATOR_TOP]),
        (["operator/apply/"], ["operator/checks/", "operator/render/render.h", "operator/render/render_document", "operator/render/render_parts", "operator/redis/", "operator/agent/", "operator/cli/"]),
        (["operator/diagnostics/", "operator/spec/", "operator/manifest/", "operator/checks/", "operator/render/", "operator/plan/", "operator/notes/",
          "operator/diff/", "operator/chart/", "operator/redis/", "operator/agent/", "operator/backup/"], ["operator/kube/"]),
        (["operator/rehearse/rehearse_event", "operator/rehearse/rehearse_account"],  # pure
         ["client/", "operator/rehearse/rehearse_workload", "operator/rehearse/rehearse_redis", "operator/rehearse/rehearse_parts"]),
        (["operator/rehearse/"], ["operator/agent/", "operator/checks/", "operator/render/", "operator/cli/"]),
        (["operator/backup/"], ["operator/agent/", "operator/diagnostics/", "operator/spec/", "operator/manifest/", *OPERATOR_TOP]),
        (["operator/redis/"], ["operator/backup/", "operator/agent/", "operator/diagnostics/", "operator/spec/", "operator/manifest/", *OPERATOR_TOP]),
        (["operator/redis/cluster_plan", "operator/redis/cluster_table", "operator/redis/cluster_view", "operator/redis/cluster_layout",
          "operator/redis/scale_plan", "operator/redis/roll_plan", "operator/redis/sentinel_plan",
          "operator/redis/set_plan", "operator/redis/server_health"],  # pure
         ["operator/redis/resp_client", "operator/redis/redis_dialer", "operator/redis/cluster_observe", "operator/redis/sentinel_observe"]),
    ],
}
# A header x_internal.h or x_parts.h is what a module's files share: x.c and x_*.c of its folder include it, and those listed here.
INTERNAL = re.compile(r"^(?P<family>.+)_(internal|parts)\.h$")
FAMILIES = {
    "broker/memory/engine_memory": ["broker/engine_memory.c", "broker/memory/memory_"],
    "broker/redis/engine_redis": ["broker/redis/redis_"],
    "broker/redis/topology/redis_topology": ["broker/redis/topology/redis_"],
    "operator/rehearse/rehearse_workload": ["operator/rehearse/rehearse_publisher.c", "operator/rehearse/rehearse_subscriber.c"],
    "broker/backend/backend_api": ["broker/backend/backend_answer.c", "broker/backend/backend_by_hand.c", "broker/backend/backend_events.c",
                                   "broker/backend/backend_inbound.c", "broker/backend/backend_metrics.c",
                                   "broker/backend/backend_shards.c", "broker/backend/backend_methods_", "broker/backend/worker_",
                                   "broker/backend/backend_leases.c", "broker/backend/backend_kv.c",
                                   "broker/backend/backend_occupancy.c"],
}
# headers of one folder's own that do not carry such a name
OWN_HEADERS = {"gateway/session/session_commands.h": ["gateway/session/"]}
# a library's headers -> the files (prefixes) that may include them
LIBRARY_FILES = {
    "libwebsockets.h": ["base/lws_guard", "base/http_service", "gateway/transport/", "gateway/http_api/http_api.c", "gateway/worker", "client/websocket_client.c", "tests/"],
    "yaml.h": ["base/config_", "operator/manifest/manifest_yaml.c", "tests/"],
    "hiredis": ["base/redis_reply.c", "broker/redis/", "tests/"],
    "openssl": ["base/token", "base/redis_tls", "base/http_service", "gateway/http_api/http_api_keys.c", "tools/ctl_keygen.c", "client/websocket_client.c", "gateway/transport/tls_", "broker/redis/",
                "operator/agent/agent_template.c", "operator/status/status_certificate.c", "operator/backup/backup_file.c", "tests/"],
    "curl/": ["gateway/token/jwks", "operator/kube/kube_http.c", "tests/"],
    "zlib.h": ["gateway/transport/websocket_deflate.c", "tests/"],
    "czmq.h": ["base/curve_", "tests/"],
    "client_protocol.pb-c.h": ["gateway/protocol/client_protocol_protobuf", "tests/"],
    "protobuf-c": ["gateway/protocol/client_protocol_protobuf", "tests/"],
}
# what never sees a library, through no header of ours either
BLIND = {
    "libwebsockets.h": ["gateway/session/", "gateway/protocol/", "gateway/hub", "gateway/uplink", "gateway/broker_", "gateway/outbox",
                        "broker/shard", "broker/channel", "broker/engine", "broker/memory/", "broker/redis/"],
    "hiredis": ["gateway/", "broker/shard", "broker/channel", "broker/switchboard", "broker/backend/", "broker/broker",
                "broker/memory/"],
    "zmq.h": ["gateway/session/", "gateway/protocol/", "gateway/transport/websocket", "broker/engine", "broker/memory/",
              "broker/redis/", "broker/channel"],
}
# files that are parts of one module of base: tested as that module
PARTS = {"admin_page_": "admin_page", "config_": "config_reader", "json_": "json_scan", "curve_": "curve_keys", "log_": "log", "token_": "token", "program_arguments": "program"}
FORBIDDEN_NAMES = re.compile(r"(^|_)(util|utils|helper|helpers|common|misc|types|manager)(_|\.|$)")
TOP_LEVEL = {"base", "broker", "client", "gateway", "operator", "helm", "k8s", "tests", "tools", "docs"}
TOP_FILES = {"CMakeLists.txt", "README.md", "LICENSE", ".ci", ".clang-format", ".dockerignore", ".gitignore"}


def tracked(*patterns):
    output = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in output.splitlines() if (ROOT / line).is_file()]


def base_order():
    text = (ROOT / "base/CMakeLists.txt").read_text()
    names = re.search(r"set\(base_files(.*?)\)", text, re.S).group(1).split()
    return {name: place for place, name in enumerate(names)}


def check_base_order(source, number, header, order):
    """An internal header stands where the last file of its family does."""
    if INTERNAL.match(header):
        return
    name = pathlib.PurePath(source).stem
    other = pathlib.PurePath(header).stem
    internal = INTERNAL.match(pathlib.PurePath(source).name)
    if internal:
        name = max((each for each in order if each.startswith(internal["family"] + "_")), key=order.get, default=name)
    for each in (name, other):
        if each not in order:
            yield f"{source}:{number}: {each} is not listed in base/CMakeLists.txt"
            return
    if order[other] > order[name]:
        yield f"{source}:{number}: {name} includes {other}, which stands below it in base/CMakeLists.txt"


def begins(path, entry):
    return path == entry if entry.endswith((".c", ".h")) else path.startswith(entry)


def check_family(source, number, header):
    internal = INTERNAL.match(header)
    if header in OWN_HEADERS and not source.startswith(("tests/", *OWN_HEADERS[header])):
        yield f"{source}:{number}: {header} is internal to {', '.join(OWN_HEADERS[header])}"
    if not internal or source.startswith("tests/"):
        return
    family = internal["family"]
    own = [f"{family}.c", f"{family}.h", f"{family}_", *FAMILIES.get(family, [])]
    if not any(begins(source, entry) for entry in own):
        yield f"{source}:{number}: {header} is internal to {family}"


def check_include(source, number, header, order):
    folder = source.split("/")[0]
    target = header.split("/")[0]
    if target in FOLDERS and target not in FOLDERS[folder] and header not in EXTRA_HEADERS.get(folder, set()):
        yield f"{source}:{number}: {folder}/ may not include {target}/ ({header})"
    if folder == "base" and target == "base":
        yield from check_base_order(source, number, header, order)
    yield from check_family(source, number, header)
    for lower, higher in LAYERS.get(folder, []):
        if any(begins(source, entry) for entry in lower) and any(begins(header, entry) for entry in higher):
            yield f"{source}:{number}: a lower layer includes a higher one ({header})"
    for library, files in LIBRARY_FILES.items():
        if header.startswith(library) and not any(source.startswith(prefix) for prefix in files):
            yield f"{source}:{number}: {library} is met only in {', '.join(files)}"


def check_constant_time(source, lines=None):
    """Where secrets are met they are compared by CRYPTO_memcmp: another comparison tells by its time how far it came."""
    if not source.startswith(("base/token", "base/http_service", "base/curve_", "gateway/", "broker/backend/")):
        return
    for number, line in enumerate((ROOT / source).read_text().splitlines() if lines is None else lines, 1):
        call = re.search(r"(?<![A-Z_])(?:strcmp|strncmp|memcmp|span_equal|span_equal_text)\(([^;]*)", line)
        if call and re.search(r"secret|signature|\bmac\b|hmac|bearer|password|api_key\b|key_hash", call.group(1)):
            yield f"{source}:{number}: a secret is compared in a time that depends on it; use CRYPTO_memcmp"


def check_file(source, order):
    if FORBIDDEN_NAMES.search(pathlib.PurePath(source).name):
        yield f"{source}: a file's name says its job; util, helper, common, misc, types and manager say none"
    seen = set()
    for number, line in enumerate((ROOT / source).read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if match:
            seen.add(match.group(1).split("/")[0])
            yield from check_include(source, number, match.group(1), order)
    if source.startswith("tools/") and {"gateway", "broker"} <= seen and source not in SEES_BOTH:
        yield f"{source}: sees both gateway and broker; only {', '.join(sorted(SEES_BOTH))} may"


def includes_of(path):
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', (ROOT / path).read_text(), re.M)


def reaches(path, library, headers, seen):
    """The chain of headers over which a file sees a library; empty: it does not. `headers`: path -> what it includes."""
    for header in headers(path):
        if header.startswith(library):
            return [header]
        if header.split("/")[0] in FOLDERS and header not in seen:
            seen.add(header)
            chain = reaches(header, library, headers, seen)
            if chain:
                return [header, *chain]
    return []


def our_headers(path):
    return includes_of(path) if (ROOT / path).is_file() else []


def check_blind(source, headers=our_headers):
    for library, blind in BLIND.items():
        if any(begins(source, entry) for entry in blind):
            chain = reaches(source, library, headers, set())
            if chain:
                yield f"{source}: sees {library} by {' → '.join(chain)}"


def problems():
    order = base_order()
    for entry in {path.split("/")[0] for path in tracked()}:
        if entry not in TOP_LEVEL and entry not in TOP_FILES:
            yield f"{entry}: not one of the top-level folders and files"
    for source in tracked("*.c", "*.h"):
        yield from check_file(source, order)
        yield from check_blind(source)
        yield from check_constant_time(source)
    for name in order:
        module = next((module for prefix, module in PARTS.items() if name.startswith(prefix)), name)
        if (ROOT / f"base/{name}.c").exists() and not (ROOT / f"tests/unit/base/test_{module}.c").exists():
            yield f"base/{name}.c: has no unit test tests/unit/base/test_{module}.c"


def print_sizes():
    for folder in ("base", "gateway", "broker", "client", "operator", "tools"):
        sources = [str(ROOT / path) for path in tracked(f"{folder}/*.c")]
        if not sources:
            continue
        output = subprocess.run(["ctags", "--fields=+ne", "--c-kinds=f", "-f", "-", *sources],
                                capture_output=True, text=True, check=True).stdout
        lengths = sorted(int(end) - int(line) + 1 for line, end in re.findall(r"line:(\d+).*?end:(\d+)", output))
        files = sorted(len(pathlib.Path(path).read_text().splitlines()) for path in sources)
        over = sum(1 for length in lengths if length > 60)
        print(f"{folder}: {len(files)} files, median {files[len(files) // 2]}, longest {files[-1]} lines; "
              f"{len(lengths)} functions, median {lengths[len(lengths) // 2]}, p90 {lengths[len(lengths) * 9 // 10]}, "
              f"longest {lengths[-1]}, over 60 lines: {100 * over / len(lengths):.1f} %")


if __name__ == "__main__":
    if "--sizes" in sys.argv:
        print_sizes()
        sys.exit(0)
    found = sorted(set(problems()))
    print("\n".join(found) if found else "architecture: every arrow points the right way")
    sys.exit(1 if found else 0)
