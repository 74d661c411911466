#!/usr/bin/env python3
"""Read a channel and miss nothing, whatever happens to the connection or the broker:  subscribe.py demo:hello [tcp://127.0.0.1:7710]

Prints each publication after its offset, and "gap" where the history no longer held what comes next: there a service reads its state anew.
"""
import sys

import callboard_client

SILENCE_S = 2.0

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
client = callboard_client.Client(*sys.argv[2:])
position = None
while True:
    # From our position on. Error 105: the broker has this subscription still, all is well.
    try:
        since = {"since": position} if position and position["epoch"] else {}
        position = client.request("subscribe", {"channel": sys.argv[1], **since})
        print("subscribed", file=sys.stderr, flush=True)
    except (callboard_client.Refused, TimeoutError) as error:
        if getattr(error, "body", {}).get("code") != 105:
            print(f"not subscribed, trying on: {error}", file=sys.stderr)
    while event := client.receive(SILENCE_S):
        _, _, body, payload = event
        if body["type"] not in ("publication", "gap"):
            continue
        position = {"offset": body["offset"], "epoch": body["epoch"]}
        print("gap" if body["type"] == "gap" else f"{body['offset']} {payload.decode()}", flush=True)
