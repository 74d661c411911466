#!/usr/bin/env python3
"""Publish from Python with nothing but pyzmq (Debian: python3-zmq).

    publish.py CHANNEL JSON [tcp://127.0.0.1:7710]

The answer says where the publication stands. No answer, or error 120, means it may have happened: the same idempotency key makes
trying again safe. A definite error is final unless it is marked temporary.
"""
import json
import random
import sys
import time
import uuid

import zmq

ATTEMPTS = 8
ANSWER_MS = 3000


def request(socket, method, params, payload=None):
    """One request; its reply's (kind, body), or None when no answer came in time."""
    request_id = uuid.uuid4().bytes
    frames = [b"CB1", method.encode(), request_id, json.dumps(params).encode()]
    socket.send_multipart(frames + ([payload] if payload is not None else []))
    deadline = time.monotonic() + ANSWER_MS / 1000
    while socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
        version, kind, reply_id, body, *_ = socket.recv_multipart()
        if reply_id == request_id:  # else: a late answer to an earlier try
            return kind.decode(), json.loads(body)
    return None


def publish(socket, channel, payload):
    params = {"channel": channel, "idempotency_key": str(uuid.uuid4())}
    for attempt in range(ATTEMPTS):
        reply = request(socket, "publish", params, payload)
        if reply and reply[0] == "ok":
            return reply[1]
        if reply and not reply[1]["temporary"]:
            raise RuntimeError(f"refused: {reply[1]['message']} ({reply[1]['code']})")
        time.sleep(random.uniform(0, min(5.0, 0.1 * 2**attempt)))
    raise RuntimeError(f"no answer after {ATTEMPTS} attempts; it may or may not have been published")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(sys.argv[3] if len(sys.argv) == 4 else "tcp://127.0.0.1:7710")
    print(json.dumps(publish(socket, sys.argv[1], sys.argv[2].encode())))
