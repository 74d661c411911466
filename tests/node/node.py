"""A node: containerd, kubelet, kube-proxy and what enforces network policies in namespaces of the network, of mounts and of processes, and a group of cgroups of its own. So two of them
stand on one machine, and to end one process is to end all that the node has started."""
import json
import os
import pathlib
import signal
import subprocess
import time

from network import cni_config

HERE = pathlib.Path(__file__).resolve().parent
CGROUPS = pathlib.Path("/sys/fs/cgroup")
DNS = "10.96.0.10"

CONTAINERD = """version = 3
root = "{folder}/containerd"
state = "{folder}/containerd.state"
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "localhost/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{folder}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
"""


def hierarchies():
    """The hierarchies of cgroups v1, by the controller that names their folder."""
    return [folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists() and not (folder / "cgroup.controllers").exists()]


class Node:
    def __init__(self, plane, network, name, programs):
        self.plane = plane
        self.network = network
        self.name = name
        self.programs = programs
        self.folder = plane.folder / name
        self.group = f"{network.prefix}/{name}"
        self.program = None

    # ---- its files ----

    def write(self):
        folder, plane = self.folder, self.plane
        folder.mkdir()
        plane.certificate(self.name, f"/O=system:nodes/CN=system:node:{self.name}", "extendedKeyUsage=clientAuth\n")
        (folder / "name").write_text(self.name)
        (folder / "address").write_text(self.network.address(self.name))
        (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder))
        (folder / "cni").mkdir()
        (folder / "cni" / "10-pods.conflist").write_text(json.dumps(cni_config(self.network, self.name)))
        (folder / "kubeconfig").write_text(json.dumps(plane.config_from_hub(self.name)))
        (folder / "kubelet.yaml").write_text(json.dumps({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "failCgroupV1": False, "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.group}", "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock", "clusterDNS": [DNS], "clusterDomain": "cluster.local",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}, "x509": {"clientCAFile": str(plane.folder / "ca.crt")}},
            "authorization": {"mode": "AlwaysAllow"}, "failSwapOn": False, "resolvConf": "", "volumePluginDir": str(folder / "plugins"),
            "podLogsDir": "/var/log/pods", "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99, "enforceNodeAllocatable": ["pods"], "registerWithTaints": [],
            "systemReserved": {"memory": "12Gi"}, "shutdownGracePeriod": "0s", "nodeStatusUpdateFrequency": "5s", "maxPods": 60}))
        (folder / "proxy.yaml").write_text(json.dumps({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables", "clusterCIDR": "10.244.0.0/16",
            "clientConnection": {"kubeconfig": str(folder / "kubeconfig.proxy")}, "bindAddress": "0.0.0.0", "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}}))
        (folder / "kubeconfig.proxy").write_text(json.dumps(plane.config_from_hub("proxy")))
        (folder / "kubeconfig.policies").write_text(json.dumps(plane.config_from_hub("policies")))

    def make_groups(self):
        for folder in hierarchies():
            for part in [pathlib.Path(self.network.prefix), pathlib.Path(self.group)]:
                group = folder / part
                group.mkdir(exist_ok=True)
                if (group / "cpuset.cpus").exists() and not (group / "cpuset.cpus").read_text().strip(): # starts empty, and takes no process then
                    for file in ["cpuset.cpus", "cpuset.mems"]:
                        (group / file).write_text((group.parent / file).read_text())

    def remove_groups(self):
        for folder in CGROUPS.iterdir(): # of the unified one runc made it
            for group, _, _ in os.walk(folder / self.group, topdown=False):
                for _ in range(50): # the last process of it may be ending
                    try:
                        os.rmdir(group)
                        break
                    except FileNotFoundError:
                        break
                    except OSError:
                        time.sleep(0.1)
            try:
                (folder / self.network.prefix).rmdir()
            except OSError:
                pass # another node's is in it

    # ---- its life ----

    def start(self):
        self.make_groups()
        with open(self.folder / "node.log", "w", encoding="utf-8") as log:
            self.program = subprocess.Popen([*self.network.inside(self.name), "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
                                             HERE / "start_node", self.folder, self.programs], stdout=log, stderr=subprocess.STDOUT, env=self.environment())
        self.plane.programs.append((self.name, self.program))

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)}

    def stop(self):
        if self.program is not None:
            self.program.send_signal(signal.SIGKILL) # unshare; its child, process 1 of the node, is killed with it
            self.program.wait()
        self.remove_groups()
