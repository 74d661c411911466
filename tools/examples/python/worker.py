#!/usr/bin/env python3
"""Answer clients' calls:  worker.py rpc:echo [tcp://127.0.0.1:7710]      (the gateways need client.rpc: true)

Each call is answered with the data that it came with. Ctrl-C or SIGTERM: takes no more, answers what it has, ends.
"""
import signal
import sys

import callboard_client

SILENCE_S = 2.0

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
client = callboard_client.Client(*sys.argv[2:])
stopped = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopped.append(True))


def work(methods):
    """Again and again, since a broker that was away forgets it. An empty list: take no more."""
    try:
        client.request("work", {"methods": methods})
    except (callboard_client.Refused, TimeoutError) as error:
        print(f"not registered: {error}", file=sys.stderr)


def answer(call):
    _, call_id, body, payload = call
    print(f"asked: {body}", file=sys.stderr)
    client.send("done", call_id, {"result": {}}, payload)


while not stopped:
    work([sys.argv[1]])
    while not stopped and (call := client.receive(SILENCE_S)):
        answer(call)
answered = True
while answered:  # the broker's ok comes after all that was sent before has arrived
    answered = False
    work([])
    while call := client.receive(0):
        answer(call)
        answered = True
