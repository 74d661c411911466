/* What the WebSocket transport and its admission count, described in one place. */
#include "gateway/transport/websocket.h"

#define REFUSED "callboard_websocket_refused_total", "Upgrades that were refused.", METRIC_COUNTER
#define CLOSED                                                                                                         \
    "callboard_websocket_protocol_closes_total", "Connections closed because of how their messages came.",             \
        METRIC_COUNTER

const struct metric_description websocket_metric_table[WEBSOCKET_METRICS] = {
    [WEBSOCKET_METRIC_CONNECTIONS] = {"callboard_websocket_connections", "Open WebSockets.", METRIC_GAUGE, NULL},
    [WEBSOCKET_METRIC_HANDSHAKES] = {"callboard_websocket_handshakes_total", "Upgrades that were accepted.",
                                     METRIC_COUNTER, NULL},
    [WEBSOCKET_METRIC_REFUSED_PATH] = {REFUSED, "reason=\"path\""},
    [WEBSOCKET_METRIC_REFUSED_ORIGIN] = {REFUSED, "reason=\"origin\""},
    [WEBSOCKET_METRIC_REFUSED_QUERY] = {REFUSED, "reason=\"query\""},
    [WEBSOCKET_METRIC_REFUSED_FORWARDED] = {REFUSED, "reason=\"forwarded_for\""},
    [WEBSOCKET_METRIC_REFUSED_SOURCE] = {REFUSED, "reason=\"source\""},
    [WEBSOCKET_METRIC_REFUSED_SOURCE_CONNECTIONS] = {REFUSED, "reason=\"source_connections\""},
    [WEBSOCKET_METRIC_REFUSED_LIMIT] = {REFUSED, "reason=\"limit\""},
    [WEBSOCKET_METRIC_REFUSED_RATE] = {REFUSED, "reason=\"rate\""},
    [WEBSOCKET_METRIC_REFUSED_MEMORY] = {REFUSED, "reason=\"memory\""},
    [WEBSOCKET_METRIC_REFUSED_DRAINING] = {REFUSED, "reason=\"draining\""},
    [WEBSOCKET_METRIC_REFUSED_GUARD] = {REFUSED, "reason=\"handshake\""},
    [WEBSOCKET_METRIC_CLOSED_TOO_BIG] = {CLOSED, "reason=\"too_big\""},
    [WEBSOCKET_METRIC_CLOSED_FRAGMENTS] = {CLOSED, "reason=\"fragments\""},
    [WEBSOCKET_METRIC_CLOSED_MESSAGE_TIMEOUT] = {CLOSED, "reason=\"message_timeout\""},
    [WEBSOCKET_METRIC_CLOSED_COMPRESSION] = {CLOSED, "reason=\"compression\""},
    [WEBSOCKET_METRIC_CLOSE_TIMEOUTS] = {"callboard_websocket_close_timeouts_total",
                                         "Connections cut off because the peer did not answer our close frame.",
                                         METRIC_COUNTER, NULL},
    [WEBSOCKET_METRIC_MESSAGES_IN] = {"callboard_websocket_messages_received_total", "Messages received.",
                                      METRIC_COUNTER, NULL},
    [WEBSOCKET_METRIC_BYTES_IN] = {"callboard_websocket_received_bytes_total", "Bytes of messages received.",
                                   METRIC_COUNTER, NULL},
    [WEBSOCKET_METRIC_WRITES] = {"callboard_websocket_writes_total", "Writes; one carries all frames of a turn.",
                                 METRIC_COUNTER, NULL},
    [WEBSOCKET_METRIC_BYTES_OUT] = {"callboard_websocket_sent_bytes_total", "Bytes of frames written.", METRIC_COUNTER,
                                    NULL},
    [WEBSOCKET_METRIC_COMPRESSING] = {"callboard_websocket_compressing", "Open WebSockets that agreed on compression.",
                                      METRIC_GAUGE, NULL},
    [WEBSOCKET_METRIC_COMPRESSED] = {"callboard_websocket_compressed_total",
                                     "Publications that were compressed, once for all of one form.", METRIC_COUNTER,
                                     NULL},
    [WEBSOCKET_METRIC_INFLATED] = {"callboard_websocket_inflated_total", "Messages of clients that came compressed.",
                                   METRIC_COUNTER, NULL},
    [WEBSOCKET_METRIC_BACKLOGS] = {"callboard_websocket_backlogs_total", "Writes that the kernel did not take whole.",
                                   METRIC_COUNTER, NULL},
};
