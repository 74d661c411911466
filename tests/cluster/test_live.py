#!/usr/bin/env python3
"""`diff --live` and `check --drift` before a real kube-apiserver: nothing differs behind an installation, however it was done; what a person changed by hand
is told with the name and time that the server keeps; what apply would do is marked as `diff OLD NEW` marks it. And operator/diff/diff_defaults.c, the table of
what a server fills in, held to the server.

tests/cluster/check runs it; an argument is the name of a test, as LiveTest.test_by_hand."""
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
DIFFERS, UNSAFE, OUTSIDE = 1, 4, 5
PLANE = None


def setUpModule():
    global PLANE
    folder = tempfile.TemporaryDirectory(prefix="callboard-live-")
    unittest.addModuleCleanup(folder.cleanup)
    PLANE = ControlPlane(folder.name, os.environ["KUBE_APISERVER"])
    unittest.addModuleCleanup(PLANE.stop)
    PLANE.start()
    PLANE.install_kinds_of_others()


def taken(*arguments, text=None):
    done = PLANE.kubectl(*arguments, text=text)
    assert done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}\n{done.stderr}"
    return done.stdout


def operator(*arguments, kubeconfig=None):
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or PLANE.environment["KUBECONFIG"])}
    return run(OPERATOR, *arguments, env=environment)


def spec_of(example):
    return ROOT / f"k8s/specs/{example}.yaml"


class CaseOfNamespace(unittest.TestCase):
    maxDiff = None

    def namespace(self, name):
        taken("create", "namespace", name)
        self.addCleanup(PLANE.kubectl, "delete", "namespace", name, "--wait=false")
        return name

    def spec(self, example, namespace):
        """The example in another namespace, so that each test has its own."""
        spec = yaml.safe_load(spec_of(example).read_text())
        spec["metadata"]["namespace"] = namespace
        file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.addCleanup(file.close)
        file.write(json.dumps(spec))
        file.flush()
        return file.name

    def install(self, spec, *options):
        taken("apply", *(options or ("--server-side", "--field-manager=callboard-operator")), "-f", "-", text=demand(OPERATOR, "render", "-q", spec))

    def nothing_differs(self, spec, *options):
        done = operator("diff", "--live", *options, spec)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        done = operator("check", "--drift", *options, spec)
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1:]), (0, ["no drift: nobody else changed what was applied"]), done.stderr)


class ExamplesTest(CaseOfNamespace):
    """Behind each way of installing, for each example: all that the server keeps, assigns and fills in is no difference."""

    def look_at(self, example):
        namespace = self.namespace(f"live-{example}")
        spec = self.spec(example, namespace)
        for options in (("--server-side", "--field-manager=callboard-operator"), ("--server-side", "--field-manager=argocd-controller", "--force-conflicts"), ()):
            with self.subTest(options):
                if options:
                    self.install(spec, *options)
                else:  # by the old way: then defaults are the manager's own fields, too
                    PLANE.kubectl("delete", "-f", "-", text=demand(OPERATOR, "render", "-q", spec))
                    taken("apply", "-f", "-", text=demand(OPERATOR, "render", "-q", spec))
                self.nothing_differs(spec)
        text = demand(OPERATOR, "render", "-q", spec)
        done = run(OPERATOR, "diff", "/dev/stdin", spec, text=taken("get", "-o", "yaml", "-f", "-", text=text))
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)  # without a cluster, and without managedFields

    def test_helm(self):
        namespace = self.namespace("live-helm")
        spec = self.spec("ha-sentinel", namespace)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
            values.write(demand(OPERATOR, "values", "-q", spec))
            values.flush()
            name = yaml.safe_load(pathlib.Path(spec).read_text())["metadata"]["name"]
            done = run(HELM, "install", name, ROOT / "helm/callboard", "-n", namespace, "-f", values.name, env=PLANE.environment)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = operator("diff", "--live", "-o", "json", spec)
        paths = {change["path"] for change in json.loads(done.stdout)["changes"]}
        self.assertEqual(paths, {"spec.template.metadata.annotations[callboard.dev/config]"})  # a template reckons another checksum
        self.assertEqual(operator("check", "--drift", spec).returncode, 0)


def add_example(name):
    setattr(ExamplesTest, "test_" + name.replace("-", "_"), lambda self: self.look_at(name))


for one in EXAMPLES:
    add_example(one)


class DefaultsTest(CaseOfNamespace):
    """What objects that say nothing come back with is what the table says; defaults.yaml leaves out all that it knows."""

    def test_table(self):
        taken("create", "namespace", "minimal")
        self.addCleanup(PLANE.kubectl, "delete", "namespace", "minimal", "--wait=false")
        file = ROOT / "tests/cluster/defaults.yaml"
        taken("apply", "--server-side", "-f", str(file))
        found = taken("get", "-f", str(file), "-o", "json")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as objects:
            objects.write(found)
            objects.flush()
            done = run(OPERATOR, "diff", objects.name, file)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)


class LiveTest(CaseOfNamespace):
    """One installation, and what happens to it."""

    def setUp(self):
        self.place = self.namespace(f"by-hand-{self._testMethodName.replace('_', '-')}")
        self.file = self.spec("ha-sentinel", self.place)
        self.install(self.file)

    def kubectl(self, *arguments):
        return taken("-n", self.place, *arguments)

    def drifts(self):
        done = operator("check", "--drift", "-o", "json", self.file)
        self.assertIn(done.returncode, (0, DIFFERS), done.stderr)
        drifts = json.loads(done.stdout)["drifts"]
        self.assertEqual(done.returncode, DIFFERS if drifts else 0)
        return drifts

    def changes(self, *options):
        done = operator("diff", "--live", "-o", "json", *options, self.file)
        self.assertIn(done.returncode, (0, DIFFERS, UNSAFE), done.stderr)
        return json.loads(done.stdout)

    def test_by_hand(self):
        """Another image by `kubectl set image`, an annotation, a scaled set: who and when; apply would put back what is rendered."""
        self.kubectl("set", "image", "statefulset/chat-broker", "broker=elsewhere/callboard:debug")
        self.kubectl("annotate", "service/chat-broker", "note=hello")
        self.kubectl("scale", "statefulset/chat-redis", "--replicas=5")
        drifts = {drift["path"]: drift for drift in self.drifts()}
        image = "spec.template.spec.containers[broker].image"
        self.assertEqual(set(drifts), {image, "metadata.annotations.note", "spec.replicas"})
        self.assertEqual((drifts[image]["manager"], drifts[image]["found"]), ("kubectl-set", "elsewhere/callboard:debug"))
        self.assertEqual((drifts["metadata.annotations.note"]["kind"], drifts["metadata.annotations.note"]["manager"]), ("added", "kubectl-annotate"))
        self.assertRegex(drifts[image]["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual((drifts["spec.replicas"]["manager"], drifts["spec.replicas"]["found"]), ("kubectl", "5"))
        changes = self.changes()
        self.assertEqual({change["path"]: change["effect"] for change in changes["changes"]}, {image: "rolls", "spec.replicas": "in place"})
        self.assertEqual([roll["object"] for roll in changes["rolls"]], [f"{self.place}/StatefulSet/chat-broker"])

    def test_configuration(self):
        """A key of broker.yaml by hand is told by its name; hot keys as hot."""
        map = json.loads(self.kubectl("get", "configmap", "chat-gateway", "-o", "json"))
        text = re.sub(r"connections_max: \d+", "connections_max: 77", map["data"]["gateway.yaml"])
        self.assertNotEqual(text, map["data"]["gateway.yaml"])
        self.kubectl("patch", "configmap", "chat-gateway", "--type=merge", "-p", json.dumps({"data": {"gateway.yaml": text}}))
        [drift] = self.drifts()
        self.assertEqual((drift["path"], drift["found"], drift["manager"]), ("data[gateway.yaml] client.connections_max", "77", "kubectl-patch"))
        [change] = self.changes()["changes"]
        self.assertEqual((change["path"], change["effect"], change["old"]), (drift["path"], "hot", "77"))

    def test_removed(self):
        """An object that is away, a variable that is away: drift without a name; and what is rendered no more is shown as removed."""
        self.kubectl("delete", "poddisruptionbudget/chat-broker")
        containers = json.loads(self.kubectl("get", "statefulset/chat-redis", "-o", "json"))["spec"]["template"]["spec"]["containers"]
        place = next(i for i, variable in enumerate(containers[0]["env"]) if variable["name"] == "CALLBOARD_AGENT_USER")
        self.kubectl("patch", "statefulset/chat-redis", "--type=json", "-p", json.dumps([{"op": "remove", "path": f"/spec/template/spec/containers/0/env/{place}"}]))
        drifts = self.drifts()
        self.assertEqual([(drift["kind"], drift.get("path"), drift.get("manager")) for drift in drifts],
                         [("removed", None, None), ("removed", "spec.template.spec.containers[redis].env[CALLBOARD_AGENT_USER]", None)])
        changes = {change["object"]: change["kind"] for change in self.changes("--set", "disruption.budgets=false")["changes"]}
        self.assertEqual({name: kind for name, kind in changes.items() if kind != "changed"},
                         {f"{self.place}/PodDisruptionBudget/chat-{part}": "removed" for part in ("gateway", "redis", "sentinel")})

    def test_others(self):
        """What a controller, an injector and an autoscaler add is neither: apply lets it be."""
        def by(manager, kind, name, object):
            taken("apply", "--server-side", f"--field-manager={manager}", "-n", self.place, "-f", "-",
                  text=json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, **object}))
        by("mesh-injector-controller", "StatefulSet", "chat-redis", {"spec": {"template": {"metadata": {"annotations": {"mesh/inject": "yes"}}}}})
        by("some-controller", "Deployment", "chat-gateway", {"metadata": {"name": "chat-gateway", "annotations": {"seen": "1"}}})
        self.nothing_differs(self.file)
        by("a-person", "Deployment", "chat-gateway", {"metadata": {"name": "chat-gateway", "labels": {"team": "x"}}})
        self.assertEqual([(drift["path"], drift["kind"]) for drift in self.drifts()], [("metadata.labels.team", "added")])
        self.assertEqual(self.changes()["changes"], [])

    def test_newer_spec(self):
        """A newer spec is a difference and no drift; its effects, risks and exit codes are those of `diff OLD NEW`."""
        for setting, risk in (("gateway.connectionsMax=1000", None), ("image.tag=9.9.9", None), ("broker.partitions=128", "CB3001"), ("redis.maxmemory=64Mi", "CB3005"),
                              ("redis.persistence.size=200Gi", "CB3008")):
            with self.subTest(setting):
                both = run(OPERATOR, "diff", "-q", self.file, self.file, "--set", setting, "-o", "json")
                live = operator("diff", "-q", "--live", self.file, "--set", setting, "-o", "json")
                self.assertEqual(json.loads(live.stdout), json.loads(both.stdout))
                self.assertEqual(live.returncode, both.returncode)
                codes = [one["code"] for one in json.loads(live.stdout)["risks"]]
                self.assertEqual(risk in codes, risk is not None)
                if risk:
                    self.assertEqual(live.returncode, UNSAFE)
                    self.assertEqual(operator("diff", "--live", self.file, "--set", setting, f"--accept={','.join(codes)}").returncode, DIFFERS)
                done = operator("check", "--drift", self.file, "--set", setting)
                self.assertEqual(done.returncode, 0, done.stdout)

    def test_two_namespaces(self):
        """The same name elsewhere is another deployment."""
        other = self.namespace(f"{self.place}-2")
        self.install(self.spec("ha-sentinel", other))
        taken("-n", other, "delete", "service/chat-broker")
        self.nothing_differs(self.file)

    def test_rights(self):
        """Without rights nothing is guessed: exit code 5, and what was denied. With get and list alone it does."""
        account = self.account([])
        done = operator("diff", "--live", self.file, kubeconfig=account)
        self.assertEqual((done.returncode, done.stdout), (OUTSIDE, ""))
        self.assertIn("forbidden", done.stderr)
        account = self.account([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get"]}])
        done = operator("diff", "--live", self.file, kubeconfig=account)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("those that are rendered no more are not seen", done.stderr)

    def account(self, rules):
        """A kubeconfig of somebody who may do this here."""
        name = f"somebody-{len(rules)}"
        self.kubectl("create", "serviceaccount", name)
        taken("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": self.place}, "rules": rules},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": self.place},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}, "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.place}]}]}))
        token = self.kubectl("create", "token", name).strip()
        config = json.loads(pathlib.Path(PLANE.environment["KUBECONFIG"]).read_text())
        config["users"][0]["user"] = {"token": token}
        file = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(file.close)
        file.write(json.dumps(config))
        file.flush()
        return file.name


if __name__ == "__main__":
    unittest.main(verbosity=2)
