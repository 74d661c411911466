#!/usr/bin/env python3
"""Figures of the appliance and of its engines, as ratios where two things are compared in one run.

    tests/bench/run_benches.py [--build build-bench] [idle] [handshakes] [fanout] [latency] [redis]

Without names all of them. Everything runs on loopback, each part for some seconds. Absolute figures drift with the machine; what is
compared is measured in the same run. The load's own CPU is not counted; the server's is read from /proc/PID/stat.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "a secret for benchmarks, more than thirty-two bytes"
TICKS = os.sysconf("SC_CLK_TCK")

CONFIG = """
http: {{address: 127.0.0.1, port: {port}}}
internal: {{port: {internal}}}
backend: {{endpoint: "tcp://127.0.0.1:{router}", pull_endpoint: "tcp://127.0.0.1:{pull}"}}
gateway: {{workers: {workers}}}
broker: {{shards: 1}}
drain: {{delay: 0, window: 1s}}
client: {{handshakes_per_source: 0}}
token: {{secret: "{secret}", audience: bench, issuer: bench}}
log: {{level: warning}}
namespaces:
  - {{name: live, allow_subscribe_for_client: true, allow_publish_for_client: true}}
  - {{name: kept, allow_subscribe_for_client: true, allow_publish_for_client: true, history_size: 1000, history_ttl: 10m, force_recovery: true}}
"""


def free_port():
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def make_token(user="bench"):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    body = part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"sub": user, "aud": "bench", "iss": "bench", "exp": int(time.time()) + 7200})
    return (body + b"." + base64.urlsafe_b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).rstrip(b"=")).decode()


class Appliance:
    def __init__(self, build, folder, workers=1, redis=None):
        self.port, self.internal, self.router, self.pull = (free_port() for _ in range(4))
        config = folder / f"bench-{self.port}.yaml"
        config.write_text(CONFIG.format(secret=SECRET, workers=workers, **self.__dict__))
        arguments = [str(build / "tools/callboard"), "--config", str(config)] + (["--redis", redis] if redis else [])
        self.log = open(folder / f"log-{self.port}", "w+")
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.internal}/ready", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        self.log.seek(0)
        sys.exit(f"callboard is not ready:\n{self.log.read()}")

    def cpu(self):
        """CPU seconds used so far, all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def pss(self):
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Redis:
    def __init__(self, folder):
        self.port = free_port()
        data = folder / f"redis-{self.port}"
        data.mkdir()
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(data)],
                                        stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{self.port}"
        while subprocess.run(["redis-cli", "-p", str(self.port), "ping"], capture_output=True).stdout != b"PONG\n":
            time.sleep(0.05)

    def cpu(self):
        text = subprocess.run(["redis-cli", "-p", str(self.port), "info", "cpu"], capture_output=True, text=True).stdout
        values = dict(line.strip().split(":") for line in text.splitlines() if ":" in line)
        return float(values["used_cpu_sys"]) + float(values["used_cpu_user"])

    def commands(self):
        text = subprocess.run(["redis-cli", "-p", str(self.port), "info", "commandstats"], capture_output=True, text=True).stdout
        usec = {}
        for line in text.splitlines():
            if line.startswith("cmdstat_"):
                name, fields = line[8:].strip().split(":")
                usec[name] = {key: float(value) for key, value in (field.split("=") for field in fields.split(","))}
        return usec

    def stop(self):
        self.process.kill()
        self.process.wait()


def load(build, server, *arguments):
    return subprocess.Popen([str(build / "tests/bench/ws_load"), str(server.port), make_token(), *map(str, arguments)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ready(process):
    line = process.stdout.readline()
    if not line.startswith("ready"):
        sys.exit(f"the load did not come up: {line}")


def ended(process, word):
    process.stdin.close()
    for line in process.stdout:
        if line.startswith(word):
            return [float(value) for value in line.split()[1:]]
    sys.exit(f"the load ended without '{word}'")


def row(name, value, aim=""):
    print(f"| {name} | {value} | {aim} |", flush=True)


def bench_idle(build, folder):
    server = Appliance(build, folder)
    before = server.pss()
    clients = load(build, server, "idle", 10000)
    ready(clients)
    time.sleep(1)
    connected = (server.pss() - before) / 10000
    clients.stdin.close()
    clients.wait()
    time.sleep(1)
    with_channel = load(build, server, "idle", 10000, "live:idle")
    ready(with_channel)
    time.sleep(1)
    subscribed = (server.pss() - before) / 10000
    with_channel.stdin.close()
    with_channel.wait()
    server.stop()
    row("PSS per idle connection at 10,000", f"{connected:,.0f} B", "≤ 3,000 B")
    row("… with one subscription each", f"{subscribed:,.0f} B")


def bench_handshakes(build, folder):
    server = Appliance(build, folder)
    cpu = server.cpu()
    clients = load(build, server, "handshakes", 10, 100)
    count, = ended(clients, "handshakes")
    used = server.cpu() - cpu
    server.stop()
    row("handshakes (upgrade, JWT, connect reply, close) per CPU-second", f"{count / used:,.0f}", "≥ 25,000")


def publish_many(server, channel, seconds, rate=None):
    """Through the PULL endpoint; returns how many."""
    import zmq
    context = zmq.Context()
    socket_ = context.socket(zmq.PUSH)
    socket_.linger = 2000
    socket_.connect(f"tcp://127.0.0.1:{server.pull}")
    time.sleep(0.2)
    params = json.dumps({"channel": channel}).encode()
    payload = b'{"price":101.25,"symbol":"ACME","note":"' + b"x" * 85 + b'"}'
    start = time.monotonic()
    count = 0
    while time.monotonic() - start < seconds:
        if rate:
            wait = start + count / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        socket_.send_multipart([b"CB1", b"publish", b"", params, payload])
        count += 1
    socket_.close()
    context.term()
    return count


def bench_fanout(build, folder):
    server = Appliance(build, folder)
    for name, rate, seconds in (("at 50/s", 50, 10), ("at 500/s", 500, 6)):
        clients = load(build, server, "fanout", 1000, "live:fanout")
        ready(clients)
        cpu = server.cpu()
        sent = publish_many(server, "live:fanout", seconds, rate)
        time.sleep(1)
        used = server.cpu() - cpu
        deliveries, = ended(clients, "deliveries")
        row(f"1 → 1,000 {name}: CPU per million deliveries", f"{used / deliveries * 1e6:.2f} s", "≤ 8 s" if rate == 50 else "")
        row(f"… delivered of what was due", f"{deliveries / (sent * 1000):.4f}", "1")
    # Full rate: a window of publications that is kept below what the slow-client bound would cut.
    clients = load(build, server, "fanout", 1000, "live:fanout")
    ready(clients)
    cpu = server.cpu()
    start = time.monotonic()
    sent = 0
    for _ in range(20):
        sent += publish_burst(server, "live:fanout", 500)
        wait_deliveries(server, sent * 1000)
    elapsed = time.monotonic() - start
    used = server.cpu() - cpu
    deliveries, = ended(clients, "deliveries")
    server.stop()
    row("1 → 1,000 at full rate (windows of 500): deliveries per CPU-second", f"{deliveries / used:,.0f}")
    row("… deliveries per second", f"{deliveries / elapsed:,.0f}")


def publish_burst(server, channel, count):
    import zmq
    context = zmq.Context.instance()
    if not hasattr(server, "push"):
        server.push = context.socket(zmq.PUSH)
        server.push.linger = 2000
        server.push.connect(f"tcp://127.0.0.1:{server.pull}")
        server.base = None
        time.sleep(0.2)
    params = json.dumps({"channel": channel}).encode()
    for i in range(count):
        server.push.send_multipart([b"CB1", b"publish", b"", params, b'{"n":%d,"pad":"%s"}' % (i, b"x" * 100)])
    return count


def metric(server, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{server.internal}/metrics", timeout=5).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name) and (line[len(name)] in " {"))


def wait_deliveries(server, due):
    """Until the gateway has queued that many deliveries in this bench."""
    name = "callboard_gateway_hub_deliveries_total"
    if server.base is None:
        server.base = 0
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if metric(server, name) - getattr(server, "delivered_before", 0) >= due:
            return
        time.sleep(0.002)


def bench_latency(build, folder):
    redis = Redis(folder)
    for name, url, channel in (("memory, no history", None, "live:l"), ("memory, history", None, "kept:l"), ("Redis, history", redis.url, "kept:l")):
        server = Appliance(build, folder, redis=url)
        p50, p99, worst = ended(load(build, server, "latency", 3000, channel), "latency")
        row(f"publish to deliver, one client, {name}: p50 / p99", f"{p50 / 1000:.3f} / {p99 / 1000:.3f} ms", "p99 ≤ 1 ms")
        server.stop()
    redis.stop()


def bench_redis(build, folder):
    import zmq
    redis = Redis(folder)
    server = Appliance(build, folder, redis=redis.url)
    socket_ = zmq.Context.instance().socket(zmq.DEALER)
    socket_.linger = 0
    socket_.connect(f"tcp://127.0.0.1:{server.router}")
    payload = b'{"pad":"' + b"x" * 118 + b'"}'

    def publish(count, in_flight, channels):
        before, cpu = redis.commands(), redis.cpu()
        sent = done = 0
        start = time.monotonic()
        while done < count:
            while sent < count and sent - done < in_flight:
                params = json.dumps({"channel": f"kept:c{sent % channels}"}).encode()
                socket_.send_multipart([b"CB1", b"publish", b"%d" % sent, params, payload])
                sent += 1
            frames = socket_.recv_multipart()
            if frames[1] != b"ok":
                sys.exit(f"refused: {frames}")
            done += 1
        elapsed, after = time.monotonic() - start, redis.commands()
        script = sum(after.get(name, {"usec": 0})["usec"] - before.get(name, {"usec": 0})["usec"] for name in ("evalsha",))
        calls = sum(after.get(name, {"calls": 0})["calls"] - before.get(name, {"calls": 0})["calls"] for name in ("evalsha",))
        return script / count, (redis.cpu() - cpu) / count * 1e6, count / calls if calls else 0, count / elapsed

    publish(500, 1, 1)
    for name, count, in_flight, channels in (("alone", 5000, 1, 1), ("64 in flight, 16 channels", 40000, 64, 16),
                                             ("256 in flight, one channel", 60000, 256, 1), ("1,000 in flight, one channel", 100000, 1000, 1)):
        script, cpu, batch, rate = publish(count, in_flight, channels)
        aim = "≤ 7.5 µs" if name == "alone" else ""
        row(f"durable publish, {name}: Redis script µs (whole process CPU µs) each; publications a call; a second",
            f"{script:.2f} ({cpu:.1f}); {batch:.1f}; {rate:,.0f}", aim)
    socket_.close()
    server.stop()
    redis.stop()


BENCHES = {"idle": bench_idle, "handshakes": bench_handshakes, "fanout": bench_fanout, "latency": bench_latency, "redis": bench_redis}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(BENCHES))
    parser.add_argument("--build", default="build-bench", help="a Release build with tests")
    options = parser.parse_args()
    build = (ROOT / options.build).resolve()
    print("| figure | measured | aim |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        for name in options.names or BENCHES:
            if name not in BENCHES:
                sys.exit(f"no bench '{name}'; known: {', '.join(BENCHES)}")
            BENCHES[name](build, pathlib.Path(folder))
