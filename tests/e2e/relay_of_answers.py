"""Stands between one DEALER and a broker's ROUTER, and keeps back the answer to the first request: who asked must ask again."""
import sys

import zmq

at, broker = sys.argv[1:]
context = zmq.Context.instance()
front = context.socket(zmq.ROUTER)
front.bind(at)
back = context.socket(zmq.DEALER)
back.connect(broker)
poller = zmq.Poller()
poller.register(front, zmq.POLLIN)
poller.register(back, zmq.POLLIN)
kept_back = False
while True:
    for socket, _ in poller.poll():
        frames = socket.recv_multipart()
        if socket is front:
            client = frames[0]
            back.send_multipart(frames[1:])
        elif kept_back:
            front.send_multipart([client] + frames)
        kept_back = kept_back or socket is back
