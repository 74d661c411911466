#!/usr/bin/env python3
"""Who may include whom, and what a file may be called. Prints each offending line with the rule; exit 1 if there is one.

The rules are data: FOLDERS (the layout in docs/internals.md), the order of base/CMakeLists.txt (its charter), LAYERS inside a
folder, LIBRARY_FILES (a third-party library is met in named files only). --sizes prints function lengths per folder, a report
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
    "operator": {"base", "operator"},
    "tools": {"base", "gateway", "broker", "operator", "tools"},
    "tests": {"base", "gateway", "broker", "operator", "tools", "tests"},
}
# headers outside its folders that a folder may include all the same
EXTRA_HEADERS = {"operator": {"gateway/gateway_config.h", "broker/broker_config.h"}}
# only the appliance may see both gateway and broker; the others only their settings tables
SEES_BOTH = {"tools/callboard.c", "tools/print_config_docs.c", "tools/ctl_token.c"}
# inside a folder: (files of a lower layer, what they never include)
LAYERS = {
    "gateway": [
        (["gateway/protocol/", "gateway/outbox", "gateway/channel_subscription"],
         ["gateway/session/", "gateway/transport/websocket.", "gateway/worker", "gateway/gateway.", "gateway/hub"]),
        (["gateway/hub", "gateway/uplink", "gateway/broker_requests", "gateway/broker_directory"],
         ["gateway/session/", "gateway/transport/", "gateway/worker", "gateway/gateway."]),
        (["gateway/session/"],
         ["gateway/worker", "gateway/gateway.", "gateway/transport/websocket.", "gateway/transport/listener", "gateway/uplink"]),
    ],
    "broker": [
        (["broker/engine_memory", "broker/redis/"],
         ["broker/shard.", "broker/channel", "broker/switchboard", "broker/broker.", "broker/gateway_peer", "broker/backend/"]),
        (["broker/channel", "broker/presence", "broker/gateway_peer"],
         ["broker/shard.", "broker/switchboard", "broker/broker.", "broker/redis/", "broker/backend/"]),
        (["broker/shard."], ["broker/switchboard", "broker/broker.", "broker/backend/"]),
        (["broker/redis/redis_link", "broker/redis/redis_reply", "broker/redis/partition_state", "broker/redis/batch_order"],
         ["broker/redis/engine_redis", "broker/engine.h"]),
    ],
}
# a library's headers -> the files (prefixes) that may include them
LIBRARY_FILES = {
    "libwebsockets.h": ["base/lws_guard", "base/http_service", "gateway/transport/", "gateway/worker", "tests/"],
    "hiredis": ["broker/redis/redis_", "tests/"],
    "yaml.h": ["base/config_", "tests/"],
    "openssl": ["base/token", "base/http_service", "broker/redis/redis_", "tests/"],
    "czmq.h": ["base/curve_", "tests/"],
}
# files that are parts of one module of base: tested as that module
PARTS = {"config_": "config_reader", "curve_": "curve_keys", "log_": "log", "token_": "token"}
FORBIDDEN_NAMES = re.compile(r"(^|_)(util|utils|helper|helpers|common|misc|types|manager)(_|\.|$)")
TOP_LEVEL = {"base", "broker", "gateway", "operator", "helm", "k8s", "tests", "tools", "docs"}
TOP_FILES = {"CMakeLists.txt", "README.md", "LICENSE", ".ci", ".clang-format", ".gitignore"}


def tracked(*patterns):
    output = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in output.splitlines() if (ROOT / line).is_file()]


def base_order():
    text = (ROOT / "base/CMakeLists.txt").read_text()
    names = re.search(r"set\(base_files(.*?)\)", text, re.S).group(1).split()
    return {name: place for place, name in enumerate(names)}


def check_base_order(source, number, header, order):
    name = pathlib.PurePath(source).stem
    other = pathlib.PurePath(header).stem
    for each in (name, other):
        if each not in order:
            yield f"{source}:{number}: {each} is not listed in base/CMakeLists.txt"
            return
    if order[other] > order[name]:
        yield f"{source}:{number}: {name} includes {other}, which stands below it in base/CMakeLists.txt"


def check_include(source, number, header, order):
    folder = source.split("/")[0]
    target = header.split("/")[0]
    if target in FOLDERS and target not in FOLDERS[folder] and header not in EXTRA_HEADERS.get(folder, set()):
        yield f"{source}:{number}: {folder}/ may not include {target}/ ({header})"
    if folder == "base" and target == "base":
        yield from check_base_order(source, number, header, order)
    for lower, higher in LAYERS.get(folder, []):
        if any(source.startswith(prefix) for prefix in lower) and any(header.startswith(prefix) for prefix in higher):
            yield f"{source}:{number}: a lower layer includes a higher one ({header})"
    for library, files in LIBRARY_FILES.items():
        if header.startswith(library) and not any(source.startswith(prefix) for prefix in files):
            yield f"{source}:{number}: {library} is met only in {', '.join(files)}"


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


def problems():
    order = base_order()
    for entry in {path.split("/")[0] for path in tracked()}:
        if entry not in TOP_LEVEL and entry not in TOP_FILES:
            yield f"{entry}: not one of the top-level folders and files"
    for source in tracked("*.c", "*.h"):
        yield from check_file(source, order)
    for name in order:
        module = next((module for prefix, module in PARTS.items() if name.startswith(prefix)), name)
        if (ROOT / f"base/{name}.c").exists() and not (ROOT / f"tests/unit/base/test_{module}.c").exists():
            yield f"base/{name}.c: has no unit test tests/unit/base/test_{module}.c"


def print_sizes():
    for folder in ("base", "gateway", "broker", "tools"):
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
