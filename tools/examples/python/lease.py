#!/usr/bin/env python3
"""Do a thing that only one of many may do:  lease.py jobs:nightly [tcp://127.0.0.1:7710]

Waits for the lease, says "holds TOKEN" while it has it, and waits again when it is lost. Whatever is changed under it gets the token, and refuses
one below the highest it has seen: only that keeps out a holder who stood still past the end. Ctrl-C or SIGTERM: releases it and ends.
"""
import random
import signal
import sys
import time
import uuid

import callboard_client
from callboard_client import Refused

TTL_S = 3.0
WAIT_S = 2.0
HELD, LOST = 125, 123

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
name = sys.argv[1]
client = callboard_client.Client(*sys.argv[2:])
stopped = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopped.append(True))


def pause(attempt):
    time.sleep(random.uniform(0, min(5.0, 0.1 * 2**attempt)))


def acquire():
    """(token, end), or None when stopped. The end is by our own clock, counted from before we asked."""
    key, attempt = str(uuid.uuid4()), 0
    while not stopped:
        asked = time.monotonic()
        try:
            params = {"name": name, "ttl": int(TTL_S * 1000), "wait": int(WAIT_S * 1000), "idempotency_key": key}
            got = client.request("lease.acquire", params, wait=WAIT_S + 2)
            return got["token"], asked + got["ttl"] / 1000
        except Refused as error:
            if error.body["code"] == HELD:
                key, attempt = str(uuid.uuid4()), 0  # somebody has it: another asking
                continue
            if not error.body["temporary"]:
                raise
            print(f"not acquired, trying on: {error}", file=sys.stderr)
        except TimeoutError as error:
            print(f"not acquired, trying on: {error}", file=sys.stderr)
        pause(attempt)  # unknown: under the same key we find the lease if we have it
        attempt += 1


def hold(token, end):
    """Renews at a third of the time, until it is lost (True) or we are stopped (False)."""
    renew_at = time.monotonic() + TTL_S / 3
    while not stopped:
        work(token)
        now = time.monotonic()
        if now >= end:
            return True
        if now < renew_at:
            continue
        try:
            got = client.request("lease.renew", {"name": name, "token": token, "ttl": int(TTL_S * 1000)}, wait=min(end - now, 1.0))
            end, renew_at = now + got["ttl"] / 1000, now + TTL_S / 3
        except Refused as error:
            if error.body["code"] == LOST:
                return True
        except TimeoutError:
            pass  # unknown: again, as long as it is ours
    return False


def work(token):
    """A small piece of it, shorter than what is left of the lease; with the token for whoever takes the result."""
    time.sleep(0.1)


while held := acquire():
    print(f"holds {held[0]}", flush=True)
    if hold(*held):
        print("lost", flush=True)
        continue
    try:
        client.request("lease.release", {"name": name, "token": held[0]})
    except (Refused, TimeoutError) as error:
        print(f"not released, it ends by itself: {error}", file=sys.stderr)
    print("released", flush=True)
