"""Programs as the chart's pods would run them: on this machine, with what the chart's ConfigMaps and the operator's Secrets say. Folders of pods
become folders of one, names of Services 127.0.0.1, and ports free ones."""
import pathlib
import random
import re
import socket
import subprocess

import yaml


def is_free(port):
    with socket.socket() as each:
        try:
            each.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count):
    """Below 32768, where the kernel takes no ports for outgoing connections from."""
    ports = (port for port in random.sample(range(20000, 32000), 12000) if is_free(port))
    return [next(ports) for _ in range(count)]


class ChartWorld:
    def __init__(self, folder, build, documents, secrets, ports):
        """`ports`: the port in a pod → the one here."""
        self.folder, self.build, self.ports = pathlib.Path(folder), pathlib.Path(build).resolve(), ports
        self.objects = {f"{each['kind']}/{each['metadata']['name']}": each for each in documents}
        self.secrets = secrets
        self.programs = []

    def here(self, text):
        """A pod's text, as it is to be on this machine."""
        text = re.sub(r"[a-z-]+\.[a-z-]+\.svc\.cluster\.local", "127.0.0.1", str(text).replace("0.0.0.0", "127.0.0.1"))
        for port, own in self.ports.items():
            text = re.sub(rf"(?<![0-9]){port}(?![0-9])", str(own), text)
        return text.replace("/etc/callboard", f"{self.folder}/etc/callboard")

    def mount(self, pod):
        """Writes what its volumes hold to where the containers would find it."""
        for mount in (each for container in pod["containers"] for each in container["volumeMounts"]):
            volume = next(each for each in pod["volumes"] if each["name"] == mount["name"])
            if "configMap" in volume:
                files = {name: self.here(text) for name, text in self.objects[f"ConfigMap/{volume['configMap']['name']}"]["data"].items()}
            else:
                secret = self.secrets.get(volume["secret"]["secretName"], {})
                files = {item["path"]: secret[item["key"]] for item in volume["secret"]["items"]} if "items" in volume["secret"] else secret
            target = pathlib.Path(self.here(mount["mountPath"]))
            target.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (target / name).parent.mkdir(exist_ok=True)
                (target / name).write_text(text)
                (target / name).chmod(0o600)

    def command(self, pod, folder):
        """Of its one container, with the program from the build's folder of that name."""
        [container] = pod["containers"]
        program, *words = container["command"]
        return [str(self.build / folder / pathlib.Path(program).name), *map(self.here, words)]

    def pod(self, kind):
        spec = self.objects[kind]["spec"]
        return spec["template"]["spec"] if "template" in spec else spec

    def start(self, kind, folder):
        """What it mounts stands there already, with what others share with it."""
        pod = self.pod(kind)
        environment = {each["name"]: f"{folder}-0" for each in pod["containers"][0]["env"]}
        with open(self.folder / f"{folder}.log", "w") as log:
            self.programs.append(subprocess.Popen(self.command(pod, folder), stdout=log, stderr=log, env=environment))

    def close(self):
        for program in self.programs:
            program.kill()
            program.wait()

    def logs(self):
        return "\n".join(f"== {file.name}\n{file.read_text()}" for file in sorted(self.folder.glob("*.log")))


def secrets_of(text):
    return {each["metadata"]["name"]: each["stringData"] for each in yaml.safe_load_all(text) if each}
