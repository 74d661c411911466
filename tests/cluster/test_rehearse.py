#!/usr/bin/env python3
"""callboard-operator rehearse restart-all and drain before a real kube-apiserver (control_plane.py), which judges patches, lists and evictions by budgets itself. What
controllers and kubelets do is done here (Controllers): pods of a set, replaced one by one when its template changes, ready at once, never on a cordoned node. The
workload is real, at an appliance beside it.

tests/cluster/check runs it; an argument is the name of a test, as RehearseTest.test_drain."""
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from control_plane import ControlPlane, free_port, run

BUILD = pathlib.Path(os.environ["CALLBOARD_BUILD"])
OPERATOR = BUILD / "operator/callboard-operator"
SECRET = "cluster-secret-of-at-least-thirty-two-bytes"
NODES = ("node-a", "node-b")
PLANE = None


class Api:
    def __init__(self):
        self.context = ssl.create_default_context(cafile=str(PLANE.folder / "ca.crt"))
        self.context.load_cert_chain(PLANE.folder / "admin.crt", PLANE.folder / "admin.key")

    def call(self, method, path, body=None, content="application/json"):
        connection = http.client.HTTPSConnection("127.0.0.1", PLANE.port, context=self.context, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": content})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def demand(self, *arguments):
        status, answer = self.call(*arguments)
        assert status < 300, f"{arguments[:2]}: {status} {answer.get('message')}"
        return answer

    def merge(self, path, patch):
        return self.demand("PATCH", path, patch, "application/merge-patch+json")


class Controllers(threading.Thread):
    """Each turn: the pods that a workload shall have are there and ready; of another template than the workload's at most one is replaced."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.api, self.namespace, self.ends, self.born = Api(), namespace, threading.Event(), []
        self.counted = self.told = 0
        self.is_stuck = False  # pods that go do not come back

    def run(self):
        while not self.ends.wait(0.2):
            try:
                self.turn()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                if not self.ends.is_set():
                    print(f"controllers: {error}", flush=True)

    def turn(self):
        self.counted = 0
        for kind in ("deployments", "statefulsets"):
            for workload in self.api.demand("GET", f"/apis/apps/v1/namespaces/{self.namespace}/{kind}")["items"]:
                self.follow(kind, workload)
        self.told = self.counted
        for budget in self.api.demand("GET", f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets")["items"]:
            self.allow(budget)

    def has_turned_with(self, born):
        """Each workload's status tells of so many."""
        return self.told >= born

    def pods(self, labels):
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return self.api.demand("GET", f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector.replace('=', '%3D').replace(',', '%2C')}")["items"]

    def follow(self, kind, workload):
        name, wanted = workload["metadata"]["name"], workload["spec"]["replicas"]
        template = workload["spec"]["template"]
        version = template["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/restartedAt", "first")
        pods = self.pods(workload["spec"]["selector"]["matchLabels"])
        for pod in pods:  # a kubelet ends what is to end
            if "deletionTimestamp" in pod["metadata"]:
                self.api.call("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")
        pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        old = [pod for pod in pods if pod["metadata"]["annotations"]["version"] != version]
        missing = sorted({f"{name}-{i}" for i in range(wanted)} - {pod["metadata"]["name"] for pod in pods})
        if missing and not self.is_stuck:
            self.bear(missing[0], template, version)
        elif old and not missing:
            self.api.demand("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{old[-1]['metadata']['name']}?gracePeriodSeconds=0")
        self.counted += len(pods)
        new = len(pods) - len(old)
        status = {"observedGeneration": workload["metadata"]["generation"], "replicas": len(pods), "readyReplicas": len(pods), "availableReplicas": len(pods), "updatedReplicas": new}
        if kind == "statefulsets":
            status |= {"updateRevision": f"r-{version}", "currentRevision": f"r-{version}" if new == wanted else "r-old", "currentReplicas": len(old)}
        self.api.merge(f"/apis/apps/v1/namespaces/{self.namespace}/{kind}/{name}/status", {"status": status})

    def bear(self, name, template, version):
        free = [node["metadata"]["name"] for node in self.api.demand("GET", "/api/v1/nodes")["items"] if not node["spec"].get("unschedulable")]
        if not free:
            return
        node = free[sum(map(ord, name)) % len(free)]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": template["metadata"]["labels"], "annotations": {"version": version}},
               "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "main"}]}}
        self.api.demand("POST", f"/api/v1/namespaces/{self.namespace}/pods", pod)
        self.born.append((name, node, version))
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        self.api.merge(f"/api/v1/namespaces/{self.namespace}/pods/{name}/status", ready)

    def allow(self, budget):
        pods = [pod for pod in self.pods(budget["spec"]["selector"]["matchLabels"]) if "deletionTimestamp" not in pod["metadata"]]
        allowed = max(0, 1 - (3 - len(pods)))
        status = {"observedGeneration": budget["metadata"]["generation"], "disruptionsAllowed": allowed, "currentHealthy": len(pods), "desiredHealthy": 2, "expectedPods": 3}
        self.api.merge(f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets/{budget['metadata']['name']}/status", {"status": status | {"disruptedPods": None}})


def setUpModule():
    global PLANE
    folder = tempfile.TemporaryDirectory(prefix="callboard-rehearse-")
    unittest.addModuleCleanup(folder.cleanup)
    PLANE = ControlPlane(folder.name, os.environ["KUBE_APISERVER"])
    unittest.addModuleCleanup(PLANE.stop)
    PLANE.start()
    for node in NODES:
        Api().demand("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})


class RehearseTest(unittest.TestCase):
    def setUp(self):
        self.namespace = "n" + self.id().rpartition("test_")[2].replace("_", "-")[:40]
        self.assertEqual(PLANE.kubectl("create", "namespace", self.namespace).returncode, 0)
        self.assertEqual(PLANE.kubectl("-n", self.namespace, "create", "serviceaccount", "default").returncode, 0)
        for kind, name, component in (("Deployment", "shop-gateway", "gateway"), ("StatefulSet", "shop-broker", "broker"), ("StatefulSet", "shop-redis", "redis")):
            self.make(kind, name, component)
        self.controllers = Controllers(self.namespace)
        self.controllers.start()
        self.addCleanup(self.controllers.ends.set)
        self.appliance()
        PLANE.until("all pods are there", lambda: len(self.controllers.born) >= 9 and self.controllers.has_turned_with(9), 200)

    def make(self, kind, name, component):
        labels = {"app.kubernetes.io/name": "callboard", "app.kubernetes.io/instance": "shop", "app.kubernetes.io/component": component}
        spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "main"}]}}}
        if kind == "StatefulSet":
            spec["serviceName"] = name
        budget = {"selector": {"matchLabels": labels}, "maxUnavailable": 1}
        for one in ({"apiVersion": "apps/v1", "kind": kind, "spec": spec}, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": budget}):
            done = PLANE.kubectl("-n", self.namespace, "create", "-f", "-", text=json.dumps(one | {"metadata": {"name": name, "labels": labels}}))
            self.assertEqual(done.returncode, 0, done.stderr)

    def appliance(self):
        port, internal, router, pull = (free_port() for _ in range(4))
        config = PLANE.folder / f"{self.namespace}.yaml"
        config.write_text(f"http: {{address: 127.0.0.1, port: {port}}}\ninternal: {{port: {internal}}}\n"
                          f"backend: {{endpoint: 'tcp://127.0.0.1:{router}', pull_endpoint: 'tcp://127.0.0.1:{pull}'}}\n"
                          f"token: {{secret: {SECRET}, audience: tests, issuer: tests}}\n"
                          "namespaces:\n  - {name: news, history_size: 10000, history_ttl: 10m}\n")
        program = PLANE.start_program(f"callboard-{self.namespace}", BUILD / "tools/callboard", "--config", config)
        PLANE.until("the appliance is ready", lambda: self.answers(internal), 60)
        self.addCleanup(PLANE.programs.remove, PLANE.programs[-1])
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        secret = PLANE.folder / "token-secret"
        secret.write_text(SECRET + "\n")
        self.options = ["-n", self.namespace, "--instance", "shop", "--gateway", f"ws://127.0.0.1:{port}/connection/websocket", "--backend", f"tcp://127.0.0.1:{router}",
                        "--channel", "news:rehearsal", "--token-secret-file", str(secret), "--token-audience", "tests", "--token-issuer", "tests", "--for", "1s", "-o", "json"]

    def answers(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def rehearse(self, act, *more, code=0):
        done = run(OPERATOR, "rehearse", act, *self.options, *more, env=PLANE.environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def versions(self):
        return {pod["metadata"]["name"]: pod["metadata"]["annotations"]["version"] for pod in PLANE.get("-n", self.namespace, "pods")["items"]}

    def test_restart_all(self):
        dry = self.rehearse("restart-all", "--dry-run")
        self.assertEqual(dry.stdout.splitlines(), [f"restart {name}, and wait until all is well" for name in ("Deployment/shop-gateway", "StatefulSet/shop-broker", "StatefulSet/shop-redis")])
        done = self.rehearse("restart-all")
        report = json.loads(done.stdout)
        self.assertEqual((report["rehearsal"], report["verdict"], report["lost"] + report["gone"]), ("restart-all", "PASS", 0))
        self.assertEqual(sorted(self.versions()), sorted(f"shop-{name}-{i}" for name in ("gateway", "broker", "redis") for i in range(3)))
        self.assertNotIn("first", self.versions().values())
        order = [name.rsplit("-", 1)[0] for name, _, version in self.controllers.born if version != "first"]
        self.assertEqual(order, ["shop-gateway"] * 3 + ["shop-broker"] * 3 + ["shop-redis"] * 3)

    def test_drain(self):
        done = self.rehearse("drain", "--node", "node-a")
        report = json.loads(done.stdout)
        self.assertEqual((report["rehearsal"], report["verdict"], report["lost"] + report["gone"]), ("drain", "PASS", 0))
        again = {name for name, _, _ in self.controllers.born[9:]}
        self.assertEqual(again, {name for name, node, _ in self.controllers.born[:9] if node == "node-a"}, "all of the node, and no other")
        self.assertEqual(len(self.versions()), 9)
        for word in ("node node-a is cordoned", "is evicted", "node node-a has no pod of it", "node node-a takes pods again"):
            self.assertIn(word, done.stderr)
        self.assertNotIn("unschedulable", PLANE.get("node", "node-a")["spec"])
        nobody = self.rehearse("drain", "--node", "node-c", code=5)
        self.assertIn("no pod of it is on that node", nobody.stderr)
        self.assertEqual(PLANE.kubectl("cordon", "node-b").returncode, 0)
        self.addCleanup(PLANE.kubectl, "uncordon", "node-b")
        self.assertIn("it is cordoned", self.rehearse("drain", code=4).stderr)

    def test_interrupted_drain(self):
        """The budget of a workload that does not come back lets no second pod go; Ctrl-C, and the node takes pods again."""
        self.controllers.is_stuck = True
        program = subprocess.Popen([str(OPERATOR), "rehearse", "drain", *self.options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLANE.environment)
        self.addCleanup(program.kill)
        lines = []
        for line in program.stderr:
            lines.append(line)
            if "its disruption budget lets none go now" in line:
                break
        program.send_signal(signal.SIGINT)
        out, rest = program.communicate(timeout=120)
        self.assertEqual(program.returncode, 6, "".join(lines) + rest)
        self.assertIn("takes pods again", rest)
        self.assertEqual(json.loads(out)["verdict"], "FAIL")
        for node in NODES:
            self.assertNotIn("unschedulable", PLANE.get("node", node)["spec"])

    def test_not_well(self):
        self.controllers.is_stuck = True
        self.assertEqual(PLANE.kubectl("-n", self.namespace, "delete", "pod", "shop-broker-1", "--force", "--grace-period=0").returncode, 0)
        PLANE.until("the set says so", lambda: PLANE.get("-n", self.namespace, "statefulset", "shop-broker")["status"].get("readyReplicas") == 2, 30)
        self.assertIn("refused[CB3201]", self.rehearse("restart-all", code=4).stderr)
        self.assertNotIn("restartedAt", json.dumps(PLANE.get("-n", self.namespace, "deployment", "shop-gateway")["spec"]))
        self.assertIn("no Deployment", self.rehearse("restart-all", "--instance", "nobody", code=5).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
