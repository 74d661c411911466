#!/usr/bin/env python3
"""The chart helm/callboard: for every good spec `helm template` with the values that callboard-operator prints of it renders what
`callboard-operator render` does, compared as canonical JSON.

    tests/helm/test_chart.py BUILD [NAME…]

What may differ: the labels helm.sh/chart and app.kubernetes.io/managed-by, the order and the quotes of a configuration in a ConfigMap (compared as
what it says), and the value of the checksum that rolls pods (both must change, or not, with the same changes). Helm is built once by
tests/helm/bring_helm; where that cannot be, this says why and ends with 77 (skipped)."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/callboard"
BUILD = pathlib.Path(os.environ.get("CALLBOARD_BUILD", ROOT / "build-test"))
NAMESPACE = "somewhere"
OPERATOR = None
HELM = None


def run(*command, text=None):
    return subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True, timeout=120)


def operator(command, spec, *options):
    return run(OPERATOR, command, *options, spec)


# ---- what is compared ----

def canonical(manifest):
    """One object without what may differ."""
    metadata = manifest["metadata"]
    labels = metadata.get("labels", {})
    labels.pop("helm.sh/chart", None)
    labels.pop("app.kubernetes.io/managed-by", None)
    for name, content in manifest.get("data", {}).items() if manifest["kind"] == "ConfigMap" else ():
        if name.endswith(".yaml"):
            manifest["data"][name] = yaml.safe_load(content)
    for template in (manifest.get("spec", {}).get("template"), manifest.get("spec", {}).get("jobTemplate", {}).get("spec", {}).get("template")):
        annotations = (template or {}).get("metadata", {}).get("annotations", {})
        if re.fullmatch("[0-9a-f]{16}", annotations.get("callboard.dev/config", "")):
            annotations["callboard.dev/config"] = "a checksum"
    return json.loads(json.dumps(manifest, sort_keys=True))


def by_name(manifests):
    found = {}
    for manifest in manifests:
        key = f"{manifest['kind']}/{manifest['metadata']['name']}"
        assert key not in found, f"{key} is rendered twice"
        found[key] = canonical(manifest)
    return found


def rendered(spec, *options):
    result = operator("render", spec, "-o", "json", "-n", NAMESPACE, *options)
    assert result.returncode == 0, result.stderr
    return by_name(json.loads(result.stdout)["items"])


def values_of(spec, *options):
    result = operator("values", spec, *options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def namespace_of(spec):
    return yaml.safe_load(pathlib.Path(spec).read_text())["metadata"].get("namespace", NAMESPACE)


def helm_template(values, namespace, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        return run(HELM, "template", "released", CHART, "--namespace", namespace, "--kube-version", "1.33", "--no-hooks", "--values", file.name, *options)


def charted(values, namespace, *options):
    result = helm_template(values, namespace, *options)
    assert result.returncode == 0, result.stderr
    return by_name(document for document in yaml.safe_load_all(result.stdout) if document is not None)


def differences(one, other, path=""):
    """The places where two trees differ, for a person."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other:
                yield f"{path}/{key}: only {'the chart' if key in other else 'render'} has it"
            else:
                yield from differences(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other)):
            yield from differences(*pair, f"{path}/{index}")
    elif type(one) is not type(other) or one != other:
        yield f"{path}: render has {one!r}, the chart {other!r}"


# ---- which specs ----

def good_specs():
    """The examples, what `init` prints, and those of the fuzzer's corpus that are good."""
    corpus = sorted((ROOT / "tests/fuzz/corpus/operator_spec").glob("*.yaml"))
    candidates = sorted((ROOT / "k8s/specs").glob("*.yaml")) + corpus + sorted((ROOT / "tests/helm/specs").glob("*.yaml"))
    for spec in candidates:
        if operator("values", spec).returncode == 0 and operator("render", spec, "-n", NAMESPACE).returncode == 0:
            yield spec


class Parity(unittest.TestCase):
    maxDiff = None

    def compare(self, spec, *options):
        expected = rendered(spec, *options)
        found = charted(values_of(spec, *options), namespace_of(spec))
        return "\n".join(differences(expected, found))

    def test_every_good_spec(self):
        specs = list(good_specs())
        self.assertGreater(len(specs), 15)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for spec, difference in zip(specs, pool.map(self.compare, specs)):
                with self.subTest(spec.name):
                    self.assertFalse(difference, difference)


def main():
    global OPERATOR, HELM
    words = sys.argv[1:]
    build = pathlib.Path(words.pop(0)) if words else BUILD
    OPERATOR = build / "operator/callboard-operator"
    helm = run(ROOT / "tests/helm/bring_helm", build)
    if helm.returncode != 0:
        print(helm.stderr, end="")
        return helm.returncode
    HELM = helm.stdout.strip()
    program = unittest.main(argv=[sys.argv[0], *words], exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
