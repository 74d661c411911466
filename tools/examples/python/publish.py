#!/usr/bin/env python3
"""Publish once, however often that takes:  publish.py demo:hello '{"text":"hi"}' [tcp://127.0.0.1:7710]"""
import json
import sys

import callboard_client

if len(sys.argv) not in (3, 4):
    sys.exit(__doc__)
client = callboard_client.Client(*sys.argv[3:])
try:
    print(json.dumps(client.publish(sys.argv[1], sys.argv[2].encode())))
except (callboard_client.Refused, TimeoutError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
