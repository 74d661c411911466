"""The networks of a cluster on one machine: a namespace of the network each for the control plane ("hub") and for every node, a bridge between them, and
routes for pods and Services. Nothing of it is seen from the machine's own namespace, and deleting the namespaces removes all of it.

    hub  10.99.0.1        a bridge; etcd, kube-apiserver, controllers; clients from "outside" start here, too
     ├─ n1  10.99.0.11    pods 10.244.1.0/24 behind the bridge cni0, which the CNI plugin makes
     └─ n2  10.99.0.12    pods 10.244.2.0/24

A client in hub that asks for the address of a Service is routed to n1, whose kube-proxy sends it on: as an external load balancer's node port would be."""
import ctypes
import os
import pathlib
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
HUB = "10.99.0.1"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(words)}: {done.stderr}")


class Network:
    def __init__(self, nodes):
        self.prefix = f"cbnode{os.getpid()}"
        self.nodes = list(nodes)
        self.made = []
        self.forwarders = []

    def name(self, place):
        return f"{self.prefix}-{place}"

    def file(self, place):
        return f"/run/netns/{self.name(place)}"

    def inside(self, place):
        """The words before a command that make it run there."""
        return ["nsenter", f"--net={self.file(place)}"]

    def address(self, node):
        return f"10.99.0.{11 + self.nodes.index(node)}"

    def pod_subnet(self, node):
        return f"10.244.{1 + self.nodes.index(node)}.0/24"

    def make(self):
        for place in ["hub", *self.nodes]:
            ip("netns", "add", self.name(place))
            self.made.append(place)
            ip("-n", self.name(place), "link", "set", "lo", "up")
            # Of this namespace only.
            subprocess.run([*self.inside(place), "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
        hub = self.name("hub")
        ip("-n", hub, "link", "add", "nodes", "type", "bridge")
        ip("-n", hub, "address", "add", f"{HUB}/24", "dev", "nodes")
        ip("-n", hub, "link", "set", "nodes", "up")
        for node in self.nodes:
            there = self.name(node)
            ip("-n", hub, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", there)
            ip("-n", hub, "link", "set", node, "master", "nodes", "up")
            ip("-n", there, "address", "add", f"{self.address(node)}/24", "dev", "eth0")
            ip("-n", there, "link", "set", "eth0", "up")
            ip("-n", there, "route", "add", "default", "via", HUB)
            ip("-n", hub, "route", "add", self.pod_subnet(node), "via", self.address(node))
            for other in self.nodes:
                if other != node:
                    ip("-n", there, "route", "add", self.pod_subnet(other), "via", self.address(other))
        ip("-n", hub, "route", "add", SERVICE_NETWORK, "via", self.address(self.nodes[0]))

    def remove(self):
        for forwarder in self.forwarders:
            forwarder.close()
        for place in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", self.name(place)], check=False)
        self.made = []

    # ---- from the machine's namespace to the hub ----

    def forward(self, port):
        """A free port of the machine's 127.0.0.1 that leads to the port of the hub."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.forwarders.append(listener)
        threading.Thread(target=self.serve, args=(listener, port), daemon=True).start()
        return listener.getsockname()[1]

    def serve(self, listener, port):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(near, port), daemon=True).start()

    def carry(self, near, port):
        # A socket belongs to the namespace that its thread was in when it was made.
        libc = ctypes.CDLL(None, use_errno=True)
        namespace = os.open(self.file("hub"), os.O_RDONLY)
        try:
            if libc.setns(namespace, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            far = socket.create_connection((HUB, port))
        except OSError:
            near.close()
            return
        finally:
            os.close(namespace)
        with near, far:
            back = threading.Thread(target=pump, args=(far, near), daemon=True)
            back.start()
            pump(near, far)
            back.join()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def cni_config(network, node):
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
         "ipam": {"type": "host-local", "dataDir": str(pathlib.Path("/run/cni")), "ranges": [[{"subnet": network.pod_subnet(node)}]],
                  "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}
