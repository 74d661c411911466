"""A control plane of one machine: etcd and kube-apiserver on free ports of 127.0.0.1 with certificates of their own, and no controllers. So objects are
validated, defaulted, admitted and kept, and nothing comes of them: no pods, no volumes."""
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


def run(*command, text=None, timeout=600, env=None, cwd=None):
    return subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True, timeout=timeout, env=env, cwd=cwd)


def demand(*command, **options):
    done = run(*command, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(str(word) for word in command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    """Below 32768, where the kernel takes no ports for outgoing connections from."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class ControlPlane:
    def __init__(self, folder, apiserver, address="127.0.0.1", inside=(), more=("--endpoint-reconciler-type", "none")):
        """inside: the words before a command that make it run in another namespace of the network, where it listens on the address; more: flags of the server."""
        self.folder = pathlib.Path(folder)
        self.apiserver = apiserver
        self.address = address
        self.inside = list(inside)
        self.more = list(more)
        self.programs = []
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECONFIG": str(self.folder / "kubeconfig"), "TMPDIR": str(self.folder)}

    # ---- certificates ----

    def certificate(self, name, subject, extension):
        folder = self.folder
        demand("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
        (folder / f"{name}.ext").write_text(extension)
        demand("openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2",
               "-extfile", folder / f"{name}.ext", "-out", folder / f"{name}.crt")

    def certificates(self):
        folder = self.folder
        demand("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests", "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
        self.certificate("server", "/CN=kube-apiserver", "subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost" + f",IP:{self.address}\nextendedKeyUsage=serverAuth\n")
        self.certificate("admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth\n")
        demand("openssl", "genrsa", "-out", folder / "accounts.key", "2048")
        demand("openssl", "rsa", "-in", folder / "accounts.key", "-pubout", "-out", folder / "accounts.pub")

    # ---- programs ----

    def start_program(self, name, *command):
        with open(self.folder / f"{name}.log", "w", encoding="utf-8") as log:
            program = subprocess.Popen([*self.inside, *(str(word) for word in command)], stdout=log, stderr=subprocess.STDOUT, env=self.environment)
        self.programs.append((name, program))
        return program

    def start(self):
        folder = self.folder
        self.certificates()
        client, peer, self.port = free_port(), free_port(), free_port()
        self.start_program("etcd", "etcd", "--name", "tests", "--data-dir", folder / "etcd", "--listen-client-urls", f"http://127.0.0.1:{client}",
                           "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                           "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"tests=http://127.0.0.1:{peer}", "--unsafe-no-fsync")
        self.start_program("kube-apiserver", self.apiserver, "--etcd-servers", f"http://127.0.0.1:{client}", "--bind-address", self.address, "--secure-port", self.port,
                           "--advertise-address", self.address, *self.more, "--tls-cert-file", folder / "server.crt",
                           "--tls-private-key-file", folder / "server.key", "--client-ca-file", folder / "ca.crt", "--service-account-key-file", folder / "accounts.pub",
                           "--service-account-signing-key-file", folder / "accounts.key", "--service-account-issuer", "https://tests.invalid",
                           "--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC", "--cert-dir", folder / "made")
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "tests",
                  "clusters": [{"name": "tests", "cluster": {"server": f"https://127.0.0.1:{self.reachable_port()}", "certificate-authority": str(folder / "ca.crt")}}],
                  "users": [{"name": "admin", "user": {"client-certificate": str(folder / "admin.crt"), "client-key": str(folder / "admin.key")}}],
                  "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}]}
        (folder / "kubeconfig").write_text(json.dumps(config))
        self.until("kube-apiserver is ready", lambda: self.kubectl("get", "--raw", "/readyz").returncode == 0, 300)

    def reachable_port(self):
        """On 127.0.0.1 of those who ask."""
        return self.port

    def until(self, what, probe, seconds):
        end = time.monotonic() + seconds
        while not probe():
            for name, program in self.programs:
                if program.poll() is not None:
                    raise AssertionError(f"{name} ended ({program.returncode}):\n{self.log(name)}")
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s in vain: {what}\n{self.log('kube-apiserver')}")
            time.sleep(0.2)

    def log(self, name):
        return "\n".join((self.folder / f"{name}.log").read_text().splitlines()[-20:])

    def stop(self):
        for _, program in reversed(self.programs):
            program.terminate()
            try:
                program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    # ---- what it is asked ----

    def kubectl(self, *arguments, text=None):
        return run("kubectl", *arguments, text=text, env=self.environment)

    def get(self, *arguments):
        done = self.kubectl("get", "-o", "json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def install_kinds_of_others(self):
        """The CRDs of crds.txt out of their modules, whose checksums are pinned there, and Google's; the kinds are ready when this returns."""
        go = shutil.which("go") or "/usr/local/go/bin/go"
        environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
        modules = {}
        for line in (HERE / "crds.txt").read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            module, version, checksum, file = line.split()
            if module not in modules:
                found = json.loads(demand(go, "mod", "download", "-json", f"{module}@{version}", env=environment, cwd=self.folder, timeout=600))
                assert found["Sum"] == checksum, f"{module} {version}: {found['Sum']} is not what crds.txt says"
                modules[module] = pathlib.Path(found["Dir"])
            done = self.kubectl("apply", "--server-side", "-f", modules[module] / file)
            assert done.returncode == 0, done.stderr
        done = self.kubectl("apply", "--server-side", "-f", HERE / "google.yaml")
        assert done.returncode == 0, done.stderr
        done = self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        assert done.returncode == 0, done.stderr
