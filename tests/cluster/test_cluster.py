#!/usr/bin/env python3
"""What callboard-operator renders and what Helm makes of the chart, before a real kube-apiserver (control_plane.py): taken without a warning into
namespaces that enforce Pod Security "restricted", read back without a difference, and the same when it comes once more.

tests/cluster/check runs it; an argument is the name of a test, as ExamplesTest.test_dev."""
import copy
import json
import os
import pathlib
import re
import tempfile
import unittest

import yaml

from control_plane import ControlPlane, demand, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "k8s/specs").glob("*.yaml"))
BUILD = pathlib.Path(os.environ["CALLBOARD_BUILD"])
OPERATOR = BUILD / "operator/callboard-operator"
HELM = os.environ["HELM"]
PLANE = None


def setUpModule():
    global PLANE
    folder = tempfile.TemporaryDirectory(prefix="callboard-cluster-")
    unittest.addModuleCleanup(folder.cleanup)
    PLANE = ControlPlane(folder.name, os.environ["KUBE_APISERVER"])
    unittest.addModuleCleanup(PLANE.stop)
    PLANE.start()
    PLANE.install_kinds_of_others()
    # What a pod of the examples names and the cluster has.
    for name, value in (("high", 1000),):
        taken("create", "priorityclass", name, f"--value={value}")


def taken(*arguments, text=None):
    """kubectl did it, and the server warned of nothing."""
    done = PLANE.kubectl(*arguments, text=text)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}\n{done.stderr}"
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    assert not warnings, warnings
    return done.stdout


def spec_of(example):
    return ROOT / f"k8s/specs/{example}.yaml"


def manifests(text):
    return [document for document in yaml.safe_load_all(text) if document]


def rendered(spec, *options):
    return json.loads(demand(OPERATOR, "render", "-q", "-o", "json", *options, spec))["items"]


def make_namespace(name):
    taken("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}}}))


def key_of(manifest):
    group = manifest["apiVersion"].rpartition("/")[0]
    return f"{manifest['kind']}{'.' + group if group else ''}/{manifest['metadata']['name']}"


# ---- what the server makes of an object ----

# What the server adds, and nobody has to write: its own book-keeping, a Service's addresses, and defaults that are the same for every object of a kind.
# A field that is none of these is a default that render has to write out: else a later server's other default would change what runs.
GIVEN = [re.compile(pattern.replace("POD", r"\.spec(\.jobTemplate\.spec)?\.template\.spec")) for pattern in (
    r"\.status(\..*)?", r"\.metadata\.(uid|resourceVersion|generation|creationTimestamp|managedFields)",
    r"\.spec\.(clusterIPs?|ipFamilies|ipFamilyPolicy|internalTrafficPolicy|sessionAffinity|type|allocateLoadBalancerNodePorts|externalTrafficPolicy|healthCheckNodePort)",
    r"\.spec\.ports\.\d+\.nodePort",
    r"\.spec\.progressDeadlineSeconds", r"\.spec\.replicas",  # an autoscaler's where none are rendered
    r"POD\.(dnsPolicy|restartPolicy|schedulerName|serviceAccount)", r"POD\.(initC|c)ontainers\.\d+\.(terminationMessagePath|terminationMessagePolicy|resources)",
    r"\.spec\.persistentVolumeClaimRetentionPolicy", r"\.spec\.volumeClaimTemplates\.\d+\.(apiVersion|kind|status|spec\.volumeMode)",
    r"\.spec\.(suspend|jobTemplate\.metadata)", r"\.spec\.podMetricsEndpoints\.\d+\.relabelings\.\d+\.action")]


def differences(wanted, found, path=""):
    """(lost, more): paths of what does not stand in `found` as wanted, and of what stands there beside."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        lost, more = [], [f"{path}.{key}" for key in found if key not in wanted]
        for key, value in wanted.items():
            if key not in found:
                lost.append(f"{path}.{key}")
                continue
            below = differences(value, found[key], f"{path}.{key}")
            lost += below[0]
            more += below[1]
        return lost, more
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        lost, more = [], []
        for place, (one, other) in enumerate(zip(wanted, found)):
            below = differences(one, other, f"{path}.{place}")
            lost += below[0]
            more += below[1]
        return lost, more
    return ([] if wanted == found else [f"{path}: {wanted!r} became {found!r}"]), []


def drift(wanted, found):
    lost, more = differences(wanted, found)
    return lost + [f"{path} is more" for path in more if not any(pattern.fullmatch(path) for pattern in GIVEN)]


def pods_of(manifest):
    """A pod as the workload's controller would make it."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        template = spec["jobTemplate"]["spec"]["template"]
    elif manifest["kind"] in ("Deployment", "StatefulSet"):
        template = spec["template"]
    else:
        return None
    template = copy.deepcopy(template)
    for claim in spec.get("volumeClaimTemplates", []):
        name = claim["metadata"]["name"]
        template["spec"].setdefault("volumes", []).append({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{manifest['metadata']['name']}-0"}})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": f"{manifest['metadata']['name']}-0"}, "spec": template["spec"]}


class ExamplesTest(unittest.TestCase):
    """Each folder of k8s/ as kubectl applies it."""
    maxDiff = None

    def look_at(self, example):
        objects = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "k8s" / example).glob("*.yaml")) if path.name != "kustomization.yaml"]
        namespace = objects[0]["metadata"].get("namespace", "tried")
        make_namespace(namespace)
        place = ("-n", namespace, "-k", str(ROOT / "k8s" / example))
        try:
            taken("apply", "-n", namespace, "-f", "-", text=demand(OPERATOR, "secret", "-q", spec_of(example)))
            taken("apply", "--server-side", "--dry-run=server", *place)
            taken("apply", "--server-side", *place)
            generations = {}
            for manifest in objects:
                kind, _, name = key_of(manifest).partition("/")
                found = PLANE.get("-n", namespace, kind, name)
                wanted = {**manifest, "metadata": {"namespace": namespace, **manifest["metadata"]}}
                self.assertEqual(drift(wanted, found), [], key_of(manifest))
                generations[kind, name] = found["metadata"]["resourceVersion"]
            taken("apply", "--server-side", *place)
            for (kind, name), version in generations.items():
                self.assertEqual(PLANE.get("-n", namespace, kind, name)["metadata"]["resourceVersion"], version, f"{kind}/{name} changed when it came once more")
            for pod in filter(None, map(pods_of, objects)):
                pod["metadata"]["namespace"] = namespace
                self.admitted(pod)
        finally:
            PLANE.kubectl("delete", "--wait=false", *place)

    def admitted(self, pod):
        taken("create", "--dry-run=server", "-f", "-", text=json.dumps(pod))
        for container in pod["spec"]["containers"]:
            container["securityContext"]["allowPrivilegeEscalation"] = True
        refused = PLANE.kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(pod))
        self.assertIn("violates PodSecurity", refused.stderr)


def add_example(name):
    setattr(ExamplesTest, "test_" + name.replace("-", "_"), lambda self: self.look_at(name))


for one in EXAMPLES:
    add_example(one)


class VariantsTest(unittest.TestCase):
    """The variants of tests/k8s/variants.txt, by a dry run."""

    def test_variants(self):
        make_namespace("variants")
        for line in (ROOT / "tests/k8s/variants.txt").read_text().splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            with self.subTest(line):
                sets = [word for setting in words[1:] for word in ("--set", setting)]
                objects = rendered(spec_of(words[0]), *sets)
                for one in objects:
                    one["metadata"]["namespace"] = "variants"
                taken("apply", "--server-side", "--dry-run=server", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


class RefusalsTest(unittest.TestCase):
    """The server does refuse: what the others rely on."""

    def test_an_unknown_field_is_refused(self):
        make_namespace("refusals")
        service = next(one for one in rendered(spec_of("dev")) if one["kind"] == "Service")
        service["spec"]["portz"] = []
        done = PLANE.kubectl("apply", "-n", "refusals", "--server-side", "--dry-run=server", "-f", "-", text=json.dumps(service))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("portz", done.stderr)

    def test_a_drift_is_told(self):
        self.assertEqual(drift({"spec": {"a": 1, "b": [{"c": "x"}]}}, {"spec": {"a": 2, "b": [{"c": "x", "d": 1}]}, "status": {}}), [".spec.a: 1 became 2", ".spec.b.0.d is more"])


class ChartTest(unittest.TestCase):
    """`helm install` of helm/callboard with the values of each example, and of a profile alone."""
    maxDiff = None

    def helm(self, *arguments):
        done = run(HELM, *arguments, env=PLANE.environment)
        self.assertEqual(done.returncode, 0, f"helm {' '.join(map(str, arguments))}\n{done.stderr}")
        self.assertNotIn("warning", done.stderr.lower())
        return done.stdout

    def install(self, release, namespace, *values):
        make_namespace(namespace)
        chart = ROOT / "helm/callboard"
        values = (*values, "--set", "test.channel=rooms:selftest")  # else there is a test only where clients may publish
        self.helm("install", release, chart, "-n", namespace, "--dry-run=server", *values)
        self.helm("install", release, chart, "-n", namespace, *values)
        self.addCleanup(self.helm, "uninstall", release, "-n", namespace)
        made = manifests(self.helm("get", "manifest", release, "-n", namespace))
        self.assertGreater(len(made), 5)
        for manifest in made:
            kind, _, name = key_of(manifest).partition("/")
            found = PLANE.get("-n", namespace, kind, name)
            for annotation in ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace"):
                found["metadata"].get("annotations", {}).pop(annotation, None)
            if not found["metadata"].get("annotations", True) and "annotations" not in manifest["metadata"]:
                del found["metadata"]["annotations"]
            self.assertEqual(drift(manifest, found), [], key_of(manifest))
        self.upgrades_to_itself(release, namespace, made, values)
        self.hooks_are_admitted(release, namespace)
        return made

    def versions(self, namespace, made):
        return {key_of(one): PLANE.get("-n", namespace, *key_of(one).split("/", 1))["metadata"]["resourceVersion"] for one in made}

    def upgrades_to_itself(self, release, namespace, made, values):
        """An upgrade that asks for nothing new touches nothing, so it rolls no pod."""
        before = self.versions(namespace, made)
        self.helm("upgrade", release, ROOT / "helm/callboard", "-n", namespace, *values)
        self.assertEqual(self.versions(namespace, made), before)

    def hooks_are_admitted(self, release, namespace):
        """What `helm test` would start, with the account that a controller makes in every namespace."""
        taken("apply", "-n", namespace, "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}))
        hooks = manifests(self.helm("get", "hooks", release, "-n", namespace))
        self.assertIn("Pod", [hook["kind"] for hook in hooks])
        for hook in hooks:
            hook["metadata"].setdefault("namespace", namespace)
            taken("create", "--dry-run=server", "-f", "-", text=json.dumps(hook))

    def look_at(self, example):
        spec = yaml.safe_load(spec_of(example).read_text())
        spec["spec"].pop("overrides", None)  # which a chart has not: `values` refuses them
        text = json.dumps(spec)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
            values.write(demand(OPERATOR, "values", "-q", "-", text=text))
            values.flush()
            made = self.install(spec["metadata"]["name"], f"helm-{example}", "-f", values.name)
        wanted = json.loads(demand(OPERATOR, "render", "-q", "-o", "json", "-", text=text))["items"]
        self.assertEqual(sorted(map(key_of, made)), sorted(map(key_of, wanted)))

    def test_a_profile_alone(self):
        self.install("alone", "helm-alone", "--set", "profile=ha")


def add_chart(name):
    setattr(ChartTest, "test_" + name.replace("-", "_"), lambda self: self.look_at(name))


for one in EXAMPLES:
    add_chart(one)


if __name__ == "__main__":
    unittest.main(verbosity=2)
