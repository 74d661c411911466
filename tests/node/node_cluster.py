"""A Kubernetes of one machine in which pods run: the control plane of tests/cluster with its controllers, nodes (node.py), CoreDNS as a pod, and volumes."""
import json
import os
import pathlib
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cluster"))
from control_plane import ControlPlane, run  # noqa: E402
from images import build_images  # noqa: E402
from network import HUB, POD_NETWORK, SERVICE_NETWORK, Network  # noqa: E402
from node import DNS, Node  # noqa: E402

POD_GROUP = 65532
COREFILE = """.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa {
        pods insecure
        ttl 30
    }
    cache 30
}
"""


class NodeCluster(ControlPlane):
    def __init__(self, folder, apiserver, programs, build, nodes=("n1", "n2")):
        self.network = Network(nodes)
        super().__init__(folder, apiserver, HUB, self.network.inside("hub"), ["--endpoint-reconciler-type", "lease", "--kubelet-client-certificate", f"{folder}/admin.crt", "--kubelet-client-key", f"{folder}/admin.key",
                          "--kubelet-preferred-address-types", "InternalIP"])
        self.programs_folder = pathlib.Path(programs)
        self.build = pathlib.Path(build)
        self.nodes = [Node(self, self.network, name, self.programs_folder) for name in nodes]
        self.ended = threading.Event()
        self.near_port = None

    # ---- its life ----

    def start(self):
        self.version = build_images(self.folder / "images", self.build, self.programs_folder)
        self.network.make()
        super().start()
        self.controllers()
        for node in self.nodes:
            node.write()
            node.start()
        self.dns()
        self.storage()
        self.until("the nodes are ready", lambda: self.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=2s").returncode == 0 and
                   len(self.get("nodes")["items"]) == len(self.nodes), 300)
        for node in self.nodes:
            self.kubectl("label", "node", node.name, f"topology.kubernetes.io/zone=zone-{node.name}", "--overwrite")
        self.until("DNS is ready", lambda: self.kubectl("wait", "-n", "kube-system", "--for=condition=Available", "deployment/coredns", "--timeout=2s").returncode == 0, 300)

    def stop(self):
        self.ended.set()
        for node in self.nodes:
            node.stop()
        super().stop()
        self.network.remove()

    def reachable_port(self):
        if self.near_port is None:
            self.near_port = self.network.forward(self.port)
        return self.near_port

    def config_from_hub(self, user):
        """A kubeconfig for programs that stand in the cluster's networks."""
        return {"apiVersion": "v1", "kind": "Config", "current-context": "tests",
                "clusters": [{"name": "tests", "cluster": {"server": f"https://{HUB}:{self.port}", "certificate-authority": str(self.folder / "ca.crt")}}],
                "users": [{"name": user, "user": {"client-certificate": str(self.folder / f"{user}.crt"), "client-key": str(self.folder / f"{user}.key")}}],
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}]}

    def controllers(self):
        folder = self.folder
        for name, subject in [("controllers", "/CN=system:kube-controller-manager"), ("scheduler", "/CN=system:kube-scheduler"), ("proxy", "/CN=system:kube-proxy"),
                              ("policies", "/CN=policies")]:
            self.certificate(name, subject, "extendedKeyUsage=clientAuth\n")
            (folder / f"{name}.kubeconfig").write_text(json.dumps(self.config_from_hub(name)))
        # What the roles of kubelets leave out; their tests are not these.
        self.demand("create", "clusterrolebinding", "nodes", "--clusterrole=system:node", "--group=system:nodes")
        self.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "policies"}, "rules": [
            {"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]}]})
        self.demand("create", "clusterrolebinding", "policies", "--clusterrole=policies", "--user=policies")
        self.start_program("controllers", self.programs_folder / "kube-controller-manager", "--kubeconfig", folder / "controllers.kubeconfig",
                           "--service-account-private-key-file", folder / "accounts.key", "--root-ca-file", folder / "ca.crt", "--use-service-account-credentials=true",
                           "--cluster-cidr", POD_NETWORK, "--service-cluster-ip-range", SERVICE_NETWORK, "--allocate-node-cidrs=false", "--leader-elect=false",
                           "--secure-port=0")
        self.start_program("scheduler", self.programs_folder / "kube-scheduler", "--kubeconfig", folder / "scheduler.kubeconfig", "--leader-elect=false", "--secure-port=0")

    # ---- what is in it ----

    def demand(self, *arguments, text=None):
        done = self.kubectl(*arguments, text=text)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *objects):
        self.demand("apply", "--server-side", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def dns(self):
        labels = {"k8s-app": "kube-dns"}
        metadata = {"name": "coredns", "namespace": "kube-system"}
        self.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "coredns"}, "rules": [
                {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "coredns"},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"},
             "subjects": [{"kind": "ServiceAccount", **metadata}]},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": COREFILE}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system"}, "spec": {
                "clusterIP": DNS, "selector": labels, "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": len(self.nodes), "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {
                    "serviceAccountName": "coredns", "dnsPolicy": "Default", "priorityClassName": "system-cluster-critical",
                    "tolerations": [{"operator": "Exists"}],
                    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": labels}}],
                    "containers": [{"name": "coredns", "image": "localhost/coredns:1", "command": ["/coredns", "-conf", "/config/Corefile"],
                                    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
                                    "volumeMounts": [{"name": "config", "mountPath": "/config"}]}],
                    "volumes": [{"name": "config", "configMap": {"name": "coredns"}}]}}}})

    def storage(self):
        """The default class, whose provisioner is a thread here: a folder for each claim, which both nodes reach, as a volume of the network is. It gets the
        group that the pods ask for (fsGroup), which kubelets do not do with folders of their own machine."""
        self.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard", "annotations": {
            "storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "tests/folders", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete"})
        threading.Thread(target=self.provision, daemon=True).start()

    def provision(self):
        made = set()
        while not self.ended.wait(1):
            done = self.kubectl("get", "pvc", "-A", "-o", "json")
            if done.returncode != 0:
                continue
            for claim in json.loads(done.stdout)["items"]:
                metadata = claim["metadata"]
                if "volume.kubernetes.io/selected-node" not in metadata.get("annotations", {}) or metadata["uid"] in made or claim["spec"].get("volumeName"):
                    continue
                name = "folder-" + metadata["uid"]
                place = self.folder / "volumes" / name
                place.mkdir(parents=True, exist_ok=True)
                os.chown(place, 0, POD_GROUP)
                place.chmod(0o2770)
                self.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
                    "storageClassName": "standard", "capacity": claim["spec"]["resources"]["requests"], "accessModes": claim["spec"]["accessModes"],
                    "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": str(place), "type": "Directory"},
                    "claimRef": {"kind": "PersistentVolumeClaim", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}}})
                made.add(metadata["uid"])

    def in_hub(self, *command, **options):
        """Runs it outside of the cluster, but where its Services can be reached."""
        return run(*self.network.inside("hub"), *command, **options)
