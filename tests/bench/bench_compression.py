"""What permessage-deflate saves and what it costs: subscribers that agreed to it, beside the same ones that did not.

The subscribers are plain sockets that only count what comes; the first of them inflates every frame and compares. CPU is the server's.
"""
import base64
import hmac
import json
import os
import pathlib
import select
import socket
import struct
import time
import zlib

SUBSCRIBERS = 200
PUBLICATIONS = 300
PING = b"{}"
TEXTS = [  # about 200, 600 and 2,000 bytes of JSON as applications send it: the same names again and again, other values
    lambda i: {"type": "price", "symbol": f"SYM{i % 50}", "bid": 100 + i % 97 / 7, "ask": 101 + i % 89 / 7, "volume": i * 37 % 1009, "venue": "XETRA",
               "time": f"2026-11-29T12:{i % 60:02}:{i * 7 % 60:02}.{i * 31 % 1000:03}Z"},
    lambda i: {"type": "message", "id": f"{i * 2654435761 % 2**32:08x}", "room": f"room-{i % 7}", "from": {"id": f"user-{i * 17 % 301}", "name": "Some Body"},
               "text": " ".join(WORDS[(i * 31 + n * 7) % len(WORDS)] for n in range(60)), "mentions": [f"user-{i % 13}", f"user-{i % 19}"]},
    lambda i: {"type": "table", "rows": [{"id": i * 100 + n, "name": f"row {n}", "state": ("open", "closed", "waiting")[(i + n) % 3], "amount": (i * n) % 977}
                                         for n in range(30)]},
]
WORDS = ("the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your "
         "which their said if do will each about how up out them then she many some so these would other into has more her two like him see time").split()


def token(secret):
    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    claims = {"sub": "somebody", "aud": "bench", "iss": "bench", "iat": now, "exp": now + 600}
    text = encoded(b'{"alg":"HS256","typ":"JWT"}') + b"." + encoded(json.dumps(claims).encode())
    return (text + b"." + encoded(hmac.digest(secret.encode(), text, "sha256"))).decode()


def connect(port, secret, compresses):
    """A WebSocket that has connected and subscribed to live:z."""
    peer = socket.create_connection(("127.0.0.1", port))
    extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if compresses else ""
    peer.sendall((f"GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n{extension}\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(4096)
    assert head.startswith(b"HTTP/1.1 101") and (b"permessage-deflate" in head) == compresses, head
    message = f'{{"id":1,"connect":{{"token":"{token(secret)}"}}}}\n{{"id":2,"subscribe":{{"channel":"live:z"}}}}'.encode()
    peer.sendall(struct.pack("!BBHI", 0x81, 0x80 | 126, len(message), 0) + message)
    replies = b""
    while b'"id":2' not in replies:
        chunk = peer.recv(4096)
        assert chunk and b'"error"' not in replies, replies
        replies += chunk
    peer.setblocking(False)
    return peer


def messages(stream):
    """The texts in a stream of frames of a server, inflated where that is due."""
    at = 0
    while at < len(stream):
        size, start = stream[at + 1], at + 2
        if size == 126:
            size, start = struct.unpack_from("!H", stream, start)[0], start + 2
        payload = stream[start:start + size]
        yield zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff") if stream[at] & 0x40 else payload
        at = start + size


def cpu(pid):
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def drain(peers, poll, first, stream, milliseconds):
    """Reads what comes, until nothing does for so long; what the first one gets joins its stream."""
    while ready := poll.poll(milliseconds):
        for descriptor, _ in ready:
            chunk = peers[descriptor].recv(1 << 20)
            if descriptor == first:
                stream.extend(chunk)


def measure(server, secret, make, compresses):
    """Bytes on the wire and CPU of a delivery, with bytes of the publications themselves."""
    import zmq
    sockets = [connect(server.port, secret, compresses) for _ in range(SUBSCRIBERS)]
    peers = {peer.fileno(): peer for peer in sockets}
    poll = select.poll()
    for peer in sockets:
        poll.register(peer, select.POLLIN)
    requests = zmq.Context.instance().socket(zmq.DEALER)
    requests.linger = 0
    requests.connect(f"tcp://127.0.0.1:{server.router}")
    texts = [json.dumps(make(i), separators=(",", ":")).encode() for i in range(PUBLICATIONS)]
    first, stream = sockets[0].fileno(), bytearray()
    before = cpu(server.process.pid)
    for i, text in enumerate(texts):
        requests.send_multipart([b"CB1", b"publish", b"%d" % i, b'{"channel":"live:z"}', text])
        frames = requests.recv_multipart()
        assert frames[1] == b"ok", frames
        drain(peers, poll, first, stream, 3)  # so that each is a write of its own
    deadline_s = time.monotonic() + 30
    while sum(text != PING for text in messages(stream)) < PUBLICATIONS:
        drain(peers, poll, first, stream, 100)
        assert time.monotonic() < deadline_s, "publications are missing"
    used = cpu(server.process.pid) - before
    texts_sent = [text for text in messages(stream) if text != PING]
    assert [json.loads(text)["push"]["pub"]["data"] for text in texts_sent] == [json.loads(text) for text in texts], "something was changed"
    n_bytes = len(stream) - (2 + len(PING)) * stream.count(b"\x81\x02" + PING)
    for peer in sockets:
        peer.close()
    requests.close()
    return n_bytes / PUBLICATIONS, used / PUBLICATIONS / SUBSCRIBERS * 1e6, sum(map(len, texts)) / PUBLICATIONS


def bench(server, secret):
    for make in TEXTS:
        plain, plain_cpu, size = measure(server, secret, make, False)
        packed, packed_cpu, _ = measure(server, secret, make, True)
        yield f"compression, JSON of {size:,.0f} B: bytes a delivery, plain", plain, "B", ""
        yield "… compressed", packed, "B", ""
        yield "… of the plain bytes", packed / plain, "", ""
        yield f"… CPU a delivery to {SUBSCRIBERS} subscribers, plain", plain_cpu, "µs", ""
        yield "… compressed", packed_cpu, "µs", ""
