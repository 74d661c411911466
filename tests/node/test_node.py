#!/usr/bin/env python3
"""What the chart and `render` install, run by real kubelets (node_cluster.py): pods get ready, `helm test` passes, and while pods are deleted, rolled, drained
and upgraded under load no acknowledged publication is lost and every subscriber recovers.

tests/node/check runs it; an argument is the name of a test, as HaTest.test_2_rolls."""
import json
import os
import pathlib
import tempfile
import time
import unittest

from deployment import Deployment
from node_cluster import NodeCluster

BUILD = pathlib.Path(os.environ["CALLBOARD_BUILD"])
OPERATOR = BUILD / "operator/callboard-operator"
CLUSTER = None


def setUpModule():
    global CLUSTER
    folder = tempfile.TemporaryDirectory(prefix="cbn-")
    unittest.addModuleCleanup(folder.cleanup)
    CLUSTER = NodeCluster(folder.name, os.environ["KUBE_APISERVER"], os.environ["NODE_PROGRAMS"], BUILD)
    unittest.addModuleCleanup(CLUSTER.stop)
    CLUSTER.start()


class InstalledTest(unittest.TestCase):
    """One deployment for all tests of a class, which run in the order of their names; gone again behind them."""
    spec = None
    chart = False

    @classmethod
    def setUpClass(cls):
        if cls.spec is None:
            raise unittest.SkipTest("what others are made of")
        cls.deployment = Deployment(CLUSTER, cls.spec, OPERATOR, os.environ["HELM"])
        cls.addClassCleanup(cls.deployment.remove)
        cls.deployment.prepare()
        if cls.chart:
            cls.deployment.install_chart()
        else:
            cls.deployment.render()
        cls.deployment.await_ready()

    def under_load(self, what, *actions):
        """Nothing that was acknowledged is lost, nobody sees anything twice or out of order, everybody recovers; and no container ended by itself."""
        started = time.monotonic()
        with self.deployment.load() as result:
            for action in actions:
                action()
        print(f"{self.deployment.name}: {what}: {time.monotonic() - started:.0f} s, {json.dumps(result)}", flush=True)
        for figure in ["lost", "disordered", "doubled", "notRecovered"]:
            self.assertEqual(result[figure], 0, f"{what}: {figure}: {result}")
        self.assertGreater(result["acknowledged"], 0, f"{what}: {result}")
        self.assertEqual(self.deployment.restarts(), {}, what)
        return result

    def roll(self, component):
        kind = "deployment" if component == "gateway" else "statefulset"
        return lambda: self.deployment.restart(f"{kind}/{self.deployment.name}-{component}")


class DevTest(InstalledTest):
    spec = "dev"
    chart = True

    def test_1_its_own_test_passes(self):
        self.deployment.helm("test", self.deployment.name, "--timeout", "180s")
        self.under_load("nothing happens", lambda: time.sleep(3))

    def test_2_a_broker_at_another_address_is_found(self):
        """The memory engine forgets; gateways and their clients stay."""
        self.deployment.delete("broker")
        self.under_load("afterwards", lambda: time.sleep(3))


class StandaloneTest(InstalledTest):
    spec = "standalone"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.deployment.kubectl("apply", "-f", "-", text=json.dumps({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "copies"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}))

    def test_1_what_is_acknowledged_outlives_redis(self):
        self.under_load("Redis is deleted", lambda: self.deployment.delete("redis"))
        self.under_load("Redis is killed", lambda: self.deployment.delete("redis", grace=0))

    def test_2_rolls(self):
        for component in ["gateway", "broker", "redis"]:
            self.under_load(f"{component} rolls", self.roll(component))

    def test_3_a_copy_is_made(self):
        self.deployment.kubectl("create", "job", "copy", f"--from=cronjob/{self.deployment.name}-backup")
        self.deployment.kubectl("wait", "--for=condition=Complete", "job/copy", "--timeout=180s")
        self.assertEqual(self.deployment.restarts(), {})


class HaTest(InstalledTest):
    spec = "ha"
    chart = True

    def test_1_its_own_test_passes(self):
        self.deployment.helm("test", self.deployment.name, "--timeout", "180s")
        self.assertEqual(len(self.deployment.primaries()), 1)

    def test_1_network_policies_let_in_who_is_named(self):
        self.deployment.stranger()
        pods = self.deployment.get("pods", "-l", "app.kubernetes.io/name=callboard")["items"]
        ways = {(pod["metadata"]["name"], port["containerPort"]): pod["status"]["podIP"] for pod in pods for container in pod["spec"]["containers"]
                for port in container.get("ports", [])}
        self.assertGreater(len(ways), 10)
        for (name, port), address in sorted(ways.items()):
            component = name.split("-")[1]
            # Anybody may be a client. The internal ports are for scrapers in any namespace, and have a token.
            wanted = (component, port) in {("gateway", 8000), ("gateway", 9000), ("broker", 9001)}
            self.assertEqual(self.deployment.reaches(address, port, 30 if wanted else 6), wanted, f"{name}:{port}")

    def test_2_pods_are_deleted(self):
        deployment = self.deployment
        self.under_load("a gateway is deleted", lambda: deployment.delete("gateway", min(deployment.pods("gateway"))))
        self.under_load("a broker is deleted", lambda: deployment.delete("broker", min(deployment.pods("broker"))))
        self.under_load("the primary is deleted", lambda: deployment.delete("redis", *deployment.primaries()))
        self.under_load("the primary is killed", lambda: deployment.delete("redis", *deployment.primaries(), grace=0))
        self.under_load("all Redis are deleted", lambda: deployment.delete("redis"))
        self.assertEqual(len(deployment.primaries()), 1)

    def test_3_rolls(self):
        for component in ["gateway", "broker", "redis", "sentinel"]:
            self.under_load(f"{component} rolls", self.roll(component))

    def test_4_an_upgrade(self):
        before = set(self.deployment.pods("gateway"))
        self.under_load("an upgrade", lambda: self.deployment.upgrade_chart("--set", "gateway.drain.window=15s"), self.deployment.await_ready)
        self.assertFalse(before & set(self.deployment.pods("gateway")))

    def test_5_a_node_is_drained(self):
        self.under_load("a node is drained", lambda: self.deployment.drain("n2"))
        self.assertEqual({pod["spec"]["nodeName"] for component in ["gateway", "broker", "redis", "sentinel"] for pod in self.deployment.pods(component).values()}, {"n1"})


class ClusterTest(InstalledTest):
    spec = "cluster"

    def test_1_it_is_formed(self):
        self.assertIn("cluster_state:ok", self.deployment.redis_cli(f"{self.deployment.name}-redis-0", "cluster", "info"))
        self.assertEqual(len(self.deployment.primaries()), 3)

    def test_2_pods_are_deleted(self):
        deployment = self.deployment
        self.under_load("a broker is deleted", lambda: deployment.delete("broker", min(deployment.pods("broker"))))
        self.under_load("a primary is deleted", lambda: deployment.delete("redis", deployment.primaries()[0]))
        self.under_load("a primary is killed", lambda: deployment.delete("redis", deployment.primaries()[0], grace=0))
        self.under_load("all Redis are deleted", lambda: deployment.delete("redis"))
        self.assertEqual(len(deployment.primaries()), 3)

    def test_3_rolls(self):
        for component in ["gateway", "broker", "redis"]:
            self.under_load(f"{component} rolls", self.roll(component))


if __name__ == "__main__":
    unittest.main(verbosity=2)
