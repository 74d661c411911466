#!/usr/bin/env python3
"""The architecture check finds what it should: each planted include must be refused, each honest one must pass."""
import sys

import check_architecture as checker

ORDER = {"bytes": 0, "json_scan": 1, "json_value": 2, "token": 3}
REFUSED = [
    ("gateway/hub.c", "broker/engine.h"),
    ("broker/shard.c", "gateway/hub.h"),
    ("base/bytes.c", "gateway/hub.h"),
    ("base/bytes.c", "base/token.h"),
    ("base/unlisted.c", "base/bytes.h"),
    ("operator/main.c", "gateway/hub.h"),
    ("client/gateway_client.c", "gateway/hub.h"),
    ("client/callboard_client.c", "tools/ctl.h"),
    ("gateway/hub.c", "gateway/session/session.h"),
    ("gateway/protocol/client_protocol_json.c", "gateway/hub.h"),
    ("broker/engine_memory.c", "broker/shard.h"),
    ("broker/channel.c", "broker/redis/link/redis_link.h"),
    ("gateway/session/session.c", "libwebsockets.h"),
    ("broker/channel.c", "hiredis/hiredis.h"),
    ("broker/backend/backend_api.c", "broker/redis/engine_redis.h"),
    ("broker/redis/redis_reads.c", "broker/backend/backend_reply.h"),
    ("broker/redis/engine_redis.c", "broker/memory/memory_store.h"),
    ("broker/memory/memory_read.c", "broker/redis/link/redis_link.h"),
    ("broker/channel.c", "broker/engine_memory.h"),
    ("broker/shard_frames.c", "broker/switchboard.h"),
    ("broker/switchboard_peers.c", "broker/channel.h"),
    ("broker/redis/link/redis_link.c", "broker/engine.h"),
    ("gateway/session/session_connect.c", "gateway/transport/websocket.h"),
    ("gateway/session/session_publish.c", "gateway/uplink.h"),
    ("gateway/uplink_lanes.c", "gateway/hub.h"),
    ("gateway/outbox.c", "gateway/transport/websocket.h"),
    ("broker/switchboard.c", "broker/shard_parts.h"),
    ("broker/broker.c", "broker/switchboard_parts.h"),
    ("broker/backend/backend_link.c", "broker/backend/backend_api_parts.h"),
    ("broker/redis/batch_order.c", "broker/redis/engine_redis_parts.h"),
    ("gateway/worker.c", "gateway/hub_internal.h"),
    ("gateway/worker.c", "gateway/session/session_commands.h"),
    ("base/token.c", "base/json_parts.h"),
    ("base/json_parts.h", "base/token.h"),
]
ALLOWED = [
    ("gateway/hub.c", "base/bytes.h"),
    ("broker/shard.c", "broker/channel.h"),
    ("base/token.c", "base/json_scan.h"),
    ("operator/main.c", "gateway/gateway_config.h"),
    ("tools/callboard.c", "gateway/gateway.h"),
    ("gateway/transport/websocket.c", "libwebsockets.h"),
    ("tests/unit/base/test_bytes.c", "gateway/hub.h"),
    ("gateway/session/session.h", "gateway/transport/transport.h"),
    ("gateway/hub_frames.c", "gateway/hub_internal.h"),
    ("broker/shard_peers.c", "broker/shard_parts.h"),
    ("broker/engine_memory.c", "broker/memory/engine_memory_parts.h"),
    ("broker/backend/backend_inbound.c", "broker/backend/backend_api_parts.h"),
    ("tests/unit/broker/test_channel.c", "broker/channel_parts.h"),
    ("base/json_value.c", "base/json_parts.h"),
    ("base/json_parts.h", "base/json_scan.h"),
    ("broker/broker.c", "broker/redis/engine_redis.h"),
]
# what each header of a small tree includes, and who must be told to see a library over how many headers
TREE = {
    "gateway/session/session.c": ["gateway/session/session.h", "base/bytes.h"],
    "gateway/session/session.h": ["gateway/hub.h"],
    "gateway/hub.h": ["gateway/session/session.h", "gateway/worker.h"],
    "gateway/worker.h": ["libwebsockets.h"],
    "gateway/outbox.c": ["base/bytes.h"],
}
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
seen = list(checker.check_blind("gateway/session/session.c", lambda path: TREE.get(path, [])))
if len(seen) != 1 or "gateway/hub.h → gateway/worker.h → libwebsockets.h" not in seen[0]:
    print(f"a library that is seen through headers is not told: {seen}")
    failed += 1
if list(checker.check_blind("gateway/outbox.c", lambda path: TREE.get(path, []))):
    print("a library that nobody includes is told")
    failed += 1
for line, refused in (("if (strcmp(given, self->secret) == 0) {", True), ("memcmp(mac, expected, 32)", True), ("CRYPTO_memcmp(mac, expected, 32)", False),
                      ("span_equal(token, api_key)", True), ("strcmp(path, self->path)", False)):
    if bool(list(checker.check_constant_time("base/token.c", [line]))) != refused:
        print(f"a comparison of secrets is not told from others: {line}")
        failed += 1
if not checker.FORBIDDEN_NAMES.search("string_util.c") or checker.FORBIDDEN_NAMES.search("channel_name.c"):
    print("forbidden names are not told from good ones")
    failed += 1
sys.exit(1 if failed else 0)
