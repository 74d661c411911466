/* The gateway's settings. The table (keys, defaults, bounds, help) is in gateway_config.c; docs/config.md is printed
 * from it. Thread: immutable after reading; a reload makes a new one. */
#ifndef CALLBOARD_GATEWAY_CONFIG_H
#define CALLBOARD_GATEWAY_CONFIG_H

#include "base/config_reader.h"
#include "base/namespace_options.h"
#include "gateway/token/token_config.h"

enum { TRUSTED_PROXIES_MAX = 64 };
enum gateway_switch { GATEWAY_AUTO, GATEWAY_ON, GATEWAY_OFF };
enum gateway_tls_minimum { GATEWAY_TLS_1_2, GATEWAY_TLS_1_3 };

enum channel_compaction { CHANNEL_COMPACTION_OFF, CHANNEL_COMPACTION_JSON, CHANNEL_COMPACTION_ALL };

struct gateway_config {
    char *id;           /* gateway.id: default host name and pid */
    int64_t workers;    /* gateway.workers: 0 = cores of the cgroup */
    int64_t memory_max; /* gateway.memory_max: 0 = that of the cgroup */
    /* http */
    char *http_address;                      /* http.address, default "0.0.0.0" */
    int64_t http_port;                       /* http.port, 8000 */
    char *websocket_path;                    /* http.websocket_path, /connection/websocket */
    struct config_text_list allowed_origins; /* http.allowed_origins; empty: same host only */
    bool require_origin;
    char *tls_certificate_file; /* http.tls_certificate_file: empty, no TLS */
    char *tls_key_file;
    int64_t tls_check_interval_ms; /* http.tls_check_interval: 0, only at a reload */
    int raw_endpoint;              /* http.raw_endpoint: auto, on, off */
    bool proxy_protocol;           /* http.proxy_protocol: connections begin with a PROXY header */
    int tls_minimum;               /* http.tls_minimum: 1.2, 1.3 */
    bool sse;                      /* http.sse: GET or POST http.sse_path */
    char *sse_path;                /* /connection/sse */
    bool http_stream;              /* http.http_stream: POST http.http_stream_path */
    char *http_stream_path;        /* /connection/http_stream */
    char *emulation_path;          /* http.emulation_path, /emulation: where clients of both send */
    bool public_health_details;    /* http.public_health_details: /ws/stats and /health/redis on the public port too */
    bool demo;                     /* http.demo: serve the demo page at / */
    char *internal_address;        /* internal.address, 127.0.0.1 */
    int64_t internal_port;         /* internal.port, 9000 */
    bool internal_admin;           /* internal.admin */
    int internal_operations;       /* enum admin_operations */
    int64_t internal_body_max;
    int64_t internal_calls_max;
    int64_t internal_call_timeout_ms;
    char *internal_token; /* internal.token, secret */
    /* http_api: switched on by its keys */
    char *http_api_address;
    int64_t http_api_port;
    struct config_section_list http_api_keys; /* of struct http_api_key_options */
    bool http_api_transport_errors;           /* http_api.transport_errors: failures as statuses */
    int64_t http_api_body_max;                /* http_api.body_max: 413 */
    int64_t http_api_answer_max;              /* http_api.answer_max: error 124 */
    int64_t http_api_connections_max;         /* http_api.connections_max: 503 */
    int64_t http_api_parts_max;               /* http_api.parts_max: error 106 */
    int64_t http_api_channels_max;            /* http_api.channels_max: error 106 */
    int64_t http_api_timeout_ms;              /* http_api.timeout: errors 100, 120 */
    /* tokens */
    struct token_settings token;
    struct token_settings subscription_token; /* without keys: `token` serves these tokens too */
    char *revocation_file;                    /* token.revocation_file; empty: none */
    int64_t revocation_bytes;                 /* token.revocation_bytes, 16MiB: a larger file is refused */
    int64_t revocations_max;                  /* token.revocations_max, 10000: error 106 */
    bool revocations_strict;                  /* token.revocations_strict, false: error 100 */
    bool personal_channel;                    /* client.subscribe_to_personal_channel */
    char *personal_channel_namespace;         /* client.personal_channel_namespace; empty: none */
    bool allow_anonymous;                     /* client.allow_anonymous_connect_without_token */
    bool disallow_anonymous_tokens;           /* client.disallow_anonymous_connection_tokens: 3507 */
    /* client */
    int64_t ping_interval_ms;      /* client.ping_interval, 25s */
    int64_t pong_timeout_ms;       /* client.pong_timeout, 8s */
    int64_t connect_timeout_ms;    /* client.connect_timeout, 10s: 3502 */
    int64_t message_timeout_ms;    /* client.message_timeout, 10s to finish a message: close 1008 */
    int64_t message_size_max;      /* client.message_size_max, 64KiB: close 1009 */
    int64_t message_fragments_max; /* client.message_fragments_max, 128: close 1008 */
    bool compression;              /* client.compression: permessage-deflate is agreed to */
    int64_t compression_min_size;  /* client.compression_min_size, 256: shorter publications go as they are */
    int channel_compaction;        /* enum channel_compaction */
    int64_t channels_max;          /* client.channels_max, 128: error 106 */
    int64_t commands_in_flight;    /* client.commands_in_flight, 32: reading stops */
    int64_t
        commands_per_second; /* client.commands_per_second, 100; burst twice that: error 111, the third strike 3013 */
    int64_t outbox_bytes;    /* client.outbox_bytes, 1MiB: 3008 */
    int64_t outbox_frames;   /* client.outbox_frames, 4096: 3008 */
    int64_t write_stall_ms;  /* client.write_stall, 10s: 3008 */
    int64_t expired_close_delay_ms; /* client.expired_close_delay, 25s */
    int64_t connection_age_max_ms;  /* client.connection_age_max, 0 = no bound: 3011 */
    bool rpc;                       /* client.rpc: methods are asked of workers */
    bool connect_hook;              /* client.proxy.connect.enabled */
    bool refresh_hook;              /* client.proxy.refresh.enabled */
    int64_t call_timeout_ms;        /* client.call_timeout, 2s */
    int64_t calls_max;              /* client.calls, 4096 a worker thread: error 111 */
    int64_t history_limit_max;      /* client.history_limit_max, 300 */
    int64_t connections_max;       /* client.connections_max, a process: 503 at accept; 0 = 65536 or descriptors - 64 */
    int64_t streams_max;           /* client.streams_max, a worker: 503 */
    int64_t emulations_max;        /* client.emulations_max, a worker: 503 */
    int64_t handshakes_per_source; /* client.handshakes_per_source, a second, burst 5x; 0 = off */
    int64_t connections_per_source;          /* client.connections_per_source, open at once; 0 = off */
    int64_t connections_per_user;            /* client.connections_per_user, of all gateways; 0 = off: 3504 */
    int64_t handshakes_per_second;           /* client.handshakes_per_second, of all sources, burst 2x; 0 = off: 503 */
    struct config_text_list trusted_proxies; /* client.trusted_proxies: networks */
    /* brokers */
    struct config_text_list brokers; /* brokers.endpoints: tcp://host:7700 …; a host name is resolved again */
    int64_t resolve_interval_ms;     /* brokers.resolve_interval, 2s */
    int64_t heartbeat_ms;            /* brokers.heartbeat, 500ms */
    int64_t heartbeat_timeout_ms;    /* brokers.heartbeat_timeout, 1500ms: the link is lost */
    int64_t request_timeout_ms;      /* brokers.request_timeout, 2s */
    int64_t move_grace_ms;           /* brokers.move_grace, 10s */
    int64_t departures_bytes_max;    /* brokers.departures_memory, 4MiB */
    char *curve_key_file;            /* brokers.curve_key_file: own pair */
    char *curve_broker_key;          /* brokers.curve_broker_key: the brokers' public key, Z85 (or a .pub file) */
    /* events */
    char *events_channel;    /* events.channel; empty: services are told nothing */
    bool events_connections; /* events.connections: connected, disconnected */
    int64_t events_queue;    /* events.queue, 1MiB a worker: counted, told as lost */
    /* drain */
    int64_t drain_delay_ms;  /* drain.delay, 5s: not ready, still serving */
    int64_t drain_window_ms; /* drain.window, 20s: sessions are closed evenly with 3001 */
    /* log */
    int log_level;    /* log.level */
    int64_t log_rate; /* log.rate, lines a second and event */
    struct config_section_list namespaces;
};

extern const struct config_table gateway_config_table;

#endif
