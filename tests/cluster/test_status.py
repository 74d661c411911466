#!/usr/bin/env python3
"""`callboard-operator status` through a real kube-apiserver to real programs: two gateways, two brokers, a Redis with a replica and three Sentinels run here with
their agents, and are the pods of an installation whose objects the server has. No kubelet is needed: this test writes the pods' status as one would.

pods/proxy reaches no loopback address, so all of it lives in a network namespace of its own, where the pods have addresses of their own on the loopback device:
tests/cluster/check starts it by `unshare --net`. An argument is the name of a test, as StatusTest.test_page."""
import base64
import datetime
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import yaml

from control_plane import ControlPlane, demand, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["CALLBOARD_BUILD"])
OPERATOR = BUILD / "operator/callboard-operator"
AGENT = BUILD / "operator/agent/callboard-agent"
TOKEN = "a-token-of-the-internal-port"
NAMESPACE = "night"
PLANE = None
FOLDER = None

REDIS = {f"chat-redis-{i}": f"10.99.0.{10 + i}" for i in range(2)}
SENTINELS = {f"chat-sentinel-{i}": f"10.99.0.{20 + i}" for i in range(3)}
BROKERS = {f"chat-broker-{i}": f"10.99.0.{30 + i}" for i in range(2)}
GATEWAYS = {f"chat-gateway-{name}": f"10.99.0.{40 + i}" for i, name in enumerate("ab")}
PODS = {**REDIS, **SENTINELS, **BROKERS, **GATEWAYS}


def setUpModule():
    global PLANE, FOLDER
    demand("ip", "link", "set", "lo", "up")
    for address in PODS.values():
        demand("ip", "address", "add", f"{address}/32", "dev", "lo")
    folder = tempfile.TemporaryDirectory(prefix="callboard-status-")
    unittest.addModuleCleanup(folder.cleanup)
    FOLDER = pathlib.Path(folder.name)
    PLANE = ControlPlane(FOLDER, os.environ["KUBE_APISERVER"])
    unittest.addModuleCleanup(PLANE.stop)
    PLANE.start()
    start_programs()
    install()
    for name, program in PLANE.programs:
        assert program.poll() is None, f"{name} ended:\n{PLANE.log(name)}"


def taken(*arguments, text=None):
    done = PLANE.kubectl(*arguments, text=text)
    assert done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}\n{done.stderr}"
    return done.stdout


# ---- the programs of the pods ----

def write(name, text):
    (FOLDER / name).write_text(text)
    return FOLDER / name


def endpoint(address):
    """Without keys brokers speak to gateways of the same machine only; they are."""
    return f"tcp://{address.replace('10.99', '127.0')}:7700"


def start_programs():
    for name, address in REDIS.items():
        (FOLDER / name).mkdir()
        lines = ["" if name == "chat-redis-0" else f"replicaof {REDIS['chat-redis-0']} 6379", f"bind {address}", f"replica-announce-ip {address}", "protected-mode no", "port 6379", f"dir {FOLDER / name}", "appendonly yes",
                 "maxmemory 64mb", "maxmemory-policy noeviction", "repl-diskless-sync-delay 0"]
        PLANE.start_program(name, "redis-server", write(f"{name}.conf", "\n".join(lines) + "\n"))
    for name, address in SENTINELS.items():
        (FOLDER / name).mkdir()
        conf = write(f"{name}/sentinel.conf", f"bind {address}\nprotected-mode no\nport 26379\nsentinel announce-ip {address}\ndir {FOLDER / name}\nsentinel monitor callboard {REDIS['chat-redis-0']} 6379 2\n")
        PLANE.start_program(name, "redis-server", conf, "--sentinel")
    peers, sentinels = ",".join(REDIS.values()), ",".join(SENTINELS.values())
    for pods, mode in ((REDIS, "replicated"), (SENTINELS, "sentinel")):
        for ordinal, (name, address) in enumerate(pods.items()):
            PLANE.start_program(f"{name}-agent", AGENT, "run", "--mode", mode, "--peers", peers if mode == "replicated" else sentinels, "--sentinels", sentinels, "--ordinal", ordinal,
                                "--host", address, "--listen", f"{address}:8090", "--data", FOLDER / name)
    partitions = "  partitions: 128\n"
    for name, address in BROKERS.items():
        PLANE.start_program(name, BUILD / "broker/callboard-broker", "--config", write(f"{name}.yaml", f"broker:\n  id: {name}\n  endpoint: {endpoint(address)}\n{partitions}"
                            f"internal: {{address: {address}, port: 9001, token: {TOKEN}}}\nredis: {{url: \"redis://{REDIS['chat-redis-0']}:6379\"}}\nbackend: {{endpoint: \"\", pull_endpoint: \"\"}}\n"))
    endpoints = ", ".join(f"\"{endpoint(address)}\"" for address in BROKERS.values())
    for name, address in GATEWAYS.items():
        PLANE.start_program(name, BUILD / "gateway/callboard-gateway", "--config", write(f"{name}.yaml", f"http: {{address: {address}, port: 8000}}\n"
                            f"internal: {{address: {address}, port: 9000, token: {TOKEN}}}\nbrokers: {{endpoints: [{endpoints}]}}\n"))


# ---- what the cluster knows ----

def container(component):
    port = {"gateway": ("internal", 9000), "broker": ("internal", 9001)}.get(component, ("probes", 8090))
    return {"name": component, "image": "callboard:1", "ports": [{"name": port[0], "containerPort": port[1]}]}


def component_of(pod):
    return pod.split("-")[1]


def set_ready(pod, ready=True, **status):
    taken("patch", "-n", NAMESPACE, "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
        "phase": "Running", "podIP": PODS[pod], "podIPs": [{"ip": PODS[pod]}], "conditions": [{"type": "Ready", "status": "True" if ready else "False"}], **status}}))


def set_counts(kind, component, ready):
    name = f"chat-{component}"
    object = PLANE.get("-n", NAMESPACE, kind, name)
    replicas = object["spec"]["replicas"]
    taken("patch", "-n", NAMESPACE, kind, name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
        "observedGeneration": object["metadata"]["generation"], "replicas": replicas, "readyReplicas": ready, "updatedReplicas": replicas}}))


def spec():
    return {"apiVersion": "callboard.dev/v1alpha1", "kind": "Callboard", "metadata": {"name": "chat", "namespace": NAMESPACE},
            "spec": {"profile": "ha", "gateway": {"replicas": 2}, "broker": {"replicas": 2, "partitions": 128}, "kubernetes": {"apis": ["apps/v1"]}}}


def certificate(days):
    demand("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", days, "-subj", "/CN=chat", "-keyout", FOLDER / "c.key", "-out", FOLDER / "c.crt")
    return base64.b64encode((FOLDER / "c.crt").read_bytes()).decode()


def install():
    taken("create", "namespace", NAMESPACE)
    file = write("spec.yaml", yaml.safe_dump(spec()))
    taken("apply", "--server-side", "--field-manager=callboard-operator", "-f", "-", text=demand(OPERATOR, "render", "-q", file))
    secret = next(volume["secret"]["secretName"] for volume in PLANE.get("-n", NAMESPACE, "deployment", "chat-gateway")["spec"]["template"]["spec"]["volumes"]
                  if any(item["path"] == "internal-token" for item in volume.get("secret", {}).get("items", [])))
    taken("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": NAMESPACE}, "stringData": {"internal-token": TOKEN + "\n"}}))
    taken("apply", "-n", NAMESPACE, "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}))
    for pod in PODS:
        component = component_of(pod)
        labels = {"app.kubernetes.io/name": "callboard", "app.kubernetes.io/instance": "chat", "app.kubernetes.io/component": component}
        taken("create", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": NAMESPACE, "labels": labels},
                                                    "spec": {"automountServiceAccountToken": False, "containers": [container(component)]}}))
        set_ready(pod)
    all_ready()


def all_ready():
    for kind, component in (("deployment", "gateway"), ("statefulset", "broker"), ("statefulset", "redis"), ("statefulset", "sentinel")):
        taken("scale", "-n", NAMESPACE, kind, f"chat-{component}", f"--replicas={sum(component_of(pod) == component for pod in PODS)}")
        set_counts(kind, component, sum(component_of(pod) == component for pod in PODS))


# ---- asking ----

def status(*options, kubeconfig=None):
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or PLANE.environment["KUBECONFIG"])}
    return run(OPERATOR, "status", "-n", NAMESPACE, *options, env=environment)


class StatusTest(unittest.TestCase):
    maxDiff = None

    def page(self, *options, **more):
        done = status("-o", "json", *options, **more)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        page = json.loads(done.stdout)
        self.assertEqual(page["healthy"], done.returncode == 0)
        return page

    def until(self, what, probe, seconds=120):
        end = time.monotonic() + seconds
        while True:
            page = self.page()
            if probe(page):
                return page
            self.assertLess(time.monotonic(), end, f"waited in vain: {what}\n{json.dumps(page, indent=1)}")
            time.sleep(0.3)

    def well(self):
        return self.until("all is well", lambda page: page["healthy"] and len(page["redis"]["sentinels"]) == 3 and all(one.get("quorum_reached") for one in page["redis"]["sentinels"])
                          and all(one.get("sentinels") == 3 for one in page["redis"]["sentinels"]) and page["redis"]["servers"][1].get("link_up")
                          and all(one.get("gateway_workers", 0) >= 2 for one in page["brokers"]))

    def test_page(self):
        """Who is there, by their own words: roles, lag, slots of the partitions, sockets and messages."""
        page = self.well()
        self.assertEqual([(one["pod"], one["role"], one["aof"]) for one in page["redis"]["servers"]], [("chat-redis-0", "primary", "ok"), ("chat-redis-1", "replica", "ok")])
        self.assertEqual(page["redis"]["servers"][1]["primary"], "chat-redis-0")
        self.assertLess(page["redis"]["servers"][1]["lag_bytes"], 1 << 20)
        self.assertGreater(page["redis"]["servers"][0]["disk_bytes"], 0)
        self.assertEqual({one["primary"] for one in page["redis"]["sentinels"]}, {"chat-redis-0"})
        self.assertEqual(sum(one["partitions"] for one in page["brokers"]), 128)
        self.assertEqual({one["engine"] for one in page["brokers"]}, {"redis"})
        self.assertTrue(all(one["shards"] >= 1 for one in page["brokers"]))  # with the token, through the server
        self.assertEqual([(one["state"], one["sockets"], one["delivered"]) for one in page["gateways"]], [("ok", 0, 0)] * 2)
        self.assertEqual(page["unknown"], [])
        done = status()
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.splitlines()[-1], "^healthy")
        self.assertIn("  chat-redis-1                           replica of chat-redis-0, ", done.stdout)

    def test_wrong(self):
        """A pod that crashes, a broker that is killed: the page says what, first and last."""
        self.well()
        try:
            set_ready("chat-gateway-a", ready=False, containerStatuses=[{"name": "gateway", "image": "a", "imageID": "", "ready": False, "restartCount": 3,
                                                                         "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}}])
            set_counts("deployment", "gateway", 1)
            done = status()
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout.splitlines()[-1], "^not healthy, first Deployment/chat-gateway: 1 of 2 pods are ready; chat-gateway-a: gateway: CrashLoopBackOff: back-off 40s; "
                             "kubectl logs -n night chat-gateway-a -c gateway --previous$")
        finally:
            set_ready("chat-gateway-a", containerStatuses=[])
            set_counts("deployment", "gateway", 2)
        self.well()

    def test_rights(self):
        """get and list of workloads and pods alone: the rest is not known, and neither well nor wrong."""
        self.well()
        taken("create", "-n", NAMESPACE, "serviceaccount", "watcher")
        taken("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "watcher", "namespace": NAMESPACE}, "rules": [
                {"apiGroups": ["", "apps"], "resources": ["pods", "deployments", "statefulsets"], "verbs": ["get", "list"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "watcher", "namespace": NAMESPACE},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watcher"}, "subjects": [{"kind": "ServiceAccount", "name": "watcher", "namespace": NAMESPACE}]}]}))
        config = json.loads(pathlib.Path(PLANE.environment["KUBECONFIG"]).read_text())
        config["users"][0]["user"] = {"token": taken("create", "-n", NAMESPACE, "token", "watcher").strip()}
        kubeconfig = write("watcher.json", json.dumps(config))
        page = self.page(kubeconfig=kubeconfig)
        self.assertTrue(page["healthy"], page["findings"])
        self.assertEqual(len(page["workloads"]), 4)
        self.assertEqual({one["trouble"] for one in page["gateways"]}, {"pods/proxy is denied"})
        self.assertTrue({"PersistentVolumeClaim", "what pods say (pods/proxy)"} <= {one["what"] for one in page["unknown"]}, page["unknown"])

    def test_spec(self):
        """With the spec: drift and the warnings of check."""
        self.well()
        file = write("night.yaml", yaml.safe_dump(spec()))
        page = self.page("-f", file)
        changed = page["drifts"]  # the test scaled the sets
        taken("set", "image", "-n", NAMESPACE, "statefulset/chat-broker", "broker=other:1")
        try:
            page = self.page("-f", file)
            self.assertEqual(page["drifts"], changed + 1)
            self.assertIn("the spec", [one["where"] for one in page["findings"]])
        finally:
            taken("apply", "--server-side", "--force-conflicts", "--field-manager=callboard-operator", "-f", "-", text=demand(OPERATOR, "render", "-q", file))
            all_ready()

    def test_certificate(self):
        self.well()
        taken("patch", "-n", NAMESPACE, "statefulset/chat-broker", "--type=strategic", "-p", json.dumps({"spec": {"template": {"spec": {"volumes": [
            {"name": "of-a-test", "secret": {"secretName": "night-tls", "items": [{"key": "tls.crt", "path": "tls.crt"}]}}]}}}}))
        set_counts("statefulset", "broker", 2)
        taken("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "night-tls", "namespace": NAMESPACE},
                                                   "data": {"tls.crt": certificate(5), "tls.key": base64.b64encode((FOLDER / "c.key").read_bytes()).decode()}}))
        page = self.page()
        [row] = page["certificates"]
        self.assertEqual(row["secret"], "night-tls")
        self.assertIn(row["days"], (4, 5))
        self.assertTrue(any("expires in" in one["what"] for one in page["findings"]), page["findings"])
        self.assertLess(abs(row["expires_ms"] / 1000 - datetime.datetime.now().timestamp() - 5 * 86400), 3600)

    def test_watch(self):
        """-w draws anew what changed, and ends when it is told to."""
        self.well()
        environment = {**os.environ, "KUBECONFIG": PLANE.environment["KUBECONFIG"]}
        watch = subprocess.Popen([str(OPERATOR), "status", "-n", NAMESPACE, "-w", "--for", "120s", "chat"], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            pages = self.read_page(watch)
            self.assertIn("chat in night", pages)
            set_counts("statefulset", "sentinel", 2)
            pages = self.read_page(watch)
            self.assertIn("not healthy, first StatefulSet/chat-sentinel: 2 of 3 pods are ready", pages)
        finally:
            set_counts("statefulset", "sentinel", 3)
            watch.terminate()
            watch.wait(20)
            watch.stdout.close()

    def read_page(self, watch):
        lines = []
        for line in watch.stdout:
            lines.append(line)
            if line.startswith(("healthy", "not healthy")):
                break
        return "".join(lines)

    def test_z_failover(self):
        """Last: the primary dies. The page names it, and the new one when the Sentinels have chosen."""
        self.well()
        for name, program in PLANE.programs:
            if name == "chat-redis-0":
                program.kill()
                program.wait()
        PLANE.programs[:] = [one for one in PLANE.programs if one[0] not in ("chat-redis-0",)]
        page = self.until("another primary", lambda page: page["redis"]["servers"][1].get("role") == "primary", 120)
        self.assertEqual(page["redis"]["servers"][0]["ok"], False)
        done = status()
        self.assertIn("no replica follows it: if it dies, its data are away", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
