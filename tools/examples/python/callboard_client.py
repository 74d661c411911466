"""The backend API in Python, with nothing but pyzmq (Debian: python3-zmq). Copy it; docs/backend-api.md says what there is to ask.

One client belongs to one thread. What waits answers the broker's pings; a worker that computes for more than two seconds without asking
anything of its client is held for lost.
"""
import collections
import json
import random
import time
import uuid

import zmq

TRY_S = 2.0
KEPT_MAX = 10000  # events and calls that nobody took yet; above that the oldest goes


class Refused(Exception):
    """The broker's error; body has code, reason, message, temporary, definite."""

    def __init__(self, body):
        super().__init__(f"{body['message']} ({body['code']})")
        self.body = body


class Client:
    def __init__(self, endpoint="tcp://127.0.0.1:7710"):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndtimeo = int(TRY_S * 1000)
        self.socket.connect(endpoint)
        self.kept = collections.deque(maxlen=KEPT_MAX)

    def send(self, method, request_id, params, payload=None):
        frames = [b"CB1", method.encode(), request_id, json.dumps(params).encode()]
        try:
            self.socket.send_multipart(frames + ([] if payload is None else [payload]))
        except zmq.Again:
            pass  # the broker takes nothing: that ends like an answer that does not come

    def next_message(self, deadline):
        """(kind, id, body, payload), or None when time is over."""
        while self.socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            _, kind, message_id, body, *payload = self.socket.recv_multipart()
            if kind != b"ping":
                return kind.decode(), message_id, json.loads(body), payload[0] if payload else b""
            self.send("pong", b"", {})
        return None

    def request(self, method, params, payload=None, wait=5.0, request_id=None):
        """The result; Refused, or TimeoutError: it may have been done."""
        request_id = request_id or uuid.uuid4().bytes
        deadline = time.monotonic() + wait
        self.send(method, request_id, params, payload)
        while message := self.next_message(deadline):
            kind, message_id, body, _ = message
            if kind in ("event", "request"):
                self.kept.append(message)
            elif message_id == request_id and kind == "error":
                raise Refused(body)
            elif message_id == request_id:
                return body
        raise TimeoutError(f"no answer to {method} in {wait:g} s")

    def publish(self, channel, payload, patience=60.0):
        """Once, however often that takes: each try has the same key and the same id, so an answer to an earlier one is as good."""
        params, request_id = {"channel": channel, "idempotency_key": str(uuid.uuid4())}, uuid.uuid4().bytes
        deadline = time.monotonic() + patience
        attempt = 0
        while True:
            try:
                return self.request("publish", params, payload, min(TRY_S, patience), request_id)
            except TimeoutError as error:
                problem = error
            except Refused as error:
                if not error.body["temporary"]:
                    raise
                problem = error
            pause = random.uniform(0, min(5.0, 0.1 * 2**attempt))
            attempt += 1
            if time.monotonic() + pause > deadline:
                raise TimeoutError("given up; it may have been published") from problem
            time.sleep(pause)

    def receive(self, wait):
        """The next event of a subscription or call to a worker: (kind, id, body, payload), or None."""
        deadline = time.monotonic() + wait
        while message := self.kept.popleft() if self.kept else self.next_message(deadline):
            if message[0] in ("event", "request"):
                return message
        return None
