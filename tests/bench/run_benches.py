#!/usr/bin/python3
"""Figures of the appliance; with --against, as ratios of two builds that are run in turns.

    tests/bench/run_benches.py [--build build-bench] [--rounds 3] [idle] [handshakes] [fanout] [latency] [redis] [safe] [channels] [reopen] [disk] [many] [compression] [backend]
    tests/bench/run_benches.py --build build-bench --against ../other/build-bench --rounds 5 handshakes

Without names all of them, some minutes in all. Server and load are on this machine, on loopback; the load's CPU is not counted, the
server's is that of all its threads. Each figure is the median of the rounds, each round is a new server. Absolute figures drift with
the machine; ratios of one run hold better. What they mean: tests/bench/README.md.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "a secret for benchmarks, more than thirty-two bytes"

CONFIG = """
http: {{address: 127.0.0.1, port: {port}}}
internal: {{port: {internal}}}
backend: {{endpoint: "tcp://127.0.0.1:{router}", pull_endpoint: "tcp://127.0.0.1:{pull}"}}
gateway: {{workers: 1}}
broker: {{id: bench, shards: 1}}
drain: {{delay: 0, window: 1s}}
client: {{handshakes_per_source: 0, commands_per_second: 1000000, commands_in_flight: 10000}}
token: {{secret: "{secret}", audience: bench, issuer: bench}}
log: {{level: warning}}
namespaces:
  - {{name: live, allow_subscribe_for_client: true, allow_publish_for_client: true}}
  - {{name: kept, allow_subscribe_for_client: true, allow_publish_for_client: true, history_size: 1000, history_ttl: 10m, force_recovery: true, durability: fast}}
"""


def free_port(given=set()):
    """Below the ephemeral range, and never one that was given before."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in given:
            given.add(port)
            return port


class Appliance:
    """A callboard process with one worker and one shard."""

    def __init__(self, build, folder, *options, more=""):
        self.build = build
        self.port, self.internal, self.router, self.pull = (free_port() for _ in range(4))
        config = folder / f"bench-{self.port}.yaml"
        config.write_text(CONFIG.format(secret=SECRET, **self.__dict__) + more)
        arguments = [str(build / "tools/callboard"), "--config", str(config)]
        arguments += options
        self.log = open(folder / f"log-{self.port}", "w+")
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)

    def __enter__(self):
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.internal}/ready", timeout=1) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        self.log.seek(0)
        sys.exit(f"callboard is not ready:\n{self.log.read()}")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("callboard did not end")


class Redis:
    def __init__(self, folder, *options):
        self.port = free_port()
        data = folder / f"redis-{self.port}"
        data.mkdir()
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(data),
                                         *options],
                                        stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{self.port}"

    def __enter__(self):
        while self.ask("ping") != "PONG\n":
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def restart(self):
        """Killed, and started again with what its log has."""
        self.process.kill()
        self.process.wait()
        self.process = subprocess.Popen(self.process.args, stdout=subprocess.DEVNULL)
        return self.__enter__()

    def ask(self, *command):
        return subprocess.run(["redis-cli", "-p", str(self.port), *command], capture_output=True, text=True).stdout

    def script_calls(self):
        """Calls of scripts and functions so far, and the µs they took."""
        calls, usec = 0, 0.0
        for line in self.ask("info", "commandstats").splitlines():
            name, _, fields = line.strip().partition(":")
            if name in ("cmdstat_evalsha", "cmdstat_fcall"):
                values = dict(field.split("=") for field in fields.split(","))
                calls, usec = calls + int(values["calls"]), usec + float(values["usec"])
        return calls, usec

    def cpu(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9


def load(server, *arguments):
    """What callboardctl bench says of this server; a run in which something was lost, doubled or refused ends all."""
    environment = {**os.environ, "CALLBOARD_TOKEN_SECRET": SECRET}
    command = [str(server.build / "tools/callboardctl"), "-o", "json", "bench", "--url", f"ws://127.0.0.1:{server.port}", "--audience", "bench",
               "--issuer", "bench", "--pid", str(server.process.pid), "--size", "150", "--assert",
               "connected=100,lost=0,doubled=0,out_of_order=0,disconnects=0,publish_errors=0", *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    if answer.returncode != 0:
        sys.exit(f"the load failed: {answer.stderr} {answer.stdout}")
    return json.loads(answer.stdout)


def bench_idle(build, folder):
    for name, channels in (("PSS per idle connection at 10,000", 0), ("… with one subscription each", 1)):
        with Appliance(build, folder) as server:
            nobody = ("--channels", channels, "--publishers", 0, "--channel-prefix", "live:")
            load(server, *nobody, "--users", 100, "--duration", "1ms")  # what is allocated once is there
            report = load(server, *nobody, "--users", 10000, "--settle", "500ms", "--duration", "25s")  # each got its ping once
            yield name, report["figures"]["pss_per_user"], "B", "≤ 3,000"
            yield "… CPU of 10,000, pings answered", report["figures"]["cpu"] / report["run_s"] * 100, "%", ""


def bench_handshakes(build, folder):
    few = ["--set", "client.connections_max=1000"]
    for name, how, options, aim in (("handshakes per CPU-second, cut off by the client", "reset", few, "≥ 25,000"),
                                    ("… closed by close frames", "close", few, ""), ("… cut off, room for 20,000 connections", "reset", [], "")):
        with Appliance(build, folder, *options) as server:
            churn = ("--channels", 0, "--publishers", 0, "--users", 50)
            load(server, *churn, "--churn", "close", "--duration", "1s")
            figures = load(server, *churn, "--churn", how, "--duration", "4s")["figures"]
            yield name, figures["connects"] / figures["cpu"], "", aim


def bench_fanout(build, folder):
    with Appliance(build, folder) as server:
        figures = load(server, "--users", 1, "--channel-prefix", "live:one", "--rate", "max", "--duration", "3s")["figures"]
        yield "1 → 1 at full rate: CPU per publication, all the way", figures["cpu_per_million"], "µs", ""
        yield "… a second", figures["rate"], "", ""
        for name, rate, seconds, aim in (("at 50/s", 50, 6, "≤ 8"), ("at 500/s", 500, 4, ""), ("at full rate", "max", 4, "")):
            figures = load(server, "--users", 1000, "--channel-prefix", "live:fanout", "--rate", rate, "--duration", f"{seconds}s")["figures"]
            yield f"1 → 1,000 {name}: CPU per million deliveries", figures["cpu_per_million"], "s", aim
            if rate == "max":
                yield "… deliveries per CPU-second", figures["deliveries"] / figures["cpu"], "", ""
                yield "… deliveries per second", figures["rate"], "", ""


def latency(server, namespace, seconds):
    """One publication at a time, half a millisecond of sleep after each."""
    return load(server, "--users", 1, "--channel-prefix", f"{namespace}:l", "--rate", "max", "--in-flight", 1, "--pause", "500us",
                "--duration", f"{seconds}s")["figures"]


def latencies(build, folder, name, namespace, *options):
    with Appliance(build, folder, *options) as server:
        figures = latency(server, namespace, 3)
        yield f"publish to deliver, {name}: p50", figures["p50"] * 1000, "µs", ""
        yield "… p99", figures["p99"] * 1000, "µs", "≤ 1,000"
        yield "… CPU", figures["cpu_per_million"], "µs", ""


def bench_latency(build, folder):
    yield from latencies(build, folder, "memory", "live")
    yield from latencies(build, folder, "memory with history", "kept")


def publish_durably(server, count, in_flight, channels, namespace="kept"):
    """Through the ROUTER endpoint; the seconds it took."""
    import zmq
    requests = zmq.Context.instance().socket(zmq.DEALER)
    requests.linger = 0
    requests.connect(f"tcp://127.0.0.1:{server.router}")
    params = [json.dumps({"channel": f"{namespace}:c{i}"}).encode() for i in range(channels)]
    payload = b'{"pad":"' + b"x" * 118 + b'"}'
    sent = done = 0
    start = time.monotonic()
    while done < count:
        while sent < count and sent - done < in_flight:
            requests.send_multipart([b"CB1", b"publish", b"%d" % sent, params[sent % channels], payload])
            sent += 1
        frames = requests.recv_multipart()
        if frames[1] != b"ok":
            sys.exit(f"refused: {frames}")
        done += 1
    requests.close()
    return time.monotonic() - start


def bench_redis(build, folder):
    with Redis(folder) as redis:
        yield from latencies(build, folder, "Redis with history", "kept", "--redis", redis.url)
        with Appliance(build, folder, "--redis", redis.url) as server:
            publish_durably(server, 500, 1, 1)
            for name, count, in_flight, channels in (("one after another", 5000, 1, 1), ("64 in flight, 1,000 channels", 20000, 64, 1000),
                                                     ("1,000 in flight, one channel", 60000, 1000, 1)):
                calls, usec = redis.script_calls()
                cpu = redis.cpu()
                elapsed = publish_durably(server, count, in_flight, channels)
                cpu = redis.cpu() - cpu
                calls, usec = (after - before for after, before in zip(redis.script_calls(), (calls, usec)))
                yield f"durable publish, {name}: in Redis's script", usec / count, "µs", "≤ 7.5" if in_flight == 1 else ""
                yield "… Redis CPU", cpu / count * 1e6, "µs", ""
                yield "… publications a call", count / calls if calls else 0, "", ""
                yield "… a second", count / elapsed, "", ""


MANY = """
internal: {{port: {internal}}}
log: {{level: warning}}
namespaces:
  - {{name: live, allow_subscribe_for_client: true, allow_publish_for_client: true}}
"""
MANY_BROKER = """
broker: {{id: bench, shards: 1, endpoint: "tcp://127.0.0.1:{links}"}}
backend: {{endpoint: "tcp://127.0.0.1:{router}", pull_endpoint: "tcp://127.0.0.1:{pull}"}}
drain: {{window: 1s}}
"""
MANY_GATEWAY = """
gateway: {{id: gateway-{port}, workers: 1}}
http: {{address: 127.0.0.1, port: {port}}}
brokers: {{endpoints: ["tcp://127.0.0.1:{links}"]}}
drain: {{delay: 0, window: 1s}}
client: {{handshakes_per_source: 0, connections_per_source: 0, connections_max: 17000}}
token: {{secret: "{secret}", audience: bench, issuer: bench}}
"""


@contextlib.contextmanager
def program(build, folder, name, text, **values):
    """One of our programs, ready."""
    values = {"internal": free_port(), "secret": SECRET, **values}
    config = folder / f"many-{values['internal']}.yaml"
    config.write_text((text + MANY).format(**values))
    process = subprocess.Popen([str(build / name), "--config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{values['internal']}/ready", timeout=1):
                break
            time.sleep(0.05)
        else:
            sys.exit(f"{name} is not ready")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bench_many(build, folder):
    """50,000 users over three gateways and one broker, from three processes of the load."""
    links = free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(program(build, folder, "broker/callboard-broker", MANY_BROKER, links=links, router=free_port(), pull=free_port()))
        ports = [free_port() for _ in range(3)]
        gateways = [stack.enter_context(program(build, folder, "gateway/callboard-gateway", MANY_GATEWAY, links=links, port=port)) for port in ports]
        command = [str(build / "tools/callboardctl"), "-o", "json", "bench", "--audience", "bench", "--issuer", "bench", "--channel-prefix", "live:m",
                   "--users", "50000", "--processes", "3", "--connecting", "60", "--channels", "500", "--rate", "0.2", "--duration", "15s",
                   "--assert", "connected=100,lost=0,doubled=0,out_of_order=0"]
        for port, gateway in zip(ports, gateways):
            command += ["--url", f"ws://127.0.0.1:{port}", "--pid", str(gateway.pid)]
        answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CALLBOARD_TOKEN_SECRET": SECRET})
        if answer.returncode != 0:
            sys.exit(f"the load failed: {answer.stderr} {answer.stdout}")
        figures = json.loads(answer.stdout)["figures"]
        yield "50,000 over three gateways: connect p95", figures["connect_p95"], "ms", "≤ 100"
        yield "… connections a second", figures["connect_rate"], "", ""
        yield "… CPU per handshake and subscription", figures["cpu_connect"] / 50000 * 1e6, "µs", ""
        yield "… PSS per connection with a subscription", figures["pss_per_user"], "B", ""
        yield "… publish to deliver p95, 500 channels of 100 at 0.2/s", figures["p95"], "ms", "≤ 50"


def counted(server, *metrics):
    """Sum of these lines of the server's /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.internal}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(metrics))


def cpu_of(process):
    """Seconds of CPU of all its threads so far."""
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/schedstat")) / 1e9


def publish_load(build, *arguments):
    answer = subprocess.run([str(build / "tests/bench/publish_load"), *map(str, arguments)], capture_output=True, text=True)
    if answer.returncode != 0:
        sys.exit(f"publish_load failed: {answer.stderr}")
    return float(answer.stdout)


def push_rate(server, count):
    """Publications a second that the shard took, their share, and µs of CPU for each: until all were taken or counted as dropped."""
    taken = 'callboard_broker_publishes_total{result="ok"'
    dropped = "callboard_backend_push_dropped_total"
    before = counted(server, taken), counted(server, taken, dropped)
    cpu = cpu_of(server.process)
    start = time.monotonic()
    publish_load(server.build, "push", f"tcp://127.0.0.1:{server.pull}", count, 100, "live")
    while counted(server, taken, dropped) - before[1] < count:
        if time.monotonic() - start > 120:
            sys.exit(f"{count - (counted(server, taken, dropped) - before[1]):.0f} of {count} pushes were neither taken nor counted as dropped")
        time.sleep(0.01)
    elapsed, cpu = time.monotonic() - start, cpu_of(server.process) - cpu
    kept = counted(server, taken) - before[0]
    return kept / elapsed, kept / count * 100, cpu / count * 1e6


def ask_rate(server, count, clients):
    """Answered publications a second, and µs of the server's CPU for each."""
    cpu = cpu_of(server.process)
    elapsed = publish_load(server.build, "ask", f"tcp://127.0.0.1:{server.router}", count, 1000, "kept", clients, 64)
    return count / elapsed, (cpu_of(server.process) - cpu) / count * 1e6


def nats_rate(count):
    """PUBs of 128 bytes to one connection of nats-server, as `nats bench pub` sends them: until the PONG behind the last."""
    port = free_port()
    process = subprocess.Popen(["/usr/sbin/nats-server", "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                link = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit("nats-server is not there")
        with link:
            link.settimeout(60)
            chunk = b"".join(b"PUB live.c%d 128\r\n%s\r\n" % (i, b"x" * 128) for i in range(100)) * 10
            start, cpu = time.monotonic(), cpu_of(process)
            link.sendall(b'CONNECT {"verbose":false}\r\n')
            for _ in range(count // 1000):
                link.sendall(chunk)
            link.sendall(b"PING\r\n")
            heard = b""
            while b"PONG\r\n" not in heard:
                more = link.recv(65536)
                if not more or b"-ERR" in more:
                    sys.exit(f"nats-server refused: {heard + more}")
                heard += more
            return count / (time.monotonic() - start), (cpu_of(process) - cpu) / count * 1e6
    finally:
        process.terminate()
        process.wait()


def redis_rate(redis, count):
    """XADD and PUBLISH of 128 bytes in one script, 64 in flight on each of 16 connections, by redis-benchmark."""
    script = "redis.call('XADD', KEYS[1], 'MAXLEN', '~', 1000, '*', 'd', ARGV[1]) return redis.call('PUBLISH', 'topic', ARGV[1])"
    answer = subprocess.run(["redis-benchmark", "-p", str(redis.port), "-n", str(count), "-c", "16", "-P", "64", "-r", "1000", "--csv",
                             "eval", script, "1", "s:__rand_int__", "x" * 128], capture_output=True, text=True)
    if answer.returncode != 0:
        sys.exit(f"redis-benchmark failed: {answer.stderr}")
    return float(answer.stdout.splitlines()[-1].split('","')[1])


def asked(server, name, count, aim):
    """Rows of one client, of four and of sixteen; the last one's rate is returned."""
    ask_rate(server, 20000, 4)
    rate, _ = ask_rate(server, count, 1)
    yield f"ROUTER, {name} with history, acks: 1 client, 64 in flight, a second", rate, "", ""
    rate, cpu = ask_rate(server, 2 * count, 4)
    yield "… 4 clients", rate, "", ""
    yield "… CPU for each", cpu, "µs", ""
    rate, cpu = ask_rate(server, 4 * count, 16)
    yield "… 16 clients", rate, "", aim
    yield "… their CPU for each", cpu, "µs", ""
    return rate


def bench_backend(build, folder):
    """Publications of services: what one shard takes, beside what one NATS connection and one Redis take in the same round."""
    with Appliance(build, folder) as server:
        push_rate(server, 100000)
        rate, kept, cpu = push_rate(server, 1000000)
        yield "PUSH, memory, no history: publications a second", rate, "", "≥ 300,000"
        yield "… of them taken, the others counted as dropped", kept, "%", "100"
        yield "… CPU for each", cpu, "µs", ""
        nats, cpu = nats_rate(1000000)
        yield "… nats-server, PUB over one connection, a second", nats, "", ""
        yield "… its CPU for each", cpu, "µs", ""
        yield "… ours by that of nats-server, a second", rate / nats, "", ""
        yield from asked(server, "memory", 100000, "≥ 100,000")
    with Redis(folder, "--appendonly", "yes", "--appendfsync", "everysec") as redis:
        with Appliance(build, folder, "--redis", redis.url) as server:
            rate = yield from asked(server, "Redis everysec", 50000, "≥ 60,000")
        plain = redis_rate(redis, 200000)
        yield "… redis-benchmark, XADD and PUBLISH in a script, the same Redis, a second", plain, "", ""
        yield "… ours by that of redis-benchmark", rate / plain, "", ""


def idle_channels(build, *arguments):
    answer = subprocess.run([str(build / "tests/bench/idle_channels"), "100000", *arguments], capture_output=True, text=True)
    if answer.returncode != 0:
        sys.exit(f"idle_channels failed: {answer.stderr}")
    return float(answer.stdout)


def bench_channels(build, folder):
    with Redis(folder) as redis:
        yield "PSS per idle channel in the broker, Redis, without its tail", idle_channels(build, redis.url), "B", "≤ 400"
    yield "… memory engine", idle_channels(build), "B", "≤ 400"
    yield "… memory engine, with one publication of 130 bytes stored and in the tail", idle_channels(build, "", "1"), "B", ""


SAFE = """  - {name: safe, allow_subscribe_for_client: true, allow_publish_for_client: true, history_size: 1000, history_ttl: 10m, force_recovery: true, durability: safe}
"""


def bench_safe(build, folder):
    """Fast and safe in one appliance, in turns: what waiting for one and for two replicas adds."""
    for n_replicas in (1, 2):
        with contextlib.ExitStack() as stack:
            primary = stack.enter_context(Redis(folder, "--repl-diskless-sync-delay", "0"))
            replicas = [stack.enter_context(Redis(folder, "--replicaof", "127.0.0.1", str(primary.port))) for _ in range(n_replicas)]
            while any("master_link_status:up" not in replica.ask("info", "replication") for replica in replicas):
                time.sleep(0.1)
            server = stack.enter_context(Appliance(build, folder, "--redis", primary.url, "--set", "redis.confirm=replicas",
                                                   "--set", f"redis.confirm_replicas={n_replicas}", more=SAFE))
            measured = {"kept": [], "safe": []}
            for namespace in ("kept", "safe") * 2:
                figures = latency(server, namespace, 2)
                rate = 40000 / publish_durably(server, 40000, 1000, 1000, namespace)
                measured[namespace].append((figures["p50"] * 1000, figures["p99"] * 1000, rate))
            fast, safe = (tuple(statistics.mean(values) for values in zip(*measured[name])) for name in ("kept", "safe"))
            yield f"safe, {n_replicas} of {n_replicas} replicas: p50 added to publish to deliver", safe[0] - fast[0], "µs", "≤ 300"
            yield "… p99 added", safe[1] - fast[1], "µs", ""
            yield "… fast p50", fast[0], "µs", ""
            yield "… durable publishes a second, 1,000 in flight, 1,000 channels", safe[2], "", ""
            yield "… by those of a fast namespace", safe[2] / fast[2], "", "≥ 0.8"


def bench_reopen(build, folder):
    with Redis(folder, "--appendonly", "yes") as redis:
        program = subprocess.Popen([str(build / "tests/bench/reopen_channels"), "100000", redis.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if program.stdout.readline() != "ready\n":
            sys.exit("reopen_channels did not come up")
        redis.restart()
        program.stdin.write("go\n")
        program.stdin.flush()
        opened, told = map(float, program.stdout.readline().split())
        program.stdin.close()
        program.wait()
        yield "Redis restarted under 100,000 channels: 256 partitions open, all take publications, after", opened, "s", ""
        yield "… every subscription was told its new epoch after", told, "s", ""


def bench_disk(build, folder):
    """Durable publishes of one shard by what Redis does with its log."""
    for policy in ("no log", "everysec", "always"):
        options = ("--appendonly", "no") if policy == "no log" else ("--appendonly", "yes", "--appendfsync", policy)
        with Redis(folder, *options) as redis, Appliance(build, folder, "--redis", redis.url) as server:
            publish_durably(server, 2000, 100, 100)
            yield f"durable publishes a second of one shard, 1,000 in flight, 1,000 channels, {policy}", 40000 / publish_durably(server, 40000, 1000, 1000), "", ""
            yield "… one after another", 2000 / publish_durably(server, 2000, 1, 1), "", ""


def bench_compressed(build, folder):
    """Subscribers that agreed to permessage-deflate, beside the same ones without."""
    import bench_compression
    options = ["--set", "client.compression=true", "--set", "client.compression_min_size=100"]
    with Appliance(build, folder, *options) as server:
        yield from bench_compression.bench(server, SECRET)


BENCHES = {"idle": bench_idle, "handshakes": bench_handshakes, "fanout": bench_fanout, "latency": bench_latency, "redis": bench_redis,
           "safe": bench_safe, "channels": bench_channels, "reopen": bench_reopen, "disk": bench_disk, "many": bench_many,
           "compression": bench_compressed, "backend": bench_backend}


def shown(value):
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def run(names, builds, rounds, folder):
    """Rows of a table, each bench's when its rounds are done."""
    for name in names:
        rows = {}  # (name, unit, aim) → the values of each build
        for _ in range(rounds):
            for which, build in enumerate(builds):
                part = ""
                for row, value, unit, aim in BENCHES[name](build, folder):
                    part = part if row.startswith("…") else row
                    rows.setdefault((part, row, unit, aim), [[] for _ in builds])[which].append(value)
        for (_, row, unit, aim), values in rows.items():
            medians = [statistics.median(of_build) for of_build in values]
            cells = [f"{shown(median)} {unit}".rstrip() for median in medians] + ([f"{medians[1] / medians[0]:.2f}"] if len(builds) == 2 else [aim])
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(BENCHES))
    parser.add_argument("--build", default=ROOT / "build-bench", type=pathlib.Path, help="a Release build with tests")
    parser.add_argument("--against", type=pathlib.Path, help="another one: the ratio is its figure by the first one's")
    parser.add_argument("--rounds", default=3, type=int)
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench '{unknown[0]}'; known: {', '.join(BENCHES)}")
    builds = [options.build.resolve()] + ([options.against.resolve()] if options.against else [])
    print("| figure | first | second | second / first |\n| --- | --- | --- | --- |" if options.against
          else "| figure | measured | aim |\n| --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        run(options.names or BENCHES, builds, options.rounds, pathlib.Path(folder))


if __name__ == "__main__":
    main()
