#!/usr/bin/python3
"""What the fields of the operator's spec say that they change, held to what is rendered: every key of a manifest, every key of a program's
configuration, every directive of redis.conf and sentinel.conf and every kind that the column "changes" of `explain` names is in what some
example of k8s/specs, or a variant of it below, renders to.

    tests/unit/operator/check_changes.py BUILD/operator/callboard-operator
"""
import json
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
SPECS = ROOT / "k8s/specs"
VARIANTS = [  # what no example asks for
    ["dev.yaml", "monitoring.dashboards=true", "image.pullSecrets=a", "scheduling.runtimeClass=a", "gateway.allowedOrigins=https://a.b", "gateway.resources.limits.cpu=2"],
    ["ha-sentinel.yaml", "redis.minReplicasToWrite=1", "redis.persistence.class=fast", "scheduling.spread.zone=required"],
    ["redis-cluster.yaml", "redis.engine=valkey", "redis.version=9.1"],
    ["memorystore-gce.yaml", "redis.external.auth.secretRef.name=a", "redis.external.auth.user=a"],
]
NOT_NAMES = {"explain --effective", "e.g"}


def run(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def add_paths(node, path, found):
    """Every end of every path of keys, lists passed through: spec.replicas is one of a.spec.replicas."""
    if isinstance(node, dict):
        for key, value in node.items():
            below = [*path, str(key)]
            if key == "name" and isinstance(value, str):
                found.add(value)
            found.update(".".join(below[i:]) for i in range(len(below)))
            add_paths(value, below, found)
    elif isinstance(node, list):
        for value in node:
            add_paths(value, path, found)


class Rendered:
    def __init__(self, program):
        self.paths, self.kinds, self.directives, self.labels = set(), set(), set(), set()
        for spec in sorted(path.name for path in SPECS.glob("*.yaml")):
            self.add(program, spec)
        for spec, *settings in VARIANTS:
            self.add(program, spec, *(word for setting in settings for word in ("--set", setting)))

    def add(self, program, spec, *options):
        for item in json.loads(run(program, "render", "-q", "-o", "json", *options, str(SPECS / spec)))["items"]:
            self.kinds.add(item["kind"])
            add_paths(item, [], self.paths)
            for name, text in item.get("data", {}).items() if item["kind"] == "ConfigMap" else ():
                if name.endswith(".yaml"):
                    add_paths(yaml.safe_load(text), [], self.paths)
                elif name.endswith(".conf"):
                    for line in text.splitlines():
                        words = line.split(" ")
                        self.directives.update((words[0], " ".join(words[:2])))

    def has(self, name):
        singular = name[:-1] if name.endswith("s") else name
        return (name in self.paths or name in self.directives or name in self.kinds or singular in self.kinds or f"{singular[:-2]}y" in self.kinds
                or any(directive.startswith(name) for directive in self.directives if name.endswith("-")))


def names_in(text):
    """Dotted paths, camelCase keys and Kinds, directives with dashes; prose has none of these."""
    words = re.findall(r"sentinel [a-z-]+(?= |,|$)|(?<![\w/.-])[A-Za-z][\w-]*(?:[./][\w-]+)*", text)
    for word in words:
        if word.endswith(".conf") or word.endswith(".acl") or word in NOT_NAMES:
            continue
        if re.match(r"sentinel [a-z-]*(-|monitor)", word):
            yield word
        elif "/" in word:
            yield word
        elif "." in word or re.search(r"[a-z][A-Z]", word) or "_" in word:
            yield word
        elif "-" in word:
            yield word


def changes_of(program):
    fields = [line.split()[0] for line in run(program, "explain").splitlines() if line and not line.startswith((" ", "CB"))]
    current = None
    for line in run(program, "explain", *fields).splitlines():
        if line and not line.startswith(" "):
            current = line.strip()
        elif line.startswith("  changes "):
            yield current, line[len("  changes "):].strip()


def main():
    program = sys.argv[1]
    rendered = Rendered(program)
    fields = {line.split()[0] for line in run(program, "explain").splitlines() if line}
    wrong = n_names = 0
    for field, text in changes_of(program):
        for name in names_in(text):
            n_names += 1
            if not rendered.has(name) and name not in fields:
                wrong += 1
                print(f"{field} says that it changes {name}, and nothing that is rendered has it: {text}")
    if n_names < 60:
        wrong += 1
        print(f"only {n_names} names were found: the reading of `explain` is broken")
    print(f"{n_names} names, {wrong} of them nowhere")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
