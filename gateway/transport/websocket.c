/* A connection's way:
 *
 *   adopted ─▶ HTTP headers ─▶ CONFIRM_UPGRADE: admission.c, path 404, Origin 403, limit or drain 503
 *                                 └▶ FILTER: the guard's strict handshake ─▶ ESTABLISHED: a session is made
 *   open ──close(code): our close frame goes out──▶ closing ──the peer's close frame, or 5 s──▶ CLOSED: session freed
 *     └──── the peer closes, the socket dies ────────────────────────────────────────────────────┘
 *
 * In: pieces of frames. A message that comes in one piece is passed on where it lies; otherwise it is gathered in a
 * block that exists only until it is whole.
 * Out: bytes that are framed already go to the socket, or through lws as LWS_WRITE_RAW where it has something to send
 * itself (websocket_write.c): no framing, no copy unless the socket is full, in order with lws's own pongs. They are
 * written where they arise, not in WRITEABLE, which costs about three epoll_ctl each. What the kernel does not take lws
 * keeps; until it is gone nothing more is written (lws's list has no bound of its own).
 *
 * Failure modes:
 *  - Message over client.message_size_max → 1009; more than client.message_fragments_max frames, or not whole within
 *    client.message_timeout → 1008.
 *  - A message that is no deflate although its frame says so → 1007, a continuation or pong that says so → 1002.
 *  - After our close frame nothing is delivered to the session and nothing is written (lws may call RECEIVE after a
 *    close, security.md S10). A peer that does not answer it is cut off after 5 s; one that has answered no ping (3012)
 *    at once, for it has been waited for already: most of them are gone without a word.
 *  - A write fails → the connection is killed at the next turn; session_on_closed comes from CLOSED, never inside.
 *  - A subprotocol list with neither of ours: lws 4.1.6 closes it before anyone is asked. No list at all is JSON,
 * unless the query asks for protobuf.
 *  - An unmasked frame is accepted by lws, with no hook to see it (S18). */
#include "gateway/transport/websocket.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lws_guard.h"
#include "base/memory.h"
#include "gateway/transport/admission.h"
#include "gateway/transport/plain_http.h"
#include "gateway/transport/websocket_frame.h"
#include "gateway/transport/websocket_write.h"

#include <stddef.h>
#include <stdio.h>

enum {
    RX_BYTES = 512, /* a connection's buffer, and the most that one recv takes */
    TX_BYTES = 65536,
    CLOSE_TIMEOUT_MS = 5000,
    QUERY_MAX_BYTES = 256
};

/* A message that came in pieces. */
struct partial_message {
    struct buffer bytes;
    uint32_t n_frames;
    bool is_compressed;
};

/* What lws allocates, zeroed, for each connection. */
struct websocket {
    struct transport transport;
    struct lws *wsi;
    session_t *session; /* NULL: refused, or not upgraded */
    struct partial_message *partial;
    struct timer_entry timer; /* while open: the message must be whole; while closing: the peer must have answered */
    http_stream_t *stream;    /* a plain HTTP request that carries commands; then nothing else of this is used */
    bool is_open;
    bool is_closing;
    bool is_backlogged;
    bool is_paused;
    bool wants_protobuf : 1;
    bool pings_by_frames : 1;
    bool is_raw;
    struct websocket_handshake handshake;
};
_Static_assert(sizeof(struct websocket) == offsetof(struct websocket, is_open) + 8, "compression costs nobody memory");

static struct websocket_service *service_of(struct lws *wsi) {
    return lws_context_user(lws_get_context(wsi));
}

/* --- closing --- */

static void set_timer(struct websocket *self, int64_t in_ms) {
    timer_wheel_set(service_of(self->wsi)->wheel, &self->timer, clock_monotonic_ms() + (uint64_t) in_ms);
}

static void drop_partial(struct websocket *self) {
    if (self->partial == NULL) {
        return;
    }
    buffer_finish(&self->partial->bytes);
    memory_free(self->partial);
    self->partial = NULL;
}

/* Violently, at the next turn: CLOSED is not called inside. */
static void cut_off(struct websocket *self) {
    self->is_closing = true;
    drop_partial(self);
    lws_set_timeout(self->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    service_of(self->wsi)->wants_service = true;
}

static void resume_reading(struct websocket *self) {
    self->is_paused = false;
    lws_rx_flow_control(self->wsi, 1);
    /* What lws had read already is delivered in its own time: make it look. */
    service_of(self->wsi)->wants_service = true;
}

static void close_with(struct websocket *self, uint16_t code, const char *reason) {
    if (self->is_closing || !self->is_open) {
        return;
    }
    self->is_closing = true;
    drop_partial(self);
    if (self->is_paused) {
        resume_reading(self); /* the peer's answer must be seen */
    }
    payload_t *frame = websocket_close_payload(code, reason);
    bool alive = websocket_write(self->wsi, payload_span(frame), &self->is_backlogged);
    payload_unref(&frame);
    if (alive && code != DISCONNECT_NO_PONG) {
        set_timer(self, CLOSE_TIMEOUT_MS);
    } else {
        cut_off(self);
    }
}

static void on_timer(struct timer_entry *entry) {
    struct websocket *self = list_entry(entry, struct websocket, timer);
    metric_values_t *metrics = service_of(self->wsi)->metrics;
    if (self->is_closing) {
        metric_count(metrics, WEBSOCKET_METRIC_CLOSE_TIMEOUTS);
        cut_off(self);
    } else {
        metric_count(metrics, WEBSOCKET_METRIC_CLOSED_MESSAGE_TIMEOUT);
        close_with(self, DISCONNECT_POLICY, "message timeout");
    }
}

/* --- the transport's methods --- */

static enum transport_write transport_write(struct transport *transport, struct span framed) {
    struct websocket *self = (struct websocket *) transport;
    if (self->is_closing) {
        return TRANSPORT_DEAD;
    }
    check(!self->is_backlogged, "a write while in backlog");
    metric_values_t *metrics = service_of(self->wsi)->metrics;
    metric_count(metrics, WEBSOCKET_METRIC_WRITES);
    metric_add(metrics, WEBSOCKET_METRIC_BYTES_OUT, framed.size);
    if (!websocket_write(self->wsi, framed, &self->is_backlogged)) {
        cut_off(self);
        return TRANSPORT_DEAD;
    }
    if (!self->is_backlogged) {
        return TRANSPORT_TAKEN;
    }
    metric_count(metrics, WEBSOCKET_METRIC_BACKLOGS);
    return TRANSPORT_BACKLOG;
}

static void transport_close(struct transport *transport, uint16_t code, const char *reason) {
    close_with((struct websocket *) transport, code, reason);
}

/* Pausing takes effect inside RECEIVE: lws keeps what it has read. Resuming comes from the flush, never inside it. */
static void transport_pause_reading(struct transport *transport, bool pause) {
    struct websocket *self = (struct websocket *) transport;
    if (self->is_closing || pause == self->is_paused) {
        return;
    }
    if (pause) {
        self->is_paused = true;
        lws_rx_flow_control(self->wsi, 0);
    } else {
        resume_reading(self);
    }
}

static const struct transport_methods methods = {
    .write = transport_write,
    .frame = websocket_frame_message,
    .close = transport_close,
    .pause_reading = transport_pause_reading,
    .name = "websocket",
};
static const struct transport_methods compressing_methods = {
    .write = transport_write,
    .frame = websocket_frame_message,
    .close = transport_close,
    .pause_reading = transport_pause_reading,
    .compresses = true,
    .name = "websocket",
};

payload_t *websocket_frame_publication(void *context, enum client_encoding encoding, struct span message) {
    struct websocket_service *self = context;
    bool is_compressed;
    payload_t *frame = websocket_compression_frame(&self->compression, encoding, message,
                                                   (size_t) self->config->compression_min_size, &is_compressed);
    if (is_compressed) {
        metric_count(self->metrics, WEBSOCKET_METRIC_COMPRESSED);
    }
    return frame;
}

/* --- upgrade --- */

/* Its encoding: by the subprotocol that lws has chosen, the first of the client's list that is ours, or by the query.
 */
static void note_wishes(struct websocket *self, struct lws *wsi) {
    char value[QUERY_MAX_BYTES];
    self->wants_protobuf = lws_get_protocol(wsi)->id == CLIENT_ENCODING_PROTOBUF;
    for (int i = 0; lws_hdr_copy_fragment(wsi, value, sizeof(value), WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++) {
        self->wants_protobuf =
            self->wants_protobuf || strcmp(value, "format=protobuf") == 0 || strcmp(value, "cf_protocol=protobuf") == 0;
        self->pings_by_frames = self->pings_by_frames || strcmp(value, "cf_ws_frame_ping_pong=true") == 0;
    }
}

static int next_parameter(void *context, int i, char *text, int size) {
    bool is_there = lws_hdr_fragment_length(context, WSI_TOKEN_HTTP_URI_ARGS, i) > 0;
    return is_there ? lws_hdr_copy_fragment(context, text, size, WSI_TOKEN_HTTP_URI_ARGS, i) : 0;
}

static void drop_raw(struct websocket_service *self) {
    if (self->raw_wsi != NULL) {
        raw_query_finish(&self->raw_query);
        self->raw_wsi = NULL;
    }
}

/* lws calls ESTABLISHED, or nothing, before it reads another request: one place is enough. */
bool websocket_note_raw(struct websocket_service *self, struct lws *wsi, struct span path) {
    drop_raw(self);
    bool is_sound = raw_query_read(&self->raw_query, path, next_parameter, wsi);
    self->raw_wsi = is_sound ? wsi : NULL;
    return is_sound;
}

static void begin_raw(struct websocket *self, struct websocket_service *service) {
    self->is_raw = true;
    self->session = session_new(service->sessions, &self->transport,
                                service->raw_query.envelope ? CLIENT_ENCODING_RAW_ENVELOPE : CLIENT_ENCODING_RAW);
    session_begin_raw(self->session, &service->raw_query.options);
    drop_raw(service);
}

static void on_established(struct websocket *self, struct lws *wsi) {
    struct websocket_service *service = service_of(wsi);
    self->transport.methods = self->handshake.agreed ? &compressing_methods : &methods;
    self->wsi = wsi;
    self->is_open = true;
    timer_entry_init(&self->timer, on_timer);
    service->connections++;
    atomic_fetch_add_explicit(&service->totals->connections, 1, memory_order_relaxed);
    metric_change(service->metrics, WEBSOCKET_METRIC_CONNECTIONS, 1);
    metric_count(service->metrics, WEBSOCKET_METRIC_HANDSHAKES);
    metric_change(service->metrics, WEBSOCKET_METRIC_COMPRESSING, self->handshake.agreed);
    if (service->raw_wsi == wsi) {
        begin_raw(self, service);
        return;
    }
    self->session = session_new(service->sessions, &self->transport,
                                self->wants_protobuf ? CLIENT_ENCODING_PROTOBUF : CLIENT_ENCODING_JSON);
    if (self->pings_by_frames) {
        session_ping_by_frames(self->session);
    }
}

static void on_closed(struct websocket *self) {
    struct websocket_service *service = service_of(self->wsi);
    self->is_open = false;
    self->is_closing = true;
    timer_wheel_cancel(service->wheel, &self->timer);
    drop_partial(self);
    service->connections--;
    atomic_fetch_sub_explicit(&service->totals->connections, 1, memory_order_relaxed);
    metric_change(service->metrics, WEBSOCKET_METRIC_CONNECTIONS, -1);
    metric_change(service->metrics, WEBSOCKET_METRIC_COMPRESSING, -(int64_t) self->handshake.agreed);
    session_on_closed(&self->session);
}

/* --- messages in --- */

static void deliver(struct websocket *self, struct span message) {
    metric_values_t *metrics = service_of(self->wsi)->metrics;
    metric_count(metrics, WEBSOCKET_METRIC_MESSAGES_IN);
    metric_add(metrics, WEBSOCKET_METRIC_BYTES_IN, message.size);
    if (self->is_raw) {
        session_on_raw_message(self->session, message, lws_frame_is_binary(self->wsi) != 0);
    } else {
        session_on_message(self->session, message);
    }
}

static void refuse_message(struct websocket *self, enum websocket_metric row, enum disconnect_code code,
                           const char *reason) {
    metric_count(service_of(self->wsi)->metrics, row);
    close_with(self, (uint16_t) code, reason);
}

static void deliver_compressed(struct websocket *self, struct span compressed) {
    struct websocket_service *service = service_of(self->wsi);
    struct span message;
    switch (websocket_compression_inflate(&service->compression, compressed, (size_t) service->config->message_size_max,
                                          &message)) {
    case WEBSOCKET_INFLATED:
        metric_count(service->metrics, WEBSOCKET_METRIC_INFLATED);
        deliver(self, message);
        break;
    case WEBSOCKET_INFLATED_TOO_BIG:
        refuse_message(self, WEBSOCKET_METRIC_CLOSED_TOO_BIG, DISCONNECT_TOO_BIG, "message too big");
        break;
    case WEBSOCKET_INFLATED_MALFORMED:
        refuse_message(self, WEBSOCKET_METRIC_CLOSED_COMPRESSION, DISCONNECT_INVALID_DATA, "no deflate");
        break;
    }
}

static void deliver_whole(struct websocket *self, struct span bytes, bool is_compressed) {
    if (is_compressed) {
        deliver_compressed(self, bytes);
    } else {
        deliver(self, bytes);
    }
}

static struct partial_message *begin_partial(struct websocket *self, bool is_compressed) {
    const struct gateway_config *config = service_of(self->wsi)->config;
    self->partial = memory_alloc_zero(sizeof(*self->partial));
    self->partial->is_compressed = is_compressed;
    buffer_init(&self->partial->bytes, (size_t) config->message_size_max);
    set_timer(self, config->message_timeout_ms);
    return self->partial;
}

static void finish_partial(struct websocket *self) {
    struct partial_message *partial = self->partial;
    self->partial = NULL;
    timer_wheel_cancel(service_of(self->wsi)->wheel, &self->timer);
    deliver_whole(self, buffer_span(&partial->bytes), partial->is_compressed);
    buffer_finish(&partial->bytes);
    memory_free(partial);
}

/* Of the frame that came last: lws lets only RSV1 through, and only where compression was agreed on. */
static bool has_rsv1(struct websocket *self) {
    return lws_get_reserved_bits(self->wsi) != 0;
}

static void on_receive(struct websocket *self, struct span piece) {
    const struct gateway_config *config = service_of(self->wsi)->config;
    bool is_whole = lws_is_final_fragment(self->wsi) != 0;
    size_t rest_of_frame = lws_remaining_packet_payload(self->wsi);
    size_t before = self->partial == NULL ? 0 : self->partial->bytes.size;
    size_t limit = (size_t) config->message_size_max;
    if (self->partial != NULL && self->partial->n_frames > 0 && has_rsv1(self)) {
        refuse_message(self, WEBSOCKET_METRIC_CLOSED_COMPRESSION, DISCONNECT_PROTOCOL_ERROR, "rsv bits");
        return;
    }
    if (piece.size > limit - before || rest_of_frame > limit - before - piece.size) {
        refuse_message(self, WEBSOCKET_METRIC_CLOSED_TOO_BIG, DISCONNECT_TOO_BIG, "message too big");
        return;
    }
    if (self->partial == NULL && is_whole) {
        deliver_whole(self, piece, has_rsv1(self));
        return;
    }
    struct partial_message *partial = self->partial == NULL ? begin_partial(self, has_rsv1(self)) : self->partial;
    buffer_append_span(&partial->bytes, piece);
    if (is_whole) {
        finish_partial(self);
        return;
    }
    if (rest_of_frame == 0 && ++partial->n_frames >= config->message_fragments_max) {
        refuse_message(self, WEBSOCKET_METRIC_CLOSED_FRAGMENTS, DISCONNECT_POLICY, "too many fragments");
    }
}

/* --- lws --- */

static void on_writable(struct websocket *self) {
    if (self->is_backlogged && lws_partial_buffered(self->wsi) == 0) {
        self->is_backlogged = false;
        if (!self->is_closing) {
            session_on_writable(self->session);
        }
    }
}

static void count_socket(struct lws *wsi, bool created) {
    struct websocket_totals *totals = service_of(wsi)->totals;
    if (created) {
        atomic_fetch_add_explicit(&totals->sockets, 1, memory_order_relaxed);
    } else {
        struct source *source = lws_get_opaque_user_data(wsi);
        source_limits_release(service_of(wsi)->sources, &source);
        atomic_fetch_sub_explicit(&totals->sockets, 1, memory_order_relaxed);
    }
}

/* Events of an open WebSocket. */
static int on_socket_event(struct websocket *self, enum lws_callback_reasons reason, struct span bytes) {
    if (reason == LWS_CALLBACK_RECEIVE) {
        if (!self->is_closing) {
            on_receive(self, bytes);
        }
    } else if (reason == LWS_CALLBACK_RECEIVE_PONG) {
        if (has_rsv1(self)) {
            refuse_message(self, WEBSOCKET_METRIC_CLOSED_COMPRESSION, DISCONNECT_PROTOCOL_ERROR, "rsv bits");
        } else if (!self->is_closing) {
            session_on_pong(self->session);
        }
    } else if (reason == LWS_CALLBACK_SERVER_WRITEABLE) {
        on_writable(self);
    } else if (reason == LWS_CALLBACK_WS_PEER_INITIATED_CLOSE) {
        return self->is_closing ? -1 : 0; /* the answer to ours: nothing more to say */
    } else if (reason == LWS_CALLBACK_CLOSED) {
        on_closed(self);
    }
    return 0;
}

static int on_lws_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    struct websocket *self = user;
    if (lws_guard_check(wsi, reason) != LWS_GUARD_PASS) {
        metric_count(service_of(wsi)->metrics, WEBSOCKET_METRIC_REFUSED_GUARD);
        return -1;
    }
    if (reason == LWS_CALLBACK_WSI_CREATE || reason == LWS_CALLBACK_WSI_DESTROY) {
        count_socket(wsi, reason == LWS_CALLBACK_WSI_CREATE);
    } else if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
        tls_server_prepare(&service_of(wsi)->tls, user); /* that is where lws gives the vhost's context */
    } else if (plain_http_is_event(reason)) {
        return plain_http_on_event(service_of(wsi), wsi, reason, in, size, self == NULL ? NULL : &self->stream);
    } else if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE) {
        drop_raw(service_of(wsi));
        return admission_judge(service_of(wsi), wsi);
    } else if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION) {
        note_wishes(self, wsi);
    } else if (reason == LWS_CALLBACK_CONFIRM_EXTENSION_OKAY) {
        return websocket_handshake_confirm(&self->handshake, wsi, service_of(wsi)->config->compression);
    } else if (reason == LWS_CALLBACK_ADD_HEADERS) {
        return self == NULL || self->is_open ? 0 : websocket_handshake_answer(&self->handshake, in);
    } else if (reason == LWS_CALLBACK_ESTABLISHED) {
        on_established(self, wsi);
    } else if (self != NULL && self->is_open) {
        return on_socket_event(self, reason, span_of(in, size));
    }
    return 0;
}

/* --- life cycle --- */

bool websocket_service_start(struct websocket_service *self, uv_loop_t *loop, char *ret_error, size_t error_size) {
    /* Who asks for none gets the first one unnamed, who lists one gets it echoed, other names are refused by lws. Both
     * are the same but for their id: lws keeps a connection's memory only where the sizes are equal. */
    static const struct lws_protocols protocols[] = {
        {.name = "centrifuge-json",
         .callback = on_lws_event,
         .per_session_data_size = sizeof(struct websocket),
         .rx_buffer_size = RX_BYTES,
         .id = CLIENT_ENCODING_JSON,
         .tx_packet_size = TX_BYTES},
        {.name = "centrifuge-protobuf",
         .callback = on_lws_event,
         .per_session_data_size = sizeof(struct websocket),
         .rx_buffer_size = RX_BYTES,
         .id = CLIENT_ENCODING_PROTOBUF,
         .tx_packet_size = TX_BYTES},
        {.name = NULL},
    };
    const struct lws_guard_service service = {
        .what = "the public port",
        .protocols = protocols,
        .extensions = websocket_extensions, /* each is asked for: client.compression */
        .headers_kept = (unsigned) self->config->streams_max,
        .wants_tls = self->tls.credentials != NULL,
        .user = self,
    };
    websocket_compression_init(&self->compression);
    return lws_guard_open_context(&service, loop, &self->lws, &self->vhost, ret_error, error_size);
}

void websocket_service_adopt(struct websocket_service *self, int descriptor, struct source *source) {
    struct lws *wsi = lws_adopt_socket_vhost(self->vhost, descriptor); /* closes the descriptor when it fails */
    if (wsi == NULL) {
        source_limits_release(self->sources, &source);
        return;
    }
    lws_set_opaque_user_data(wsi, source);
}

void websocket_service_flush(struct websocket_service *self) {
    if (self->wants_service) {
        self->wants_service = false;
        lws_cancel_service(self->lws);
    }
}

void websocket_service_close(struct websocket_service *self, uv_loop_t *loop, void (*on_service_closed)(void *context),
                             void *context) {
    self->vhost = NULL;
    drop_raw(self);
    lws_guard_close_context(&self->lws, loop, on_service_closed, context);
    websocket_compression_finish(&self->compression);
}
