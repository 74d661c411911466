#!/usr/bin/env python3
"""The chart helm/callboard: for every good spec `helm template` with the values that callboard-operator prints of it renders what
`callboard-operator render` does, compared as canonical JSON.

    tests/helm/test_chart.py BUILD [NAME…]

What may differ: the labels helm.sh/chart and app.kubernetes.io/managed-by, the order and the quotes of a configuration in a ConfigMap (compared as
what it says), and the value of the checksum that rolls pods (both must change, or not, with the same changes). Helm is built once by
tests/helm/bring_helm; where that cannot be, this says why and ends with 77 (skipped)."""
import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/callboard"
BUILD = pathlib.Path(os.environ.get("CALLBOARD_BUILD", ROOT / "build-test"))
NAMESPACE = "somewhere"
DONE, UNSAFE = 0, 4  # exit codes of the operator
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
    elif isinstance(one, str) and isinstance(other, str) and "\n" in one:
        lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "render", "chart", n=0, lineterm="")
        yield from (f"{path}: {line}" for line in list(lines)[2:])
    elif type(one) is not type(other) or one != other:
        yield f"{path}: render has {one!r}, the chart {other!r}"


# ---- which specs ----

def without_overrides(spec, folder):
    """The chart has no counterpart of them, and of such a spec compares the rest."""
    document = yaml.safe_load(spec.read_text())
    if "overrides" not in document["spec"]:
        return spec
    del document["spec"]["overrides"]
    copy = pathlib.Path(folder) / spec.name
    copy.write_text(yaml.safe_dump(document))
    return copy


def good_specs(folder):
    """The examples, what `init` prints, and those of the fuzzer's corpus that are good."""
    corpus = sorted((ROOT / "tests/fuzz/corpus/operator_spec").glob("*.yaml"))
    candidates = sorted((ROOT / "k8s/specs").glob("*.yaml")) + corpus + sorted((ROOT / "tests/helm/specs").glob("*.yaml"))
    for spec in candidates:
        if operator("values", spec).returncode in (DONE, UNSAFE) and operator("render", spec, "-n", NAMESPACE).returncode == DONE:
            yield without_overrides(spec, folder)


class Parity(unittest.TestCase):
    maxDiff = None

    def compare(self, spec, *options):
        expected = rendered(spec, *options)
        found = charted(values_of(spec, *options), namespace_of(spec))
        return "\n".join(differences(expected, found))

    def test_every_good_spec(self):
        with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
            specs = list(good_specs(folder))
            self.assertGreater(len(specs), 25)
            for spec, difference in zip(specs, pool.map(self.compare, specs)):
                with self.subTest(spec.name):
                    self.assertTrue(difference == "", "\n" + difference)


class Changes(unittest.TestCase):
    """What a person changes with --set, on the command line of either: what follows from it follows in both."""
    settings = (
        ("dev", ["gateway.connectionsMax=1000000"]),
        ("dev", ["gateway.drain.closeRate=7", "gateway.drain.propagation=1500ms"]),
        ("dev", ["gateway.drain.window=3m", "edge.kind=loadBalancer"]),
        ("dev", ["gateway.drain.grace=1h", "disruption.budgets=true", "networkPolicy.enabled=true"]),
        ("dev", ["broker.ports.gateways=17700", "broker.ports.internal=19001", "podSecurity=openshift"]),
        ("dev", ["profile=small"]),
        ("dev", ["profile=small", "redis.resources.requests.memory=1.5Gi"]),
        ("dev", ["profile=small", "redis.resources.limits.memory=3G"]),
        ("dev", ["profile=small", "redis.persistence.size=0"]),
        ("dev", ["profile=small", "redis.maxmemory=600M"]),
        ("dev", ["profile=small", "redis.engine=valkey"]),
        ("dev", ["profile=ha", "redis.sentinel.replicas=7", "redis.replicas=6"]),
        ("dev", ["profile=cluster", "redis.cluster.shards=11", "redis.cluster.replicasPerShard=3"]),
        ("elasticache-alb", ["gateway.autoscaling.max=9", "gateway.connectionsMax=3", "edge.idleTimeout=30m"]),
        ("elasticache-alb", ["redis.external.durability=disabled", "redis.external.tls.enabled=false", "redis.external.clusterMode=false"]),
        ("ha-sentinel", ["tls.secretName=other", "auth.existingSecret=one", "broker.curve.secretName=two", "metadata.name=other"]),
        ("ha-sentinel", ["kubernetes.version=1.26", "kubernetes.clusterDomain=example.internal", "image.tag=other"]),
    )

    def difference(self, case):
        name, settings = case
        spec = ROOT / f"k8s/specs/{name}.yaml"
        options = [word for setting in settings for word in ("--set", setting)]
        expected = rendered(spec, *options)
        return "\n".join(differences(expected, charted(values_of(spec), namespace_of(spec), *options)))

    def test_what_follows_from_a_changed_value(self):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (name, settings), difference in zip(self.settings, pool.map(self.difference, self.settings)):
                with self.subTest(f"{name} {' '.join(settings)}"):
                    self.assertTrue(difference == "", "\n" + difference)

    def checksums(self, *options):
        spec = ROOT / "k8s/specs/dev.yaml"
        ways = (json.loads(operator("render", spec, "-o", "json", *options).stdout)["items"],
                [document for document in yaml.safe_load_all(helm_template(values_of(spec), NAMESPACE, *options).stdout) if document])
        return [{item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"]["callboard.dev/config"]
                 for item in items if item["kind"] in ("Deployment", "StatefulSet")} for items in ways]

    def test_what_rolls_pods(self):
        before = self.checksums()
        cases = (
            ("gateway.connectionsMax=2000", []),
            ("gateway.connectionsMax=20000", ["callboard-gateway"]),  # through the window of its drain
            ("gateway.replicas=2", []),
            ("gateway.drain.window=77s", ["callboard-gateway"]),
            ("broker.shardActors=2", ["callboard-broker"]),
            ("broker.ports.gateways=7799", ["callboard-broker", "callboard-gateway"]),
        )
        for setting, rolled in cases:
            after = self.checksums("--set", setting)
            for way, one, other in zip(("render", "chart"), before, after):
                self.assertEqual(sorted(name for name in one if one[name] != other[name]), rolled, f"{way}: {setting}")


class Values(unittest.TestCase):
    def refused(self, values, *options):
        result = helm_template(values, NAMESPACE, *options)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr

    def test_typos_and_bad_values_fail_with_the_schemas_message(self):
        cases = (
            ("gateway: {drian: {window: 5s}}", "additional propert.* 'drian' not allowed|Additional property drian is not allowed"),
            ("replicas: 3", "replicas"),
            ("gateway: {replicas: 0}", "replicas"),
            ("gateway: {replicas: many}", "replicas"),
            ("redis: {mode: sentinels}", "mode"),
            ("redis: {maxmemory: 3 gigabytes}", "maxmemory"),
            ("gateway: {drain: {window: 5 seconds}}", "window"),
            ("kubernetes: {version: 1.30}", "version"),
            ("profile: large", "profile"),
            ("metadata: {name: Shop}", "name"),
            ("metadata: {namespace: other}", "namespace"),
            ("overrides: []", "overrides"),
            ("networkPolicy: {from: [{cdir: 10.0.0.0/8}]}", "cdir"),
        )
        for values, message in cases:
            with self.subTest(values):
                told = self.refused(values)
                self.assertIn("values don't meet the specifications of the schema", told)
                self.assertRegex(told, message)

    def test_what_a_schema_cannot_say(self):
        self.assertIn("exclude each other", self.refused("gateway: {replicas: 3, autoscaling: {max: 4}}"))
        told = run(HELM, "template", "a" * 41, CHART, "--kube-version", "1.33").stderr
        self.assertIn("more than 40 characters", told)
        self.assertIn("is no duration", self.refused("gateway: {drain: {window: 5}}"))

    def test_a_chart_around_it(self):
        """Its globals reach this one's values, which no field of ours may mind."""
        with tempfile.TemporaryDirectory() as folder:
            around = pathlib.Path(folder) / "around"
            shutil.copytree(CHART, around / "charts/callboard")
            (around / "Chart.yaml").write_text("apiVersion: v2\nname: around\nversion: 1.0.0\n")
            (around / "values.yaml").write_text("global: {any: thing}\ncallboard: {profile: dev}\n")
            result = run(HELM, "template", "released", around, "--namespace", NAMESPACE, "--kube-version", "1.33", "--no-hooks")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(by_name(document for document in yaml.safe_load_all(result.stdout) if document), charted("profile: dev", NAMESPACE))

    def test_a_packaged_chart_has_all_it_needs(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(HELM, "package", CHART, "--destination", folder)
            self.assertEqual(result.returncode, 0, result.stderr)
            archive = next(pathlib.Path(folder).glob("*.tgz"))
            options = ["--set", "profile=ha", "--set", "monitoring.rules=true", "--set", "monitoring.dashboards=true"]
            result = run(HELM, "template", "released", archive, "--namespace", NAMESPACE, "--kube-version", "1.33", "--no-hooks", *options)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stderr, "")  # nor is there anything to warn of
            self.assertEqual(by_name(document for document in yaml.safe_load_all(result.stdout) if document), charted("", NAMESPACE, *options))
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual(chart["version"], chart["appVersion"])

    def test_values_are_a_spec_again(self):
        with tempfile.TemporaryDirectory() as folder:
            for spec in (without_overrides(spec, folder) for spec in sorted((ROOT / "k8s/specs").glob("*.yaml"))):
                values = yaml.safe_load(values_of(spec))
                metadata = values.pop("metadata")
                metadata["namespace"] = namespace_of(spec)
                again = pathlib.Path(folder) / f"again-{spec.name}"
                again.write_text(yaml.safe_dump({"apiVersion": "callboard.dev/v1alpha1", "kind": "Callboard", "metadata": metadata, "spec": values}))
                self.assertEqual(rendered(again), rendered(spec), spec.name)

    def test_what_has_no_values_is_refused(self):
        override = "overrides: [{target: {kind: Service, name: callboard-gateway}, patch: [{op: remove, path: /spec/type}]}]"
        spec = (ROOT / "k8s/specs/dev.yaml").read_text() + f"  {override}\n"
        result = run(OPERATOR, "values", "-", text=spec)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn("--post-renderer", result.stderr)

    def test_lint(self):
        for profile in ("dev", "small", "ha", "cluster", "elasticache"):
            options = ["--set", "redis.external.endpoint=redis.example.com:6379"] if profile == "elasticache" else []
            result = run(HELM, "lint", "--strict", CHART, "--set", f"profile={profile}", *options)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertNotIn("WARNING", result.stdout)


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
    os.environ.pop("CALLBOARD_GO_TOOLS", None)  # programs take it for one of their keys
    program = unittest.main(argv=[sys.argv[0], *words], exit=False)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
