#!/usr/bin/env python3
"""Is the model of Redis true? `fidelity.py SIMULATE [SEEDS]` simulates schedules without faults, plays every command of theirs to a
real redis-server in the same order, and compares the answers to the byte, the messages published, and the keys in the end.

Left out are leases (they run out in virtual time) and what tells a server's own state (INFO, ROLE…). A stream of the real one
may be longer at its beginning: MAXLEN ~ cuts whole nodes.
"""
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

LEFT_OUT = {b"INFO", b"ROLE", b"CLIENT", b"COMMAND", b"CONFIG", b"WAIT", b"SUBSCRIBE", b"UNSUBSCRIBE", b"SELECT", b"PING"}


class Link:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def raw(self):
        """One reply as it is on the wire."""
        line = self.file.readline()
        if line[:1] == b"$" and line != b"$-1\r\n":
            return line + self.file.read(int(line[1:]) + 2)
        if line[:1] == b"*":
            return line + b"".join(self.raw() for _ in range(max(0, int(line[1:]))))
        return line

    def value(self):
        line = self.file.readline()
        if line[:1] == b"$":
            return None if line == b"$-1\r\n" else self.file.read(int(line[1:]) + 2)[:-2]
        if line[:1] == b"*":
            return [self.value() for _ in range(max(0, int(line[1:])))]
        return line[1:-2]

    def ask(self, *words):
        self.send(*words)
        return self.value()


class Transcript:
    def __init__(self, path):
        self.bytes = pathlib.Path(path).read_bytes()
        self.at = 0

    def number(self):
        self.at += 4
        return struct.unpack_from("<I", self.bytes, self.at - 4)[0]

    def span(self):
        size = self.number()
        self.at += size
        return self.bytes[self.at - size:self.at]

    def records(self):
        while self.at < len(self.bytes):
            letter = chr(self.bytes[self.at])
            self.at += 1
            if letter == "C":
                yield letter, [self.span() for _ in range(self.number())], self.span()
            elif letter in "MT":
                yield letter, self.span(), self.span()
            elif letter == "E":
                key = self.span()
                yield letter, key, {self.span() for _ in range(self.number())}
            else:
                key = self.span()
                yield letter, key, [(self.span(), self.span()) for _ in range(self.number())]


def is_left_out(words):
    return words[0].upper() in LEFT_OUT or any(b":gw" in word for word in words) or any(b"probe" in word for word in words)


def same(theirs, ours):
    """Errors by their first word: the rest names a line of a script."""
    if theirs[:1] == b"-" and ours[:1] == b"-":
        return theirs.split()[0] == ours.split()[0]
    return theirs == ours


def compare_key(link, letter, key, content):
    if b":gw" in key or b"probe" in key:
        return True
    if letter == "T":
        return link.ask("GET", key) == content
    if letter == "E":
        return set(link.ask("SMEMBERS", key)) == content
    if letter == "H":
        pairs = link.ask("HGETALL", key)
        return dict(zip(pairs[::2], pairs[1::2])) == dict(content)
    real = [(entry[0], entry[1][1]) for entry in link.ask("XRANGE", key, "-", "+")]
    return real[len(real) - len(content):] == content


def play(link, listener, transcript, seed):
    """Returns how many commands, messages and keys were compared."""
    counts = {"C": 0, "M": 0, "keys": 0}
    published = []  # by the command that follows in the transcript
    for letter, first, second in transcript.records():
        if letter == "C" and not is_left_out(first):
            link.send(*first)
            real = link.raw()
            counts["C"] += 1
            if not same(real, second):
                sys.exit(f"seed {seed}: {first[0].decode()} {first[3:6]} was answered {real!r}, the model says {second!r}")
            for topic, message in published:
                heard = listener.value()
                if heard[2:] != [topic, message]:
                    sys.exit(f"seed {seed}: {heard!r} was heard, the model says {topic!r}: {message!r}")
            counts["M"] += len(published)
            published = []
        elif letter == "M" and b"probe" not in first:
            published.append((first, second))
        elif letter in "THSE":
            counts["keys"] += 1
            if not compare_key(link, letter, first, second):
                sys.exit(f"seed {seed}: the key {first!r} differs; the model has {second!r}")
    return counts


def start_server(folder):
    for _ in range(20):
        port = random.randrange(20000, 30000)
        server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
                                  stdout=subprocess.DEVNULL)
        while server.poll() is None:
            try:
                return server, Link(port), Link(port)
            except OSError:
                time.sleep(0.02)
    sys.exit("redis-server does not start")


def main():
    simulate, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 12
    with tempfile.TemporaryDirectory() as folder:
        server, link, listener = start_server(folder)
        try:
            listener.ask("PSUBSCRIBE", "cb:*")
            replid = [line for line in link.ask("INFO", "replication").split(b"\r\n") if line.startswith(b"master_replid:")][0][14:]
            total = {"C": 0, "M": 0, "keys": 0}
            for seed in range(1, seeds + 1):
                link.ask("FLUSHALL")
                link.ask("SCRIPT", "FLUSH")
                path = f"{folder}/transcript"
                subprocess.run([simulate, "--seed", str(seed), "--faults", "0", "--transcript", path, "--replid", replid.decode()],
                               check=True, stdout=subprocess.DEVNULL)
                for what, n in play(link, listener, Transcript(path), seed).items():
                    total[what] += n
            print(f"{total['C']} commands, {total['M']} messages and {total['keys']} keys are the same in the model and in Redis")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
