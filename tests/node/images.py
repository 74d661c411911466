"""Images without a registry and without an engine: a folder becomes the one layer of an OCI image in a tar that `ctr images import` takes.

Callboard's has the root that the Dockerfile makes (k8s/image/collect_rootfs); Redis' what a Debian package has, and the libraries it loads; pause and
CoreDNS are static programs."""
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAUSE = """#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) { signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap); for (;;) { pause(); } }
"""


def demand(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(str(word) for word in command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def write_image(root, names, target, user="0:0", command=(), environment=()):
    """One image under all the names."""
    layer = target.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        tar.add(root, arcname="", filter=owned_by_root)
    with open(layer, "rb") as file:
        layer_digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
                         "config": {"User": user, "Cmd": list(command), "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", *environment]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
                           "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.stat().st_size}]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": len(manifest),
         "annotations": {"io.containerd.image.name": name}} for name in names]}).encode()
    with tarfile.open(target, "w") as tar:
        for name, data in [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index), (blob(digest(config)), config), (blob(digest(manifest)), manifest)]:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        tar.add(layer, arcname=blob(layer_digest))
    layer.unlink()


def blob(name):
    return "blobs/sha256/" + name.removeprefix("sha256:")


def owned_by_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def with_libraries(root, *programs):
    """The programs and what they load, where they are on this machine."""
    for folder in ["usr/bin", "usr/lib", "etc", "tmp"]:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link in ["bin", "lib"]:
        (root / link).symlink_to(f"usr/{link}")
    (root / "lib64").symlink_to("usr/lib")
    (root / "usr/lib64").symlink_to("lib")
    needed = set()
    for program in programs:
        place = shutil.which(program)
        shutil.copy2(pathlib.Path(place).resolve(), root / "usr/bin" / program)
        for line in demand("ldd", place).splitlines():
            needed.update(word for word in line.split() if word.startswith("/"))
    for library in needed:
        place = root / pathlib.Path(library).relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(pathlib.Path(library).resolve(), place)


def build_images(folder, build, programs):
    """Into folder; build is a build of this tree, programs has CoreDNS."""
    folder.mkdir()
    work = folder / "roots"
    work.mkdir()
    version = demand(build / "operator/callboard-operator", "--version").split()[-1]

    demand("cmake", "--install", build, "--prefix", work / "installed")
    demand(ROOT / "k8s/image/collect_rootfs", work / "installed", work / "callboard")
    write_image(work / "callboard", [f"docker.io/library/callboard:{version}", "docker.io/library/callboard:next"], folder / "callboard.tar", user="65532:65532",
                command=["callboard"], environment=["CALLBOARD_CONFIG=/etc/callboard/callboard.yaml"])

    with_libraries(work / "redis", "redis-server", "redis-cli")
    (work / "redis/usr/bin/redis-sentinel").symlink_to("redis-server")
    (work / "redis/data").mkdir()
    write_image(work / "redis", ["docker.io/library/redis:7.2"], folder / "redis.tar", command=["redis-server"])

    (work / "dns").mkdir()
    shutil.copy2(programs / "coredns", work / "dns/coredns")
    write_image(work / "dns", ["localhost/coredns:1"], folder / "dns.tar", command=["/coredns"])

    (work / "pause").mkdir()
    demand("gcc", "-O2", "-static", "-x", "c", "-", "-o", work / "pause/pause", input=PAUSE)
    write_image(work / "pause", ["localhost/pause:1"], folder / "pause.tar", user="65535:65535", command=["/pause"])
    shutil.rmtree(work)
    return version
