#!/usr/bin/env python3
"""The architecture check finds what it should: each planted include must be refused, each honest one must pass."""
import sys

import check_architecture as checker

ORDER = {"bytes": 0, "json_scan": 1, "token": 2}
REFUSED = [
    ("gateway/hub.c", "broker/engine.h"),
    ("broker/shard.c", "gateway/hub.h"),
    ("base/bytes.c", "gateway/hub.h"),
    ("base/bytes.c", "base/token.h"),
    ("base/unlisted.c", "base/bytes.h"),
    ("operator/main.c", "gateway/hub.h"),
    ("gateway/hub.c", "gateway/session/session.h"),
    ("gateway/protocol/client_protocol_json.c", "gateway/hub.h"),
    ("broker/engine_memory.c", "broker/shard.h"),
    ("broker/channel.c", "broker/redis/redis_link.h"),
    ("gateway/session/session.c", "libwebsockets.h"),
    ("broker/channel.c", "hiredis/hiredis.h"),
]
ALLOWED = [
    ("gateway/hub.c", "base/bytes.h"),
    ("broker/shard.c", "broker/channel.h"),
    ("base/token.c", "base/json_scan.h"),
    ("operator/main.c", "gateway/gateway_config.h"),
    ("tools/callboard.c", "gateway/gateway.h"),
    ("gateway/transport/websocket.c", "libwebsockets.h"),
    ("tests/unit/base/test_bytes.c", "gateway/hub.h"),
]
failed = 0
for source, header in REFUSED:
    if not list(checker.check_include(source, 1, header, ORDER)):
        print(f"not refused: {source} includes {header}")
        failed += 1
for source, header in ALLOWED:
    found = list(checker.check_include(source, 1, header, ORDER))
    if found:
        print(f"refused: {found}")
        failed += 1
if not checker.FORBIDDEN_NAMES.search("string_util.c") or checker.FORBIDDEN_NAMES.search("channel_name.c"):
    print("forbidden names are not told from good ones")
    failed += 1
sys.exit(1 if failed else 0)
