#!/usr/bin/env python3
"""callboard-operator apply before a real kube-apiserver (control_plane.py): what it makes is there, comes once more without a change, conflicts and refusals are the
server's own, pruning and making anew are done to this deployment alone, and a right that is missing is told. There are no controllers: what they would do
(status, orphaning) is done here by hand where it matters.

tests/cluster/check runs it; an argument is the name of a test, as ApplyTest.test_prune."""
import base64
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

from control_plane import ControlPlane, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["CALLBOARD_BUILD"])
OPERATOR = BUILD / "operator/callboard-operator"
SPECS = ROOT / "k8s/specs"
PLANE = None
PART_OF = "app.kubernetes.io/part-of=callboard"


def setUpModule():
    global PLANE
    folder = tempfile.TemporaryDirectory(prefix="callboard-apply-")
    unittest.addModuleCleanup(folder.cleanup)
    PLANE = ControlPlane(folder.name, os.environ["KUBE_APISERVER"])
    unittest.addModuleCleanup(PLANE.stop)
    PLANE.start()


class ApplyTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.namespace = "n" + self.id().rpartition("test_")[2].replace("_", "-")[:40]
        self.assertEqual(PLANE.kubectl("create", "namespace", self.namespace).returncode, 0)
        self.spec = self.write("shop.yaml", "shop")

    def write(self, file, name, text="profile: ha", namespace=None):
        path = PLANE.folder / f"{self.namespace}-{file}"
        path.write_text(f"apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {{name: {name}, namespace: {namespace or self.namespace}}}\nspec: {{{text}}}\n")
        return path

    def apply(self, *arguments, code=0, env=None):
        done = run(OPERATOR, "apply", *arguments, env={**PLANE.environment, **(env or {})})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def results(self, *arguments, code=0):
        done = self.apply("-o", "json", *arguments, code=code)
        (deployment,) = json.loads(done.stdout)["deployments"]
        return {f"{one['kind']}/{one['name']}": one["result"] for one in deployment["objects"]}

    def get(self, kind, name, namespace=None):
        return PLANE.get("-n", namespace or self.namespace, kind, name)

    def names(self, namespace=None):
        found = []
        for kind in ("configmap", "service", "deployment", "statefulset", "poddisruptionbudget", "networkpolicy"):
            found += [f"{kind}/{one['metadata']['name']}" for one in PLANE.get("-n", namespace or self.namespace, kind, "-l", PART_OF)["items"]]
        return sorted(found)

    # ---- making, and once more ----

    def test_examples(self):
        """Each example of k8s/: what a dry run says would be made is made, and comes once more without a new version."""
        for example in sorted(path.stem for path in SPECS.glob("*.yaml")):
            with self.subTest(example):
                namespace = f"{self.namespace}-{example}"
                self.assertEqual(PLANE.kubectl("create", "namespace", namespace).returncode, 0)
                here = (SPECS / f"{example}.yaml", "--set", f"metadata.namespace={namespace}")
                planned = self.results("--dry-run=server", *here)
                self.assertEqual(set(planned.values()) - {"skipped"}, {"created"})
                self.assertEqual([name for name, result in planned.items() if result == "skipped" and name.split("/")[0] in ("Deployment", "StatefulSet", "Ingress")], [])
                self.assertEqual(self.names(namespace), [])
                self.assertEqual(self.results(*here), planned)
                versions = {name: self.get(*name.split("/"), namespace)["metadata"]["resourceVersion"] for name, result in planned.items() if result == "created"}
                again = self.results(*here)
                self.assertEqual(set(again.values()) - {"skipped"}, {"unchanged"})
                for name, version in versions.items():
                    self.assertEqual(self.get(*name.split("/"), namespace)["metadata"]["resourceVersion"], version, name)

    def test_a_change(self):
        self.apply(self.spec)
        before = self.get("deployment", "shop-gateway")["metadata"]["generation"]
        changed = ("--set", "gateway.connectionsMax=30000", self.spec)
        planned = self.results("--dry-run=server", *changed)
        self.assertEqual({name for name, result in planned.items() if result == "configured"}, {"ConfigMap/shop-gateway", "Deployment/shop-gateway"})
        self.assertEqual(self.get("deployment", "shop-gateway")["metadata"]["generation"], before)
        done = self.apply("-v", *changed)
        self.assertIn("data[gateway.yaml] client.connections_max: 20000 → 30000", done.stdout)
        self.assertIn(f"rolls {self.namespace}/Deployment/shop-gateway", done.stderr)
        self.assertGreater(self.get("deployment", "shop-gateway")["metadata"]["generation"], before)

    def test_an_autoscaler_takes_over(self):
        """The pods that are there stay when the number of them is rendered no more: without it the server would make it one."""
        fixed = self.write("fixed.yaml", "shop", "profile: ha, gateway: {replicas: 7}")
        self.apply(fixed)
        scaled = self.write("scaled.yaml", "shop", "profile: ha, gateway: {autoscaling: {min: 3, max: 9}}")
        self.apply(scaled)
        self.assertEqual(self.get("deployment", "shop-gateway")["spec"]["replicas"], 7)
        self.assertEqual(PLANE.kubectl("-n", self.namespace, "scale", "deployment", "shop-gateway", "--replicas=8").returncode, 0)
        for _ in range(2):
            self.apply(scaled)
            self.assertEqual(self.get("deployment", "shop-gateway")["spec"]["replicas"], 8)

    def test_what_others_set_stays(self):
        self.apply(self.spec)
        self.assertEqual(PLANE.kubectl("-n", self.namespace, "annotate", "deployment", "shop-gateway", "example.com/mine=1").returncode, 0)
        self.assertEqual(set(self.results(self.spec).values()) - {"skipped"}, {"unchanged"})
        self.apply("--set", "gateway.connectionsMax=30000", self.spec)
        self.assertEqual(self.get("deployment", "shop-gateway")["metadata"]["annotations"]["example.com/mine"], "1")

    def test_interrupted(self):
        """An end at any place leaves what the same command takes up."""
        program = subprocess.Popen([OPERATOR, "apply", self.spec], env=PLANE.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        PLANE.until("the first object", lambda: self.names() != [] or program.poll() is not None, 60)
        program.kill()
        program.wait()
        self.assertLessEqual(set(self.results(self.spec).values()), {"created", "unchanged", "configured", "skipped"})
        self.assertEqual(set(self.results(self.spec).values()) - {"skipped"}, {"unchanged"})

    # ---- conflicts ----

    def test_a_conflict(self):
        self.apply(self.spec)
        patch = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop-gateway"}, "spec": {"type": "NodePort"}}
        done = run("kubectl", "apply", "-n", self.namespace, "--server-side", "--force-conflicts", "--field-manager=somebody", "-f", "-", text=json.dumps(patch), env=PLANE.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        refused = self.apply(self.spec, code=5)
        self.assertIn(f"{self.namespace}/Service/shop-gateway: .spec.type is owned by somebody; ", refused.stderr)
        self.assertEqual(self.get("service", "shop-gateway")["spec"]["type"], "NodePort")
        self.assertEqual(self.results("--force-conflicts", self.spec)["Service/shop-gateway"], "configured")
        self.assertEqual(self.get("service", "shop-gateway")["spec"]["type"], "ClusterIP")

    def test_an_object_of_another(self):
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-broker", "labels": {"app.kubernetes.io/managed-by": "Helm"}}, "data": {"a": "b"}}
        self.assertEqual(PLANE.kubectl("create", "-n", self.namespace, "-f", "-", text=json.dumps(made)).returncode, 0)
        refused = self.apply(self.spec, code=5)
        self.assertIn("ConfigMap/shop-broker is Helm's", refused.stderr)
        self.assertEqual(self.names(), [])

    # ---- risks ----

    def test_data_at_risk(self):
        spec = self.write("redis.yaml", "shop", "profile: ha, broker: {partitions: 256}")
        self.apply(spec)
        other = self.write("other.yaml", "shop", "profile: ha, broker: {partitions: 512}")
        refused = self.apply(other, code=4)
        self.assertIn("--accept=CB3001", refused.stderr)
        self.assertNotIn("512", json.dumps(self.get("configmap", "shop-broker")["data"]))
        self.apply(other, "--accept=CB3001")
        self.assertIn("512", self.get("configmap", "shop-broker")["data"]["broker.yaml"])
        external = self.write("external.yaml", "shop", "profile: ha, broker: {partitions: 512}, redis: {mode: external, external: {provider: other, url: 'rediss://r.example:6379'}}")
        self.assertIn("CB3002", self.apply(external, code=4).stderr)

    def test_a_field_that_cannot_be_changed(self):
        self.apply(self.spec)
        uid = self.get("statefulset", "shop-redis")["metadata"]["uid"]
        self.make_claims("8Gi")
        larger = ("--set", "redis.persistence.size=300Gi", self.spec)
        refused = self.apply(*larger, code=4)
        self.assertIn(f"re-create CB3008 {self.namespace}/StatefulSet/shop-redis: its claims cannot be changed", refused.stderr)
        self.assertEqual(self.get("statefulset", "shop-redis")["metadata"]["uid"], uid)

        def be_the_garbage_collector():  # which takes the finalizer away once the pods are orphaned
            end = time.monotonic() + 60
            while time.monotonic() < end:
                found = PLANE.kubectl("get", "-n", self.namespace, "statefulset", "shop-redis", "-o", "json")
                if found.returncode == 0 and "orphan" in json.loads(found.stdout)["metadata"].get("finalizers", []):
                    PLANE.kubectl("patch", "-n", self.namespace, "statefulset", "shop-redis", "--type=json", "-p", '[{"op": "remove", "path": "/metadata/finalizers"}]')
                    return
                time.sleep(0.1)

        collector = threading.Thread(target=be_the_garbage_collector)
        collector.start()
        results = self.results("--accept=CB3008", *larger)
        collector.join()
        self.assertEqual(results["StatefulSet/shop-redis"], "re-created")
        made = self.get("statefulset", "shop-redis")
        self.assertNotEqual(made["metadata"]["uid"], uid)
        self.assertEqual(made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"], "300Gi")
        self.assertEqual([self.get("persistentvolumeclaim", f"data-shop-redis-{i}")["spec"]["resources"]["requests"]["storage"] for i in (0, 1)], ["300Gi", "8Gi"])

    def make_claims(self, storage):
        """As the set's controller would: one of a class that lets volumes grow, and one of a class that does not."""
        for i, grows in enumerate((True, False)):
            storage_class = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": f"class-{i}"}, "provisioner": "tests.invalid", "allowVolumeExpansion": grows}
            claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": f"data-shop-redis-{i}"},
                     "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": f"class-{i}", "volumeName": f"v{i}", "resources": {"requests": {"storage": storage}}}}
            for body in (storage_class, claim):
                done = PLANE.kubectl("create", "-n", self.namespace, "-f", "-", text=json.dumps(body))
                self.assertEqual(done.returncode, 0, done.stderr)
            bound = json.dumps({"status": {"phase": "Bound", "capacity": {"storage": storage}, "accessModes": ["ReadWriteOnce"]}})
            self.assertEqual(PLANE.kubectl("patch", "-n", self.namespace, "pvc", f"data-shop-redis-{i}", "--subresource=status", "--type=merge", "-p", bound).returncode, 0)

    # ---- pruning ----

    def test_prune(self):
        """Of two deployments of one name in two namespaces, and two names in one, only the one that is meant."""
        elsewhere = self.namespace + "-2"
        self.assertEqual(PLANE.kubectl("create", "namespace", elsewhere).returncode, 0)
        twin = self.write("twin.yaml", "shop", namespace=elsewhere)
        neighbour = self.write("neighbour.yaml", "shop2")
        for spec in (self.spec, twin, neighbour):
            self.apply(spec)
        for kind in ("Secret", "PersistentVolumeClaim"):
            body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "kept", "labels": self.get("configmap", "shop-broker")["metadata"]["labels"]}}
            if kind == "PersistentVolumeClaim":
                body["spec"] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            self.assertEqual(PLANE.kubectl("create", "-n", self.namespace, "-f", "-", text=json.dumps(body)).returncode, 0)
        before, twins = self.names(), self.names(elsewhere)
        embedded = self.write("embedded.yaml", "shop", "profile: ha, networkPolicy: {enabled: false}")
        planned = self.results("--prune", "--dry-run=server", embedded)
        pruned = {name for name, result in planned.items() if result == "pruned"}
        self.assertEqual({name.split("/")[0] for name in pruned}, {"NetworkPolicy"})
        self.assertEqual(self.names(), before)
        self.apply(embedded)
        self.assertEqual(self.names(), before)
        self.assertEqual({name for name, result in self.results("--prune", embedded).items() if result == "pruned"}, pruned)
        self.assertEqual(self.names(), sorted(name for name in before if name not in {f"networkpolicy/{one.split('/')[1]}" for one in pruned}))
        self.assertEqual(self.names(elsewhere), twins)
        for kind in ("secret", "persistentvolumeclaim"):
            self.get(kind, "kept")

    # ---- rights ----

    def test_rights(self):
        """A token that may read but not write is told so before anything is sent; one that is enough may do all."""
        for name in ("reader", "writer"):
            self.assertEqual(PLANE.kubectl("create", "-n", self.namespace, "serviceaccount", name).returncode, 0)
        groups = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
        for name, rules in (("reader", groups), ("writer", groups + [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["create", "patch"]}])):
            role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules}
            self.assertEqual(PLANE.kubectl("create", "-n", self.namespace, "-f", "-", text=json.dumps(role)).returncode, 0)
            self.assertEqual(PLANE.kubectl("create", "-n", self.namespace, "rolebinding", name, f"--role={name}", f"--serviceaccount={self.namespace}:{name}").returncode, 0)
        refused = self.apply(self.spec, code=5, env={"KUBECONFIG": str(self.config_of("reader"))})
        self.assertIn("cannot patch resource", refused.stderr)
        self.assertIn("ask for a Role", refused.stderr)
        self.assertEqual(self.names(), [])
        self.apply(self.spec, env={"KUBECONFIG": str(self.config_of("writer"))})
        stranger = self.config_of("reader", token="nobody")
        self.assertIn("401: Unauthorized; the credentials are not taken", self.apply(self.spec, code=5, env={"KUBECONFIG": str(stranger)}).stderr)

    def config_of(self, name, token=None):
        made = PLANE.kubectl("create", "-n", self.namespace, "token", name)
        self.assertEqual(made.returncode, 0, made.stderr)
        config = json.loads((PLANE.folder / "kubeconfig").read_text())
        config["users"][0]["user"] = {"token": token or made.stdout.strip()}
        cluster = config["clusters"][0]["cluster"]
        cluster["certificate-authority-data"] = base64.b64encode(pathlib.Path(cluster.pop("certificate-authority")).read_bytes()).decode()
        path = PLANE.folder / f"{self.namespace}-{name}-{token}"
        path.write_text(json.dumps(config))
        return path

    def test_no_namespace(self):
        refused = self.apply(self.write("none.yaml", "shop", namespace="not-there"), code=5)
        self.assertEqual(refused.stderr.count("kubectl create namespace not-there"), 1)

    def test_the_namespace_of_the_context(self):
        path = PLANE.folder / "nameless.yaml"
        path.write_text("apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec: {profile: dev}\n")
        self.apply("-n", self.namespace, path)
        self.assertIn("deployment/shop-gateway", self.names())
        self.assertNotIn(".default.", json.dumps(self.get("configmap", "shop-gateway")["data"]))

    # ---- waiting ----

    def set_status(self, kind, name, **status):
        generation = self.get(kind, name)["metadata"]["generation"]
        done = PLANE.kubectl("patch", "-n", self.namespace, kind, name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {"observedGeneration": generation, **status}}))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_wait(self):
        spec = self.write("dev.yaml", "shop", "profile: dev")
        late = self.apply("--wait", "--timeout", "6s", spec, code=6)
        self.assertIn(f"{self.namespace}/Deployment/shop-gateway: its controller has not seen it yet", late.stderr)
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Deployment", "name": "shop-gateway", "namespace": self.namespace, "uid": self.get("deployment", "shop-gateway")["metadata"]["uid"]},
                 "type": "Warning", "reason": "FailedCreate", "message": "exceeded quota", "lastTimestamp": "2026-11-29T10:00:00Z"}
        self.assertEqual(PLANE.kubectl("create", "-n", self.namespace, "-f", "-", text=json.dumps(event)).returncode, 0)
        self.assertIn("its controller has not seen it yet; FailedCreate: exceeded quota", self.apply("--wait", "--timeout", "6s", spec, code=6).stderr)
        self.set_status("deployment", "shop-gateway", replicas=1, updatedReplicas=1, availableReplicas=1, readyReplicas=1)
        self.set_status("statefulset", "shop-broker", replicas=1, updatedReplicas=1, availableReplicas=1, readyReplicas=1, currentRevision="a", updateRevision="a")
        self.assertIn("1 of 1 pods are ready", self.apply("--wait", spec).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
