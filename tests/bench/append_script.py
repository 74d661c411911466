#!/usr/bin/python3
"""What scripts/append.lua costs Redis, in a dense stream of calls: µs in the script for each publication.

    tests/bench/append_script.py [publications a call = 1] [publications a channel and call = 1]

A Redis of its own, without a log; calls are packed as broker/redis/redis_batch.c does, 20 at a time on their way, over 1,000 channels
with 1,000 publications of history each, 128 bytes a publication. Prints the median of five runs of 5,000 calls.
"""
import pathlib
import random
import socket
import statistics
import struct
import subprocess
import sys
import time

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "broker/redis/scripts"
TAG, BOOT, GENERATION = "cb:{0}", b"b:ABCDEFGHIJKL", b"G" * 16
PUBLICATION = b"\2" + b"\0" * 8 + b"\0" * 24 + b"x" * 128
CHANNELS, PIPELINE, CALLS, RUNS = 1000, 20, 5000, 5


class Redis:
    def __init__(self):
        self.port = random.randrange(20000, 30000)
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port))
                break
            except OSError:
                time.sleep(0.05)
        self.file = self.socket.makefile("rb")

    def reply(self):
        line = self.file.readline()
        if line[:1] == b"$":
            size = int(line[1:])
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if line[:1] == b"*":
            return [self.reply() for _ in range(int(line[1:]))]
        return line if line[:1] == b"-" else line[1:].strip()

    def ask(self, *words):
        self.socket.sendall(command(*words))
        return self.reply()

    def script_us(self):
        line = next(line for line in self.ask("INFO", "commandstats").decode().splitlines() if line.startswith("cmdstat_evalsha:"))
        return float(line.split("usec_per_call=")[1].split(",")[0])


def command(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


class Writer:
    """A broker's batches for one partition."""

    def __init__(self, redis, batch, together):
        self.redis, self.n_channels, self.together = redis, batch // together, together
        text = (SCRIPTS / "settle.lua").read_text() + (SCRIPTS / "append.lua").read_text()
        self.digest = redis.ask("SCRIPT", "LOAD", text)
        head = struct.pack("<14sII16s16sQBB", BOOT, 1, int(time.time()), GENERATION, b"\0" * 16, 0, 1, 0)
        answer = redis.ask("EVAL", (SCRIPTS / "hello.lua").read_text(), 2, TAG + ":p", TAG, head)
        if answer[:1] != b"O":
            sys.exit(f"hello: {answer}")
        self.reign = answer[26:66]
        self.positions = [(b"\0" * 16, 0)] * CHANNELS
        self.number = self.seq = self.next = 0

    def call(self):
        self.number += 1
        channels = [(self.next + i) % CHANNELS for i in range(self.n_channels)]
        self.next = (self.next + self.n_channels) % CHANNELS
        keys, arguments, items = [TAG + ":p", TAG], [], []
        for channel in channels:
            name = b"kept:channel-%d" % channel
            epoch, top = self.positions[channel]
            following = b"%d" % (top + 1)
            keys += [f"{TAG}:m:{name.decode()}", f"{TAG}:s:{name.decode()}"]
            arguments.append(b"\1f" + epoch + struct.pack("<Q", top) + b"\x041000" + bytes([len(following)]) + following
                             + struct.pack("<QQ", 600000, 2592000000) + bytes([len(name)]) + name)
            items += [PUBLICATION] * self.together
        places = bytes(i + 1 for i in range(self.n_channels) for _ in range(self.together))
        head = (GENERATION + b"master_replid:" + self.reign + struct.pack("<QIII", self.seq, 1, self.number, int(time.time())) + b"S" * 13
                + struct.pack("<IBB", 300000, 1, self.n_channels) + BOOT + struct.pack("<H", len(places)) + places + struct.pack("<H", 0))
        return channels, command("EVALSHA", self.digest, len(keys), *keys, *arguments, *items, head)

    def take(self, channels, answer):
        if answer[:1] != b"O":
            sys.exit(f"append: {answer}")
        self.seq = struct.unpack("<Q", answer[2:10])[0]
        for i, channel in enumerate(channels):
            epoch, first = struct.unpack("<16sQ", answer[11 + 24 * i:35 + 24 * i])
            self.positions[channel] = (epoch, first + self.together - 1)

    def run(self, calls):
        for _ in range(0, calls, PIPELINE):
            sent = [self.call() for _ in range(PIPELINE)]
            self.redis.socket.sendall(b"".join(bytes_ for _, bytes_ in sent))
            for channels, _ in sent:
                self.take(channels, self.redis.reply())


def main():
    batch, together = (int(word) for word in (sys.argv[1:] + ["1", "1"][len(sys.argv) - 1:])[:2])
    if not 1 <= batch <= 255 or batch % together != 0:
        sys.exit(__doc__)
    redis = Redis()
    try:
        writer = Writer(redis, batch, together)
        writer.run(2 * CHANNELS)
        figures = []
        for _ in range(RUNS):
            redis.ask("CONFIG", "RESETSTAT")
            writer.run(CALLS)
            figures.append(redis.script_us() / batch)
        print(f"{statistics.median(figures):.2f} µs in the script for each publication ({min(figures):.2f} to {max(figures):.2f})")
    finally:
        redis.process.kill()
        redis.process.wait()


if __name__ == "__main__":
    main()
