#!/usr/bin/env python3
"""A backend that publishes under idempotency keys at two brokers and writes down, one JSON line an event, what it was told.

    publisher.py SEED RATE CHANNELS(comma-separated) PREFIX FILLER ENDPOINT…

A try without an answer in 1.5 s is followed by another at a random broker, three in all; one publication in five is sent two or three times
at once whatever is answered. An answer that comes late counts all the same. Keys begin with PREFIX; payloads have FILLER bytes more than up to 150 (or less, where it
is below 0).
Ends when its input has ended and everything is answered, 6 s later at most.
"""
import hashlib
import json
import random
import select
import sys
import time

import zmq

TRIES = 3
PATIENCE_NS = 1_500_000_000
LAST_WORDS_NS = 6_000_000_000


class Publisher:
    def __init__(self, seed, rate, channels, prefix, filler, endpoints):
        self.prefix = prefix
        self.filler = filler
        self.random = random.Random(seed)
        self.interval_ns = int(1e9 / rate)
        self.channels = channels
        self.sockets = [self.dealer(endpoint) for endpoint in endpoints]
        self.waiting = {}  # id → (key, channel, try)
        self.retries = []  # (when, key, channel, try): a try that this one follows was not answered
        self.answered = set()
        self.count = 0

    def dealer(self, endpoint):
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.linger = 0
        socket.reconnect_ivl = 100
        socket.connect(endpoint)
        return socket

    def say(self, kind, key, channel, attempt, **more):
        print(json.dumps({"at": time.monotonic_ns(), "type": kind, "key": key, "ch": channel, "try": attempt, **more}), flush=True)

    def send(self, key, channel, attempt):
        request_id = f"{key}/{attempt}"
        payload = json.dumps({"k": key, "f": "y" * (len(key) * 37 % 150 + self.filler)}, separators=(",", ":")).encode()
        self.say("pub_invoke", key, channel, attempt, hash=hashlib.md5(payload).hexdigest()[:12])
        self.waiting[request_id] = (key, channel, attempt)
        params = {"channel": channel, "idempotency_key": key}
        frames = [b"CB1", b"publish", request_id.encode(), json.dumps(params).encode(), payload]
        try:
            self.random.choice(self.sockets).send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            del self.waiting[request_id]
            self.say("pub_no", key, channel, attempt, code=0)
        if attempt < TRIES:
            self.retries.append((time.monotonic_ns() + PATIENCE_NS, key, channel, attempt + 1))

    def publish(self):
        self.count += 1
        key = f"{self.prefix}-{self.count}"
        channel = self.random.choice(self.channels)
        self.send(key, channel, 1)
        if self.random.random() < 0.2:
            for attempt in range(TRIES + 1, TRIES + 2 + self.random.randrange(2)):
                self.send(key, channel, attempt)

    def retry(self, now):
        due = [each for each in self.retries if each[0] <= now]
        self.retries = [each for each in self.retries if each[0] > now]
        self.retries = [each for each in self.retries if each[1] not in self.answered]
        for _, key, channel, attempt in due:
            if key not in self.answered:
                self.send(key, channel, attempt)

    def take(self, socket):
        _, kind, request_id, body, *_ = socket.recv_multipart()
        waited = self.waiting.pop(request_id.decode(), None)
        if waited is None:
            return
        key, body = waited[0], json.loads(body)
        if kind == b"ok":
            self.answered.add(key)
            self.say("pub_ok", *waited, epoch=body["epoch"], off=body["offset"], dup=body["duplicate"])
        else:
            self.say("pub_no" if body["definite"] else "pub_unknown", *waited, code=body["code"])

    def run(self):
        poller = zmq.Poller()
        for socket in self.sockets:
            poller.register(socket, zmq.POLLIN)
        next_publish, end = time.monotonic_ns(), None
        while end is None or (time.monotonic_ns() < end and (self.waiting or self.retries)):
            for socket, _ in poller.poll(5):
                while socket.poll(0):
                    self.take(socket)
            now = time.monotonic_ns()
            if end is None and select.select([sys.stdin], [], [], 0)[0]:
                end = now + LAST_WORDS_NS
            self.retry(now)
            while end is None and next_publish <= now:
                self.publish()
                next_publish += self.interval_ns
        for waited in self.waiting.values():
            self.say("pub_unknown", *waited)


if __name__ == "__main__":
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    Publisher(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(","), sys.argv[4], int(sys.argv[5]), sys.argv[6:]).run()
