/* The gateway's settings: one row a key, then the rules between them. */
#include "gateway/gateway_config.h"

#include "base/channel_name.h"
#include "base/curve_keys.h"
#include "base/ip_address.h"
#include "gateway/http_api/http_api_key_options.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

static const char *const tls_versions[] = {"1.2", "1.3", NULL}; /* as enum gateway_tls_minimum */
static const char *const compactions[] = {"off", "json", "all", NULL};
static const char *const switches[] = {"auto", "on", "off", NULL};                   /* as enum gateway_switch */
static const char *const operations[] = {"off", "read", "publish", NULL};            /* as enum admin_operations */
static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL}; /* as enum log_level */

enum { TOKEN_SECRET_BYTES_MIN = 32, ENDPOINTS_MAX = 64 };

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

#define KEY(key_path, key_type, field, ...)                                                                            \
    { .path = (key_path), .type = (key_type), .offset = offsetof(struct gateway_config, field), __VA_ARGS__ }
#define RANGE(from, to) .minimum = (from), .maximum = (to)
#define RELOADABLE      .flags = CONFIG_RELOADABLE

static const struct config_key keys[] = {
    KEY("gateway.id", CONFIG_TEXT, id, RANGE(0, 128),
        .help = "Its name in links, logs and stats. Empty: host name and process id."),
    KEY("gateway.workers", CONFIG_INT, workers, RANGE(0, 256), .default_text = "0",
        .help = "Threads that serve connections. 0: as many as the cores this process may use."),
    KEY("gateway.memory_max", CONFIG_BYTES, memory_max, RELOADABLE, RANGE(0, 16384 * GIB), .default_text = "0",
        .help =
            "Memory that the process may hold: from 80 % on connections with long queues are closed with 3008, from "
            "90 % on newcomers are answered 503, from 95 % on clients' publications are refused with error 111. 0: "
            "what the control group allows, or the machine has."),

    KEY("http.address", CONFIG_TEXT, http_address, RANGE(1, 255), .default_text = "0.0.0.0",
        .help = "Address of the public listener."),
    KEY("http.port", CONFIG_INT, http_port, RANGE(0, 65535), .default_text = "8000",
        .help = "Port of the public listener. 0: a free one, which the start message names."),
    KEY("http.websocket_path", CONFIG_TEXT, websocket_path, RELOADABLE, RANGE(1, 255),
        .default_text = "/connection/websocket",
        .help = "Where WebSockets are upgraded. What is asked for elsewhere and is no page of ours is answered 404."),
    KEY("http.allowed_origins", CONFIG_TEXT_LIST, allowed_origins, RANGE(1, 255), RELOADABLE,
        .help = "Pages that may connect, each as scheme://host[:port]; https://*.example.com allows one label for the "
                "star. Empty: only pages of the same host. Others are refused with 403."),
    KEY("http.require_origin", CONFIG_BOOL, require_origin, RELOADABLE,
        .help = "Refuse who sends no Origin header, too: browsers always do, other programs mostly do not."),
    KEY("http.raw_endpoint", CONFIG_CHOICE, raw_endpoint, RELOADABLE, .choices = switches,
        .help = "Plain WebSockets at /ws/{channel}?token=JWT: a message is a publication, and the reverse. The token "
                "then stands in the address, which proxies may log. auto: on in the appliance, off in a gateway."),
    KEY("http.tls_certificate_file", CONFIG_TEXT, tls_certificate_file, RELOADABLE, RANGE(0, 4096),
        .help =
            "Certificate of the public listener in PEM, its intermediate ones behind it: with it the listener speaks "
            "TLS, and nothing else. Renewed files are taken up (http.tls_check_interval), connections stay. Empty: no "
            "TLS."),
    KEY("http.tls_key_file", CONFIG_TEXT, tls_key_file, RELOADABLE, RANGE(0, 4096),
        .help = "The key of that certificate in PEM, without a passphrase."),
    KEY("http.tls_check_interval", CONFIG_DURATION, tls_check_interval_ms, RELOADABLE, RANGE(0, HOUR),
        .default_text = "10s",
        .help = "How often both files are looked at. Others that were the same at two looks in a row, belong together "
                "and are valid are shown to new handshakes. 0: only a reload reads them."),
    KEY("http.proxy_protocol", CONFIG_BOOL, proxy_protocol,
        .help = "Connections begin with a header of the PROXY protocol, version 1 or 2, from a proxy of "
                "client.trusted_proxies; others are closed."),
    KEY("http.tls_minimum", CONFIG_CHOICE, tls_minimum, .choices = tls_versions,
        .help = "The oldest version of TLS that is spoken."),
    KEY("http.sse", CONFIG_BOOL, sse, RELOADABLE,
        .help = "Serve clients whose network lets no WebSocket through: server-sent events down, POSTs up."),
    KEY("http.sse_path", CONFIG_TEXT, sse_path, RELOADABLE, RANGE(1, 255), .default_text = "/connection/sse",
        .help = "Where they are served."),
    KEY("http.http_stream", CONFIG_BOOL, http_stream, RELOADABLE,
        .help = "The same by an HTTP answer that goes on: a line for each reply."),
    KEY("http.http_stream_path", CONFIG_TEXT, http_stream_path, RELOADABLE, RANGE(1, 255),
        .default_text = "/connection/http_stream", .help = "Where they are served."),
    KEY("http.emulation_path", CONFIG_TEXT, emulation_path, RELOADABLE, RANGE(1, 255), .default_text = "/emulation",
        .help = "Where clients of both post what they have to say; the gateway that has the stream must get it."),
    KEY("http.public_health_details", CONFIG_BOOL, public_health_details,
        .help = "Answer /ws/stats and /health/redis on the public port too."),
    KEY("http.demo", CONFIG_BOOL, demo, .help = "Serve the demo page at /."),

    KEY("internal.address", CONFIG_TEXT, internal_address, RANGE(1, 255), .default_text = "127.0.0.1",
        .help = "Address of the internal listener: metrics, health, stats. Never a public one."),
    KEY("internal.port", CONFIG_INT, internal_port, RANGE(0, 65535), .default_text = "9000",
        .help = "Port of the internal listener. 0: a free one, which the start message names."),
    KEY("internal.token", CONFIG_SECRET, internal_token, RANGE(16, 4096),
        .help = "What is asked for there, but for health checks: as a bearer token, or in X-Callboard-Token. Empty: "
                "nothing is asked for."),
    KEY("internal.admin", CONFIG_BOOL, internal_admin,
        .help =
            "Serve the admin page there at /admin/: figures, charts and health in a browser. Needs internal.token."),

    KEY("internal.operations", CONFIG_CHOICE, internal_operations, .choices = operations,
        .help = "What the admin page may do by hand: read (channels, presence, history), or publish as well, which "
                "leaves a line in the log each time. Needs internal.admin."),
    KEY("internal.body_max", CONFIG_BYTES, internal_body_max, RANGE(1024, 1024 * 1024), .default_text = "128KiB",
        .help = "Longest body of a call by hand; a longer one is refused with 413."),
    KEY("internal.calls_max", CONFIG_INT, internal_calls_max, RANGE(1, 200), .default_text = "16",
        .help = "Calls by hand that may be open at once; more are refused with 503."),
    KEY("internal.call_timeout", CONFIG_DURATION, internal_call_timeout_ms, RANGE(1000, 300000), .default_text = "15s",
        .help = "A call by hand must be there whole and answered within it; else it is cut off, or answered with 504."),
    KEY("http_api.address", CONFIG_TEXT, http_api_address, RANGE(1, 255), .default_text = "127.0.0.1",
        .help = "Address of the HTTP API for services (docs/http-api.md). Plain HTTP: for this machine, a private "
                "network, or behind a proxy that speaks TLS."),
    KEY("http_api.port", CONFIG_INT, http_api_port, RANGE(0, 65535), .default_text = "8001",
        .help = "Its port. 0: a free one, which the log names. Nothing listens without http_api.keys."),
    KEY("http_api.keys", CONFIG_SECTION_LIST, http_api_keys, RELOADABLE, .section = &http_api_key_options_table,
        .help = "Who may use the HTTP API, and for what. The first key switches it on, at a start; a reload exchanges "
                "keys."),
    KEY("http_api.transport_errors", CONFIG_BOOL, http_api_transport_errors, RELOADABLE,
        .help = "Answer failures with a status of 400 and above and the bare error, as the header "
                "X-Centrifugo-Error-Mode: transport asks for; otherwise with 200 and {\"error\":…}."),
    KEY("http_api.body_max", CONFIG_BYTES, http_api_body_max, RELOADABLE, RANGE(1 * KIB, 16 * MIB),
        .default_text = "1MiB", .help = "Bytes of a request's body; longer ones are answered 413."),
    KEY("http_api.answer_max", CONFIG_BYTES, http_api_answer_max, RELOADABLE, RANGE(64 * KIB, 32 * MIB),
        .default_text = "8MiB", .help = "Bytes of an answer; what does not fit is answered with error 124."),
    KEY("http_api.connections_max", CONFIG_INT, http_api_connections_max, RELOADABLE, RANGE(1, 1024),
        .default_text = "256", .help = "Requests at once; one more is answered 503."),
    KEY("http_api.parts_max", CONFIG_INT, http_api_parts_max, RELOADABLE, RANGE(1, 10000), .default_text = "1000",
        .help = "Channels of a broadcast, commands of a batch, in one request; more are refused with error 106."),
    KEY("http_api.channels_max", CONFIG_INT, http_api_channels_max, RELOADABLE, RANGE(1, 1000000),
        .default_text = "10000",
        .help = "Names that channels may bring from one worker of a gateway; more are refused with error 106. All of "
                "them together must fit 1 MiB."),
    KEY("http_api.timeout", CONFIG_DURATION, http_api_timeout_ms, RELOADABLE, RANGE(100, 600 * SECOND),
        .default_text = "10s",
        .help = "How long a request may take, its body to arrive and then its answer to be there. What is open then is "
                "answered with error 120 where it may have happened, otherwise with 100."),

    KEY("token.algorithm", CONFIG_CHOICE, token.algorithm, RELOADABLE, .choices = token_algorithm_choices,
        .help = "The one algorithm of token.secret or token.public_key_file."),
    KEY("token.secret", CONFIG_SECRET, token.secret, RELOADABLE, RANGE(TOKEN_SECRET_BYTES_MIN, 4096),
        .help =
            "The secret that tokens are signed with, with HS256, HS384, HS512. Without any key no token is accepted."),
    KEY("token.public_key_file", CONFIG_TEXT, token.public_key_file, RELOADABLE, RANGE(0, 4096),
        .help = "In its place, with the other algorithms: the public key in PEM. A reload reads it anew."),
    KEY("token.keys", CONFIG_SECTION_LIST, token.keys, RELOADABLE, .section = &token_key_table,
        .help =
            "Further keys, at most 64: those that tokens name by kid, and old ones that are accepted until a time."),
    KEY("token.jwks_url", CONFIG_TEXT, token.jwks_url, RELOADABLE, RANGE(0, 2048),
        .help = "Where the issuer publishes its keys (a JSON Web Key Set), https only. Fetched at the start, every "
                "jwks_refresh, and when a token names a kid that none of the keys has, at most once in 30 s."),
    KEY("token.jwks_ca_file", CONFIG_TEXT, token.jwks_ca_file, RELOADABLE, RANGE(0, 4096),
        .help = "The authorities that may have signed that server's certificate, in PEM. Empty: those of the system."),
    KEY("token.jwks_refresh", CONFIG_DURATION, token.jwks_refresh_ms, RELOADABLE, RANGE(30 * SECOND, 24 * HOUR),
        .default_text = "10m",
        .help = "How often they are fetched again. When that fails the last good ones stay; after three times as long "
                "health warns."),
    KEY("token.audience", CONFIG_TEXT, token.audience, RELOADABLE, RANGE(0, 255),
        .help = "What aud of such a token must name. Needed with a key, unless token.any_audience."),
    KEY("token.issuer", CONFIG_TEXT, token.issuer, RELOADABLE, RANGE(0, 255),
        .help = "What iss of such a token must be. Needed with a key, unless token.any_audience."),
    KEY("token.any_audience", CONFIG_BOOL, token.any_audience, RELOADABLE,
        .help = "Accept tokens whatever aud and iss they have, also those made for other services with this key."),
    KEY("token.max_life", CONFIG_DURATION, token.max_life_ms, RELOADABLE, RANGE(0, 366 * 24 * HOUR),
        .default_text = "24h",
        .help = "Tokens that expire later than this from now, or never, are refused. 0: no such bound."),
    KEY("token.user_id_claim", CONFIG_TEXT, token.user_claim, RELOADABLE, RANGE(0, 64),
        .help = "The claim that names the user, a text. Empty: sub."),
    KEY("token.revocation_file", CONFIG_TEXT, revocation_file, RELOADABLE, RANGE(0, 4096),
        .help = "Tokens that are revoked before their time, a JSON object a line (docs/tokens.md). Looked at twice a "
                "second: connections whose token is revoked are closed with 3500. Empty: none."),
    KEY("token.revocation_bytes", CONFIG_BYTES, revocation_bytes, RELOADABLE, RANGE(1 * KIB, 1 * GIB),
        .default_text = "16MiB",
        .help = "Size of that file; a larger one is refused, and the last good list stays in use."),
    KEY("token.revocations_max", CONFIG_INT, revocations_max, RELOADABLE, RANGE(0, 30000), .default_text = "10000",
        .help = "Users and single tokens that the HTTP API may have revoked at a time (revoke_token, "
                "invalidate_user_tokens); one more is refused with error 106. 0: none, and brokers are not asked."),
    KEY("token.revocations_strict", CONFIG_BOOL, revocations_strict, RELOADABLE, .default_text = "false",
        .help =
            "Take no token while no broker has told for two seconds what services have revoked: connects, refreshes "
            "and subscriptions with one get the temporary error 100. Needs token.revocations_max."),
    KEY("subscription_token.algorithm", CONFIG_CHOICE, subscription_token.algorithm, RELOADABLE,
        .choices = token_algorithm_choices,
        .help = "The one algorithm of subscription_token.secret or subscription_token.public_key_file."),
    KEY("subscription_token.secret", CONFIG_SECRET, subscription_token.secret, RELOADABLE,
        RANGE(TOKEN_SECRET_BYTES_MIN, 4096),
        .help = "The secret that subscription tokens are signed with, with HS256, HS384, HS512. Without a key here, "
                "token.* serves subscription tokens too."),
    KEY("subscription_token.public_key_file", CONFIG_TEXT, subscription_token.public_key_file, RELOADABLE,
        RANGE(0, 4096),
        .help = "In its place, with the other algorithms: the public key in PEM. A reload reads it anew."),
    KEY("subscription_token.keys", CONFIG_SECTION_LIST, subscription_token.keys, RELOADABLE,
        .section = &token_key_table,
        .help =
            "Further keys, at most 64: those that tokens name by kid, and old ones that are accepted until a time."),
    KEY("subscription_token.jwks_url", CONFIG_TEXT, subscription_token.jwks_url, RELOADABLE, RANGE(0, 2048),
        .help = "Where the issuer publishes its keys (a JSON Web Key Set), https only. Fetched at the start, every "
                "jwks_refresh, and when a token names a kid that none of the keys has, at most once in 30 s."),
    KEY("subscription_token.jwks_ca_file", CONFIG_TEXT, subscription_token.jwks_ca_file, RELOADABLE, RANGE(0, 4096),
        .help = "The authorities that may have signed that server's certificate, in PEM. Empty: those of the system."),
    KEY("subscription_token.jwks_refresh", CONFIG_DURATION, subscription_token.jwks_refresh_ms, RELOADABLE,
        RANGE(30 * SECOND, 24 * HOUR), .default_text = "10m",
        .help = "How often they are fetched again. When that fails the last good ones stay; after three times as long "
                "health warns."),
    KEY("subscription_token.audience", CONFIG_TEXT, subscription_token.audience, RELOADABLE, RANGE(0, 255),
        .help = "What aud of such a token must name. Needed with a key, unless subscription_token.any_audience."),
    KEY("subscription_token.issuer", CONFIG_TEXT, subscription_token.issuer, RELOADABLE, RANGE(0, 255),
        .help = "What iss of such a token must be. Needed with a key, unless subscription_token.any_audience."),
    KEY("subscription_token.any_audience", CONFIG_BOOL, subscription_token.any_audience, RELOADABLE,
        .help = "Accept tokens whatever aud and iss they have, also those made for other services with this key."),
    KEY("subscription_token.max_life", CONFIG_DURATION, subscription_token.max_life_ms, RELOADABLE,
        RANGE(0, 366 * 24 * HOUR), .default_text = "24h",
        .help = "Tokens that expire later than this from now, or never, are refused. 0: no such bound."),
    KEY("subscription_token.user_id_claim", CONFIG_TEXT, subscription_token.user_claim, RELOADABLE, RANGE(0, 64),
        .help = "The claim that names the user, a text. Empty: sub."),

    KEY("client.allow_anonymous_connect_without_token", CONFIG_BOOL, allow_anonymous, RELOADABLE,
        .help = "Let clients without a token connect, as the user with the empty id. Otherwise they are closed with "
                "3501."),
    KEY("client.disallow_anonymous_connection_tokens", CONFIG_BOOL, disallow_anonymous_tokens, RELOADABLE,
        .help = "Close clients with 3507 whose token names no user (no sub, or an empty one)."),
    KEY("client.subscribe_to_personal_channel", CONFIG_BOOL, personal_channel, RELOADABLE,
        .help = "Subscribe each client that has a user id to the channel #ID, or NAMESPACE:#ID, when it connects."),
    KEY("client.personal_channel_namespace", CONFIG_TEXT, personal_channel_namespace, RELOADABLE, RANGE(0, 64),
        .help = "The namespace of these channels. Empty: none."),
    KEY("client.ping_interval", CONFIG_DURATION, ping_interval_ms, RELOADABLE, RANGE(1 * SECOND, 1 * HOUR),
        .default_text = "25s", .help = "How often each client is sent a ping."),
    KEY("client.pong_timeout", CONFIG_DURATION, pong_timeout_ms, RELOADABLE, RANGE(0, 1 * HOUR), .default_text = "8s",
        .help = "How long its answer may take; then the connection is closed with 3012. Below client.ping_interval. 0: "
                "no answer is asked for."),
    KEY("client.connect_timeout", CONFIG_DURATION, connect_timeout_ms, RELOADABLE, RANGE(100, 1 * HOUR),
        .default_text = "10s",
        .help = "How long a new connection may take to send its connect command; then it is closed with 3502."),
    KEY("client.message_timeout", CONFIG_DURATION, message_timeout_ms, RELOADABLE, RANGE(100, 1 * HOUR),
        .default_text = "10s",
        .help =
            "How long a message may take from its first byte to its last; then the connection is closed with 1008."),
    KEY("client.message_size_max", CONFIG_BYTES, message_size_max, RELOADABLE, RANGE(1 * KIB, 16 * MIB),
        .default_text = "64KiB", .help = "Larger messages of clients close the connection with 1009."),
    KEY("client.message_fragments_max", CONFIG_INT, message_fragments_max, RELOADABLE, RANGE(1, 65536),
        .default_text = "128", .help = "Messages in more fragments close the connection with 1008."),
    KEY("client.compression", CONFIG_BOOL, compression, RELOADABLE,
        .help = "Agree to compression (permessage-deflate) with WebSocket clients that offer it; browsers do. A "
                "publication is compressed once for all subscribers of a worker; a connection costs no more memory."),
    KEY("client.compression_min_size", CONFIG_BYTES, compression_min_size, RELOADABLE, RANGE(0, 16 * MIB),
        .default_text = "256", .help = "Shorter publications are sent as they are: they would hardly be shorter."),
    KEY("client.channels_max", CONFIG_INT, channels_max, RELOADABLE, RANGE(1, 100000), .default_text = "128",
        .help = "Subscriptions of one connection; one more is answered with error 106."),
    KEY("client.channel_compaction", CONFIG_CHOICE, channel_compaction, RELOADABLE, .choices = compactions,
        .default_text = "json",
        .help = "Pushes to clients whose SDK understands it carry a number instead of the channel's name. json: to "
                "those that speak JSON; the JavaScript SDK 5.8 says that it understands numbers in protobuf too, but "
                "in Node drops such pushes. all: in both encodings."),
    KEY("client.commands_in_flight", CONFIG_INT, commands_in_flight, RELOADABLE, RANGE(1, 10000), .default_text = "32",
        .help = "Commands of one connection without an answer yet; at the bound nothing more is read from it."),
    KEY("client.rpc", CONFIG_BOOL, rpc, RELOADABLE,
        .help = "Clients' rpc commands are answered by workers of the backend API (docs/backend-api.md), and refused "
                "with error 100, a temporary one, while there is none. Off: error 108."),
    KEY("client.proxy.connect.enabled", CONFIG_BOOL, connect_hook, RELOADABLE,
        .help = "Who connects without a token is asked of a worker of the backend API (the connect hook of "
                "docs/backend-api.md): it says which user that is, or refuses."),
    KEY("client.proxy.refresh.enabled", CONFIG_BOOL, refresh_hook, RELOADABLE,
        .help = "Connections that expire are extended by asking a worker, not by the client's sending a token."),
    KEY("client.call_timeout", CONFIG_DURATION, call_timeout_ms, RELOADABLE, RANGE(50, 60 * SECOND),
        .default_text = "2s",
        .help = "How long a worker may take. An rpc is answered with error 120 then, what needs a hook with error 100; "
                "for the connect hook client.connect_timeout counts too."),
    KEY("client.calls", CONFIG_INT, calls_max, RELOADABLE, RANGE(1, 1000000), .default_text = "4096",
        .help = "Questions to workers that one thread of a gateway has open; above it clients are answered with error "
                "111."),
    KEY("client.commands_per_second", CONFIG_INT, commands_per_second, RELOADABLE, RANGE(1, 1000000),
        .default_text = "100",
        .help = "Commands a second of one connection, twice as many in a burst. Those above are answered with error "
                "111; the third second in which that happens, without a pause as long as a burst before it, closes the "
                "connection with 3013."),
    KEY("client.outbox_bytes", CONFIG_BYTES, outbox_bytes, RELOADABLE, RANGE(16 * KIB, 1 * GIB), .default_text = "1MiB",
        .help = "Bytes waiting for a slow connection; at the bound it is closed with 3008, reconnects and recovers."),
    KEY("client.outbox_frames", CONFIG_INT, outbox_frames, RELOADABLE, RANGE(16, 1000000), .default_text = "4096",
        .help = "Frames waiting for a slow connection; at the bound it is closed with 3008."),
    KEY("client.write_stall", CONFIG_DURATION, write_stall_ms, RELOADABLE, RANGE(100, 1 * HOUR), .default_text = "10s",
        .help = "A connection that takes nothing for so long while something waits is closed with 3008."),
    KEY("client.expired_close_delay", CONFIG_DURATION, expired_close_delay_ms, RELOADABLE, RANGE(0, 1 * HOUR),
        .default_text = "25s",
        .help = "How long a client may take to send a fresh token after the old one expired; then it is closed with "
                "3005."),
    KEY("client.connection_age_max", CONFIG_DURATION, connection_age_max_ms, RELOADABLE, RANGE(0, 366 * 24 * HOUR),
        .default_text = "0",
        .help =
            "How old a connection may get: at an age by chance between 80 % and all of it, so that those who came "
            "together do not come back together, it is closed with 3011; the client reconnects at once, to another "
            "gateway perhaps, and recovers. A reload counts for connections made after it; 0 for all. 0: no bound."),
    KEY("client.history_limit_max", CONFIG_INT, history_limit_max, RELOADABLE, RANGE(1, 10000), .default_text = "300",
        .help = "Publications in one answer to a client's history request; who asks for more gets so many."),
    KEY("client.connections_max", CONFIG_INT, connections_max, RELOADABLE, RANGE(0, 10000000), .default_text = "0",
        .help = "Connections of this process; more are refused when they come, with 503. 0: 65536, or as many as its "
                "descriptors allow, less 64. Each one allowed makes closing any connection 0.5 ns dearer; the start "
                "makes room for so many, a reload cannot make more."),
    KEY("client.streams_max", CONFIG_INT, streams_max, RANGE(0, 32768), .default_text = "1024",
        .help = "Streams over HTTP (http.sse, http.http_stream) of one worker; one more is answered 503. Each keeps 4 "
                "KiB for its request's headers as long as it lives."),
    KEY("client.emulations_max", CONFIG_INT, emulations_max, RELOADABLE, RANGE(0, 4096), .default_text = "64",
        .help = "Messages of such clients (POSTs to http.emulation_path) that came to one worker, while another "
                "gateway has the stream, and that wait for its word; one more is answered 503. 0: none is passed on."),
    KEY("client.handshakes_per_source", CONFIG_INT, handshakes_per_source, RELOADABLE, RANGE(0, 1000000),
        .default_text = "0",
        .help =
            "New connections a second from one source (an IPv4 address, an IPv6 /64), five times as many in a burst; "
            "more are closed when they come. 0: no bound, right behind a proxy that hides the sources."),
    KEY("client.connections_per_source", CONFIG_INT, connections_per_source, RELOADABLE, RANGE(0, 10000000),
        .default_text = "0",
        .help = "Connections that one source may have open at once; more are closed when they come. 0: no bound."),
    KEY("client.connections_per_user", CONFIG_INT, connections_per_user, RELOADABLE, RANGE(0, 10000000),
        .default_text = "0",
        .help = "Connections that one user may have at all gateways together, as the brokers count them (at this one "
                "while no broker answers); one more is closed with 3504. 0: no bound. The anonymous have none."),
    KEY("client.handshakes_per_second", CONFIG_INT, handshakes_per_second, RELOADABLE, RANGE(0, 10000000),
        .default_text = "0",
        .help =
            "Upgrades a second of this gateway, twice as many in a burst; more are answered 503 with Retry-After, so "
            "that a storm of reconnects is let in at a rate that it can serve. 0: no bound."),
    KEY("client.trusted_proxies", CONFIG_TEXT_LIST, trusted_proxies, RANGE(1, 64), RELOADABLE,
        .help =
            "Networks of the proxies in front, like 10.0.0.0/8 or 2001:db8::1: what they say of whom they speak for "
            "is believed, by X-Forwarded-For or http.proxy_protocol. Bounds of a source then count the client; "
            "over them a client of X-Forwarded-For is refused with 429."),

    KEY("brokers.endpoints", CONFIG_TEXT_LIST, brokers, RANGE(1, 255), .default_text = "tcp://127.0.0.1:7700",
        .help = "Where the brokers are: tcp://host:port. Every address of a host name is a broker."),
    KEY("brokers.resolve_interval", CONFIG_DURATION, resolve_interval_ms, RANGE(100, 1 * HOUR), .default_text = "2s",
        .help = "How often host names are resolved again."),
    KEY("brokers.heartbeat", CONFIG_DURATION, heartbeat_ms, RANGE(50, 60 * SECOND), .default_text = "500ms",
        .help = "How often a link says that it lives."),
    KEY("brokers.heartbeat_timeout", CONFIG_DURATION, heartbeat_timeout_ms, RANGE(100, 600 * SECOND),
        .default_text = "1500ms",
        .help = "A link that is silent for so long is lost: its channels move to other brokers. Above "
                "brokers.heartbeat."),
    KEY("brokers.request_timeout", CONFIG_DURATION, request_timeout_ms, RANGE(100, 600 * SECOND), .default_text = "2s",
        .help = "How long an answer of a broker may take; then the client is told a temporary error."),
    KEY("brokers.departures_memory", CONFIG_BYTES, departures_bytes_max, RANGE(0, (int64_t) 1 << 30),
        .default_text = "4MiB",
        .help = "Of each worker: for who left channels with presence in the last brokers.move_grace, so that a broker "
                "that was lost with the news, or has forgotten it, can be told again."),
    KEY("brokers.move_grace", CONFIG_DURATION, move_grace_ms, RANGE(0, 600 * SECOND), .default_text = "10s",
        .help = "How long a channel may be without a broker before its subscribers are told to subscribe again."),
    KEY("brokers.curve_key_file", CONFIG_TEXT, curve_key_file, RANGE(0, 4096),
        .help = "The gateway's own key pair (callboardctl keygen). Needed for brokers that are not on this machine."),
    KEY("brokers.curve_broker_key", CONFIG_TEXT, curve_broker_key, RANGE(0, 4096),
        .help = "The brokers' public key: 40 characters, or the name of a .pub file."),

    KEY("events.channel", CONFIG_TEXT, events_channel, RELOADABLE, RANGE(0, 255),
        .help = "Where services are told of clients (docs/backend-api.md, Events): a channel whose namespace has a "
                "history, here and at the brokers. Empty: nowhere."),
    KEY("events.connections", CONFIG_BOOL, events_connections, RELOADABLE,
        .help = "Tell who connected and disconnected. Subscriptions are told by the namespaces' subscription_events."),
    KEY("events.queue", CONFIG_BYTES, events_queue, RELOADABLE, RANGE(4 * KIB, 1 * GIB), .default_text = "1MiB",
        .help = "Events of one worker that wait while brokers or Redis are away; more are dropped, counted, and told "
                "as lost."),

    KEY("drain.delay", CONFIG_DURATION, drain_delay_ms, RANGE(0, 600 * SECOND), .default_text = "5s",
        .help =
            "After SIGTERM: how long it says that it is not ready while it still serves, so that load balancers look "
            "elsewhere."),
    KEY("drain.window", CONFIG_DURATION, drain_window_ms, RANGE(0, 1 * HOUR), .default_text = "20s",
        .help = "Then: how long closing takes. Connections are closed evenly, in random order, with 3001; a broker "
                "hands its channels over."),

    KEY("log.level", CONFIG_CHOICE, log_level, RELOADABLE, .choices = log_levels, .default_text = "info",
        .help = "What is logged: this and what is worse."),
    KEY("log.rate", CONFIG_INT, log_rate, RELOADABLE, RANGE(1, 1000000), .default_text = "10",
        .help = "Lines a second of one event; more are counted, and the count is logged."),

    KEY("namespaces", CONFIG_SECTION_LIST, namespaces, RELOADABLE, .section = &namespace_options_table,
        .help = "What channels allow. Everything is denied unless it is allowed here."),
};

/* ---- rules ---- */

/* scheme://host[:port] and nothing behind; a star only as the whole first label. */
static bool is_origin(const char *text) {
    const char *slashes = strstr(text, "://");
    if (strcmp(text, "null") == 0) {
        return true; /* sandboxed pages and files: the operator's own word */
    }
    if (slashes == NULL || (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)) {
        return false;
    }
    const char *host = slashes + 3;
    if (strncmp(host, "*.", 2) == 0) {
        host += 2;
    }
    return host[0] != '\0' && strpbrk(host, "/?#@* ") == NULL;
}

static void verify_tls(const struct gateway_config *self, const char *prefix, config_errors_t *errors) {
    bool has_certificate = self->tls_certificate_file[0] != '\0';
    if (has_certificate != (self->tls_key_file[0] != '\0')) {
        config_error(errors, prefix, has_certificate ? "http.tls_key_file" : "http.tls_certificate_file",
                     "is needed too: TLS takes a certificate and its key");
    }
}

static void verify_proxies(const struct gateway_config *self, const char *prefix, config_errors_t *errors) {
    if (self->trusted_proxies.n > TRUSTED_PROXIES_MAX) {
        config_error(errors, prefix, "client.trusted_proxies", "names more than %d networks", TRUSTED_PROXIES_MAX);
    }
    for (size_t i = 0; i < self->trusted_proxies.n; i++) {
        const char *network = self->trusted_proxies.texts[i];
        struct ip_network ignored;
        if (!ip_network_parse(span_of_text(network), &ignored)) {
            config_error(errors, prefix, "client.trusted_proxies",
                         "%s is no network; write an address, or its first one and the number of its fixed bits, like "
                         "10.0.0.0/8",
                         network);
        }
    }
    if (self->proxy_protocol && self->trusted_proxies.n == 0) {
        config_error(errors, prefix, "client.trusted_proxies",
                     "is needed with http.proxy_protocol: nobody else may connect then");
    }
}

static void verify_path(const char *path, const char *key, const char *prefix, config_errors_t *errors) {
    if (path[0] != '/') {
        config_error(errors, prefix, key, "must begin with /");
    }
}

static void verify_http(const struct gateway_config *self, const char *prefix, config_errors_t *errors) {
    verify_path(self->websocket_path, "http.websocket_path", prefix, errors);
    verify_path(self->sse_path, "http.sse_path", prefix, errors);
    verify_path(self->http_stream_path, "http.http_stream_path", prefix, errors);
    verify_path(self->emulation_path, "http.emulation_path", prefix, errors);
    for (size_t i = 0; i < self->allowed_origins.n; i++) {
        const char *origin = self->allowed_origins.texts[i];
        if (!is_origin(origin)) {
            config_error(errors, prefix, "http.allowed_origins",
                         "%s is no origin; write scheme://host or scheme://host:port, like https://app.example.com",
                         origin);
        }
    }
}

/* Off this machine nothing goes in the clear. */
static void verify_endpoints(const struct gateway_config *self, const char *prefix, config_errors_t *errors) {
    for (size_t i = 0; i < self->brokers.n; i++) {
        const char *endpoint = self->brokers.texts[i];
        if (!curve_endpoint_is_well_formed(endpoint)) {
            config_error(errors, prefix, "brokers.endpoints", "%s is no endpoint; write tcp://host:port", endpoint);
        } else if (self->curve_key_file[0] == '\0' && !curve_endpoint_is_local(endpoint)) {
            config_error(errors, prefix, "brokers.endpoints",
                         "%s is not on this machine, so its link must be encrypted; set brokers.curve_key_file and "
                         "brokers.curve_broker_key (make keys with: callboardctl keygen)",
                         endpoint);
        }
    }
}

static void verify_brokers(const struct gateway_config *self, const char *prefix, config_errors_t *errors) {
    if (self->brokers.n == 0 || self->brokers.n > ENDPOINTS_MAX) {
        config_error(errors, prefix, "brokers.endpoints", "must name 1 to %d brokers", ENDPOINTS_MAX);
    }
    if (self->heartbeat_timeout_ms <= self->heartbeat_ms) {
        config_error(errors, prefix, "brokers.heartbeat_timeout",
                     "must be above brokers.heartbeat, else every link is lost at once");
    }
    bool has_own_key = self->curve_key_file[0] != '\0';
    if (has_own_key != (self->curve_broker_key[0] != '\0')) {
        config_error(errors, prefix, has_own_key ? "brokers.curve_broker_key" : "brokers.curve_key_file",
                     "is needed too: an encrypted link takes the gateway's own key pair and the brokers' public key");
    }
    verify_endpoints(self, prefix, errors);
}

/* A name that services can subscribe to, with positions. */
static void verify_events(const struct gateway_config *self, const char *prefix, config_errors_t *errors) {
    namespace_set_t *set = namespace_set_new(&self->namespaces);
    struct span channel = span_of_text(self->events_channel);
    bool is_needed = self->events_connections;
    for (size_t i = 0; i < self->namespaces.n; i++) {
        is_needed |= ((const struct namespace_options *) self->namespaces.items + i)->subscription_events;
    }
    const struct namespace_options *options = channel.size == 0 ? NULL : namespace_set_find(set, channel);
    if (channel.size == 0 && is_needed) {
        config_error(errors, prefix, "events.channel", "is needed with events.connections and subscription_events");
    } else if (channel.size > 0 && channel_name_check(channel) != CHANNEL_NAME_OK) {
        config_error(errors, prefix, "events.channel", "is no name of a channel");
    } else if (channel.size > 0 && (options == NULL || !namespace_has_history(options))) {
        config_error(errors, prefix, "events.channel",
                     "needs a namespace with history_size and history_ttl, else nobody who was away is told");
    } else if (options != NULL && options->subscription_events) {
        config_error(errors, prefix, "events.channel",
                     "must not be of a namespace with subscription_events, which would tell of itself");
    }
    namespace_set_destroy(&set);
}

static void verify(const void *target, const char *prefix, config_errors_t *errors) {
    const struct gateway_config *self = target;
    if (strncmp(self->id, "broker:", sizeof "broker:" - 1) == 0) {
        config_error(errors, prefix, "gateway.id", "may not begin with broker: as brokers do among the leases");
    }
    verify_http(self, prefix, errors);
    verify_tls(self, prefix, errors);
    verify_proxies(self, prefix, errors);
    token_settings_verify(&self->token, "token", prefix, errors);
    token_settings_verify(&self->subscription_token, "subscription_token", prefix, errors);
    if (self->pong_timeout_ms >= self->ping_interval_ms) {
        config_error(errors, prefix, "client.pong_timeout", "must be below client.ping_interval");
    }
    if (self->internal_admin && self->internal_token[0] == '\0') {
        config_error(errors, prefix, "internal.token", "is needed with internal.admin: the page shows what clients do");
    }
    if (self->internal_operations != 0 && !self->internal_admin) {
        config_error(errors, prefix, "internal.operations", "needs internal.admin: true, and internal.token");
    }
    verify_brokers(self, prefix, errors);
    http_api_keys_verify(&self->http_api_keys, prefix, errors);
    namespace_set_verify(&self->namespaces, prefix, errors);
    verify_events(self, prefix, errors);
}

const struct config_table gateway_config_table = {
    .title = "Gateway",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .struct_size = sizeof(struct gateway_config),
    .verify = verify,
};
