"""A deployment of Callboard in a cluster: a spec of specs/, installed by `render` or by the chart, and what a test does to it under load."""
import base64
import contextlib
import json
import pathlib
import subprocess
import time

import yaml

from node_cluster import run

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


class Deployment:
    def __init__(self, cluster, spec, operator, helm=None):
        self.cluster = cluster
        self.spec = HERE / "specs" / f"{spec}.yaml"
        self.operator = operator
        self.helm_program = helm
        metadata = yaml.safe_load(self.spec.read_text())["metadata"]
        self.name, self.namespace = metadata["name"], metadata["namespace"]

    # ---- asking ----

    def kubectl(self, *arguments, text=None):
        return self.cluster.demand("-n", self.namespace, *arguments, text=text)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def operate(self, command, *arguments):
        done = subprocess.run([self.operator, command, "-q", *arguments, self.spec], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def helm(self, *arguments, text=None):
        done = subprocess.run([self.helm_program, "-n", self.namespace, *arguments], input=text, capture_output=True, text=True, check=False, env=self.cluster.environment)
        assert done.returncode == 0, f"helm {' '.join(arguments)}\n{done.stdout}{done.stderr}{self.pods_text()}"
        return done.stdout

    def pods(self, component):
        """Those that run, with their names, addresses and nodes; without those that are ending."""
        items = self.get("pods", "-l", f"app.kubernetes.io/component={component}")["items"]
        return {pod["metadata"]["name"]: pod for pod in items if "deletionTimestamp" not in pod["metadata"]}

    def pods_text(self):
        done = self.cluster.kubectl("-n", self.namespace, "get", "pods", "-o", "wide")
        events = self.cluster.kubectl("-n", self.namespace, "get", "events", "--field-selector", "type=Warning", "--sort-by=.lastTimestamp")
        return done.stdout + "\n".join(events.stdout.splitlines()[-15:])

    def workloads(self):
        return [f"{item['kind'].lower()}/{item['metadata']['name']}" for item in self.get("deployments,statefulsets")["items"]]

    def restarts(self):
        """Containers that ended and were started again, by pod and container: nothing here lets one end by itself."""
        found = {}
        for pod in self.get("pods")["items"]:
            for status in pod["status"].get("containerStatuses", []) + pod["status"].get("initContainerStatuses", []):
                if status["restartCount"]:
                    found[f"{pod['metadata']['name']}/{status['name']}"] = status.get("lastState")
        return found

    def secret(self, name, key):
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    # ---- installing ----

    def prepare(self):
        self.cluster.demand("create", "namespace", self.namespace)
        self.cluster.demand("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
        self.kubectl("apply", "-f", "-", text=self.operate("secret"))

    def render(self, *arguments):
        self.kubectl("apply", "--server-side", "-f", "-", text=self.operate("render", *arguments))

    def install_chart(self):
        self.helm("install", self.name, str(ROOT / "helm/callboard"), "-f", "-", text=self.operate("values"))

    def upgrade_chart(self, *arguments):
        self.helm("upgrade", self.name, str(ROOT / "helm/callboard"), "-f", "-", *arguments, text=self.operate("values"))

    def await_ready(self, seconds=300):
        """Every pod that is asked for is ready, and nothing of before is left."""
        end = time.monotonic() + seconds
        for workload in self.workloads():
            done = self.cluster.kubectl("-n", self.namespace, "rollout", "status", workload, f"--timeout={max(1, int(end - time.monotonic()))}s")
            assert done.returncode == 0, f"{workload}: {done.stdout}{done.stderr}\n{self.pods_text()}"

    def await_gone(self, pods, seconds=180):
        """The pods, as pods() gave them, do not exist any more."""
        end = time.monotonic() + seconds
        uids = {pod["metadata"]["uid"] for pod in pods.values()}
        while uids & {pod["metadata"]["uid"] for pod in self.get("pods")["items"]}:
            assert time.monotonic() < end, f"still there\n{self.pods_text()}"
            time.sleep(0.5)

    def remove(self):
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")
        end = time.monotonic() + 400
        while self.cluster.kubectl("get", "namespace", self.namespace).returncode == 0 and time.monotonic() < end:
            time.sleep(1)

    # ---- doing ----

    def drain(self, node):
        """As before a node is serviced: its pods are evicted within their budgets, and find their volumes on the other one."""
        try:
            self.cluster.demand("drain", node, "--pod-selector=app.kubernetes.io/name=callboard", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=400s")
            self.await_ready()
        finally:
            self.cluster.demand("uncordon", node)

    def delete(self, component, *names, grace=None):
        """Deletes the pods (all of the component when none is named) at once and waits until others are ready in their place."""
        pods = {name: pod for name, pod in self.pods(component).items() if not names or name in names}
        self.kubectl("delete", "pod", "--wait=false", *pods, *([] if grace is None else [f"--grace-period={grace}", "--force"]))
        self.await_gone(pods)
        self.await_ready()

    def restart(self, workload):
        self.kubectl("rollout", "restart", workload)
        self.await_ready()

    def redis_cli(self, pod, *words, port=6379, user="agent", password="redis-password"):
        """A command to a Redis or Sentinel, from within its pod."""
        done = self.cluster.kubectl("-n", self.namespace, "exec", pod, "--", "redis-cli", "-p", str(port), "--user", user, "--pass", self.secret(f"{self.name}-auth", password),
                                    "--no-auth-warning", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stranger(self):
        """A pod that no policy names; it has Redis' image, whose client serves to see what can be reached."""
        restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        self.kubectl("apply", "--server-side", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger"}, "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "stranger", "image": "redis:7.2", "securityContext": restricted, "command": ["redis-server", "--save", "", "--port", "7000"]}]}}))
        self.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=120s")

    def reaches(self, host, port, seconds=6):
        """Whether the stranger gets any answer from there."""
        try:
            done = run("kubectl", "-n", self.namespace, "exec", "stranger", "--", "redis-cli", "-h", host, "-p", str(port), "ping", env=self.cluster.environment, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return "Could not connect" not in done.stdout + done.stderr

    def role(self, pod):
        return self.redis_cli(pod, "role").splitlines()[0]

    def primaries(self):
        return [pod for pod in sorted(self.pods("redis")) if self.role(pod) == "master"]

    @contextlib.contextmanager
    def load(self, channels=4):
        """Publishers and subscribers (load.mjs) through the gateways' Service for as long as the block lasts; gives what came of it."""
        service = self.get("service", f"{self.name}-gateway")["spec"]
        result = {}
        program = subprocess.Popen([*self.cluster.network.inside("hub"), "node", HERE / "load.mjs", f"ws://{service['clusterIP']}/connection/websocket",
                                    self.secret(f"{self.name}-auth", "token-secret"), self.name, "rooms", str(channels)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert program.stdout.readline() == "ready\n", "the load did not start"
            yield result
            output, _ = program.communicate(timeout=120)
            result.update(json.loads(output))
        finally:
            program.kill()
            program.wait()
