#!/usr/bin/env python3
"""Answer clients' calls, and decide what they may subscribe to:  worker.py rpc:echo,subscribe [tcp://127.0.0.1:7710]

The gateways need client.rpc: true for rpc, and the namespace subscribe_proxy_enabled: true for subscribe. An rpc is answered with the data that it
came with; a channel that ends with -USER is for that user alone. Ctrl-C or SIGTERM: takes no more, answers what it has, ends.
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
    if body["method"] != "subscribe":
        client.send("done", call_id, {"result": {}}, payload)
    elif body["user"] and body["channel"].endswith(f"-{body['user']}"):
        client.send("done", call_id, {"result": {"info": {"owner": True}}})
    else:
        client.send("done", call_id, {"error": {"code": 403, "message": "the channel is somebody else's"}})


while not stopped:
    work(sys.argv[1].split(","))
    while not stopped and (call := client.receive(SILENCE_S)):
        answer(call)
answered = True
while answered:  # the broker's ok comes after all that was sent before has arrived
    answered = False
    work([])
    while call := client.receive(0):
        answer(call)
        answered = True
