#!/usr/bin/env python3
"""A backend that does not give up: publishes 1, 2, 3… into each channel, under an idempotency key each, one at a time a channel.

    keyed_publisher.py CHANNELS(comma-separated) PAUSE_MS ENDPOINT…

A publication that was not acknowledged is sent again under its key, at the next endpoint, until some broker says where it stands; then
one JSON line says so: {"ch", "i", "epoch", "offset", "duplicate", "tries"}. Ends when its input does and nothing is under way any more.
"""
import json
import select
import sys
import time
import uuid

import zmq

PATIENCE_S = 1.0
RETRY_S = 0.1


class Stream:
    """One channel: what is on its way, and when to try again."""

    def __init__(self, channel, at):
        self.channel = channel
        self.number = 0
        self.at = at  # the endpoint tried first
        self.key = None
        self.tries = 0
        self.request_id = None
        self.due = 0.0  # when to begin the next, or to try again


def main(channels, pause_s, endpoints):
    sockets = []
    poller = zmq.Poller()
    for endpoint in endpoints:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.linger = 0
        socket.reconnect_ivl = 100
        socket.connect(endpoint)
        poller.register(socket, zmq.POLLIN)
        sockets.append(socket)
    streams = [Stream(channel, at % len(sockets)) for at, channel in enumerate(channels)]
    waiting = {}  # request id → stream
    ending = False
    while not (ending and all(stream.key is None for stream in streams)):
        for socket, _ in poller.poll(5):
            while socket.poll(0):
                _, kind, request_id, body, *_ = socket.recv_multipart()
                stream = waiting.pop(request_id, None)
                if stream is None or stream.request_id != request_id:
                    continue  # an answer to a try that another one follows
                body = json.loads(body)
                if kind == b"ok":
                    print(json.dumps({"ch": stream.channel, "i": stream.number, "epoch": body["epoch"], "offset": body["offset"],
                                      "duplicate": body["duplicate"], "tries": stream.tries}), flush=True)
                    stream.key = None
                    stream.due = time.monotonic() + pause_s
                elif not body["temporary"]:
                    sys.exit(f"refused for good: {body}")
                else:
                    stream.due = time.monotonic() + RETRY_S
        ending = ending or bool(select.select([sys.stdin], [], [], 0)[0])
        now = time.monotonic()
        for stream in streams:
            if stream.due > now or (ending and stream.key is None):
                continue
            if stream.key is None:
                stream.number += 1
                stream.key = str(uuid.uuid4())
                stream.tries = 0
            waiting.pop(stream.request_id, None)
            stream.request_id = uuid.uuid4().bytes
            waiting[stream.request_id] = stream
            params = {"channel": stream.channel, "idempotency_key": stream.key}
            try:
                sockets[(stream.at + stream.tries) % len(sockets)].send_multipart(
                    [b"CB1", b"publish", stream.request_id, json.dumps(params).encode(), json.dumps({"i": stream.number}).encode()],
                    zmq.NOBLOCK)
            except zmq.Again:
                pass  # its queue is full of what nobody fetches: the next endpoint, when patience is over
            stream.tries += 1
            stream.due = now + PATIENCE_S


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1].split(","), float(sys.argv[2]) / 1000, sys.argv[3:])
