#!/usr/bin/env python3
"""What helm/callboard tells and tests: NOTES.txt warns of what `callboard-operator check` warns of, and the pod of `helm test` runs a
command line that callboardctl takes, with files that it mounts, and gets through a gateway and a broker that run with the chart's configurations.

    tests/helm/test_chart_notes.py BUILD [NAME…]"""
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

import yaml

import test_chart as chart
from chart_world import ChartWorld, free_ports, secrets_of

TOLD_BY_CHECK_ONLY = {"CB1001"}  # no effect: the chart's defaults are values, too


def with_notes(folder):
    """A copy of the chart that renders its notes into an object: helm prints them to a cluster's user only."""
    copy = os.path.join(folder, "callboard")
    shutil.copytree(chart.CHART, copy)
    with open(os.path.join(copy, "templates/told.yaml"), "w") as file:
        file.write('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: told}\ndata:\n  notes: {{ include (print $.Template.BasePath "/NOTES.txt") . | toJson }}\n')
    return copy


def template(where, values, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        result = chart.run(chart.HELM, "template", "released", where, "--namespace", "somewhere", "--kube-version", "1.33", "--values", file.name, *options)
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


class Notes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.where = with_notes(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def notes(self, values, *options):
        return next(item["data"]["notes"] for item in template(self.where, values, *options) if item["metadata"]["name"] == "told")

    def compare(self, spec, *options):
        checked = json.loads(chart.operator("check", spec, "-o", "json", *options).stdout)
        self.assertEqual(checked["errors"], 0, checked)
        expected = {each["code"] for each in checked["diagnostics"]} - TOLD_BY_CHECK_ONLY
        told = self.notes(chart.values_of(spec), *options)
        self.assertEqual(set(re.findall(r"CB1\d\d\d", told)), expected, f"{spec} {options}\n{told}")
        return expected

    def test_warnings_are_those_of_check(self):
        cases = (
            ("dev", []),
            ("dev", ["profile=small"]),
            ("dev", ["profile=small", "redis.persistence.size=0", "redis.appendfsync=no"]),
            ("ha-sentinel", ["gateway.replicas=1", "broker.replicas=1", "gateway.drain.grace=1h"]),
            ("ha-sentinel", ["redis.minReplicasToWrite=2", "edge.class=nginx", "broker.shardActors=16", "broker.partitions=128"]),
            ("ha-sentinel", ["redis.minReplicasToWrite=1", "disruption.redisPods=3"]),
            ("ha-sentinel", ["edge.class=gce", "edge.idleTimeout=10m"]),
            ("ha-sentinel", ["broker.partitions=64", "broker.replicas=5", "broker.shardActors=4"]),
            ("ha-sentinel", ["broker.partitions=64", "broker.replicas=4", "broker.shardActors=4"]),
            ("redis-cluster", ["redis.cluster.replicasPerShard=0"]),
            ("elasticache-alb", ["redis.external.durability=disabled", "redis.external.tls.enabled=false", "gateway.autoscaling.min=1"]),
            ("external-gateway-api", ["redis.external.provider=upstash"]),
        )
        seen = set()
        for name, settings in cases:
            with self.subTest(f"{name} {' '.join(settings)}"):
                seen |= self.compare(chart.ROOT / f"k8s/specs/{name}.yaml", *[word for each in settings for word in ("--set", each)])
        self.assertEqual(seen, {f"CB10{number:02}" for number in (2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17)})

    def test_an_alb_gets_what_it_takes(self):
        """check refuses more; the chart alone cuts it."""
        values = chart.values_of(chart.ROOT / "k8s/specs/elasticache-alb.yaml")
        ingress = next(item for item in template(self.where, values, "--set", "edge.idleTimeout=2h") if item["kind"] == "Ingress")
        self.assertEqual(ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/load-balancer-attributes"], "idle_timeout.timeout_seconds=4000")

    def test_a_closed_way_to_redis(self):
        values = chart.values_of(chart.ROOT / "k8s/specs/elasticache-alb.yaml")
        self.assertNotIn("CB1012", self.notes(values))
        self.assertIn("CB1012", self.notes(values, "--set-json", "networkPolicy.to=[]"))

    def test_what_to_do_next(self):
        values = chart.values_of(chart.ROOT / "k8s/specs/ha-sentinel.yaml")
        told = self.notes(values)
        for words in ("chat-auth   token-secret, internal-token, redis-password, sentinel-password\n", "chat-curve   broker.key, ", "chat-inside-tls ",
                      "wss://chat.example.com/connection/websocket\n", "helm test has no channel"):
            self.assertIn(words, told)
        external = chart.values_of(chart.ROOT / "k8s/specs/external-gateway-api.yaml")
        told_of_others = self.notes(external, "--set", "redis.external.tls.caSecret=theirs")
        self.assertIn("chat-tls   tls.crt, tls.key\n", told_of_others)
        self.assertIn("theirs   ca.crt\n", told_of_others)
        self.assertIn("chat-tls   tls.crt, tls.key (cert-manager makes it)\n", self.notes(external, "--set", "edge.tls.issuerRef.name=public"))
        told = self.notes(values, "--set", "test.channel=rooms:x", "--set", "test.serviceSecret=publisher")
        self.assertIn("helm test released -n somewhere --logs", told)
        self.assertNotIn("Accepted, but risky", told)


class Hook(unittest.TestCase):
    def hooks(self, name, *options):
        values = chart.values_of(chart.ROOT / f"k8s/specs/{name}.yaml")
        return {f"{item['kind']}/{item['metadata']['name']}": item for item in template(chart.CHART, values, *options)
                if item["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"}

    def judge(self, pod):
        """callboardctl takes its words, and each file among them is mounted."""
        [container] = pod["spec"]["containers"]
        command = container["command"]
        self.assertEqual(command[:2], ["/usr/bin/callboardctl", "selftest"])
        program = chart.OPERATOR.parent.parent / "tools/callboardctl"
        help_text = chart.run(program, "--help").stdout + chart.run(program, "selftest", "--help").stdout
        for option in (word for word in command if word.startswith("--")):
            self.assertIn(f" {option}", help_text)
        files = set()
        for mount in container["volumeMounts"]:
            volume = next(each for each in pod["spec"]["volumes"] if each["name"] == mount["name"])
            names = [item["path"] for item in volume["secret"]["items"]] if "secret" in volume else ["gateway.yaml"]
            files |= {f"{mount['mountPath']}/{name}" for name in names}
        self.assertLessEqual({word for word in command if word.startswith("/etc/")}, files)
        self.assertIn("/etc/callboard/auth/token-secret", files)
        self.assertNotIn("serviceAccountName", pod["spec"])
        self.assertEqual(pod["spec"]["restartPolicy"], "Never")

    def test_it_takes_the_first_namespace_that_is_fit(self):
        hooks = self.hooks("dev")
        self.assertEqual(list(hooks), ["Pod/callboard-test"])
        pod = hooks["Pod/callboard-test"]
        self.judge(pod)
        self.assertEqual(pod["spec"]["containers"][0]["command"][-1], "demo:selftest")

    def test_where_clients_may_not_publish_a_service_does(self):
        self.assertEqual(self.hooks("ha-sentinel"), {})
        hooks = self.hooks("ha-sentinel", "--set", "test.serviceSecret=publisher")
        self.assertEqual(sorted(hooks), ["NetworkPolicy/chat-test-broker", "NetworkPolicy/chat-test-gateway", "Pod/chat-test"])
        pod = hooks["Pod/chat-test"]
        self.judge(pod)
        command = pod["spec"]["containers"][0]["command"]
        self.assertEqual(command[-1], "rooms:selftest")
        self.assertIn("--backend", command)
        self.assertIn("ws://chat-gateway.somewhere.svc.cluster.local:80/connection/websocket", command)

    def test_gateways_with_tls_and_a_channel_of_ones_own(self):
        command = self.hooks("external-gateway-api", "--set", "test.channel=any:thing")["Pod/chat-test"]["spec"]["containers"][0]["command"]
        self.assertIn("wss://chat-gateway.somewhere.svc.cluster.local:443/connection/websocket", command)
        self.assertEqual(command[-1], "any:thing")

    def test_switched_off(self):
        self.assertEqual(self.hooks("dev", "--set", "test.enabled=false"), {})

    def run_it(self, *options, secrets=None):
        """The pod's command, against the pods of the same release."""
        spec = chart.ROOT / "k8s/specs/dev.yaml"
        build = chart.OPERATOR.parent.parent
        documents = template(chart.CHART, chart.values_of(spec), *options)
        own = {**secrets_of(chart.operator("secret", spec).stdout), **(secrets or {})}
        ports = dict(zip((80, 8000, 9000, 9001, 7700, 7710, 7711), (0, *free_ports(6))))
        ports[80] = ports[8000]
        with tempfile.TemporaryDirectory() as folder:
            world = ChartWorld(folder, build, documents, own, ports)
            try:
                pods = "StatefulSet/callboard-broker", "Deployment/callboard-gateway", "Pod/callboard-test"
                for pod in map(world.pod, pods):
                    world.mount(pod)
                world.start(pods[0], "broker")
                world.start(pods[1], "gateway")
                result = chart.run(*world.command(world.pod(pods[2]), "tools"))
                self.assertEqual(result.returncode, 0, f"{result.stdout}{result.stderr}{world.logs()}")
                self.assertIn("All is well.", result.stdout)
                return result.stdout
            finally:
                world.close()

    def test_it_gets_through_as_a_client(self):
        self.assertIn("as a client", self.run_it())

    def test_it_gets_through_as_a_service(self):
        with tempfile.TemporaryDirectory() as folder:
            key = os.path.join(folder, "service.key")
            made = chart.run(chart.OPERATOR.parent.parent / "tools/callboardctl", "keygen", key)
            self.assertEqual(made.returncode, 0, made.stderr)
            secrets = {"publisher": {"service.key": pathlib.Path(key).read_text()},
                       "callboard-curve-services": {"publisher.pub": pathlib.Path(f"{key}.pub").read_text()}}
            self.assertIn("as a service", self.run_it("--set", "test.serviceSecret=publisher", secrets=secrets))


if __name__ == "__main__":
    sys.exit(chart.main())
