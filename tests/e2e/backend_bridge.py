"""A DEALER for the specs: each line of standard input is a JSON array of frames, each line of standard output too.
A frame is text, or {"hex": …} where it is not UTF-8. Arguments: ENDPOINT [PUBLIC SECRET SERVER] (CURVE, Z85)."""
import json
import os
import sys

import zmq

socket = zmq.Context().socket(zmq.DEALER)
socket.linger = 0
if len(sys.argv) > 2:
    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = (text.encode() for text in sys.argv[2:5])
socket.connect(sys.argv[1])
poller = zmq.Poller()
poller.register(socket, zmq.POLLIN)
poller.register(sys.stdin.fileno(), zmq.POLLIN)


def encode(frame):
    return bytes.fromhex(frame["hex"]) if isinstance(frame, dict) else frame.encode()


def decode(frame):
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return {"hex": frame.hex()}


left = b""
while True:
    ready = dict(poller.poll())
    if sys.stdin.fileno() in ready:
        got = os.read(sys.stdin.fileno(), 1 << 20)
        if not got:
            break
        *lines, left = (left + got).split(b"\n")
        for line in lines:
            socket.send_multipart([encode(frame) for frame in json.loads(line)])
    if socket in ready:
        print(json.dumps([decode(frame) for frame in socket.recv_multipart()]), flush=True)
