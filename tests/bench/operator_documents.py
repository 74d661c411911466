#!/usr/bin/python3
"""How much CPU callboard-operator takes over documents that are large, deep or meant to hurt, and how much memory: the whole process, from
its start to its end, the best of five runs. Aims: at most 100 ms and 64 MiB for any of them. Each must end by itself with 0 or 3. (A
process counts what it was before its exec, too: memory below that of this script, some 14 MiB, does not show.)

    tests/bench/operator_documents.py [build-bench/operator/callboard-operator]
"""
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n"
LIMIT = 256 * 1024


def filled(head, item, tail="", limit=LIMIT - 64):
    """As many items as fit; %d in an item is its number."""
    text = head
    for number in range(limit):
        more = item % number if "%d" in item else item
        if len(text) + len(more) + len(tail) > limit:
            break
        text += more
    return text + tail


def documents():
    yield "an ordinary one", HEAD + "  profile: ha\n"
    yield "comments only, 256 KiB", filled(HEAD + "  profile: ha\n", "# %d a comment of some length\n")
    yield "unknown fields, 256 KiB", filled(HEAD, "  field%d: 1\n")
    yield "near misses of a field", filled(HEAD + "  gateway:\n", "    replicaz%d: 1\n")
    yield "one key of 250 KB", HEAD + "  " + "k" * 250000 + ": 1\n"
    yield "one value of 250 KB", HEAD + "  edge: {class: " + "v" * 250000 + "}\n"
    yield "20,000 labels", filled(HEAD.replace("{name: shop}", "\n  name: shop\n  labels:\n").replace("spec:\n", ""), "    l%d: a\n")
    yield "9,000 namespaces", filled(HEAD + "  broker:\n    namespaces:\n", "    - {name: n%d}\n", limit=9000 * 17)
    yield "200 namespaces, all wrong", HEAD + "  broker:\n    namespaces:\n" + "".join(f"    - {{name: n{i}, presense: 1}}\n" for i in range(200))
    yield "64 overrides with long patches", HEAD + "  overrides:\n" + "".join(
        "    - target: {kind: Service, name: a}\n      patch: [" + ", ".join("{op: add, path: /a, value: 1}" for _ in range(40)) + "]\n" for _ in range(64))
    yield "128 KB of [", "[" * (128 * 1024)
    yield "256 KB of {a:", "{a: " * (64 * 1024)
    yield "64 KB of - ", "- " * (32 * 1024)
    yield "brackets of a flow list in a config", HEAD + "  gateway: {config: " + "[" * 100000
    yield "an alias of itself", HEAD + "  gateway: &a\n    config: *a\n"
    yield "a billion laughs", "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20))
    yield "20,000 anchors", filled("a:\n", "- &a%d x\n")
    yield "%TAG lines", filled("", "%%TAG !%d! tag:example.com,2000:\n")
    yield "a quoted text that never ends", HEAD + '  edge: {class: "' + "x " * 120000
    yield "plain text over 60,000 lines", HEAD + "  edge:\n    class: a\n" + "      b\n" * 30000
    yield "a key that never ends", HEAD + "  " + "k " * 120000
    yield "question marks", "? " * 120000
    yield "documents", filled("", "---\na: %d\n")
    yield "deployments", filled("", "---\n" + HEAD.replace("shop", "n%d"))
    yield "as many deployments as are read", "".join("---\n" + HEAD.replace("shop", f"n{i}") for i in range(1300))
    yield "as many, each with a mistake", "".join("---\n" + HEAD.replace("shop", f"n{i}") + "  profile: x\n" for i in range(1100))
    yield "zero bytes", "\0" * 1000
    yield "no UTF-8 at the end", (HEAD + "# x\n" * 60000)[:LIMIT - 64] + "\udcff"
    yield "1 MiB", HEAD + "# more\n" * 150000


def run(program, path):
    """Milliseconds of CPU and KiB of one run."""
    pid = os.posix_spawn(program, [program, "check", path], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_WRONLY, 0) for fd in (1, 2)])
    _, status, usage = os.wait4(pid, 0)
    if not os.WIFEXITED(status) or os.WEXITSTATUS(status) not in (0, 3):
        sys.exit(f"{path} ended with {status:#x}")
    return 1000 * (usage.ru_utime + usage.ru_stime), usage.ru_maxrss


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build-bench/operator/callboard-operator")
    worst = [0.0, 0]
    with tempfile.TemporaryDirectory() as folder:
        for title, text in documents():
            path = pathlib.Path(folder) / "document.yaml"
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
            runs = [run(program, str(path)) for _ in range(5)]
            took, memory = min(each[0] for each in runs), max(each[1] for each in runs)
            worst = [max(worst[0], took), max(worst[1], memory)]
            print(f"{title:40s} {len(text) // 1024:5d} KiB {took:8.1f} ms {memory / 1024:7.1f} MiB", flush=True)
    print(f"{'the worst':40s} {'':9s} {worst[0]:8.1f} ms {worst[1] / 1024:7.1f} MiB")


if __name__ == "__main__":
    main()
